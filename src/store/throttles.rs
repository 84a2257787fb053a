//! What is kept of events that must not happen too often, whichever instance they come to.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::Timestamp;

/// Names one counter: a digest of what is counted and for whom, so that a copy of the store names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThrottleKey(pub [u8; 32]);

/// How often something may happen: at most `count` times within any span of `window_millis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How often; at least 1 and at most [`MAX_COUNT`](Self::MAX_COUNT).
    pub count: u32,
    /// How long the span is, in milliseconds; at least 1.
    pub window_millis: i64,
}

impl Quota {
    /// The most that a store counts exactly.
    pub const MAX_COUNT: u32 = 1_000;
}

/// One counted event, to be given back if it turns out not to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Of which counter.
    pub key: ThrottleKey,
    /// Which event of it.
    pub id: i64,
}

/// The answer of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Taking {
    /// The event, counted; or how long to wait, in milliseconds and at least 1, until it would be: waiting that long
    /// without any other event succeeds.
    pub outcome: Result<Ticket, i64>,
    /// Whether the counter's key is trusted at that time; see [`ThrottleStore::give_back`].
    pub is_trusted: bool,
}

/// Exact counters over sliding windows, shared by all instances.
///
/// Unlike elsewhere, `at` may come from a clock that runs minutes ahead of or behind the other instances': a backend with
/// a server of its own corrects it by that server's clock, so that windows end by one clock.
#[async_trait]
pub trait ThrottleStore: Send + Sync {
    /// Counts an event unless the quota is used up, in one atomic step: of any number of simultaneous events no more than
    /// the quota allows are counted. What is not counted changes nothing. One operation when counted, two when not. An
    /// earlier event that is not [credible](Timestamp::is_credible) counts as of `at`, so no wait is longer than the window.
    async fn take(&self, key: &ThrottleKey, quota: Quota, at: Timestamp) -> Result<Taking, StoreError>;

    /// Takes a counted event back; nothing when it is gone already. With `trusted_until` the key also counts as trusted
    /// until then, or longer if it already did. One operation.
    async fn give_back(&self, ticket: &Ticket, trusted_until: Option<Timestamp>) -> Result<(), StoreError>;

    /// Forgets all events of a counter; its key counts as trusted until then, or longer if it already did. One operation.
    async fn clear(&self, key: &ThrottleKey, trusted_until: Timestamp) -> Result<(), StoreError>;
}
