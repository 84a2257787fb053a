//! What the User service keeps: profiles, friends and blocks.

use async_trait::async_trait;

use super::{Authenticated, StoreError};
use crate::domain::{
    Addresses, Email, MailKind, Move, MoveRefusal, PasswordHash, PendingEmail, Session, SessionKey, Timestamp, UserId, Username,
    UsernamePrefix,
};

/// Friends a person may have.
pub const MAX_FRIENDS: usize = 1_000;
/// People a person may have blocked.
pub const MAX_BLOCKS: usize = 1_000;

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
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Everyone, Self::Friends];

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
        Self::ALL.into_iter().find(|choice| choice.as_str() == text)
    }
}

/// A person as they see themselves, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// Their public name.
    pub username: Username,
    /// Their address; empty when it turned out to be somebody else's.
    pub email: Email,
    /// Whether they have shown that the address is theirs.
    pub is_email_verified: bool,
    /// The address that they want to move to, past its time or not.
    pub pending_email: Option<PendingEmail>,
    /// Whom they have added, in the order of adding.
    pub friends: Vec<UserId>,
    /// Whose messages they take.
    pub messages_from: MessagesFrom,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
    /// When they registered.
    pub created_at: Timestamp,
}

/// What the lists of another person hold of the caller, and the rules that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lists {
    /// Whether the caller is among their friends.
    pub(super) is_friend: bool,
    /// Whether they have blocked the caller.
    pub(super) is_blocked: bool,
}

impl Lists {
    /// Whether the caller counts as somebody they have added: then the caller may know when they are there. A block goes before.
    pub(super) fn has_added_caller(self) -> bool {
        self.is_friend && !self.is_blocked
    }
}

/// Another person, as far as it decides what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whose messages they take.
    pub messages_from: MessagesFrom,
    /// Whether they have added the caller as a friend, and have not blocked them.
    pub has_added_caller: bool,
    /// Whether they have blocked the caller.
    pub has_blocked_caller: bool,
}

impl Peer {
    /// Somebody with these lists.
    pub(super) fn new(messages_from: MessagesFrom, lists: Lists) -> Self {
        Self { messages_from, has_added_caller: lists.has_added_caller(), has_blocked_caller: lists.is_blocked }
    }

    /// Whether they take messages of the caller. Which of the reasons it is when they do not is theirs to know.
    #[must_use]
    pub fn accepts_caller(&self) -> bool {
        !self.has_blocked_caller && (self.messages_from == MessagesFrom::Everyone || self.has_added_caller)
    }
}

/// Another person, as somebody sees them who has them on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// Their public name.
    pub username: Username,
    /// Whether they have added the caller as a friend, and have not blocked them: then the caller may know the rest.
    pub has_added_caller: bool,
    /// The latest credible use of a session that has not been ended; `None` when there is none.
    pub last_active: Option<Timestamp>,
    /// When they were last seen.
    pub last_seen: Option<Timestamp>,
}

/// Somebody on the caller's list of friends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// Who.
    pub person: Person,
    /// When the caller added them.
    pub added_at: Timestamp,
}

/// All that is kept of a person, without secrets and without messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountData {
    /// The account.
    pub user: User,
    /// When they were last seen.
    pub last_seen: Option<Timestamp>,
    /// The addresses that are ways back, oldest first, past their time or not.
    pub recovery: Vec<Email>,
    /// When they end.
    pub recovery_until: Option<Timestamp>,
    /// Their sessions, most recently used first.
    pub sessions: Vec<Session>,
    /// Whom they have added, and when, in the order of adding.
    pub friends: Vec<(UserId, Timestamp)>,
    /// Whom they have blocked, in the order of blocking.
    pub blocks: Vec<UserId>,
}

/// A change to a profile. What is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// A new name.
    pub username: Option<Username>,
    /// A new address.
    pub email: Option<EmailChange>,
    /// A new choice of whose messages to take.
    pub messages_from: Option<MessagesFrom>,
    /// The hash that the caller's password was checked against, if it was: the change is made only while it is stored.
    pub checked: Option<PasswordHash>,
}

/// A change of address.
#[derive(Debug, Clone)]
pub struct EmailChange {
    /// The new one.
    pub address: Email,
    /// Whether the caller has shown who they are. If not, only the present address changes nothing.
    pub is_proven: bool,
    /// Whether a verified account moves by a link only.
    pub by_link: bool,
    /// Whom it is mailed to.
    pub mail: AddressMail,
}

/// What a change of address does to an account.
#[derive(Debug)]
pub(super) struct EmailStep {
    /// Its addresses then.
    pub(super) next: Addresses,
    /// What the address and the ways back are told, if anything.
    pub(super) notice: Option<MailKind>,
    /// The mail to the new one, if there is to be one.
    pub(super) link: Option<MailKind>,
}

impl EmailChange {
    /// What the change does to an account that has these addresses; or why nothing, which comes before all that others have.
    pub(super) fn step_from(&self, seen: &Addresses, at: Timestamp) -> Result<EmailStep, MoveRefusal> {
        let live = seen.at(at);
        let step = live.plan(&self.address.key(), self.by_link)?;
        let (notice, link) = match step {
            Move::Stay => return Ok(EmailStep { next: live.moved(step, &self.address, at), notice: None, link: None }),
            _ if !self.is_proven => return Err(MoveRefusal::Unproven),
            Move::AtOnce => (MailKind::AddressChanged, MailKind::Verification),
            Move::ByLink => (MailKind::AddressChangeAsked, MailKind::NewAddress),
        };
        Ok(EmailStep {
            next: live.moved(step, &self.address, at),
            notice: (self.mail != AddressMail::None).then_some(notice),
            link: (self.mail == AddressMail::ToBoth).then_some(link),
        })
    }
}

/// Whom a change of address is mailed to. The address and the ways back are told whenever mail can be sent at all: their owner
/// must hear of a change that is not theirs, however much mail the new address has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMail {
    /// Nobody.
    None,
    /// Those that the account has or had.
    ToPresent,
    /// They, and the new one, which is asked to be verified.
    ToBoth,
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
    /// The address is a way back to the account; nothing was changed.
    OwnRecovery,
    /// Another change would displace a way back; nothing was changed.
    TooManyChanges,
    /// The address is not the present one, and the caller has not shown who they are; nothing was changed.
    Unproven,
    /// The session or the password has gone; nothing was changed.
    NotFound,
}

impl From<MoveRefusal> for ProfileUpdate {
    fn from(refusal: MoveRefusal) -> Self {
        match refusal {
            MoveRefusal::OwnRecovery => Self::OwnRecovery,
            MoveRefusal::TooMany => Self::TooManyChanges,
            MoveRefusal::Unproven => Self::Unproven,
        }
    }
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
    /// The person has blocked them; nothing was changed.
    Blocked,
    /// The person's account is gone.
    NoAccount,
}

impl FriendAddition {
    /// What refuses an addition to such lists; `None` when nothing does.
    pub(super) fn refusal(is_friend: bool, is_blocked: bool, friends: usize) -> Option<Self> {
        match (is_friend, is_blocked) {
            (true, _) => Some(Self::AlreadyFriend),
            (false, true) => Some(Self::Blocked),
            (false, false) => (friends >= MAX_FRIENDS).then_some(Self::LimitReached),
        }
    }
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum BlockAddition {
    /// They are blocked, and were perhaps before.
    Blocked,
    /// The person has blocked [`MAX_BLOCKS`] others; nothing was changed.
    LimitReached,
    /// The person's account is gone.
    NoAccount,
}

impl BlockAddition {
    /// What makes a further block on such a list needless or impossible; `None` when nothing does.
    pub(super) fn without_change(is_blocked: bool, blocks: usize) -> Option<Self> {
        if is_blocked { Some(Self::Blocked) } else { (blocks >= MAX_BLOCKS).then_some(Self::LimitReached) }
    }
}

/// Profiles, friends and blocks.
///
/// Pending registrations and deleted accounts do not exist for any of these methods. Lists and searches leave out a person whose
/// record does not decode, and log its key.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// The caller's own record; `None` when the session was ended or never existed. One operation.
    async fn find_profile(&self, key: &SessionKey) -> Result<Option<Authenticated<User>>, StoreError>;

    /// Another person as the caller's request concerns them; `None` when the session was ended or never existed, an
    /// inner `None` when `peer` does not exist. One operation. `peer` may be the caller.
    async fn find_peer(&self, key: &SessionKey, peer: UserId) -> Result<Option<Authenticated<Option<Peer>>>, StoreError>;

    /// Changes a profile as a whole or not at all, in one step, if the session exists and the password is the one checked. Of
    /// simultaneous attempts for one name or address exactly one succeeds; one's own present name and address are not taken;
    /// names are held as for [`create_account`](super::AccountStore::create_account).
    ///
    /// What an address does is what [`Addresses::plan`](crate::domain::Addresses::plan) says of the account in that step. The
    /// present one, in whatever letters, only ends the wish for another. One that counts at once is unverified and voids all
    /// links to the one that it replaces. As `mail` says, a [`MailKind::AddressChanged`](crate::domain::MailKind) (a
    /// [`MailKind::AddressChangeAsked`](crate::domain::MailKind) where a link is needed) to the address and the ways back and
    /// a [`MailKind::Verification`](crate::domain::MailKind) (a [`MailKind::NewAddress`](crate::domain::MailKind)) to the new
    /// one are ordered.
    async fn update_profile(&self, key: &SessionKey, change: &ProfileChange, at: Timestamp) -> Result<ProfileUpdate, StoreError>;

    /// Adds a friend. Any number of simultaneous additions leaves at most [`MAX_FRIENDS`], none twice and none that the
    /// person has blocked. Whether
    /// `friend` exists is the caller's to know (see [`find_peer`](Self::find_peer)).
    async fn add_friend(&self, user: UserId, friend: UserId, at: Timestamp) -> Result<FriendAddition, StoreError>;

    /// Removes a friend; `false` when they were none.
    async fn remove_friend(&self, user: UserId, friend: UserId) -> Result<bool, StoreError>;

    /// The caller's friends in the order of adding, but for those who have blocked the caller; `None` when the session was
    /// ended or never existed. At most two operations, however many friends. `at` decides which sessions have expired.
    async fn list_friends(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Friend>>>, StoreError>;

    /// Whom the caller has blocked, in the order of blocking. At most two operations.
    async fn list_blocks(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Authenticated<Vec<Person>>>, StoreError>;

    /// Blocks somebody; neither is the other's friend any more. What protects `user` takes effect in one step. Any number of
    /// simultaneous blocks leaves at most [`MAX_BLOCKS`]. Repeating it finishes what a crash has left over. Whether
    /// `other` exists is the caller's to know.
    async fn block(&self, user: UserId, other: UserId, at: Timestamp) -> Result<BlockAddition, StoreError>;

    /// Ends a block; `false` when there was none. Friendships do not come back.
    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, StoreError>;

    /// At most `limit` people whose names begin so, in the order of their names' keys, but for those who have blocked the
    /// caller. One operation.
    async fn search_people(&self, caller: UserId, prefix: &UsernamePrefix, limit: usize, at: Timestamp) -> Result<Vec<Person>, StoreError>;

    /// The people with these ids, in any order, but for those who do not exist or have blocked the caller. One operation.
    async fn find_people(&self, caller: UserId, ids: &[UserId], at: Timestamp) -> Result<Vec<Person>, StoreError>;

    /// All that is kept of the caller; `None` when the session was ended or never existed. One operation.
    async fn find_account_data(&self, key: &SessionKey) -> Result<Option<Authenticated<AccountData>>, StoreError>;
}
