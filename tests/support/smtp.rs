//! A mail server: a small one, but real SMTP with TLS and log-in. It keeps what it gets, and fails on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use received::ReceivedMail;

use super::tls::certificates;

mod received;
mod session;

/// Given as a reply, there is none.
pub const SILENCE: &str = "";

/// How long a mail may take to arrive, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// When connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Never,
    /// When the client asks for it.
    StartTls,
    FromTheBeginning,
}

/// How a server is set up.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub security: Security,
    /// Who may hand mail in, by user and password; anybody when there is none.
    pub credentials: Option<(&'static str, &'static str)>,
    /// The ways to log in.
    pub mechanisms: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { security: Security::Never, credentials: None, mechanisms: "PLAIN LOGIN" }
    }
}

/// How a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Up,
    /// Nothing listens on its port, and its connections are cut.
    Away,
    /// Closes each connection without a word.
    HangsUp,
    /// Never answers `DATA`.
    Stalls,
    /// Reads a mail, and then says that it cannot take it at present.
    CannotStore,
    /// Takes a mail, and hangs up instead of saying so.
    LosesReply,
}

/// A command as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its first word.
    pub verb: String,
    /// Whether nobody on the way could read it.
    pub is_encrypted: bool,
}

/// A running mail server on this machine; it ends with its runtime.
pub struct SmtpServer {
    port: u16,
    authority: String,
    condition: watch::Sender<Condition>,
    is_listening: watch::Receiver<bool>,
    shared: Arc<Shared>,
}

/// What the connections share.
struct Shared {
    options: Options,
    acceptor: TlsAcceptor,
    condition: watch::Receiver<Condition>,
    mails: watch::Sender<Vec<ReceivedMail>>,
    refused: Mutex<Vec<ReceivedMail>>,
    commands: watch::Sender<Vec<Command>>,
    connections: watch::Sender<usize>,
    open: watch::Sender<usize>,
    /// Recipients with the reply to whoever names them.
    replies: Mutex<Vec<(String, String)>>,
}

impl SmtpServer {
    /// Starts a server on a free port.
    pub async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (authority, acceptor) = certificates();
        let (condition, observed) = watch::channel(Condition::Up);
        let shared = Arc::new(Shared {
            options,
            acceptor,
            condition: observed,
            mails: watch::Sender::default(),
            refused: Mutex::default(),
            commands: watch::Sender::default(),
            connections: watch::Sender::default(),
            open: watch::Sender::default(),
            replies: Mutex::default(),
        });
        let (listening, is_listening) = watch::channel(true);
        tokio::spawn(listen(listener, listening, Arc::clone(&shared)));
        Self { port, authority, condition, is_listening, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `MAIL_URL` by which mail gets here.
    pub fn url(&self) -> String {
        let scheme = if self.shared.options.security == Security::FromTheBeginning { "smtps" } else { "smtp" };
        let user = self.shared.options.credentials.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        format!("{scheme}://{user}127.0.0.1:{}", self.port)
    }

    pub fn security(&self) -> Security {
        self.shared.options.security
    }

    /// The certificate authority that vouches for the server, in PEM: what `MAIL_CA_FILE` is to hold.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Changes how the server is doing, and returns when it does so.
    pub async fn set(&self, condition: Condition) {
        self.condition.send_replace(condition);
        let mut listening = self.is_listening.clone();
        let done = listening.wait_for(|is_listening| *is_listening == (condition != Condition::Away));
        let _open = timeout(PATIENCE, done).await.expect("its port back").expect("a running server");
    }

    /// Answers `reply`, such as `550 5.1.1 nobody here`, whenever this recipient is named.
    pub fn refuse(&self, recipient: &str, reply: &str) {
        self.replies().push((recipient.to_owned(), reply.to_owned()));
    }

    /// Takes mail for a recipient again.
    pub fn take(&self, recipient: &str) {
        self.replies().retain(|(other, _)| other != recipient);
    }

    fn replies(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was taken so far, in the order of arrival.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.shared.mails.borrow().clone()
    }

    /// What was read but not taken.
    pub fn refused_mails(&self) -> Vec<ReceivedMail> {
        self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The commands so far, of all connections.
    pub fn commands(&self) -> Vec<Command> {
        self.shared.commands.borrow().clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Whether nobody is connected.
    pub fn is_idle(&self) -> bool {
        *self.shared.open.borrow() == 0
    }

    /// Waits until everybody has gone.
    pub async fn wait_until_idle(&self) {
        let mut open = self.shared.open.subscribe();
        assert!(timeout(PATIENCE, open.wait_for(|open| *open == 0)).await.is_ok(), "somebody stays connected");
    }

    /// Waits for a mail, which may have come already.
    #[track_caller]
    pub fn wait_for(&self, wanted: impl Fn(&ReceivedMail) -> bool, deadline: Duration) -> impl Future<Output = ReceivedMail> {
        let mut mails = self.shared.mails.subscribe();
        let place = std::panic::Location::caller();
        async move {
            let found = timeout(deadline, mails.wait_for(|mails| mails.iter().any(&wanted))).await;
            let mails = found.unwrap_or_else(|_late| panic!("{place}: no such mail came")).expect("a running server");
            mails.iter().find(|mail| wanted(mail)).expect("just found").clone()
        }
    }

    /// Waits until so many mails have been taken.
    pub async fn wait_for_count(&self, count: usize) {
        let mut mails = self.shared.mails.subscribe();
        let reached = timeout(PATIENCE, mails.wait_for(|mails| mails.len() >= count)).await.is_ok();
        assert!(reached, "{} mails instead of {count}", self.mails().len());
    }

    /// Waits until a command has come more than `count` times.
    pub async fn wait_for_command(&self, verb: &str, count: usize) {
        let mut commands = self.shared.commands.subscribe();
        let is_enough = |commands: &Vec<Command>| commands.iter().filter(|command| command.verb == verb).count() > count;
        assert!(timeout(PATIENCE, commands.wait_for(is_enough)).await.is_ok(), "{:?}", self.commands());
    }

    /// Waits until there have been more than `count` connections.
    pub async fn wait_for_connection(&self, count: usize) {
        let mut connections = self.shared.connections.subscribe();
        assert!(timeout(PATIENCE, connections.wait_for(|made| *made > count)).await.is_ok(), "no connection after {count}");
    }
}

async fn listen(first: TcpListener, listening: watch::Sender<bool>, shared: Arc<Shared>) {
    let address = first.local_addr().expect("an address");
    let mut listener = Some(first);
    let mut condition = shared.condition.clone();
    loop {
        if let Some(open) = &listener {
            tokio::select! {
                accepted = open.accept() => {
                    let (stream, _) = accepted.expect("a connection");
                    tokio::spawn(connect(stream, Arc::clone(&shared)));
                }
                away = condition.wait_for(|condition| *condition == Condition::Away) => {
                    if away.is_err() { return }
                    drop(away);
                    listener = None;
                    listening.send_replace(false);
                }
            }
        } else {
            if condition.wait_for(|condition| *condition != Condition::Away).await.is_err() {
                return;
            }
            listener = TcpListener::bind(address).await.ok();
            listening.send_replace(listener.is_some());
        }
    }
}

async fn connect(stream: TcpStream, shared: Arc<Shared>) {
    shared.open.send_modify(|open| *open += 1);
    shared.connections.send_modify(|count| *count += 1);
    let mut condition = shared.condition.clone();
    let is_gone = |condition: &Condition| matches!(condition, Condition::Away | Condition::HangsUp);
    tokio::select! {
        biased;
        _cut = condition.wait_for(is_gone) => {}
        _over = session::serve(stream, Arc::clone(&shared)) => {}
    }
    shared.open.send_modify(|open| *open -= 1);
}
