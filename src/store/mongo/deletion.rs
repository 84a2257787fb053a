//! The end of an account, in two steps: its document becomes a record that only holds the user name; then it is taken
//! off the lists of others, which hide it from the first step on.
//!
//! `isListed` marks the record until the second step is known to be done. The upkeep of every process does that step for
//! all that are marked, so that it is made up for when a process died in between, or when somebody added a friend at the
//! same moment.

use mongodb::Database;
use mongodb::bson::{Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::connection::DEADLINE;
use super::documents::{USERS, date, user_key};
use crate::domain::{PasswordHash, Timestamp, UserId};
use crate::logging;
use crate::store::{HOLD_DELETED_NAME_MILLIS, StoreError};

/// Accounts taken off the lists of others in one round of the upkeep.
const ROUND: usize = 100;

#[derive(Deserialize)]
struct DeletedDocument {
    #[serde(rename = "_id")]
    id: Uuid,
}

impl MongoStore {
    pub(super) async fn delete(&self, user: UserId, checked: &PasswordHash, at: Timestamp) -> Result<bool, StoreError> {
        let filter = doc! { "_id": user_key(user), "passwordHash": checked.expose(), "heldUntil": null };
        if !self.change_access(user, filter, emptied(user, at)).await? {
            return Ok(false);
        }
        // The account is gone whatever becomes of this, and the upkeep does it again.
        if let Err(error) = self.connection.write(move |database| unlist(database, user_key(user))).await {
            log::warn!(event = "account_still_listed", error = logging::causes(&error); "a deleted account is still on lists of friends");
        }
        Ok(true)
    }
}

/// What becomes of an account's document.
fn emptied(user: UserId, at: Timestamp) -> Document {
    doc! {
        "$set": {
            "username": "",
            "email": "",
            "emailKey": format!("deleted:{user}"),
            "isEmailVerified": false,
            "passwordHash": "",
            "sessions": [],
            "friends": [],
            "blocks": [],
            "mailTokens": [],
            "mail": [],
            "mailCount": 0_i64,
            "heldUntil": date(at.plus_millis(HOLD_DELETED_NAME_MILLIS)),
            "isListed": true,
        },
        "$unset": { "addressKeys": "", "pendingEmail": "", "recovery": "", "recoveryUntil": "", "mailDueAt": "", "messagesFrom": "", "lastLogin": "", "lastSeen": "" },
    }
}

async fn unlist(database: Database, user: Uuid) -> mongodb::error::Result<()> {
    let users = database.collection::<Document>(USERS);
    users.update_many(doc! { "friends.id": user }, doc! { "$pull": { "friends": { "id": user } } }).await.map(drop)
}

/// Takes deleted accounts off the lists of others, at most [`ROUND`] of them.
pub(super) async fn finish_deletions(database: Database) -> mongodb::error::Result<()> {
    let deleted = database.collection::<DeletedDocument>(USERS);
    for _ in 0..ROUND {
        let marked = deleted.find_one(doc! { "isListed": true }).projection(doc! { "_id": 1 }).max_time(DEADLINE).await?;
        let Some(DeletedDocument { id }) = marked else { break };
        unlist(database.clone(), id).await?;
        deleted.update_one(doc! { "_id": id }, doc! { "$unset": { "isListed": "" } }).await?;
    }
    Ok(())
}
