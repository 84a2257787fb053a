//! Whose an address is: who may ask for a password by it, its verification, and the registrations that wait for it.

use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{USERS, date, user_id};
use super::mail_tokens::{FoundToken, token_key, with_token};
use super::profiles::PreviousEmailDocument;
use super::reads::page;
use crate::domain::{Email, EmailKey, MailPurpose, MailTokenHash, Timestamp, UserId};
use crate::logging;
use crate::store::StoreError;

const PURPOSES: [MailPurpose; 2] = [MailPurpose::Verification, MailPurpose::NewAddress];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PresentOwner {
    #[serde(rename = "_id")]
    id: Uuid,
    email: String,
    is_email_verified: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreviousOwner {
    #[serde(rename = "_id")]
    id: Uuid,
    previous_email: PreviousEmailDocument,
}

impl MongoStore {
    /// Two reads whatever there is, so that nobody learns from the time which of them found something.
    pub(super) async fn owner_for_reset(&self, email: &EmailKey, at: Timestamp) -> Result<Option<(UserId, Email)>, StoreError> {
        let had_it = doc! { "previousEmail.key": email.as_str(), "previousEmail.until": { "$gt": date(at) } };
        // Of several accounts that had it the one that gave it up first: whoever got hold of that account could otherwise
        // have another one take the address and give it up again.
        let mut first = page(doc! { "previousEmail.until": 1 }, 1)?;
        first.projection = Some(doc! { "previousEmail": 1 });
        let (present, previous): (Option<PresentOwner>, Vec<PreviousOwner>) = futures_util::try_join!(
            self.find_one(USERS, doc! { "emailKey": email.as_str() }, doc! { "email": 1, "isEmailVerified": 1 }),
            self.find(USERS, had_it, first),
        )?;
        let is_proven = present.as_ref().is_some_and(|owner| owner.is_email_verified);
        let present = present.map(|owner| (user_id(owner.id), Email::from_stored(owner.email)));
        let previous = previous.into_iter().map(|owner| (user_id(owner.id), owner.previous_email.into_address())).next();
        Ok(if is_proven { present } else { previous.or(present) })
    }

    /// Frees an address for the account that has shown that it is its own; `false` when another one has verified it.
    pub(super) async fn take_address_away(&self, address: &EmailKey, owner: Uuid) -> Result<bool, StoreError> {
        let by_another = doc! { "emailKey": address.as_str(), "_id": { "$ne": owner } };
        let holder: Option<PresentOwner> = self.find_latest(USERS, by_another, doc! { "email": 1, "isEmailVerified": 1 }).await?;
        let Some(holder) = holder else { return Ok(true) };
        if holder.is_email_verified {
            return Ok(false);
        }
        let unproven = doc! { "_id": holder.id, "emailKey": address.as_str(), "isEmailVerified": false, "heldUntil": Bson::Null };
        // One that does not match has verified the address or given it up; the next attempt to have it tells.
        self.update_user(unproven, without_address(user_id(holder.id))).await?;
        Ok(true)
    }

    pub(super) async fn verify(&self, token: MailTokenHash, at: Timestamp) -> Result<Option<UserId>, StoreError> {
        let Some(found) = self.find_token(token, &PURPOSES, at).await? else { return Ok(None) };
        let mut filter = with_token(token, &PURPOSES, at);
        filter.insert("_id", found.id);
        let used_up = doc! { "mailTokens": { "hash": token_key(token) } };
        let verified = match &found.pending_email_key {
            None => {
                filter.insert("heldUntil", None::<DateTime>);
                let update = doc! { "$set": { "isEmailVerified": true }, "$pull": used_up };
                self.update_user(filter, update).await?.matched_count > 0
            }
            Some(address) => {
                filter.insert("pendingEmailKey", address.as_str());
                let update = doc! {
                    "$set": { "isEmailVerified": true, "emailKey": address.as_str() },
                    "$unset": { "heldUntil": "", "pendingEmailKey": "" },
                    "$pull": used_up,
                };
                let updated = self.update_user_unless_taken(filter, update).await?;
                updated.is_some_and(|updated| updated.matched_count > 0)
            }
        };
        if verified {
            self.drop_registrations(&found).await;
        }
        Ok(verified.then_some(user_id(found.id)))
    }

    /// Removes what else waited for an address that belongs to an account by now. None of it could become one, and its
    /// time runs out, so that a failure is no reason to tell anybody that the verification failed.
    async fn drop_registrations(&self, verified: &FoundToken) {
        let Some(address) = verified.pending_email_key.clone() else { return };
        let dropped = self
            .connection
            .write(|database| async move { database.collection::<Document>(USERS).delete_many(doc! { "pendingEmailKey": address }).await })
            .await;
        if let Err(error) = dropped {
            log::warn!(event = "registrations_not_dropped", error = logging::causes(&error); "registrations for a taken address wait on");
        }
    }
}

/// What becomes of an account whose address turned out to be another one's. Its key is one that no address can have.
fn without_address(user: UserId) -> Document {
    doc! {
        "$set": { "email": "", "emailKey": format!("lost:{user}"), "mailTokens": [], "mail": [], "mailCount": 0_i64 },
        "$unset": { "mailDueAt": "" },
    }
}
