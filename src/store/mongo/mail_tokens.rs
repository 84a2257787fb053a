//! The tokens of an account that are out by mail: in its own document, at most one for each purpose.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{USERS, Undecodable, date};
use super::expressions::{array, literal};
use crate::domain::{Email, MailPurpose, MailTokenHash, Timestamp};
use crate::store::{NewMailToken, StoreError};

/// Whose a token is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundToken {
    #[serde(rename = "_id")]
    pub(super) id: Uuid,
    pub(super) username: String,
    /// There is one if it is a registration.
    pub(super) pending_email_key: Option<String>,
    /// The token alone.
    mail_tokens: Vec<MailTokenDocument>,
}

/// The part of a token's record that matters once it is found.
#[derive(Deserialize)]
struct MailTokenDocument {
    address: String,
}

pub(super) fn token_key(hash: MailTokenHash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_bytes().to_vec() }
}

pub(super) fn token_hash(key: Binary) -> Option<MailTokenHash> {
    key.bytes.try_into().ok().map(MailTokenHash::from_bytes)
}

/// What finds the account, or the registration, with a token that is good for one of the purposes at `at`.
pub(super) fn with_token(hash: MailTokenHash, purposes: &[MailPurpose], at: Timestamp) -> Document {
    let purposes: Vec<&str> = purposes.iter().map(|purpose| purpose.as_str()).collect();
    let good = doc! { "hash": token_key(hash), "purpose": { "$in": purposes }, "expiresAt": { "$gt": date(at) } };
    doc! {
        // What the index is over; within the element it would not be seen to meet the index's own condition.
        "mailTokens.hash": token_key(hash),
        "mailTokens": { "$elemMatch": good },
        "heldUntil": { "$not": { "$lte": date(at) } },
    }
}

impl FoundToken {
    /// Where the token was sent.
    pub(super) fn address(&self) -> Result<Email, Undecodable> {
        let token = self.mail_tokens.first().ok_or_else(|| Undecodable::new(USERS, "mailTokens"))?;
        Ok(Email::from_stored(token.address.clone()))
    }
}

impl MongoStore {
    /// Whose a token is that is good for one of the purposes at `at`.
    pub(super) async fn find_token(
        &self,
        hash: MailTokenHash,
        purposes: &[MailPurpose],
        at: Timestamp,
    ) -> Result<Option<FoundToken>, StoreError> {
        let this_one = doc! { "$elemMatch": { "hash": token_key(hash) } };
        let projection = doc! { "username": 1, "pendingEmailKey": 1, "mailTokens": this_one };
        self.find_one(USERS, with_token(hash, purposes, at), projection).await
    }
}

/// `mailTokens` with another hash for a token.
pub(super) fn renamed(old: MailTokenHash, new: MailTokenHash) -> Document {
    let with_new = doc! { "$mergeObjects": ["$$token", { "hash": token_key(new) }] };
    let is_old = doc! { "$eq": ["$$token.hash", token_key(old)] };
    doc! { "$map": { "input": array("mailTokens"), "as": "token", "in": { "$cond": [is_old, with_new, "$$token"] } } }
}

/// `mailTokens` without one.
pub(super) fn without(hash: MailTokenHash) -> Document {
    doc! { "$filter": { "input": array("mailTokens"), "as": "token", "cond": { "$ne": ["$$token.hash", token_key(hash)] } } }
}

/// `mailTokens` with a token in place of the one for the same purpose.
pub(super) fn replaced(token: &NewMailToken) -> Document {
    let purpose = token.purpose.as_str();
    let others = doc! {
        "$filter": { "input": array("mailTokens"), "as": "token", "cond": { "$ne": ["$$token.purpose", literal(purpose)] } },
    };
    let new = doc! {
        "purpose": purpose,
        "hash": token_key(token.hash),
        "address": token.address.as_str(),
        "expiresAt": date(token.expires_at),
    };
    doc! { "$concatArrays": [others, [literal(new)]] }
}
