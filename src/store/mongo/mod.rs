//! The MongoDB backend: a database shared by any number of processes.
//!
//! Every rule is one atomic write to one document, and there are no transactions. `probe` tries at the start whether the server has
//! what is used. `documents` shows what is kept, `indexes` what is unique, `connection` how an operation
//! gets to the server and how it fails. The traits are in `accounts`, `users`, `chats`, `mail` and `throttles`, which
//! leave what is longer to the files named after it.

mod accounts;
mod addresses;
mod change_query;
mod change_stream;
mod chats;
mod clock;
mod computed;
mod connection;
mod conversations;
mod deletion;
mod documents;
mod expressions;
mod failure;
mod filling;
mod indexes;
mod mail;
mod mail_tokens;
mod moves;
mod names;
mod outbox;
mod ownership;
mod passwords;
mod patience;
mod people;
mod probe;
mod probe_operators;
mod profile_changes;
mod profiles;
mod progress;
mod reads;
mod reason;
mod registrations;
mod relations;
mod sessions;
mod standing;
mod throttles;
mod turns;
mod users;
mod watcher;
mod writes;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::time::Duration;

use async_trait::async_trait;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::ConnectionString;

use self::connection::Connection;
use self::turns::Turns;
use super::changes::Listeners;
use super::{ChangeListener, Store, StoreError, StoreKind};

/// A store in a MongoDB database. Clones share the connection.
#[derive(Clone)]
pub struct MongoStore {
    connection: Arc<Connection>,
    turns: Arc<Turns>,
    listeners: Arc<Listeners>,
    /// Done once somebody has begun to look for the changes of other processes.
    watched: Arc<Once>,
}

/// Why a store cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("MONGODB_URI is not a connection string")]
pub struct ConnectError;

impl MongoStore {
    /// A store in the database that a connection string names, `chat` when it names none. Returns at once: until the
    /// server is there and the indexes are, operations fail as unavailable. Needs a tokio runtime that outlives it.
    pub fn connect(uri: &str) -> Result<Self, ConnectError> {
        Self::open(uri, Connection::default(), None)
    }

    /// The same for a server that may be slow: each operation may take so long.
    pub fn connect_within(uri: &str, deadline: Duration) -> Result<Self, ConnectError> {
        Self::open(uri, Connection::within(deadline), None)
    }

    /// The same, with every command that the driver sends told to `observer`. Each is decoded for that, which costs.
    pub fn connect_observed(uri: &str, observer: EventHandler<CommandEvent>) -> Result<Self, ConnectError> {
        Self::open(uri, Connection::default(), Some(observer))
    }

    fn open(uri: &str, connection: Connection, observer: Option<EventHandler<CommandEvent>>) -> Result<Self, ConnectError> {
        // The driver's message may quote the string, which holds a password.
        ConnectionString::parse(uri).map_err(|_quotes_the_uri| ConnectError)?;
        let connection = Arc::new(connection);
        tokio::spawn(connection::keep(Arc::clone(&connection), uri.to_owned(), observer));
        Ok(Self { connection, turns: Arc::default(), listeners: Arc::default(), watched: Arc::new(Once::new()) })
    }
}

#[async_trait]
impl Store for MongoStore {
    fn kind(&self) -> StoreKind {
        StoreKind::MongoDb
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.connection.check().await
    }

    fn has_room(&self) -> bool {
        self.connection.has_room()
    }

    fn operations(&self) -> u64 {
        self.connection.operations.load(Ordering::Relaxed)
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.listeners.add(listener);
        self.watched.call_once(|| {
            tokio::spawn(watcher::keep(Arc::clone(&self.connection), Arc::clone(&self.listeners)));
        });
    }

    async fn close(&self) {
        self.connection.close().await;
    }
}
