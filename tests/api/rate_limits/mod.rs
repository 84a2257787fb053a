//! Rate limits: whose requests count together, and what happens to one too many.
//!
//! Each test starts servers of its own, on data of its own, on which nothing is tight but what it looks at. The client is on
//! this machine, as a trusted proxy would be, and tells by `X-Forwarded-For` from which net it comes.

pub mod clients;
pub mod guessing;
pub mod mail;
pub mod outages;
pub mod registrations;
pub mod traffic;

use std::time::{Duration, Instant};

use chat_functions::settings::VARIABLES;
use reqwest::header::{HeaderMap, HeaderValue};
use tempfile::TempDir;

use crate::client::{Answer, Client, PASSWORD, new_name};
use crate::context::Context;
use crate::database::Database;
use crate::support::mongodb::TestDatabase;
use crate::support::server::{Environment, Server};

/// Data of a test's own, and the settings of its servers.
struct Site {
    folder: TempDir,
    database: Option<TestDatabase>,
    environment: Environment,
}

/// A server on it.
struct Running {
    server: Server,
    url: String,
}

impl Site {
    /// Limits on, and out of the way but for the given ones.
    fn new(context: &Context, limits: &[(&str, &str)]) -> Self {
        let names = VARIABLES.iter().map(|variable| variable.name).filter(|name| name.starts_with("LIMIT_"));
        let wide = names.fold(Environment::new().without("LIMITS"), |environment, name| environment.with(name, "1000/1s"));
        let environment = wide.with("CLIENT_IP", "xff:1");
        let environment = limits.iter().fold(environment, |environment, (name, value)| environment.with(name, *value));
        let database = context.has_mongodb().then(|| TestDatabase::new().expect("a server"));
        let environment = match &database {
            Some(database) => environment.with("MONGODB_URI", database.uri()),
            None => environment,
        };
        Self { folder: tempfile::tempdir().expect("a folder"), database, environment }
    }

    async fn start(&self) -> Running {
        let server = Server::start(&self.environment, self.folder.path()).expect("a server");
        server.ready().await.expect("a store");
        Running { url: server.url().to_owned(), server }
    }

    /// What the servers keep, past the program.
    async fn database(&self) -> Database {
        match &self.database {
            Some(database) => Database::MongoDb(database.open().await),
            None => Database::Sqlite(self.folder.path().join("data/chat.db")),
        }
    }

    async fn clear(&self) {
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }
}

impl Running {
    /// Somebody whose requests have these lines of a header.
    fn client_sending(&self, name: &'static str, lines: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).expect("a value"));
        }
        Client::sending(&self.url, headers)
    }

    /// The lines that the log has of requests to a route, once there are so many: they may come after the answers.
    async fn lines_of(&self, route: &str, count: usize) -> Vec<String> {
        let (route, begun) = (format!("\"route\":\"{route}\""), Instant::now());
        loop {
            let lines: Vec<_> = self.server.log().into_iter().filter(|line| line.contains(&route)).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{lines:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Somebody in a net.
    fn client(&self, net: &str) -> Client {
        self.client_sending("X-Forwarded-For", &[net])
    }
}

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

async fn register(client: &Client) -> Answer {
    let name = new_name();
    client.register(&name, &format!("{name}@example.com"), PASSWORD).await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// The wait that a refusal tells, in seconds, which must be one.
#[track_caller]
fn wait_of(answer: &Answer) -> u64 {
    let seconds = answer.header("retry-after").parse().expect("whole seconds");
    assert!(seconds >= 1, "{answer:?}");
    seconds
}

/// A refusal that tells how long to wait, at most so many seconds.
#[track_caller]
fn is_limited(answer: Answer, longest: u64) {
    let wait = wait_of(&answer);
    assert!(wait <= longest, "{wait} s");
    answer.fails(429, "rate_limited");
}
