//! What records of an older version lack: `addressKeys`, and a way back in place of their `previousEmail`.
//!
//! A process of that version serves nothing any more within 15 s after the index has its new definition (see `indexes`), and
//! only then nothing of the old form is written. So the first address is filled in after twice that time; first every present
//! one, then the previous ones, which yield to them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::addresses::recovery_document;
use super::documents::USERS;
use super::failure::unless_duplicate;
use crate::domain::{Email, LinkId, RecoveryAddress};

/// How long a process of an older version may still write.
const OLDER_SERVES: Duration = Duration::from_secs(30);
/// How long a look through all people may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Whether the records have their form.
#[derive(Default)]
pub(super) struct Filling {
    is_done: AtomicBool,
    /// When this process first found the indexes in place.
    since: OnceLock<Instant>,
}

/// Somebody of an older version, who had another address before.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OlderDocument {
    #[serde(rename = "_id")]
    id: Uuid,
    email: String,
    email_key: String,
    previous_email: PreviousDocument,
}

#[derive(Deserialize)]
struct PreviousDocument {
    address: String,
    until: DateTime,
}

impl Filling {
    /// Whether it was too early when it was last tried.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.get().is_some() && !self.is_done.load(Ordering::Acquire)
    }

    /// Fills in what is lacking, once; `false` as long as it is too early. Called with the indexes in place.
    pub(super) async fn make(&self, database: &Database) -> mongodb::error::Result<bool> {
        if self.is_done.load(Ordering::Acquire) {
            return Ok(true);
        }
        let since = *self.since.get_or_init(Instant::now);
        if is_lacking(database).await? {
            if since.elapsed() < OLDER_SERVES {
                return Ok(false);
            }
            fill_present(database).await?;
            fill_previous(database).await?;
        }
        self.is_done.store(true, Ordering::Release);
        Ok(true)
    }
}

fn without_keys() -> Document {
    doc! { "addressKeys": { "$exists": false }, "heldUntil": Bson::Null, "email": { "$ne": "" } }
}

fn with_previous() -> Document {
    doc! { "previousEmail": { "$exists": true } }
}

async fn is_lacking(database: &Database) -> mongodb::error::Result<bool> {
    let users = database.collection::<Document>(USERS);
    for older in [without_keys(), with_previous()] {
        if users.find_one(older).projection(doc! { "_id": 1 }).max_time(PATIENCE).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn fill_present(database: &Database) -> mongodb::error::Result<()> {
    let users = database.collection::<Document>(USERS);
    users.update_many(without_keys(), vec![doc! { "$set": { "addressKeys": ["$emailKey"] } }]).await.map(drop)
}

/// Of several accounts that had an address the one that gave it up first has it as a way back.
async fn fill_previous(database: &Database) -> mongodb::error::Result<()> {
    let older = database.collection::<OlderDocument>(USERS);
    let projection = doc! { "email": 1, "emailKey": 1, "previousEmail": 1 };
    let found = older.find(with_previous()).projection(projection).max_time(PATIENCE).await?;
    let mut found: Vec<OlderDocument> = found.try_collect().await?;
    found.sort_by_key(|older| older.previous_email.until);
    let users = database.collection::<Document>(USERS);
    for older in found {
        let unfilled = doc! { "_id": older.id, "emailKey": &older.email_key, "previousEmail": { "$exists": true } };
        let is_own = Email::from_stored(older.previous_email.address.clone()).key().as_str() == older.email_key;
        let filled = if is_own { None } else { unless_duplicate(users.update_one(unfilled.clone(), older.way_back()?).await)? };
        if filled.is_none() {
            users.update_one(unfilled, doc! { "$unset": { "previousEmail": "" } }).await?;
        }
    }
    Ok(())
}

impl OlderDocument {
    /// The update that makes the previous address a way back for as long as it would have been kept.
    fn way_back(&self) -> mongodb::error::Result<Document> {
        let link = LinkId::generate().map_err(mongodb::error::Error::custom)?;
        let recovery = recovery_document(&RecoveryAddress { address: Email::from_stored(self.previous_email.address.clone()), link });
        let key = recovery.get_str("key").unwrap_or_default().to_owned();
        let present = Some(self.email_key.clone()).filter(|_| !self.email.is_empty());
        let keys: Vec<String> = present.into_iter().chain([key]).collect();
        Ok(doc! {
            "$set": { "addressKeys": keys, "recovery": [recovery], "recoveryUntil": self.previous_email.until },
            "$unset": { "previousEmail": "" },
        })
    }
}
