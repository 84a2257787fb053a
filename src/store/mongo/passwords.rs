//! Changes of a password, each with all that it ends, in one write.

use mongodb::bson::{Bson, Document, Uuid, doc};
use mongodb::results::UpdateResult;

use super::documents::{ACCESS_CHANGED_AT, session_key, user_id, user_key};
use super::expressions::literal;
use super::mail_tokens::with_token;
use super::{MongoStore, outbox};
use crate::domain::{Email, MailKind, MailPurpose, MailTokenHash, PasswordHash, SessionKey, Timestamp, UserId};
use crate::store::{Change, NewMail, StoreError};

/// Attempts to set a password together with the address. The second succeeds unless somebody takes the address anew.
const ADDRESS_ATTEMPTS: usize = 3;

/// A password to be set by a token.
struct Reset<'a> {
    token: MailTokenHash,
    user: Uuid,
    /// Where the token was sent.
    address: Email,
    new: &'a PasswordHash,
    at: Timestamp,
    notify: bool,
}

impl Reset<'_> {
    const PURPOSES: [MailPurpose; 1] = [MailPurpose::PasswordReset];

    /// Matches the account as long as the token is good.
    fn filter(&self) -> Document {
        let mut filter = with_token(self.token, &Self::PURPOSES, self.at);
        filter.insert("_id", self.user);
        filter.insert("heldUntil", Bson::Null);
        filter
    }

    fn update(&self, address_fields: Document) -> Vec<Document> {
        let notice = self.notify.then(|| outbox::entry(MailKind::PasswordChanged, literal(self.address.as_str()), self.at));
        password_set(self.new, Bson::Array(Vec::new()), address_fields, notice)
    }
}

impl MongoStore {
    pub(super) async fn replace_password(
        &self,
        key: &SessionKey,
        checked: &PasswordHash,
        new: &PasswordHash,
        notice: Option<&NewMail>,
    ) -> Result<bool, StoreError> {
        let session = session_key(key.session);
        let filter = doc! { "_id": user_key(key.user), "sessions.id": session.clone(), "passwordHash": checked.expose() };
        let this_one = doc! { "$filter": { "input": "$sessions", "as": "session", "cond": { "$eq": ["$$session.id", session] } } };
        let notice = notice.map(|notice| outbox::entry(notice.kind, literal(notice.address.as_str()), notice.at));
        let update = password_set(new, this_one, Document::new(), notice);
        let is_changed = self.update_user(filter, update).await?.matched_count > 0;
        if is_changed {
            self.listeners.tell(&Change::Access(key.user));
        }
        Ok(is_changed)
    }

    /// Looks at the token for the address that it was sent to, and sets the password if it is still good then. An address
    /// that somebody else has refuses the write as a whole. It is taken away first then or, if it is verified, left alone.
    pub(super) async fn replace_lost_password(
        &self,
        token: MailTokenHash,
        new: &PasswordHash,
        at: Timestamp,
        notify: bool,
    ) -> Result<Option<UserId>, StoreError> {
        let Some(found) = self.find_token(token, &Reset::PURPOSES, at).await? else { return Ok(None) };
        let address = found.address().map_err(StoreError::broken)?;
        let reset = Reset { token, user: found.id, address, new, at, notify };
        for _ in 0..ADDRESS_ATTEMPTS {
            let with_address = reset.update(confirmed(&reset.address));
            if let Some(updated) = self.update_user_unless_taken(reset.filter(), with_address).await? {
                return Ok(self.note_reset(&reset, &updated));
            }
            if !self.take_address_away(&reset.address.key(), reset.user).await? {
                break;
            }
        }
        let updated = self.update_user(reset.filter(), reset.update(Document::new())).await?;
        Ok(self.note_reset(&reset, &updated))
    }

    /// Whose password was set, if it was; then it is told.
    fn note_reset(&self, reset: &Reset<'_>, updated: &UpdateResult) -> Option<UserId> {
        let user = (updated.matched_count > 0).then_some(user_id(reset.user))?;
        self.listeners.tell(&Change::Access(user));
        Some(user)
    }
}

/// The update that sets a password: no session is left but those given, and no mail token.
fn password_set(new: &PasswordHash, sessions: impl Into<Bson>, address: Document, notice: Option<Bson>) -> Vec<Document> {
    let mut fields = doc! { "passwordHash": literal(new.expose()), "sessions": sessions, "mailTokens": [], ACCESS_CHANGED_AT: "$$NOW" };
    fields.extend(address);
    fields.insert("mail", outbox::appended(notice.into_iter().collect::<Vec<_>>()));
    vec![doc! { "$set": fields }, outbox::summary()]
}

/// The fields by which an address becomes a person's verified one. If it was their previous one, there is none any more:
/// the address that it takes the place of must not let anybody back in.
fn confirmed(address: &Email) -> Document {
    let key = literal(address.key().as_str());
    let is_previous = doc! { "$eq": ["$previousEmail.key", key.clone()] };
    let kept = doc! { "$ifNull": ["$previousEmail", "$$REMOVE"] };
    doc! {
        "email": literal(address.as_str()),
        "emailKey": key,
        "isEmailVerified": true,
        "previousEmail": { "$cond": [is_previous, "$$REMOVE", kept] },
    }
}
