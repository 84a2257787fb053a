//! A proxy before a database, which fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the proxy treats connections, those that there are and new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Forward,
    /// Closes them.
    Refuse,
    /// Keeps them open and passes nothing on.
    Swallow,
    /// Passes requests on half a second later.
    Slow,
}

const SLOWNESS: Duration = Duration::from_millis(500);

/// A running proxy; it ends with its runtime.
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    lost: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    passed: Arc<AtomicUsize>,
}

/// What a connection needs to know.
#[derive(Clone)]
struct Rules {
    mode: watch::Receiver<Mode>,
    /// How many of the answers to come are to be lost, and what the requests have in them whose answers count.
    lost: Arc<AtomicUsize>,
    marker: &'static str,
    /// How many connections there are, and how many requests were passed on.
    open: Arc<AtomicUsize>,
    passed: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before the server at `address`. A request that contains `marker` is one whose answer can be lost.
    pub async fn start(address: String, mode: Mode, marker: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, receiver) = watch::channel(mode);
        let rules = Rules { mode: receiver, lost: Arc::default(), marker, open: Arc::default(), passed: Arc::default() };
        let proxy =
            Self { port, mode: sender, lost: Arc::clone(&rules.lost), open: Arc::clone(&rules.open), passed: Arc::clone(&rules.passed) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, address.clone(), rules.clone()));
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Has the server do what the next `count` marked requests ask for, and closes their connections without the answers.
    pub fn lose_answers(&self, count: usize) {
        self.lost.store(count, Ordering::SeqCst);
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// How many requests were passed on.
    pub fn requests(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    /// How many answers are still to be lost.
    pub fn answers_to_lose(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

async fn carry(client: TcpStream, address: String, rules: Rules) {
    if *rules.mode.borrow() == Mode::Refuse {
        return;
    }
    let Ok(server) = TcpStream::connect(address).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (cut, is_cut) = watch::channel(false);
    let mut mode = rules.mode.clone();
    let refused = async {
        let _closed = mode.wait_for(|mode| *mode == Mode::Refuse).await.is_ok();
    };
    rules.open.fetch_add(1, Ordering::SeqCst);
    tokio::select! {
        () = ask(from_client, to_server, rules.clone(), cut) => {}
        () = answer(from_server, to_client, rules.mode.clone(), is_cut) => {}
        () = refused => {}
    }
    rules.open.fetch_sub(1, Ordering::SeqCst);
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut rules: Rules, cut: watch::Sender<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let _open = rules.mode.wait_for(|mode| *mode != Mode::Swallow).await.is_ok();
        if *rules.mode.borrow() == Mode::Slow {
            tokio::time::sleep(SLOWNESS).await;
        }
        let is_marked = buffer[..read].windows(rules.marker.len()).any(|part| part == rules.marker.as_bytes());
        if is_marked && rules.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |lost| lost.checked_sub(1)).is_ok() {
            cut.send_replace(true);
        }
        rules.passed.fetch_add(1, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>, cut: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let _open = mode.wait_for(|mode| *mode != Mode::Swallow).await.is_ok();
        if *cut.borrow() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
