//! The outbox of an account: the mail that waits, in the account's own document, so that a change and its mail are one
//! write.
//!
//! `mail` holds the entries. `mailDueAt` and `mailCount` say when the first of them is due and how many they are: an
//! index over an array cannot be walked in order within bounds, and one over these two answers without the documents.
//! Every update of `mail` therefore ends with [`summary`].

use mongodb::bson::{Binary, Bson, DateTime, Document, Uuid, doc};
use serde::{Deserialize, Serialize};

use super::addresses::RecoveryDocument;
use super::documents::{USERS, Undecodable, date, time, user_id};
use super::expressions::{array, literal};
use super::mail_tokens::{token_hash, token_key};
use crate::domain::{Email, MAX_RECOVERY_ADDRESSES, MailKind, Timestamp, Username};
use crate::store::{DueMail, MAX_MAIL_PER_ACCOUNT, MailId, NewMail, RecoveryLink};

/// A waiting mail.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailDocument {
    id: Uuid,
    kind: String,
    address: String,
    due_at: DateTime,
    ordered_at: DateTime,
    attempts: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Binary>,
    /// Older entries have none.
    #[serde(default)]
    unsettled: i64,
    /// Names the latest taking of it, so that the taker can tell it from mail that others take at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    taking: Option<Uuid>,
}

/// The part of a document that mail is taken from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutboxDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    username: String,
    held_until: Option<DateTime>,
    mail: Vec<MailDocument>,
    #[serde(default)]
    recovery: Vec<RecoveryDocument>,
    recovery_until: Option<DateTime>,
}

/// What an [`OutboxDocument`] is read with.
pub(super) fn outbox_fields() -> Document {
    doc! { "username": 1, "heldUntil": 1, "mail": 1, "recovery": 1, "recoveryUntil": 1 }
}

impl MailDocument {
    pub(super) fn new(mail: &NewMail) -> Self {
        Self {
            id: Uuid::new(),
            kind: mail.kind.as_str().to_owned(),
            address: mail.address.as_str().to_owned(),
            due_at: date(mail.at),
            ordered_at: date(mail.at),
            attempts: 0,
            begun: None,
            unsettled: 0,
            taking: None,
        }
    }
}

impl OutboxDocument {
    /// The mail that a [`taken`] took at `at`.
    pub(super) fn into_taken(self, taking: Uuid, at: Timestamp) -> Result<DueMail, Undecodable> {
        let impossible = |field| Undecodable::new(USERS, field);
        let mail = self.mail.into_iter().find(|mail| mail.taking == Some(taking)).ok_or_else(|| impossible("mailDueAt"))?;
        let address = Email::from_stored(mail.address);
        let until = self.recovery_until.map(time).filter(|until| at < *until);
        let ways_back = self.recovery.into_iter().map(RecoveryDocument::into_recovery);
        let of_address =
            |until| ways_back.into_iter().find(|way| way.address.key() == address.key()).map(|way| RecoveryLink { id: way.link, until });
        let recovery = until.and_then(of_address);
        Ok(DueMail {
            id: MailId(mail.id.bytes()),
            user: user_id(self.id),
            username: Username::from_stored(self.username),
            is_pending: self.held_until.is_some(),
            kind: MailKind::parse(&mail.kind).ok_or_else(|| impossible("mail.kind"))?,
            address,
            ordered_at: time(mail.ordered_at),
            attempts: u32::try_from(mail.attempts).map_err(|_range| impossible("mail.attempts"))?,
            begun: mail.begun.map(|hash| token_hash(hash).ok_or_else(|| impossible("mail.begun"))).transpose()?,
            unsettled: u32::try_from(mail.unsettled).map_err(|_range| impossible("mail.unsettled"))?,
            recovery,
        })
    }
}

pub(super) fn mail_key(id: MailId) -> Uuid {
    Uuid::from_bytes(id.0)
}

/// An entry as an expression, to the address that `address` gives.
pub(super) fn entry(kind: MailKind, address: impl Into<Bson>, at: Timestamp) -> Bson {
    let at = date(at);
    let entry = doc! {
        "id": Uuid::new(),
        "kind": literal(kind.as_str()),
        "address": address,
        "dueAt": at,
        "orderedAt": at,
        "attempts": literal(0_i64),
        "unsettled": literal(0_i64),
    };
    Bson::Document(entry)
}

/// Matches the entry of a taken mail, for an `$elemMatch`, unless its token was put out by somebody else since.
pub(super) fn still_taken(mail: &DueMail) -> Document {
    // Older entries have no count.
    let unsettled = if mail.unsettled == 0 {
        doc! { "$not": { "$gt": 0 } }
    } else {
        doc! { "$eq": i64::from(mail.unsettled) }
    };
    doc! { "id": mail_key(mail.id), "unsettled": unsettled }
}

/// Notices to the address and the ways back, an expression.
pub(super) fn notices(kind: MailKind, at: Timestamp) -> Document {
    let has_address = doc! { "$ne": ["$email", ""] };
    let to_address = doc! { "$cond": [has_address, [entry(kind, "$email", at)], []] };
    let ways_back = doc! { "$cond": [{ "$gt": ["$recoveryUntil", date(at)] }, array("recovery"), []] };
    let to_way_back = (0..i32::try_from(MAX_RECOVERY_ADDRESSES).unwrap_or_default()).map(|place| {
        let address = doc! { "$let": { "vars": { "way": { "$arrayElemAt": ["$$ways", place] } }, "in": "$$way.address" } };
        doc! { "$cond": [{ "$gt": [{ "$size": "$$ways" }, place] }, [entry(kind, address, at)], []] }
    });
    let all: Vec<Document> = std::iter::once(to_address).chain(to_way_back).collect();
    doc! { "$let": { "vars": { "ways": ways_back }, "in": { "$concatArrays": all } } }
}

/// `mail` with more entries, which are an expression.
pub(super) fn appended(entries: impl Into<Bson>) -> Document {
    appended_to(array("mail"), entries)
}

/// What waits with more entries. Each takes the place of one of its kind to its address, so that there is room for all.
pub(super) fn appended_to(waiting: Document, entries: impl Into<Bson>) -> Document {
    let most = i32::try_from(MAX_MAIL_PER_ACCOUNT).unwrap_or(i32::MAX);
    let what = |mail: &str| doc! { "$concat": [format!("$${mail}.kind"), " ", { "$toLower": format!("$${mail}.address") }] };
    let renewed = doc! { "$map": { "input": "$$added", "as": "new", "in": what("new") } };
    let others = doc! { "$filter": { "input": waiting, "as": "entry", "cond": { "$not": [{ "$in": [what("entry"), renewed] }] } } };
    let all = doc! { "$slice": [{ "$concatArrays": [others, "$$added"] }, -most] };
    doc! { "$let": { "vars": { "added": entries }, "in": all } }
}

/// `mail` with the entry that is due for longest marked as taken and due at `until`; of several the first.
pub(super) fn taken(taking: Uuid, until: Timestamp) -> Document {
    let first_due = doc! { "$indexOfArray": [each("dueAt"), { "$min": each("dueAt") }] };
    doc! {
        "$let": {
            "vars": { "first": { "$arrayElemAt": [each("id"), first_due] } },
            "in": changed(doc! { "$eq": ["$$entry.id", "$$first"] }, doc! { "dueAt": date(until), "taking": taking }),
        },
    }
}

/// `mail` with one entry due at `until`, and all else of it as in `mail`.
pub(super) fn postponed(mail: &DueMail, until: Timestamp) -> Document {
    let mut fields = progress(mail);
    fields.extend(doc! { "dueAt": date(until), "attempts": literal(i64::from(mail.attempts)) });
    changed(is_entry(mail.id), fields)
}

/// `mail` with the entry of a mail that has begun.
pub(super) fn begun(mail: &DueMail) -> Document {
    changed(is_entry(mail.id), progress(mail))
}

/// How far a mail has got with its token.
fn progress(mail: &DueMail) -> Document {
    doc! { "begun": mail.begun.map_or(Bson::Null, |hash| token_key(hash).into()), "unsettled": literal(i64::from(mail.unsettled)) }
}

/// `mail` without an entry.
pub(super) fn without(id: MailId) -> Document {
    doc! { "$filter": { "input": array("mail"), "as": "entry", "cond": { "$not": [is_entry(id)] } } }
}

fn is_entry(id: MailId) -> Document {
    doc! { "$eq": ["$$entry.id", mail_key(id)] }
}

fn changed(is_meant: Document, fields: Document) -> Document {
    let with_fields = doc! { "$mergeObjects": ["$$entry", fields] };
    doc! { "$map": { "input": array("mail"), "as": "entry", "in": { "$cond": [is_meant, with_fields, "$$entry"] } } }
}

/// The update that gives `mail` a value, with its summary.
pub(super) fn set_mail(value: Document) -> Vec<Document> {
    vec![doc! { "$set": { "mail": value } }, summary()]
}

/// The last stage of an update that changes `mail`.
pub(super) fn summary() -> Document {
    doc! { "$set": { "mailDueAt": { "$ifNull": [{ "$min": each("dueAt") }, "$$REMOVE"] }, "mailCount": { "$size": "$mail" } } }
}

/// One field of all entries. A path through the array, `$mail.dueAt`, means the same, but not to every compatible server.
fn each(field: &str) -> Document {
    doc! { "$map": { "input": array("mail"), "as": "entry", "in": format!("$$entry.{field}") } }
}
