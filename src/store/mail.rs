//! What is kept for the mail: what is to be sent (the outbox), and which tokens are out.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Email, LinkId, MailKind, MailPurpose, MailTokenHash, Timestamp, UserId, Username};

/// Mail that may wait for one account: more than all kinds to all its addresses together, of which each waits once. Beyond it the oldest
/// makes room.
pub const MAX_MAIL_PER_ACCOUNT: usize = 24;
/// Longer than anything that is right puts mail off: an hour and a fifth after many attempts.
pub const MAX_WAIT_MILLIS: i64 = 120 * Timestamp::MINUTE_MILLIS;

/// A mail that a change of an account orders. Its token, if it carries one, is made when it is sent, of the order's id and the
/// server's secret: a store never holds a token that could be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    /// What it is about.
    pub kind: MailKind,
    /// Where it goes.
    pub address: Email,
    /// When it was ordered, which is when it is due.
    pub at: Timestamp,
}

/// Names a waiting mail, by bytes that are in no log: its token is made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailId(pub [u8; 16]);

/// A mail that is to be sent now, by the one who took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMail {
    /// Which mail.
    pub id: MailId,
    /// Whose account it is about.
    pub user: UserId,
    /// The name of that account.
    pub username: Username,
    /// Whether the account is a registration that waits for this mail.
    pub is_pending: bool,
    /// What it is about.
    pub kind: MailKind,
    /// Where it goes.
    pub address: Email,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// Attempts to send it so far.
    pub attempts: u32,
    /// The token that it began with, once an attempt may have delivered it.
    pub begun: Option<MailTokenHash>,
    /// How many attempts may have delivered that token.
    pub unsettled: u32,
    /// Its link, where the address is a way back to the account.
    pub recovery: Option<RecoveryLink>,
}

impl DueMail {
    /// The same once [`put_mail_token`](MailStore::put_mail_token) has put this token out for it.
    #[must_use]
    pub fn begun_with(&self, hash: MailTokenHash) -> Self {
        Self { begun: Some(hash), unsettled: self.unsettled.saturating_add(1), ..self.clone() }
    }
}

/// The link of a way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryLink {
    /// Which link.
    pub id: LinkId,
    /// Until when it is good.
    pub until: Timestamp,
}

/// What becomes of the token of a mail that is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It stays, because it may be in somebody's hands.
    Stays,
    /// The attempt that it was put out for has delivered nothing, for certain. It stays all the same if an earlier one may have.
    TakenBack,
}

/// A token that goes out.
#[derive(Debug, Clone)]
pub struct NewMailToken {
    /// What it may be used for.
    pub purpose: MailPurpose,
    /// What is kept of it.
    pub hash: MailTokenHash,
    /// The address that it is sent to.
    pub address: Email,
    /// When it stops being good. One of [`MailPurpose::Recovery`] is good as long as its address is a way back.
    pub expires_at: Timestamp,
    /// The link that one of [`MailPurpose::Recovery`] is made of.
    pub link: Option<LinkId>,
}

/// The outbox and the tokens that are out.
///
/// Most mail is ordered by the change that causes it, in the same atomic step (see
/// [`AccountStore`](super::AccountStore) and [`UserStore`](super::UserStore)). An order takes the place of an older one of the same kind
/// to the same address, in the same step.
///
/// A used link never comes back: an order remembers the token that it began with, and is never begun anew once that is gone. Who has lost
/// the lease of a mail to somebody who has put its token out since changes nothing of it any more.
#[async_trait]
pub trait MailStore: Send + Sync {
    /// Orders a mail by itself. Does nothing when there is no such account.
    async fn order_mail(&self, user: UserId, mail: &NewMail) -> Result<(), StoreError>;

    /// Takes the mail that is due for longest at `at`; `None` when none is. It is due again at `until`, should its taker
    /// die: of any number of simultaneous takers each gets another mail. Mail of a registration that has expired, or of
    /// an account that is gone, is never due. What is due more than [`MAX_WAIT_MILLIS`] later was put off by a clock that was ahead, and
    /// is due.
    async fn take_due_mail(&self, at: Timestamp, until: Timestamp) -> Result<Option<DueMail>, StoreError>;

    /// Has a taken mail tried again at `until`, with so many attempts as it is given with. `link` says what becomes of its token, in the
    /// same step.
    async fn postpone_mail(&self, mail: &DueMail, until: Timestamp, link: Link) -> Result<(), StoreError>;

    /// Removes a taken mail.
    async fn finish_mail(&self, mail: &DueMail) -> Result<(), StoreError>;

    /// Puts a token out for a taken mail, which has begun then; an older one for the same purpose and address is void. A mail that had
    /// begun before replaces the token that it began with, until whose end the new one is good. `false`, and nothing is changed, when
    /// * the mail does not wait any more, or the token that it began with was used, voided or is over at `at`;
    /// * the account is gone, or the token's address is neither its present one nor, for [`MailPurpose::NewAddress`], the one that it
    ///   wants, which it wants then as long as the token is good.
    ///
    /// A token of [`MailPurpose::Recovery`] is put out only to a way back that is reached by its link. Every mail brings the same, so no
    /// mail begins by it.
    async fn put_mail_token(&self, mail: &DueMail, token: &NewMailToken, at: Timestamp) -> Result<bool, StoreError>;

    /// How many mails wait.
    async fn count_mail(&self) -> Result<u64, StoreError>;
}
