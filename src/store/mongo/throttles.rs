//! Shared counters in MongoDB.
//!
//! A counter is one document with its newest hits, latest first, so that the place of a hit says whether a quota of any
//! size is used up. A refused event finds no document to change and tries to insert one, which the key forbids.

use async_trait::async_trait;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{THROTTLES, date, time};
use super::failure::unless_duplicate;
use super::patience::Patience;
use crate::domain::Timestamp;
use crate::store::{Quota, StoreError, Taking, ThrottleKey, ThrottleStore, Ticket};

/// Attempts at a write that collides with the creation of its counter. One collision is all that can be expected.
const MAX_ATTEMPTS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CounterDocument {
    /// Latest first.
    #[serde(default)]
    hits: Vec<HitDocument>,
    trusted_until: Option<DateTime>,
}

#[derive(Deserialize)]
struct HitDocument {
    at: DateTime,
}

#[async_trait]
impl ThrottleStore for MongoStore {
    async fn take(&self, key: &ThrottleKey, quota: Quota, at: Timestamp) -> Result<Taking, StoreError> {
        let at = self.connection.clock.correct(at);
        let mut patience = Patience::begin();
        loop {
            let ticket = Ticket { key: *key, id: random_id()? };
            if let Some(before) = self.count_hit(&ticket, quota, at).await? {
                return Ok(Taking { outcome: Ok(ticket), is_trusted: before.is_some_and(|counter| counter.is_trusted(at)) });
            }
            let found: Option<CounterDocument> =
                self.find_one(THROTTLES, doc! { "_id": counter_key(key) }, doc! { "hits": 1, "trustedUntil": 1 }).await?;
            if found.as_ref().is_some_and(|counter| counter.has_hit_ahead(at)) {
                self.restamp_hits(key, at).await?;
                patience.try_again(true).await?;
                continue;
            }
            // Otherwise the collision was with the first hit of all, or a hit was given back meanwhile.
            if let Some((counter, wait)) = found.and_then(|counter| counter.wait_millis(quota, at).map(|wait| (counter, wait))) {
                return Ok(Taking { outcome: Err(wait), is_trusted: counter.is_trusted(at) });
            }
            patience.try_again(false).await?;
        }
    }

    async fn give_back(&self, ticket: &Ticket, trusted_until: Option<Timestamp>) -> Result<(), StoreError> {
        let mut update = doc! { "$pull": { "hits": { "id": ticket.id } } };
        if let Some(until) = trusted_until {
            update.insert("$max", self.trust(until));
        }
        self.update_counter(&ticket.key, update, trusted_until.is_some()).await
    }

    async fn clear(&self, key: &ThrottleKey, trusted_until: Timestamp) -> Result<(), StoreError> {
        self.update_counter(key, doc! { "$set": { "hits": [] }, "$max": self.trust(trusted_until) }, true).await
    }
}

impl MongoStore {
    /// What a counter keeps of its trust, by the server's clock.
    fn trust(&self, until: Timestamp) -> Document {
        let until = date(self.connection.clock.correct(until));
        doc! { "trustedUntil": until, "expiresAt": until }
    }

    /// Has the hits that lie too far ahead count as of now, so that they keep nobody waiting for longer than their window.
    async fn restamp_hits(&self, key: &ThrottleKey, at: Timestamp) -> Result<(), StoreError> {
        let (filter, update) = (doc! { "_id": counter_key(key) }, doc! { "$set": { "hits.$[ahead].at": date(at) } });
        let ahead = doc! { "ahead.at": { "$gt": date(Timestamp::latest_credible(at)) } };
        self.connection
            .write(|database| async move {
                database.collection::<Document>(THROTTLES).update_one(filter, update).array_filters([ahead]).await
            })
            .await
            .map(drop)
    }

    /// Changes a counter. Trust outlives the hits, and with them perhaps the counter, so with `creates` it is made anew.
    async fn update_counter(&self, key: &ThrottleKey, update: Document, creates: bool) -> Result<(), StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let (filter, update) = (doc! { "_id": counter_key(key) }, update.clone());
            let written = self
                .connection
                .write(move |database| async move {
                    let counters = database.collection::<Document>(THROTTLES);
                    unless_duplicate(counters.update_one(filter, update).upsert(creates).await)
                })
                .await?;
            if written.is_some() {
                return Ok(());
            }
        }
        Err(StoreError::outcome_unknown("a counter could not be written"))
    }

    /// Adds a hit unless the quota is used up, and gives the counter as it was before, if it was; `None` when nothing was
    /// added, because the quota is used up or another first hit was faster.
    async fn count_hit(&self, ticket: &Ticket, quota: Quota, at: Timestamp) -> Result<Option<Option<CounterDocument>>, StoreError> {
        // Absent or old: the quota's last place is free.
        let last_place = format!("hits.{}.at", quota.count - 1);
        let counted_since = date(at.plus_millis(-quota.window_millis));
        let filter = doc! { "_id": counter_key(&ticket.key), last_place: { "$not": { "$gt": counted_since } } };
        let hit = doc! { "at": date(at), "id": ticket.id };
        let update = doc! {
            "$push": { "hits": { "$each": [hit], "$sort": { "at": -1 }, "$slice": i64::from(quota.count) } },
            "$max": { "expiresAt": date(at.plus_millis(quota.window_millis)) },
        };
        self.connection
            .write(|database| async move {
                let counters = database.collection::<CounterDocument>(THROTTLES);
                let update = counters.find_one_and_update(filter, update).upsert(true).return_document(ReturnDocument::Before);
                unless_duplicate(update.projection(doc! { "trustedUntil": 1 }).await)
            })
            .await
    }
}

impl CounterDocument {
    fn is_trusted(&self, at: Timestamp) -> bool {
        self.trusted_until.is_some_and(|until| at < time(until))
    }

    fn has_hit_ahead(&self, at: Timestamp) -> bool {
        self.hits.iter().any(|hit| !time(hit.at).is_credible(at))
    }

    /// How long until a hit would be counted; `None` when it would be at once.
    fn wait_millis(&self, quota: Quota, at: Timestamp) -> Option<i64> {
        let last_place = usize::try_from(quota.count - 1).ok()?;
        let free_at = time(self.hits.get(last_place)?.at).plus_millis(quota.window_millis);
        Some(free_at.as_millis() - at.as_millis()).filter(|wait| *wait > 0)
    }
}

fn counter_key(key: &ThrottleKey) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: key.0.to_vec() }
}

fn random_id() -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(StoreError::broken)?;
    Ok(i64::from_le_bytes(bytes))
}
