//! The tokens of an account that are out by mail, in its own document: one for each purpose and address. Those of ways back have no
//! end of their own: they are good until `recoveryUntil`.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, RawDocumentBuf, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::addresses::{AddressesDocument, address_fields, addresses_in};
use super::documents::{USERS, date, time, user_id};
use super::expressions::{array, literal};
use crate::domain::{Addresses, Email, MailPurpose, MailTokenHash, PasswordHash, Timestamp, Username};
use crate::store::{MailTokenOwner, NewMailToken, StoreError};

/// Whose a token is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundToken {
    #[serde(rename = "_id")]
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) password_hash: String,
    /// There is one if it is a registration.
    pub(super) pending_email_key: Option<String>,
    held_until: Option<DateTime>,
    #[serde(default)]
    sessions: Vec<SessionIdDocument>,
    #[serde(default)]
    mail_tokens: Vec<MailTokenDocument>,
}

#[derive(Deserialize)]
struct SessionIdDocument {
    id: Binary,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailTokenDocument {
    hash: Binary,
    purpose: String,
    address: String,
    expires_at: Option<DateTime>,
}

/// A token that is good, and whose it is.
pub(super) struct GoodToken {
    pub(super) id: Uuid,
    pub(super) username: Username,
    pub(super) password_hash: PasswordHash,
    pub(super) pending_email_key: Option<String>,
    pub(super) addresses: Addresses,
    /// The hashes of the owner's sessions.
    pub(super) sessions: Vec<Binary>,
    pub(super) purpose: MailPurpose,
    /// Where it was sent.
    pub(super) address: Email,
}

pub(super) fn token_key(hash: MailTokenHash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_bytes().to_vec() }
}

pub(super) fn token_hash(key: Binary) -> Option<MailTokenHash> {
    key.bytes.try_into().ok().map(MailTokenHash::from_bytes)
}

/// Matches who has a token that is good at `at`.
pub(super) fn with_token(token: &GoodToken, hash: MailTokenHash, at: Timestamp) -> Document {
    let mut filter = doc! { "_id": token.id, "heldUntil": { "$not": { "$lte": date(at) } } };
    let mut stored = doc! { "hash": token_key(hash), "purpose": token.purpose.as_str() };
    let (place, end) = if token.purpose == MailPurpose::Recovery { (&mut filter, "recoveryUntil") } else { (&mut stored, "expiresAt") };
    place.insert(end, doc! { "$gt": date(at) });
    filter.insert("mailTokens", doc! { "$elemMatch": stored });
    filter
}

impl GoodToken {
    pub(super) fn into_owner(self) -> MailTokenOwner {
        MailTokenOwner { user: user_id(self.id), username: self.username, address: self.address }
    }
}

impl MongoStore {
    /// Whose a token is that is good at `at`, and for what.
    pub(super) async fn find_token(&self, hash: MailTokenHash, at: Timestamp) -> Result<Option<GoodToken>, StoreError> {
        let key = token_key(hash);
        let filter = doc! { "mailTokens.hash": key.clone() };
        let mut projection = address_fields();
        projection
            .extend(doc! { "username": 1, "passwordHash": 1, "pendingEmailKey": 1, "heldUntil": 1, "mailTokens": 1, "sessions.id": 1 });
        let found: Option<RawDocumentBuf> = self.find_one(USERS, filter, projection).await?;
        let Some(document) = found else { return Ok(None) };
        let found: FoundToken = mongodb::bson::deserialize_from_slice(document.as_bytes()).map_err(StoreError::broken)?;
        let addresses = addresses_in(&document).map_err(StoreError::broken)?;
        Ok(found.into_good(addresses, &key, at))
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

impl FoundToken {
    fn into_good(self, addresses: AddressesDocument, hash: &Binary, at: Timestamp) -> Option<GoodToken> {
        if self.held_until.is_some_and(|until| until <= date(at)) {
            return None;
        }
        let addresses = addresses.into_addresses();
        let token = self.mail_tokens.into_iter().find(|token| token.hash == *hash)?;
        let purpose = MailPurpose::parse(&token.purpose)?;
        let own_end = token.expires_at.map(time);
        if own_end.is_some_and(|end| !purpose.can_end(end, at)) {
            return None;
        }
        own_end.or(addresses.recovery_until).filter(|end| at < *end)?;
        Some(GoodToken {
            id: self.id,
            username: Username::from_stored(self.username),
            password_hash: PasswordHash::new(self.password_hash),
            pending_email_key: self.pending_email_key,
            addresses,
            sessions: self.sessions.into_iter().map(|session| session.id).collect(),
            purpose,
            address: Email::from_stored(token.address),
        })
    }
}

/// The fields that change when a token is put out: it takes the place of the one for the same purpose and address.
pub(super) fn put(token: &NewMailToken) -> Document {
    let (purpose, key) = (token.purpose.as_str(), token.address.key());
    let mut new = doc! { "purpose": purpose, "hash": token_key(token.hash), "address": token.address.as_str() };
    if token.purpose != MailPurpose::Recovery {
        new.insert("expiresAt", date(token.expires_at));
    }
    let is_other = doc! {
        "$or": [
            { "$ne": ["$$token.purpose", literal(purpose)] },
            { "$ne": [{ "$toLower": "$$token.address" }, literal(key.as_str())] },
        ],
    };
    let others = doc! { "$filter": { "input": array("mailTokens"), "as": "token", "cond": is_other } };
    let mut fields = doc! { "mailTokens": { "$concatArrays": [others, [literal(new)]] } };
    if token.purpose == MailPurpose::NewAddress {
        let wish = doc! { "$mergeObjects": ["$pendingEmail", { "until": date(token.expires_at) }] };
        let is_wished = doc! { "$eq": ["$pendingEmail.key", literal(key.as_str())] };
        fields.insert("pendingEmail", doc! { "$cond": [is_wished, wish, { "$ifNull": ["$pendingEmail", "$$REMOVE"] }] });
    }
    fields
}
