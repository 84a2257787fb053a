//! Writes the letter for a due mail, and puts its token out first: every attempt at a mail carries the same token, made of the server's
//! secret, and a store never holds one that could be used.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::letters::{Letter, Letters};
use super::sender::Trouble;
use super::topic::Topic;
use crate::domain::{Clock, Email, EmailKey, MailPurpose, MailToken, Timestamp};
use crate::identity::MailTokens;
use crate::store::{DueMail, Link, NewMailToken, Quota, Store, ThrottleKey, Ticket};

/// How often an address is told that somebody has registered with it once more.
const NOTES: Quota = Quota { count: 1, window_millis: Timestamp::DAY_MILLIS };
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

impl Writer {
    /// The letter for a mail, to be sent at once; `None` when there is nothing to say any more.
    pub(super) async fn write(&self, mail: &DueMail) -> Result<Option<Draft>, Trouble> {
        if mail.is_pending
            && let Some(owned) = self.owned_address(&mail.address.key()).await?
        {
            return self.write_note(mail, &owned).await;
        }
        let token = match mail.kind.purpose() {
            None => None,
            Some(purpose) => match self.put_token(mail, purpose).await? {
                Some(token) => Some(token),
                None => return Ok(None),
            },
        };
        let letter = self.letter(Topic::Ordered(mail.kind), mail, &mail.address, token.as_ref());
        let (mail, link) = match token {
            Some(token) => (mail.begun_with(token.hash()), Link::TakenBack),
            None => (mail.clone(), Link::Stays),
        };
        Ok(letter.map(|letter| Draft { letter, mail, link, ticket: None }))
    }

    /// The address of an account, as its owner wrote it, if there is one with it.
    async fn owned_address(&self, address: &EmailKey) -> Result<Option<Email>, Trouble> {
        if self.store.find_credentials(address).await?.is_none() {
            return Ok(None);
        }
        Ok(self.store.find_reset_address(address, self.clock.now()).await?.map(|(_owner, address)| address))
    }

    /// A registration with the address of an account: its owner is told, and the registration never becomes anything.
    async fn write_note(&self, mail: &DueMail, owned: &Email) -> Result<Option<Draft>, Trouble> {
        let taking = self.store.take(&note_key(&owned.key()), NOTES, self.clock.now()).await?;
        let Ok(ticket) = taking.outcome else { return Ok(None) };
        let letter = self.letter(Topic::AlreadyRegistered, mail, owned, None);
        Ok(letter.map(|letter| Draft { letter, mail: mail.clone(), link: Link::Stays, ticket: Some(ticket) }))
    }

    /// A token for the mail, which the store knows by its hash; `None` when the account is gone or has another address, or the token was
    /// sent before and is of no use any more.
    async fn put_token(&self, mail: &DueMail, purpose: MailPurpose) -> Result<Option<MailToken>, Trouble> {
        let token = self.tokens.of(mail.id.0, purpose, mail.user, &mail.address.key());
        let now = self.clock.now();
        let expires_at = now.plus_millis(purpose.lifetime_millis());
        let put = NewMailToken { purpose, hash: token.hash(), address: mail.address.clone(), expires_at };
        Ok(self.store.put_mail_token(mail, &put, now).await?.then_some(token))
    }

    fn letter(&self, topic: Topic, mail: &DueMail, to: &Email, token: Option<&MailToken>) -> Option<Letter> {
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
