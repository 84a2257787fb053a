//! What the Authentication service keeps: accounts, password hashes, sessions.

use async_trait::async_trait;

use super::{NewMail, StoreError, User};
use crate::domain::{
    Email, EmailKey, LinkId, MailPurpose, MailTokenHash, PasswordHash, Session, SessionHash, SessionKey, Timestamp, UserId, Username,
};

/// How long the user name of a deleted account is not given to anybody else.
pub const HOLD_DELETED_NAME_MILLIS: i64 = 90 * Timestamp::DAY_MILLIS;
/// How long a registration waits for its address to be verified, holding its user name. Each repetition begins it anew.
pub const HOLD_REGISTRATION_MILLIS: i64 = Timestamp::DAY_MILLIS;
/// How long it waits in all, however often it is repeated.
pub const HOLD_REPEATED_REGISTRATION_MILLIS: i64 = 3 * Timestamp::DAY_MILLIS;

/// An account to be created, with its first session.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The person. Friends are empty.
    pub user: User,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The session that the registration answers with.
    pub session: Session,
    /// The mail that asks to verify the address.
    pub mail: Option<NewMail>,
}

/// A registration that becomes an account when its address is verified. Until then it is nobody: only its user name
/// is taken, its address is not.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Who it will be.
    pub id: UserId,
    /// The name.
    pub username: Username,
    /// The address, which may be that of an account, or of other registrations.
    pub email: Email,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// When the person registered.
    pub created_at: Timestamp,
    /// The mail that asks to verify the address.
    pub mail: NewMail,
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Creation {
    /// The account and its session exist.
    Created,
    /// Another account has the user name. Told before a taken address when both are.
    UsernameTaken,
    /// Another account has the address, or it is a way back to one.
    EmailTaken,
}

/// What became of a registration.
#[derive(Debug)]
#[must_use]
pub enum RegistrationOutcome {
    /// It waits for its address to be verified.
    Noted,
    /// An account has the user name, or had it before it was deleted.
    UsernameTaken,
    /// Another registration has the user name and waits itself. The same password shows that it is the same person's.
    Pending(PendingRegistration),
}

/// A registration that waits, as far as it tells whether somebody who registers again is the same person.
#[derive(Debug, Clone)]
pub struct PendingRegistration {
    /// Who it will be.
    pub id: UserId,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// When the person first registered.
    pub created_at: Timestamp,
}

impl PendingRegistration {
    /// Until when it holds its user name once it is repeated `at`, if it does not hold it for longer already.
    #[must_use]
    pub fn held_until(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(HOLD_REGISTRATION_MILLIS).min(self.created_at.plus_millis(HOLD_REPEATED_REGISTRATION_MILLIS))
    }
}

/// What a log-in is checked against.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// The stored hash.
    pub password_hash: PasswordHash,
    /// Whether the owner has shown that the address is theirs.
    pub is_email_verified: bool,
}

/// What a change by somebody logged in, who gives their password again, is checked against.
#[derive(Debug, Clone)]
pub struct OwnCredentials {
    /// Their name.
    pub username: Username,
    /// Their address; empty when it turned out to be somebody else's.
    pub email: Email,
    /// Whether it is verified.
    pub is_email_verified: bool,
    /// The stored hash.
    pub password_hash: PasswordHash,
}

/// Whose a mail's token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTokenOwner {
    /// The account, or the pending registration.
    pub user: UserId,
    /// Its name.
    pub username: Username,
    /// The address that the token was sent to.
    pub address: Email,
}

/// A token that shows whose an address is.
#[derive(Debug, Clone)]
pub struct AddressToken {
    /// Whose it is.
    pub owner: MailTokenOwner,
    /// Whether it moves a verified account, which takes more than the token.
    pub is_move: bool,
    /// The stored hash of the owner's password.
    pub password_hash: PasswordHash,
}

/// What shows, besides its token, that a move of an account is its owner's.
#[derive(Debug, Clone)]
pub enum MoveProof {
    /// A session of the account.
    Session(SessionHash),
    /// The password, which was checked against this hash.
    Password(PasswordHash),
}

/// What became of a move to a new address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum MoveOutcome {
    /// It is the account's, and verified.
    Moved,
    /// Another account has it by now, so that the account no longer wants it.
    Taken,
    /// Another change would displace a way back; nothing was changed.
    TooMany,
    /// The token is not good, or the proof not any more; nothing was changed.
    Refused,
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
    /// Creates an account with its first session and its mail, or nothing. Of any number of simultaneous attempts for one
    /// user name or address exactly one succeeds; names and addresses are compared by their keys. An address that is a way back to
    /// an account is taken as long as it is one. The name of a pending registration, or of an account deleted less than [`HOLD_DELETED_NAME_MILLIS`] ago, is taken; its address is not.
    async fn create_account(&self, account: &NewAccount) -> Result<Creation, StoreError>;

    /// Notes a registration, which expires [`HOLD_REGISTRATION_MILLIS`] later; nothing when the user name is taken (see
    /// [`create_account`](Self::create_account)). Whether the address is one of an account makes no difference, not even in
    /// the number of operations, which is one.
    async fn create_registration(&self, registration: &Registration) -> Result<RegistrationOutcome, StoreError>;

    /// Gives a registration the address of a further mail, if it still waits and its hash still is the one that was
    /// `checked`; `false`, and no change, otherwise. In the same step the link that is out is void, the mail takes the place
    /// of what waited to be sent, and the registration expires [`HOLD_REGISTRATION_MILLIS`] after the mail's order,
    /// though [`HOLD_REPEATED_REGISTRATION_MILLIS`] after it was first noted at the latest. Whether the address is one of an
    /// account makes no difference. One operation.
    async fn repeat_registration(&self, checked: &PendingRegistration, mail: &NewMail) -> Result<bool, StoreError>;

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

    /// The caller's sessions, those that have expired included, the most recently used first. One operation.
    async fn list_sessions(&self, key: &SessionKey) -> Result<Option<Authenticated<Vec<Session>>>, StoreError>;

    /// Ends a session, whose owner was last seen `at`; `false` when there was none. Once it returns, no process sees the
    /// session again.
    async fn end_session(&self, key: &SessionKey, at: Timestamp) -> Result<bool, StoreError>;

    /// Ends all sessions of a person but this one.
    async fn end_other_sessions(&self, key: &SessionKey) -> Result<(), StoreError>;

    /// The caller's credentials; `None` when the session was ended or never existed. One operation.
    async fn find_own_credentials(&self, key: &SessionKey) -> Result<Option<Authenticated<OwnCredentials>>, StoreError>;

    /// Sets a new password if the stored hash still is `checked` and the session exists; `false`, and no change, otherwise.
    /// In the same step all other sessions end, and so does the wish for another address. If `notice` says when, a notice to
    /// the address and the ways back is ordered. Links that set a password stay good.
    async fn change_password(
        &self,
        key: &SessionKey,
        checked: &PasswordHash,
        new: &PasswordHash,
        notice: Option<Timestamp>,
    ) -> Result<bool, StoreError>;

    /// The account that nobody else can have an address of at `at`, and the address as it is stored: it is the account's, or a
    /// way back to it. A mail to it may let its owner back in. One operation, whether or not there is one.
    async fn find_address_owner(&self, email: &EmailKey, at: Timestamp) -> Result<Option<(UserId, Email)>, StoreError>;

    /// Whose a token is that may be used for `purpose` at `at`. One of [`MailPurpose::Recovery`] may be used for
    /// [`MailPurpose::PasswordReset`] too.
    async fn find_mail_token(
        &self,
        hash: &MailTokenHash,
        purpose: MailPurpose,
        at: Timestamp,
    ) -> Result<Option<MailTokenOwner>, StoreError>;

    /// The same of a token of [`MailPurpose::Verification`] or [`MailPurpose::NewAddress`]. One operation.
    async fn find_address_token(&self, hash: &MailTokenHash, at: Timestamp) -> Result<Option<AddressToken>, StoreError>;

    /// Uses a token of [`MailPurpose::PasswordReset`] or [`MailPurpose::Recovery`] up to set a new password; `None`, and no change, when it is not good at
    /// `at`. Of any number of simultaneous uses exactly one succeeds. In the same step the address that it was sent to is the
    /// account's and verified, all sessions end, and so does everything junior to that address, as
    /// [`Addresses::reset_by`](crate::domain::Addresses::reset_by) says, with its links. If `notify`, a notice is ordered to the
    /// address and the ways back as they were before.
    async fn reset_password(
        &self,
        token: &MailTokenHash,
        new: &PasswordHash,
        at: Timestamp,
        notify: bool,
    ) -> Result<Option<UserId>, StoreError>;

    /// Uses a token that [`find_address_token`](Self::find_address_token) finds and that is no move up: its account's address is
    /// verified, or its registration becomes an account. `None`, and no change, when it is not good at `at`, or when an account
    /// has the registration's address by now. Of any number of simultaneous uses exactly one succeeds. Other registrations for
    /// the address wait on, and hold their names: that they ended would tell that it is somebody's by now.
    async fn verify_email(&self, token: &MailTokenHash, at: Timestamp) -> Result<Option<UserId>, StoreError>;

    /// Uses a token that is a move up, if the proof still holds: the address that the account wants is its own and verified, and
    /// the present one becomes a way back, reached by `link`. Of any number of simultaneous uses exactly one succeeds. If
    /// `notify`, a notice is ordered to the address and the ways back as they were before.
    async fn move_address(
        &self,
        token: &MailTokenHash,
        proof: &MoveProof,
        link: LinkId,
        at: Timestamp,
        notify: bool,
    ) -> Result<MoveOutcome, StoreError>;

    /// Deletes an account if the stored hash still is `checked`; `false`, and no change, otherwise. Its sessions, lists,
    /// tokens and waiting mail are gone and its address is free in one step; its name is held for
    /// [`HOLD_DELETED_NAME_MILLIS`]; others no longer list it as a friend. Messages stay.
    async fn delete_account(&self, user: UserId, checked: &PasswordHash, at: Timestamp) -> Result<bool, StoreError>;
}
