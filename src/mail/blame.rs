//! When the mail server itself is to blame: it refuses mail to several domains alike, and none is accepted in between.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::domain::{EmailKey, Timestamp};
use crate::store::{Quota, Store, StoreError, ThrottleKey};

/// Domains in a row that are refused alike.
const DOMAINS: usize = 3;
/// The mark in the store, which ends by itself should no mail be ordered any more.
const MARK: Quota = Quota { count: 1, window_millis: Timestamp::DAY_MILLIS };
const MARK_LABEL: &[u8] = b"mail/relay-refuses\0";

/// What was refused since the last mail that was accepted.
#[derive(Debug, Default)]
pub(super) struct Blame(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reason: String,
    domains: BTreeSet<String>,
    has_accepted: bool,
}

impl Blame {
    /// Notes a refusal; whether it is the one that puts the blame on the server.
    pub(super) fn note_refusal(&self, address: &EmailKey, reason: &str) -> bool {
        let mut state = self.state();
        if state.reason != reason {
            *state = State { reason: reason.to_owned(), domains: BTreeSet::new(), has_accepted: state.has_accepted };
        }
        let domain = address.as_str().rsplit('@').next().unwrap_or_default();
        state.domains.insert(domain.to_owned()) && state.domains.len() == DOMAINS
    }

    /// Notes that a mail was accepted; whether there may be a mark, of this process or an earlier one.
    pub(super) fn note_acceptance(&self) -> bool {
        let before = std::mem::replace(&mut *self.state(), State { has_accepted: true, ..State::default() });
        before.domains.len() >= DOMAINS || !before.has_accepted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks in the store that the mail server is to blame.
pub(super) async fn mark(store: &dyn Store, at: Timestamp) -> Result<(), StoreError> {
    store.take(&mark_key(), MARK, at).await.map(|_marked| ())
}

/// Removes the mark.
pub(super) async fn unmark(store: &dyn Store, at: Timestamp) -> Result<(), StoreError> {
    store.clear(&mark_key(), at).await
}

/// Whether a process has found within the last day that the mail server refuses mail whoever it goes to, and no mail has left since.
pub async fn is_marked(store: &dyn Store, at: Timestamp) -> Result<bool, StoreError> {
    match store.take(&mark_key(), MARK, at).await?.outcome {
        Ok(ticket) => store.give_back(&ticket, None).await.map(|()| false),
        Err(_marked) => Ok(true),
    }
}

fn mark_key() -> ThrottleKey {
    ThrottleKey(Sha256::digest(MARK_LABEL).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Email;

    #[test]
    fn three_domains_refused_alike_in_a_row_put_the_blame_on_the_server_once() {
        let blame = Blame::default();
        let refuse = |address: &str, reason: &str| blame.note_refusal(&Email::parse(address).expect("an address").key(), reason);
        assert!(blame.note_acceptance(), "an earlier process may have left a mark");
        assert!(!refuse("a@one.example", "554") && !refuse("b@One.Example", "554") && !refuse("a@two.example", "554"));
        assert!(!blame.note_acceptance());
        assert!(!refuse("a@one.example", "554") && !refuse("a@two.example", "554") && !refuse("a@three.example", "550"));
        assert!(!refuse("a@one.example", "550") && refuse("a@two.example", "550"));
        assert!(!refuse("a@four.example", "550") && !refuse("a@one.example", "550"), "once");
        assert!(blame.note_acceptance() && !blame.note_acceptance());
    }
}
