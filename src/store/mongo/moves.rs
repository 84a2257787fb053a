//! The move of an account to another address, by the link that was sent there.

use mongodb::bson::{Bson, Document};

use super::addresses::AddressStep;
use super::documents::{session_key, user_id};
use super::expressions::literal;
use super::mail_tokens::{GoodToken, with_token};
use super::names::Claim;
use super::patience::Patience;
use super::{MongoStore, outbox};
use crate::domain::{Addresses, LinkId, MailKind, MailPurpose, MailTokenHash, Timestamp};
use crate::store::{MoveOutcome, MoveProof, StoreError};

/// A move that a request asks for.
pub(super) struct AddressMove {
    pub(super) token: MailTokenHash,
    pub(super) proof: MoveProof,
    pub(super) link: LinkId,
    pub(super) at: Timestamp,
    pub(super) notify: bool,
}

impl GoodToken {
    /// Whether the token moves a verified account.
    pub(super) fn is_move(&self) -> bool {
        self.purpose == MailPurpose::NewAddress && self.pending_email_key.is_none() && self.addresses.is_verified
    }

    fn bears_out(&self, proof: &MoveProof) -> bool {
        match proof {
            MoveProof::Session(session) => self.sessions.contains(&session_key(*session)),
            MoveProof::Password(hash) => self.password_hash.expose() == hash.expose(),
        }
    }
}

impl AddressMove {
    fn filter(&self, token: &GoodToken) -> Document {
        let mut filter = with_token(token, self.token, self.at);
        match &self.proof {
            MoveProof::Session(session) => filter.insert("sessions.id", session_key(*session)),
            MoveProof::Password(hash) => filter.insert("passwordHash", hash.expose()),
        };
        filter
    }
}

impl MongoStore {
    pub(super) async fn move_by_link(&self, asked: &AddressMove) -> Result<MoveOutcome, StoreError> {
        let mut patience = Patience::begin();
        loop {
            let found = self.find_token(asked.token, asked.at).await?;
            let Some(token) = found.filter(|token| token.is_move() && token.bears_out(&asked.proof)) else {
                return Ok(MoveOutcome::Refused);
            };
            let seen = token.addresses.clone();
            let next = match seen.at(asked.at).confirmed(asked.link, asked.at) {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(MoveOutcome::Refused),
                Err(_full) => return Ok(MoveOutcome::TooMany),
            };
            let step = AddressStep { seen, next, used: Some(token.address.key()) };
            let mut filter = asked.filter(&token);
            filter.extend(step.filter());
            let at = self.connection.clock.correct(asked.at);
            let notice = if asked.notify { outbox::notices(MailKind::AddressChanged, at).into() } else { Bson::Array(Vec::new()) };
            let update = step.update(Document::new(), notice);
            let claim = Claim { owner: user_id(token.id), username: None, email: Some(token.address.key()) };
            let write = || self.update_user_unless_taken(filter.clone(), update.clone());
            match self.unless_taken(&claim, asked.at, write).await? {
                Ok(updated) if updated.matched_count > 0 => return Ok(MoveOutcome::Moved),
                // The proof is gone, or the addresses have changed; the next attempt sees which.
                Ok(_) => patience.try_again(false).await?,
                Err(_) => return self.give_up(filter, &step.seen).await,
            }
        }
    }

    /// Ends the wish for an address that another account has.
    async fn give_up(&self, filter: Document, seen: &Addresses) -> Result<MoveOutcome, StoreError> {
        let next = Addresses { pending: None, ..seen.clone() };
        let step = AddressStep { seen: seen.clone(), next, used: None };
        let ended = self.update_user(filter, step.update(Document::new(), literal(Bson::Array(Vec::new())))).await?;
        Ok(if ended.matched_count > 0 { MoveOutcome::Taken } else { MoveOutcome::Refused })
    }
}
