//! Changes of a password, each with all that it ends, in one write.

use mongodb::bson::{Bson, Document, doc};

use super::addresses::AddressStep;
use super::documents::{ACCESS_CHANGED_AT, session_key, user_id, user_key};
use super::expressions::{array, literal};
use super::mail_tokens::{GoodToken, with_token};
use super::patience::Patience;
use super::{MongoStore, outbox};
use crate::domain::{MailKind, MailPurpose, MailTokenHash, PasswordHash, SessionKey, Timestamp, UserId};
use crate::store::{Change, StoreError};

impl MongoStore {
    pub(super) async fn replace_password(
        &self,
        key: &SessionKey,
        checked: &PasswordHash,
        new: &PasswordHash,
        notice: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let session = session_key(key.session);
        let filter = doc! { "_id": user_key(key.user), "sessions.id": session.clone(), "passwordHash": checked.expose() };
        let this_one = doc! { "$filter": { "input": "$sessions", "as": "session", "cond": { "$eq": ["$$session.id", session] } } };
        let mut fields = password_set(new, this_one);
        fields.extend(doc! {
            "pendingEmail": "$$REMOVE",
            "mailTokens": but_for(array("mailTokens"), "purpose", MailPurpose::NewAddress.as_str()),
            "mail": outbox::appended_to(but_for(array("mail"), "kind", MailKind::NewAddress.as_str()), self.told(notice)),
        });
        let update = vec![doc! { "$set": fields }, outbox::summary()];
        let is_changed = self.update_user(filter, update).await?.matched_count > 0;
        if is_changed {
            self.listeners.tell(&Change::Access(key.user));
        }
        Ok(is_changed)
    }

    /// Looks at the token and at the addresses of its account, and sets the password if both still are so then; else it looks
    /// again.
    pub(super) async fn replace_lost_password(
        &self,
        hash: MailTokenHash,
        new: &PasswordHash,
        at: Timestamp,
        notify: bool,
    ) -> Result<Option<UserId>, StoreError> {
        let mut patience = Patience::begin();
        loop {
            let found = self.find_token(hash, at).await?;
            let may_reset = |token: &GoodToken| token.purpose.is_reset() && token.pending_email_key.is_none();
            let Some(token) = found.filter(may_reset) else { return Ok(None) };
            let address = token.address.key();
            let Some(next) = token.addresses.at(at).reset_by(&address, at) else { return Ok(None) };
            let step = AddressStep { seen: token.addresses.clone(), next, used: Some(address) };
            let mut filter = with_token(&token, hash, at);
            filter.insert("heldUntil", Bson::Null);
            filter.extend(step.filter());
            let update = step.update(password_set(new, Bson::Array(Vec::new())), self.told(notify.then_some(at)));
            if self.update_user(filter, update).await?.matched_count > 0 {
                let user = user_id(token.id);
                self.listeners.tell(&Change::Access(user));
                return Ok(Some(user));
            }
            patience.try_again(false).await?;
        }
    }

    /// The notices of a new password, if there are to be some, as an expression.
    fn told(&self, notice: Option<Timestamp>) -> Bson {
        let at = notice.map(|at| self.connection.clock.correct(at));
        at.map_or_else(|| Bson::Array(Vec::new()), |at| outbox::notices(MailKind::PasswordChanged, at).into())
    }
}

/// The fields that set a password: no session is left but those given.
fn password_set(new: &PasswordHash, sessions: impl Into<Bson>) -> Document {
    doc! { "passwordHash": literal(new.expose()), "sessions": sessions, ACCESS_CHANGED_AT: "$$NOW" }
}

/// What of an array is not called so.
fn but_for(input: Document, field: &str, name: &str) -> Document {
    doc! { "$filter": { "input": input, "as": "one", "cond": { "$ne": [format!("$$one.{field}"), name] } } }
}
