//! Requests in great number over kept connections: as fast as they are answered, or at a steady pace.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::numbers::Times;

/// A request as it is sent.
pub type Request = hyper::Request<Full<Bytes>>;

/// A request without a body, by the holder of a token if there is one.
#[must_use]
pub fn get(path: &str, token: Option<&str>) -> Request {
    request(Method::GET, path, token, None)
}

/// A request with a body of JSON.
#[must_use]
pub fn post(path: &str, token: Option<&str>, body: &serde_json::Value) -> Request {
    request(Method::POST, path, token, Some(body))
}

fn request(method: Method, path: &str, token: Option<&str>, body: Option<&serde_json::Value>) -> Request {
    let mut request = hyper::Request::builder().method(method).uri(path).header(HOST, "localhost");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(body.map(ToString::to_string).unwrap_or_default().into()).expect("a request")
}

/// The setting that has a server believe [`through_proxy`].
pub const BEHIND_PROXY: (&str, &str) = ("CLIENT_IP", "xff:1");

/// The request as a proxy passes it on for a client of this number, each of whom has an address of their own.
#[must_use]
pub fn through_proxy(mut request: Request, client: usize) -> Request {
    // The range of addresses that is meant for benches (RFC 2544).
    let address = format!("198.18.{}.{}", client / 256, client % 256);
    request.headers_mut().insert("x-forwarded-for", address.parse().expect("ASCII"));
    request
}

/// Where a server is whose URL this is.
#[must_use]
pub fn address_of(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}

/// A connection to a server, opened again when the server has closed it after an answer.
pub struct Connection {
    server: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.expect("a connection");
        stream.set_nodelay(true).expect("set");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        Self { server, sender }
    }

    /// Sends a request and gives what is answered.
    pub async fn ask(&mut self, request: Request) -> (StatusCode, Bytes) {
        if self.sender.ready().await.is_err() {
            *self = Self::open(self.server).await;
        }
        let answer = self.sender.send_request(request).await.expect("an answer");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("a whole answer").to_bytes())
    }
}

/// How soon a request follows another one.
#[derive(Clone, Copy)]
pub enum Pace {
    /// On each connection when the one before is answered.
    AsAnswered,
    /// So many a second over all connections, whether the ones before are answered or not. Their time runs from the moment at which
    /// they were to be sent, so that a server that stalls does not hide it by holding up its clients.
    PerSecond(f64),
}

/// How a server is put under load.
#[derive(Clone, Copy)]
pub struct Load {
    pub server: SocketAddr,
    pub connections: usize,
    pub pace: Pace,
    pub duration: Duration,
}

/// What came of it.
pub struct Outcome {
    pub per_second: f64,
    pub times: Times,
}

impl Load {
    /// Sends what `next` makes for each connection, by its number, and has everything answered. Anything but success ends the bench:
    /// what is refused costs less than what is done.
    pub async fn run(&self, next: impl Fn(usize) -> Request) -> Outcome {
        let begun = Instant::now();
        let next = &next;
        let per_connection = join_all((0..self.connections).map(|number| self.run_connection(number, begun, next))).await;
        let mut times = Times::default();
        for of_one in per_connection {
            times.extend(of_one);
        }
        let answers = u32::try_from(times.count()).expect("fewer answers than that");
        Outcome { per_second: f64::from(answers) / begun.elapsed().as_secs_f64(), times }
    }

    async fn run_connection(&self, number: usize, begun: Instant, next: impl Fn(usize) -> Request) -> Times {
        let mut connection = Connection::open(self.server).await;
        let mut times = Times::default();
        for round in 0.. {
            let due = self.due(begun, number, round);
            if due.duration_since(begun) >= self.duration {
                break;
            }
            let was_late = due <= Instant::now();
            tokio::time::sleep_until(due).await;
            // The timer wakes up to a millisecond late, which is not the server's fault.
            let counted_from = if was_late { due } else { Instant::now() };
            let (status, body) = connection.ask(next(number)).await;
            assert!(status.is_success(), "{status}: {body:?}");
            times.add(counted_from.elapsed());
        }
        times
    }

    /// When a connection is to send its next request.
    fn due(&self, begun: Instant, connection: usize, round: u32) -> Instant {
        match self.pace {
            Pace::AsAnswered => Instant::now(),
            Pace::PerSecond(rate) => {
                let connections = u32::try_from(self.connections).expect("few");
                let place = f64::from(round) * f64::from(connections) + f64::from(u32::try_from(connection).expect("few"));
                begun + Duration::from_secs_f64(place / rate)
            }
        }
    }
}
