//! What is unique of a person: user names, in use by accounts and by records that only hold them until some time, and addresses.

use std::future::Future;

use mongodb::bson::{DateTime, Document, Uuid, doc};
use serde::Deserialize;

use super::MongoStore;
use super::addresses::without_recovery;
use super::documents::{USERS, UserDocument, date, time, user_id, user_key};
use super::failure::unless_duplicate;
use super::patience::Patience;
use super::reads::page;
use crate::domain::{EmailKey, PasswordHash, Timestamp, UserId, UsernameKey};
use crate::store::{PendingRegistration, StoreError};

/// What a write gives a person, of that which nobody else may have.
pub(super) struct Claim {
    pub(super) owner: UserId,
    pub(super) username: Option<UsernameKey>,
    pub(super) email: Option<EmailKey>,
}

/// What somebody else has of a claim.
pub(super) enum Taken {
    /// The name, and perhaps the address too.
    Username,
    /// The name, which a registration has that waits.
    Pending(PendingRegistration),
    Email,
}

/// What is found after a write was refused.
enum Found {
    /// Nobody has anything of the claim.
    Nothing,
    /// What had its time; it is gone.
    Expired,
    Taken(Taken),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    #[serde(rename = "_id")]
    id: Uuid,
    username_key: String,
    email_key: String,
    recovery_until: Option<DateTime>,
    held_until: Option<DateTime>,
    password_hash: String,
    created_at: DateTime,
    /// There is one if it is a registration.
    pending_email_key: Option<String>,
}

impl Holder {
    fn as_taken(&self) -> Taken {
        if self.pending_email_key.is_none() {
            return Taken::Username;
        }
        let (id, password_hash) = (user_id(self.id), PasswordHash::new(self.password_hash.clone()));
        Taken::Pending(PendingRegistration { id, password_hash, created_at: time(self.created_at) })
    }

    /// Whether they have an address only as a way back whose time was over at `at`.
    fn has_lost(&self, address: &EmailKey, at: Timestamp) -> bool {
        self.email_key != address.as_str() && self.recovery_until.is_none_or(|until| until <= date(at))
    }
}

impl MongoStore {
    /// Inserts a person; `None` when something unique is taken.
    pub(super) async fn insert_user(&self, document: UserDocument) -> Result<Option<()>, StoreError> {
        let inserted = self
            .connection
            .write(|database| async move { unless_duplicate(database.collection(USERS).insert_one(document).await) })
            .await?;
        Ok(inserted.map(drop))
    }

    /// Does a write that a unique index refuses, which gives `None` then, until it is done or somebody is found who has what it
    /// claims. Records that held a name until `at` at most, and addresses that were ways back until then, do not count: they are
    /// removed.
    pub(super) async fn unless_taken<T, F>(
        &self,
        claim: &Claim,
        at: Timestamp,
        write: impl Fn() -> F,
    ) -> Result<Result<T, Taken>, StoreError>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        let mut patience = Patience::begin();
        loop {
            if let Some(done) = write().await? {
                return Ok(Ok(done));
            }
            match self.find_holder(claim, at).await? {
                Found::Taken(taken) => return Ok(Err(taken)),
                Found::Expired => patience.try_again(true).await?,
                Found::Nothing => patience.try_again(false).await?,
            }
        }
    }

    async fn find_holder(&self, claim: &Claim, at: Timestamp) -> Result<Found, StoreError> {
        let name = claim.username.iter().map(|name| doc! { "usernameKey": name.as_str() });
        let claimed: Vec<Document> = name.chain(claim.email.iter().map(|email| doc! { "addressKeys": email.as_str() })).collect();
        let filter = doc! { "$or": claimed, "_id": { "$ne": user_key(claim.owner) } };
        let mut options = page(Document::new(), 2)?;
        let of_name = doc! { "usernameKey": 1, "heldUntil": 1, "passwordHash": 1, "createdAt": 1, "pendingEmailKey": 1 };
        options.projection = Some(of_name.into_iter().chain(doc! { "emailKey": 1, "recoveryUntil": 1 }).collect());
        let holders: Vec<Holder> = self.find(USERS, filter, options).await?;
        let has_name = |holder: &&Holder| claim.username.as_ref().is_some_and(|name| name.as_str() == holder.username_key);
        match holders.iter().find(has_name) {
            Some(holder) if holder.held_until.is_some_and(|until| until <= date(at)) => {
                let expired = doc! { "_id": holder.id, "heldUntil": { "$lte": date(at) } };
                self.connection.write(|database| async move { database.collection::<Document>(USERS).delete_one(expired).await }).await?;
                Ok(Found::Expired)
            }
            Some(holder) => Ok(Found::Taken(holder.as_taken())),
            None => self.find_address_holder(claim, holders.first(), at).await,
        }
    }

    async fn find_address_holder(&self, claim: &Claim, holder: Option<&Holder>, at: Timestamp) -> Result<Found, StoreError> {
        let (Some(address), Some(holder)) = (&claim.email, holder) else { return Ok(Found::Nothing) };
        if !holder.has_lost(address, at) {
            return Ok(Found::Taken(Taken::Email));
        }
        let expired = doc! { "_id": holder.id, "recoveryUntil": { "$lte": date(at) } };
        self.update_user(expired, without_recovery()).await.map(|_forgotten| Found::Expired)
    }
}
