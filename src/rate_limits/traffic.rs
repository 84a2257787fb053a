//! Limits on plain traffic, in the memory of this process: they protect the process and cost no write.
//!
//! Each payer has a bucket per kind of traffic, which governor's GCRA fills evenly. All buckets share one table of bounded
//! size, which sheds the one that was not used for longest: callers who come once cannot push out one who keeps coming.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use lru::LruCache;

use super::limit_settings::{Bucket, LimitSettings};
use crate::domain::{Net, UserId};
use crate::http::Traffic;

/// Buckets remembered at once. One that was shed is full again.
const MAX_BUCKETS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(100_000 - 1);

/// On whose account a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// Somebody with a genuine token.
    User(UserId),
    /// Whoever comes from there.
    Net(Net),
}

/// How a payer stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The kind of traffic.
    pub traffic: Traffic,
    /// The whole bucket.
    pub bucket: Bucket,
    /// Requests that would pass at once.
    pub left: u32,
    /// When the bucket is full again if nothing is taken, at the latest.
    pub full_in: Duration,
    /// How long to wait, for a request that was refused: waiting that long succeeds.
    pub wait: Option<Duration>,
}

/// The buckets of all payers.
pub(super) struct TrafficLimits<C: Clock = MonotonicClock> {
    send: Limiter<C>,
    read: Limiter<C>,
    search: Limiter<C>,
    anonymous: Limiter<C>,
}

impl<C: Clock + Clone> TrafficLimits<C> {
    pub(super) fn new(settings: &LimitSettings, clock: &C) -> Self {
        let table = Table(Arc::new(Mutex::new(LruCache::sparse(MAX_BUCKETS))));
        let limiter = |traffic, bucket| Limiter::new(traffic, bucket, table.clone(), clock.clone());
        Self {
            send: limiter(Traffic::Send, settings.send),
            read: limiter(Traffic::Read, settings.read),
            search: limiter(Traffic::Search, settings.search),
            anonymous: limiter(Traffic::Anonymous, settings.anonymous),
        }
    }

    /// Takes a request out of a bucket, if there is one in it.
    pub(super) fn take(&self, traffic: Traffic, payer: Payer) -> Standing {
        match traffic {
            Traffic::Send => &self.send,
            Traffic::Read => &self.read,
            Traffic::Search => &self.search,
            Traffic::Anonymous => &self.anonymous,
        }
        .take(payer)
    }
}

type Key = (Traffic, Payer);

struct Limiter<C: Clock> {
    traffic: Traffic,
    bucket: Bucket,
    quota: Quota,
    governor: RateLimiter<Key, Table, C, StateInformationMiddleware>,
}

impl<C: Clock> Limiter<C> {
    fn new(traffic: Traffic, bucket: Bucket, table: Table, clock: C) -> Self {
        let quota = quota_of(bucket);
        Self { traffic, bucket, quota, governor: RateLimiter::new(quota, table, clock) }
    }

    fn take(&self, payer: Payer) -> Standing {
        let (left, wait) = match self.governor.check_key(&(self.traffic, payer)) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.governor.clock().now()))),
        };
        let full_in = self.quota.replenish_interval() * self.bucket.count.saturating_sub(left);
        Standing { traffic: self.traffic, bucket: self.bucket, left, full_in, wait }
    }
}

/// One request each time this part of the window has passed, rounded up so that no window lets more pass.
fn quota_of(bucket: Bucket) -> Quota {
    let count = NonZeroU32::new(bucket.count).unwrap_or(NonZeroU32::MIN);
    let window_nanos = u64::try_from(bucket.window_millis).unwrap_or(0).saturating_mul(1_000_000);
    let interval = Duration::from_nanos(window_nanos.div_ceil(count.get().into()));
    Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(count)
}

/// Where governor keeps the buckets: for each the time at which it is full.
#[derive(Clone)]
struct Table(Arc<Mutex<LruCache<Key, Nanos>>>);

impl StateStore for Table {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Reading counts as use, so a caller who is refused and tries on is not forgotten either.
        let (outcome, full_at) = measure(buckets.get(key).copied())?;
        buckets.put(*key, full_at);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    fn payer(number: u32) -> Payer {
        Payer::Net(Net::of(std::net::Ipv4Addr::from(number).into()))
    }

    fn with_send(bucket: Bucket) -> (TrafficLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (TrafficLimits::new(&LimitSettings { send: bucket, ..LimitSettings::default() }, &clock), clock)
    }

    fn take(limits: &TrafficLimits<FakeRelativeClock>) -> Standing {
        limits.take(Traffic::Send, payer(1))
    }

    #[test]
    fn a_bucket_is_full_at_first_and_fills_evenly() {
        let (limits, clock) = with_send(LimitSettings::default().send);
        for left in (0..20).rev() {
            let standing = take(&limits);
            assert_eq!((standing.left, standing.wait), (left, None));
        }
        let refused = take(&limits);
        assert_eq!((refused.left, refused.wait), (0, Some(Duration::from_millis(500))));
        assert_eq!(refused.full_in, Duration::from_secs(10));
        clock.advance(Duration::from_millis(500));
        assert_eq!(take(&limits).wait, None);
        clock.advance(Duration::from_secs(10));
        assert_eq!(take(&limits).left, 19);
    }

    #[test]
    fn payers_and_kinds_of_traffic_have_buckets_of_their_own() {
        let (limits, _) = with_send(Bucket { count: 1, window_millis: 1_000 });
        let user = Payer::User(UserId::generate());
        for payer in [payer(1), payer(2), user, Payer::Net(Net::Unknown)] {
            assert_eq!(limits.take(Traffic::Send, payer).wait, None);
            assert!(limits.take(Traffic::Send, payer).wait.is_some());
            assert_eq!(limits.take(Traffic::Read, payer).wait, None);
        }
    }

    #[test]
    fn a_flood_of_callers_neither_grows_the_table_nor_resets_one_who_keeps_coming() {
        let (limits, _) = with_send(Bucket { count: 3, window_millis: 60_000 });
        for _ in 0..3 {
            assert_eq!(take(&limits).wait, None);
        }
        for number in 2..200_002 {
            assert_eq!(limits.take(Traffic::Send, payer(number)).wait, None);
            if number % 50_000 == 0 {
                assert!(take(&limits).wait.is_some(), "after {number} others");
            }
        }
        assert_eq!(limits.send.governor.into_state_store().0.lock().expect("no panic").len(), MAX_BUCKETS.get());
    }

    fn buckets() -> impl Strategy<Value = Bucket> {
        (prop_oneof![1..=50_u32, 1..=Bucket::MAX_COUNT], 1..=120_i64)
            .prop_map(|(count, seconds)| Bucket { count, window_millis: seconds * 1_000 })
    }

    /// Pauses between requests, in nanoseconds: many short ones and some long ones.
    fn pauses() -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec(prop_oneof![4 => Just(0), 4 => 0..200_000_000_u64, 1 => 0..30_000_000_000_u64], 1..200)
    }

    /// Whether at most `count + span * count / window` of the given moments lie in every span.
    fn keeps_to(bucket: Bucket, passed: &[u128]) -> bool {
        let (count, window) = (u128::from(bucket.count), u128::try_from(bucket.window_millis).expect("positive") * 1_000_000);
        (0..passed.len()).all(|first| {
            (first..passed.len()).all(|last| {
                let (number, span) = ((last - first + 1) as u128, passed[last] - passed[first]);
                number * window <= count * window + span * count
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn no_span_of_time_lets_more_pass_than_the_bucket_and_what_flows_in(bucket in buckets(), pauses in pauses()) {
            let (limits, clock) = with_send(bucket);
            let (mut now, mut passed) = (0_u128, Vec::new());
            for pause in pauses {
                clock.advance(Duration::from_nanos(pause));
                now += u128::from(pause);
                if take(&limits).wait.is_none() {
                    passed.push(now);
                }
            }
            prop_assert!(keeps_to(bucket, &passed), "{:?}", passed);
        }

        #[test]
        fn a_wait_is_just_long_enough(bucket in buckets(), pauses in pauses()) {
            let bucket = Bucket { count: bucket.count.min(40), ..bucket };
            let (limits, clock) = with_send(bucket);
            for pause in pauses {
                clock.advance(Duration::from_nanos(pause));
                let Some(wait) = take(&limits).wait else { continue };
                prop_assert!(!wait.is_zero());
                clock.advance(wait.saturating_sub(Duration::from_nanos(1)));
                prop_assert_eq!(take(&limits).wait, Some(Duration::from_nanos(1)));
                clock.advance(Duration::from_nanos(1));
                prop_assert_eq!(take(&limits).wait, None);
            }
        }

        #[test]
        fn what_is_told_of_a_bucket_is_true(bucket in buckets(), pauses in pauses()) {
            let (limits, clock) = with_send(bucket);
            for pause in pauses {
                clock.advance(Duration::from_nanos(pause));
                let Standing { left, full_in, wait, .. } = take(&limits);
                prop_assert!(left < bucket.count);
                prop_assert!(wait.is_none() || left == 0);
                if left > 0 && left < 50 {
                    let passed = (0..=left).filter(|_| take(&limits).wait.is_none()).count();
                    prop_assert_eq!(passed, left as usize);
                } else {
                    clock.advance(full_in);
                    prop_assert_eq!(take(&limits).left, bucket.count - 1);
                }
            }
        }
    }
}
