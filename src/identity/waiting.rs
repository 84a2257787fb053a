//! How many wait for each net: the queue is for all, and no client may fill it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::Net;

/// The waiting of each net; clones share the counts.
#[derive(Clone)]
pub(super) struct Waiting {
    counts: Arc<Mutex<HashMap<Net, usize>>>,
    max_per_net: usize,
}

/// One that waits; dropped when it need not any more.
pub(super) struct Place {
    waiting: Waiting,
    net: Net,
}

impl Waiting {
    pub(super) fn new(max_per_net: usize) -> Self {
        Self { counts: Arc::default(), max_per_net }
    }

    /// Takes a place; `None` when as many wait for the net already as may.
    pub(super) fn begin(&self, net: Net) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&net).copied().unwrap_or_default();
        if count >= self.max_per_net {
            return None;
        }
        counts.insert(net, count + 1);
        Some(Place { waiting: self.clone(), net })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.net) {
            Some(count) if *count > 1 => *count -= 1,
            // Nets are forgotten with their last place, so that the map holds no more than wait.
            _ => drop(counts.remove(&self.net)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_net_has_so_many_places_and_is_forgotten_with_the_last() {
        let waiting = Waiting::new(2);
        let nets = ["192.0.2.1", "192.0.2.2"].map(|text| Net::of(text.parse().expect("an address")));
        let places: Vec<_> = nets.iter().flat_map(|net| [waiting.begin(*net), waiting.begin(*net)]).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(nets.iter().all(|net| waiting.begin(*net).is_none()));
        drop(places);
        assert!(waiting.counts.lock().expect("no panic").is_empty());
        assert!(waiting.begin(nets[0]).is_some());
    }
}
