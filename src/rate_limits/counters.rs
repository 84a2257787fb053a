//! Counters in the store: how they are named, and what was counted and may be taken back.

use std::sync::Arc;

use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::http::ApiError;
use crate::logging;
use crate::store::{Quota, Store, StoreError, Taking, ThrottleKey, Ticket};

/// One counter of the store.
pub(super) struct Counter {
    /// What it counts, for the log.
    pub(super) name: &'static str,
    key: ThrottleKey,
    quota: Quota,
}

impl Counter {
    /// The counter of something for somebody: whom it is for are the parts together.
    pub(super) fn new(name: &'static str, quota: Quota, parts: &[&str]) -> Self {
        Self { name, key: key(name, parts), quota }
    }

    /// Counts an event.
    pub(super) async fn take(&self, store: &dyn Store, at: Timestamp) -> Result<Taking, StoreError> {
        store.take(&self.key, self.quota, at).await
    }

    /// Forgets what was counted, and trusts whom it is for until then.
    pub(super) async fn clear(&self, store: &dyn Store, trusted_until: Timestamp) -> Result<(), StoreError> {
        store.clear(&self.key, trusted_until).await
    }

    /// The refusal of an event that would be one too many.
    pub(super) fn refusal(&self, wait_millis: i64) -> ApiError {
        ApiError::rate_limited(self.name, wait_millis)
    }
}

/// Each part comes with its length, so that no two lists of parts give one key.
fn key(name: &str, parts: &[&str]) -> ThrottleKey {
    let mut digest = Sha256::new();
    for part in std::iter::once(&name).chain(parts) {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    ThrottleKey(digest.finalize().into())
}

/// What was counted for a request. It stays counted unless it is given back.
pub struct Counted {
    store: Arc<dyn Store>,
    tickets: Vec<(Ticket, Option<Timestamp>)>,
}

impl Counted {
    pub(super) fn new(store: Arc<dyn Store>, tickets: impl IntoIterator<Item = Ticket>) -> Self {
        Self { store, tickets: tickets.into_iter().map(|ticket| (ticket, None)).collect() }
    }

    /// The same, after whose giving back one counter's key counts as trusted until then.
    pub(super) fn trusting(mut self, trusted: Option<Ticket>, until: Timestamp) -> Self {
        for (_, trusted_until) in self.tickets.iter_mut().filter(|(ticket, _)| Some(*ticket) == trusted) {
            *trusted_until = Some(until);
        }
        self
    }

    /// Takes everything back, behind the answer: it has turned out not to count. What cannot be taken back stays
    /// counted until its window ends, and the log says so.
    pub fn give_back(self) {
        if !self.tickets.is_empty() {
            tokio::spawn(async move { self.give_back_now().await });
        }
    }

    /// Takes everything back before it returns.
    pub(super) async fn give_back_now(self) {
        let given_back = self.tickets.iter().map(|(ticket, trusted_until)| self.store.give_back(ticket, *trusted_until));
        for error in join_all(given_back).await.into_iter().filter_map(Result::err) {
            log::warn!(event = "count_not_given_back", error = logging::causes(&error); "a count was not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_name_one_counter() {
        let keys = [
            key("a", &[]),
            key("a", &[""]),
            key("a", &["b"]),
            key("ab", &[]),
            key("a", &["b", "c"]),
            key("a", &["bc"]),
            key("a", &["", "bc"]),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(key("a", &["b"]), key("a", &["b"]));
    }
}
