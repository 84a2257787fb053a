//! What the Authentication service keeps: accounts, password hashes, sessions.

use async_trait::async_trait;

use super::{StoreError, User};
use crate::domain::{EmailKey, PasswordHash, Session, SessionKey, Timestamp, UserId};

/// An account to be created, with its first session.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The person. Friends are empty.
    pub user: User,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The session that the registration answers with.
    pub session: Session,
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Creation {
    /// The account and its session exist.
    Created,
    /// Another account has the user name. Told before a taken address when both are.
    UsernameTaken,
    /// Another account has the address.
    EmailTaken,
}

/// What a log-in is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// The stored hash.
    pub password_hash: PasswordHash,
}

/// A record read together with the session that a request carries.
///
/// The record may be used only after the session was found live; `http::Bearer::admit` is the one place that does it.
#[derive(Debug, Clone)]
pub struct Authenticated<T> {
    /// The session, live or not.
    pub session: Session,
    /// What the route needs besides.
    pub record: T,
}

/// Accounts and sessions.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Creates an account with its first session, or nothing. Of any number of simultaneous attempts for one user name
    /// or address exactly one succeeds; names and addresses are compared by their keys.
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError>;

    /// The account with an address; `None` when there is none.
    async fn find_credentials(&self, email: &EmailKey) -> Result<Option<Credentials>, StoreError>;

    /// Adds a session if the stored hash still is `checked`, and returns the person; `None`, and no session, when the
    /// hash has changed or the account is gone. In the same step: `last_login` becomes the session's beginning, the
    /// hash becomes `renewed` when given, and of more than [`Session::MAX_PER_USER`] sessions the least recently used
    /// go, never the new one.
    async fn start_session(
        &self,
        user: UserId,
        checked: &PasswordHash,
        renewed: Option<&PasswordHash>,
        session: &Session,
    ) -> Result<Option<User>, StoreError>;

    /// The session that a request carries; `None` when it was ended or never existed.
    async fn find_session(&self, key: &SessionKey) -> Result<Option<Authenticated<()>>, StoreError>;

    /// Notes that a session was used `at`. Does nothing when the session is gone or its last note is younger than
    /// [`Session::TOUCH_AFTER_MILLIS`] before `at`, so that of simultaneous notes one is written.
    async fn touch_session(&self, key: &SessionKey, at: Timestamp) -> Result<(), StoreError>;

    /// Ends a session; `false` when there was none. Once it returns, no process sees the session again.
    async fn end_session(&self, key: &SessionKey) -> Result<bool, StoreError>;
}
