//! The store: a trait for each service, one for the outbox and one for shared counters. Their doc comments are the
//! contract that every backend keeps.
//!
//! [`mongo`] serves production, [`sqlite`] a single process with no database to set up. One suite (`tests/store`) proves
//! the contract on both. Nothing of a driver, a document or a row leaves a backend's folder.
//!
//! Rules that hold for every method:
//! - A change is one atomic step with its condition inside; nothing is read first to decide whether to insert.
//! - When a changing method returns `Ok`, the change is durable: it survives the death of the process and of the
//!   machine. When it returns [`StoreError::OutcomeUnknown`] it may have happened; repeating it is safe.
//! - A method runs to its end even when the future that waits for it is dropped.
//! - Time is an argument. A store has no clock.
//! - Cost does not grow with the amount of data stored.

mod accounts;
mod changes;
mod chats;
mod error;
mod mail;
pub mod mongo;
pub mod sqlite;
mod throttles;
mod users;

use std::sync::Arc;

use async_trait::async_trait;

pub use accounts::{
    AccountStore, AddressToken, Authenticated, Creation, Credentials, HOLD_DELETED_NAME_MILLIS, HOLD_REGISTRATION_MILLIS,
    HOLD_REPEATED_REGISTRATION_MILLIS, MailTokenOwner, MoveOutcome, MoveProof, NewAccount, OwnCredentials, PendingRegistration,
    Registration, RegistrationOutcome,
};
pub use changes::{Change, ChangeListener, ChatProgress};
pub use chats::{Append, ChatHead, ChatStore, Conversation, ConversationCursor, Marking, Message, MessageCursor, NewMessage, Window};
pub use error::StoreError;
pub use mail::{DueMail, Link, MAX_MAIL_PER_ACCOUNT, MAX_WAIT_MILLIS, MailId, MailStore, NewMail, NewMailToken, RecoveryLink};
pub use throttles::{Quota, Taking, ThrottleKey, ThrottleStore, Ticket};
use users::Lists;
pub use users::{
    AccountData, AddressMail, BlockAddition, EmailChange, Friend, FriendAddition, MAX_BLOCKS, MAX_FRIENDS, MessagesFrom, Peer, Person,
    ProfileChange, ProfileUpdate, User, UserStore,
};

/// Which backend a store is, as the health route names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// The SQLite file of one process.
    Embedded,
    /// A MongoDB database, shared by any number of processes.
    MongoDb,
}

impl StoreKind {
    /// Every backend.
    pub const ALL: [Self; 2] = [Self::Embedded, Self::MongoDb];

    /// The name that the health route and the log use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::MongoDb => "mongodb",
        }
    }
}

/// All that the services keep, and how the store itself is doing.
#[async_trait]
pub trait Store: AccountStore + UserStore + ChatStore + MailStore + ThrottleStore {
    /// Which backend this is.
    fn kind(&self) -> StoreKind;

    /// Whether the store answers and every unique index is in place. Without the indexes a store serves nothing.
    async fn check(&self) -> Result<(), StoreError>;

    /// Whether there is room for further data, as far as is known: otherwise changes that add data fail, and perhaps all.
    fn has_room(&self) -> bool;

    /// Database operations begun since the start: each query or command counts one, the upkeep of the store itself
    /// (connections, indexes, [`check`](Self::check)) none.
    fn operations(&self) -> u64;

    /// Has a listener hear of the changes of every process on the same data, as long as the store lives: this one's when they are
    /// acknowledged, those of others a little later.
    fn listen(&self, listener: Arc<dyn ChangeListener>);

    /// Lets changes under way finish and releases files and connections. Later calls fail as unavailable.
    async fn close(&self);
}
