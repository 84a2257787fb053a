//! The addresses in a person's document.
//!
//! `addressKeys` has the keys of the address and of the ways back, the address first, so that one unique index holds for both;
//! it is absent where there is none, because an empty array would itself be a unique key. A step is written only if that array
//! and the verification still are as they were when it was thought out.

use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{USERS, date, time, user_id};
use super::expressions::{array, literal};
use super::outbox;
use crate::domain::{Addresses, Email, EmailKey, LinkId, MailPurpose, PendingEmail, RecoveryAddress, Timestamp, UserId};
use crate::store::StoreError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddressesDocument {
    email: String,
    is_email_verified: bool,
    pending_email: Option<PendingDocument>,
    #[serde(default)]
    recovery: Vec<RecoveryDocument>,
    recovery_until: Option<DateTime>,
}

#[derive(Deserialize)]
pub(super) struct PendingDocument {
    address: String,
    until: DateTime,
}

/// A way back.
#[derive(Deserialize)]
pub(super) struct RecoveryDocument {
    address: String,
    link: Uuid,
}

/// What an [`AddressesDocument`] is read with.
pub(super) fn address_fields() -> Document {
    doc! { "email": 1, "isEmailVerified": 1, "pendingEmail": 1, "recovery": 1, "recoveryUntil": 1 }
}

impl PendingDocument {
    pub(super) fn into_pending(self) -> PendingEmail {
        PendingEmail { address: Email::from_stored(self.address), until: time(self.until) }
    }
}

impl RecoveryDocument {
    pub(super) fn into_recovery(self) -> RecoveryAddress {
        RecoveryAddress { address: Email::from_stored(self.address), link: LinkId(self.link.bytes()) }
    }
}

impl AddressesDocument {
    pub(super) fn into_addresses(self) -> Addresses {
        Addresses {
            email: Email::from_stored(self.email),
            is_verified: self.is_email_verified,
            pending: self.pending_email.map(PendingDocument::into_pending),
            recovery: self.recovery.into_iter().map(RecoveryDocument::into_recovery).collect(),
            recovery_until: self.recovery_until.map(time),
        }
    }
}

/// A step from some addresses to others.
pub(super) struct AddressStep {
    pub(super) seen: Addresses,
    pub(super) next: Addresses,
    /// Links to this one end.
    pub(super) used: Option<EmailKey>,
}

impl AddressStep {
    /// Matches who still has the addresses that were seen.
    pub(super) fn filter(&self) -> Document {
        let keys = key_array(&self.seen);
        let same_keys = if keys.is_empty() {
            doc! { "$exists": false }
        } else {
            doc! { "$eq": keys }
        };
        doc! { "addressKeys": same_keys, "isEmailVerified": self.seen.is_verified }
    }

    /// The fields that the step changes, `mail` left out.
    pub(super) fn fields(&self) -> Document {
        let next = &self.next;
        let keys = key_array(next);
        let mut fields = doc! {
            "email": literal(next.email.as_str()),
            "isEmailVerified": next.is_verified,
            "addressKeys": if keys.is_empty() { Bson::from("$$REMOVE") } else { literal(keys).into() },
            "pendingEmail": next.pending.as_ref().map_or_else(removed, |pending| literal(pending_document(pending)).into()),
            "recovery": self.recovery(),
            "recoveryUntil": next.recovery_until.map_or_else(removed, |until| date(until).into()),
            "mailTokens": self.kept(&array("mailTokens"), "purpose"),
        };
        if !next.email.is_empty() {
            fields.insert("emailKey", literal(next.email.key().as_str()));
        }
        fields
    }

    /// The mail that waits on: all but that whose link would lead nowhere.
    pub(super) fn kept_mail(&self) -> Document {
        self.kept(&array("mail"), "kind")
    }

    fn recovery(&self) -> Bson {
        let next = &self.next.recovery;
        if next.is_empty() { removed() } else { literal(next.iter().map(recovery_document).collect::<Vec<_>>()).into() }
    }

    /// Of tokens or mail those whose link is still good; what has no link stays. Kinds of mail are called as their purposes.
    fn kept(&self, input: &Document, field: &str) -> Document {
        let is_good = |(_, address): &(MailPurpose, EmailKey)| self.used.as_ref() != Some(address);
        let good =
            self.next.links().into_iter().filter(is_good).map(|(purpose, address)| format!("{} {}", purpose.as_str(), address.as_str()));
        let good: Vec<String> = good.collect();
        let purposes: Vec<&str> = MailPurpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
        let link = doc! { "$concat": [format!("$$link.{field}"), " ", { "$toLower": "$$link.address" }] };
        let has_none = doc! { "$not": [{ "$in": [format!("$$link.{field}"), purposes] }] };
        doc! { "$filter": { "input": input.clone(), "as": "link", "cond": { "$or": [has_none, { "$in": [link, literal(good)] }] } } }
    }

    /// The update that makes the step together with other fields and the mail that it orders, an expression.
    pub(super) fn update(&self, others: Document, ordered: impl Into<Bson>) -> Vec<Document> {
        let mut fields = self.fields();
        fields.extend(others);
        fields.insert("mail", outbox::appended_to(self.kept_mail(), ordered));
        vec![doc! { "$set": fields }, outbox::summary()]
    }
}

fn removed() -> Bson {
    Bson::from("$$REMOVE")
}

fn key_array(addresses: &Addresses) -> Vec<String> {
    addresses.keys().iter().map(|key| key.as_str().to_owned()).collect()
}

fn pending_document(pending: &PendingEmail) -> Document {
    let address = &pending.address;
    doc! { "address": address.as_str(), "key": address.key().as_str(), "until": date(pending.until) }
}

pub(super) fn link_key(link: LinkId) -> Uuid {
    Uuid::from_bytes(link.0)
}

pub(super) fn recovery_document(recovery: &RecoveryAddress) -> Document {
    doc! { "address": recovery.address.as_str(), "key": recovery.address.key().as_str(), "link": link_key(recovery.link) }
}

/// The update that forgets all ways back, with their links.
pub(super) fn without_recovery() -> Vec<Document> {
    let keys = doc! { "$cond": [{ "$eq": ["$email", ""] }, "$$REMOVE", ["$emailKey"]] };
    let is_other = doc! { "$ne": ["$$token.purpose", MailPurpose::Recovery.as_str()] };
    let others = doc! { "$filter": { "input": array("mailTokens"), "as": "token", "cond": is_other } };
    vec![doc! { "$set": { "addressKeys": keys, "recovery": "$$REMOVE", "recoveryUntil": "$$REMOVE", "mailTokens": others } }]
}

/// A document of which only the key matters besides.
#[derive(Deserialize)]
struct Holder {
    #[serde(rename = "_id")]
    id: Uuid,
}

/// The addresses in a document that was read with more than [`address_fields`].
pub(super) fn addresses_in(document: &RawDocumentBuf) -> mongodb::bson::error::Result<AddressesDocument> {
    mongodb::bson::deserialize_from_slice(document.as_bytes())
}

impl MongoStore {
    /// The addresses of the account that matches.
    pub(super) async fn find_addresses(&self, filter: Document) -> Result<Option<Addresses>, StoreError> {
        let found: Option<AddressesDocument> = self.find_one(USERS, filter, address_fields()).await?;
        Ok(found.map(AddressesDocument::into_addresses))
    }

    pub(super) async fn owner_of_address(&self, email: &EmailKey, at: Timestamp) -> Result<Option<(UserId, Email)>, StoreError> {
        let found: Option<RawDocumentBuf> = self.find_one(USERS, doc! { "addressKeys": email.as_str() }, address_fields()).await?;
        let Some((owner, addresses)) = found.as_ref().map(holder).transpose()? else { return Ok(None) };
        let address = addresses.at(at).told().into_iter().find(|address| address.key() == *email);
        Ok(address.map(|address| (user_id(owner), address)))
    }
}

fn holder(document: &RawDocumentBuf) -> Result<(Uuid, Addresses), StoreError> {
    let holder: Holder = mongodb::bson::deserialize_from_slice(document.as_bytes()).map_err(StoreError::broken)?;
    Ok((holder.id, addresses_in(document).map_err(StoreError::broken)?.into_addresses()))
}
