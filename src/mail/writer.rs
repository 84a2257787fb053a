//! Writes the letter for a due mail, and puts its token out first: every attempt at a mail carries the same token, made of the server's
//! secret, and a store never holds one that could be used.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::letters::{Letter, Letters};
use super::sender::Trouble;
use super::topic::Topic;
use crate::domain::{Clock, Email, EmailKey, MailKind, MailPurpose, MailToken, Timestamp};
use crate::identity::MailTokens;
use crate::store::{DueMail, Link, NewMailToken, Quota, Store, ThrottleKey, Ticket};

/// How often an address is told that somebody has registered with it once more.
const NOTES: Quota = Quota { count: 1, window_millis: Timestamp::DAY_MILLIS };
/// How often an address is told of one kind of thing. Changes of the address are told always to those that are ways back.
const NOTICES: Quota = Quota { count: 3, window_millis: 60 * Timestamp::MINUTE_MILLIS };
const NOTICES_LABEL: &[u8] = b"mail/notice\0";
/// Keeps the counters of these notes apart from all others.
const NOTES_LABEL: &[u8] = b"mail/already-registered\0";

/// Writes letters from what the store knows.
pub(super) struct Writer {
    pub letters: Letters,
    pub tokens: MailTokens,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
}

/// A letter that has not left.
pub(super) struct Draft {
    pub letter: Letter,
    /// The mail, begun if the letter has a link.
    pub mail: DueMail,
    /// What becomes of the link if the letter certainly does not arrive.
    pub link: Link,
    /// What has been counted for it, to be given back if it does not leave.
    pub ticket: Option<Ticket>,
}

/// What is to be done about a mail.
pub(super) enum Written {
    /// It is to be sent at once.
    Draft(Box<Draft>),
    /// There is nothing to say any more; the mail, begun if its token was put out.
    Nothing(Box<DueMail>),
    /// Its address was told as often as it may; so many milliseconds later there is room.
    Later(i64),
}

impl Writer {
    /// The letter for a mail.
    pub(super) async fn write(&self, mail: &DueMail) -> Result<Written, Trouble> {
        let ticket = match self.count_notice(mail).await? {
            Ok(ticket) => ticket,
            Err(wait) => return Ok(Written::Later(wait)),
        };
        let mut written = self.draft(mail).await?;
        if let Written::Draft(draft) = &mut written {
            draft.ticket = draft.ticket.take().or(ticket);
        }
        Ok(written)
    }

    /// Counts a notice of a kind that is limited; how long to wait if that is one too many.
    async fn count_notice(&self, mail: &DueMail) -> Result<Result<Option<Ticket>, i64>, Trouble> {
        let is_limited = match mail.kind {
            MailKind::AddressChangeAsked | MailKind::PasswordChanged => true,
            // Whoever types an address into a new account and changes it again decides whom this goes to.
            MailKind::AddressChanged => mail.recovery.is_none(),
            _ => false,
        };
        if !is_limited {
            return Ok(Ok(None));
        }
        let digest = Sha256::new().chain_update(NOTICES_LABEL).chain_update(mail.kind.as_str()).chain_update([0]);
        let key = ThrottleKey(digest.chain_update(mail.address.key().as_str()).finalize().into());
        let taking = self.store.take(&key, NOTICES, self.clock.now()).await?;
        Ok(taking.outcome.map(Some))
    }

    async fn draft(&self, mail: &DueMail) -> Result<Written, Trouble> {
        let token = match mail.recovery.map(|_| MailPurpose::Recovery).or(mail.kind.purpose()) {
            None => None,
            Some(purpose) => match self.put_token(mail, purpose).await? {
                Some(token) => Some((token, self.lifetime(mail, purpose))),
                None => return Ok(Written::Nothing(Box::new(mail.clone()))),
            },
        };
        let (begun, link) = match &token {
            // What a way back has been sent before is never taken back.
            Some((token, _)) if mail.recovery.is_none() => (mail.begun_with(token.hash()), Link::TakenBack),
            _ => (mail.clone(), Link::Stays),
        };
        // Looked for once the token is out: how long an address stays wanted tells nobody whether it is somebody's.
        let (letter, ticket) = if let Some(owned) = self.owned_address(mail).await? {
            self.note(mail, &owned).await?
        } else {
            let topic = if mail.recovery.is_some() { Topic::WayBack(mail.kind) } else { Topic::Ordered(mail.kind) };
            (self.letter(topic, mail, &mail.address, token.as_ref().map(|(token, lifetime)| (token, *lifetime))), None)
        };
        Ok(match letter {
            Some(letter) => Written::Draft(Box::new(Draft { letter, mail: begun, link, ticket })),
            None => Written::Nothing(Box::new(begun)),
        })
    }

    /// How long a token that goes out now is good.
    fn lifetime(&self, mail: &DueMail, purpose: MailPurpose) -> i64 {
        let of_way_back = mail.recovery.map(|recovery| recovery.until.as_millis() - self.clock.now().as_millis());
        of_way_back.unwrap_or_else(|| purpose.lifetime_millis())
    }

    /// The address of a registration, or of an account that wants to move, as the account's owner wrote it who has it. The mail never
    /// brings a link then: that owner is told.
    async fn owned_address(&self, mail: &DueMail) -> Result<Option<Email>, Trouble> {
        if !mail.is_pending && mail.kind != MailKind::NewAddress {
            return Ok(None);
        }
        let owner = self.store.find_address_owner(&mail.address.key(), self.clock.now()).await?;
        Ok(owner.filter(|(owner, _)| *owner != mail.user).map(|(_owner, address)| address))
    }

    /// What the owner of an address is told that somebody else has given as theirs; nothing where that was so today.
    async fn note(&self, mail: &DueMail, owned: &Email) -> Result<(Option<Letter>, Option<Ticket>), Trouble> {
        let taking = self.store.take(&note_key(&owned.key()), NOTES, self.clock.now()).await?;
        let Ok(ticket) = taking.outcome else { return Ok((None, None)) };
        Ok((self.letter(Topic::AlreadyRegistered, mail, owned, None), Some(ticket)))
    }

    /// A token for the mail, which the store knows by its hash; `None` when the account is gone or has another address, or the token was
    /// sent before and is of no use any more.
    async fn put_token(&self, mail: &DueMail, purpose: MailPurpose) -> Result<Option<MailToken>, Trouble> {
        let link = mail.recovery.map(|recovery| recovery.id);
        let order = link.map_or(mail.id.0, |link| link.0);
        let token = self.tokens.of(order, purpose, mail.user, &mail.address.key());
        let now = self.clock.now();
        let expires_at = now.plus_millis(self.lifetime(mail, purpose));
        let put = NewMailToken { purpose, hash: token.hash(), address: mail.address.clone(), expires_at, link };
        Ok(self.store.put_mail_token(mail, &put, now).await?.then_some(token))
    }

    fn letter(&self, topic: Topic, mail: &DueMail, to: &Email, token: Option<(&MailToken, i64)>) -> Option<Letter> {
        let written = self.letters.write(topic, &mail.username, to, token, self.clock.now());
        written.inspect_err(|error| super::sender::log_dropped(mail, &error.to_string())).ok()
    }
}

fn note_key(address: &EmailKey) -> ThrottleKey {
    ThrottleKey(Sha256::new().chain_update(NOTES_LABEL).chain_update(address.as_str()).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_counted_by_address_whatever_its_spelling() {
        let key = |text: &str| note_key(&Email::parse(text).expect("an address").key());
        assert_eq!(key("Ann@Example.com"), key("ann@example.com"));
        assert_ne!(key("ann@example.com"), key("bob@example.com"));
    }
}
