//! What the User service keeps: profiles and friends.

use async_trait::async_trait;

use super::{Authenticated, StoreError};
use crate::domain::{Email, SessionKey, Timestamp, UserId, Username};

/// Friends a person may have.
pub const MAX_FRIENDS: usize = 1_000;

/// Whose messages a person takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessagesFrom {
    /// Everyone but those blocked.
    #[default]
    Everyone,
    /// Those whom the person has added as a friend.
    Friends,
}

impl MessagesFrom {
    /// The name that clients and stores use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Friends => "friends",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Everyone, Self::Friends].into_iter().find(|choice| choice.as_str() == text)
    }
}

/// A person as they see themselves, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Their public name.
    pub username: Username,
    /// Their address.
    pub email: Email,
    /// Whether they have shown that the address is theirs.
    pub is_email_verified: bool,
    /// Whom they have added, in the order of adding.
    pub friends: Vec<UserId>,
    /// Whose messages they take.
    pub messages_from: MessagesFrom,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
    /// When they registered.
    pub created_at: Timestamp,
}

/// Another person, as far as it decides what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whose messages they take.
    pub messages_from: MessagesFrom,
    /// Whether they have added the caller as a friend.
    pub has_added_caller: bool,
    /// Whether they have blocked the caller.
    pub has_blocked_caller: bool,
}

/// A change to a profile. What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// A new name.
    pub username: Option<Username>,
    /// A new address.
    pub email: Option<Email>,
    /// A new choice of whose messages to take.
    pub messages_from: Option<MessagesFrom>,
}

/// What became of a change to a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ProfileUpdate {
    /// The person after the change.
    Updated(User),
    /// Another account has the user name; nothing was changed. Told before a taken address when both are.
    UsernameTaken,
    /// Another account has the address; nothing was changed.
    EmailTaken,
    /// The account is gone.
    NotFound,
}

/// What became of the addition of a friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum FriendAddition {
    /// They are a friend now.
    Added,
    /// They were one before; nothing was changed.
    AlreadyFriend,
    /// The person has [`MAX_FRIENDS`] friends; nothing was changed.
    LimitReached,
}

/// Profiles and friends.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The caller's own record; `None` when the session was ended or never existed. One operation.
    async fn find_profile(&self, key: &SessionKey) -> Result<Option<Authenticated<User>>, StoreError>;

    /// Another person as the caller's request concerns them; `None` when the session was ended or never existed, an
    /// inner `None` when `peer` does not exist. One operation. `peer` may be the caller.
    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError>;

    /// Changes a profile as a whole or not at all. An address with another key than the present one is unverified; one
    /// that differs only in case stays as verified as it was. Of simultaneous attempts for one name or address exactly
    /// one succeeds; one's own present name and address are not taken.
    async fn update_profile(&self, user: UserId, change: &ProfileChange) -> Result<ProfileUpdate, StoreError>;

    /// Adds a friend. Any number of simultaneous additions leaves at most [`MAX_FRIENDS`] and none twice. Whether
    /// `friend` exists is the caller's to know (see [`find_peer`](Self::find_peer)).
    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError>;

    /// Removes a friend; `false` when they were none.
    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError>;
}
