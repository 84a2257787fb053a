//! The waiting room: those whose requests wait for news of chats, and what wakes them.
//!
//! Somebody who waits holds a place here and nothing else: no thread, no connection to the database, no place among the
//! requests in work. They take their place before they look at the store, so that what happens after the look wakes them,
//! and news of what they have seen does not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::place::{Place, Seen, Subject, Waking};
use crate::domain::SessionKey;
use crate::http::{ApiError, ErrorCode};
use crate::rate_limits::PollLimits;
use crate::store::{Change, ChangeListener};

/// A place that was held for so long may be taken from a session by a newer request of its own. Clients that have gone away are
/// not always noticed, behind the Functions host never, and would keep those that came after them out; with a shorter time
/// clients that are still there could end each other's waits all the time.
const HOLD: Duration = Duration::from_secs(2);

/// The room of a process. Clones are one room.
#[derive(Clone)]
pub struct WaitingRoom(Arc<Room>);

struct Room {
    limits: PollLimits,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    by_subject: HashMap<Subject, Vec<Arc<Place>>>,
    taken: usize,
    is_closed: bool,
}

/// Somebody in the room, until it is dropped.
pub(super) struct Waiter {
    room: Arc<Room>,
    subjects: Vec<Subject>,
    place: Arc<Place>,
}

impl Room {
    /// A panic elsewhere leaves the room whole.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingRoom {
    /// An empty room.
    #[must_use]
    pub fn new(limits: PollLimits) -> Self {
        Self(Arc::new(Room { limits, places: Mutex::default() }))
    }

    /// Wakes everybody and lets nobody wait any more: the process ends.
    pub fn close(&self) {
        let mut places = self.0.places();
        places.is_closed = true;
        for place in places.by_subject.values().flatten() {
            place.wake(Waking::End);
        }
    }

    /// How many wait.
    #[must_use]
    pub fn occupancy(&self) -> usize {
        self.0.places().taken
    }

    /// Takes a place for at most so long. Refuses who has too many, and everybody when the room is full. The oldest place of a
    /// session that has too many may be taken from it.
    pub(super) fn enter(&self, key: SessionKey, seen: Seen, time: Duration) -> Result<Waiter, ApiError> {
        let mut places = self.0.places();
        places.make_room(&self.0.limits, &key)?;
        let (subjects, place) = (seen.subjects(key.user), Arc::new(Place::new(key, seen, time)));
        if places.is_closed {
            place.wake(Waking::End);
        }
        for subject in &subjects {
            places.by_subject.entry(*subject).or_default().push(Arc::clone(&place));
        }
        places.taken += 1;
        Ok(Waiter { room: Arc::clone(&self.0), subjects, place })
    }
}

impl ChangeListener for WaitingRoom {
    fn is_waiting(&self) -> bool {
        self.0.places().taken > 0
    }

    fn notice(&self, change: &Change) {
        let places = self.0.places();
        match change {
            Change::Chat(progress) => {
                let [low, high] = progress.chat.members();
                for place in places.at([Subject::Chat(progress.chat), Subject::Person(low), Subject::Person(high)]) {
                    place.hear(progress);
                }
            }
            Change::Access(user) => {
                places.at([Subject::Person(*user)]).for_each(|place| place.wake(Waking::Look));
                places.at([Subject::Peer(*user)]).for_each(|place| place.wake(Waking::LastLook));
            }
        }
    }
}

impl Places {
    fn at<const N: usize>(&self, subjects: [Subject; N]) -> impl Iterator<Item = &Arc<Place>> {
        subjects.into_iter().filter_map(|subject| self.by_subject.get(&subject)).flatten()
    }

    fn make_room(&self, limits: &PollLimits, key: &SessionKey) -> Result<(), ApiError> {
        let own: Vec<&Arc<Place>> = self.at([Subject::Person(key.user)]).filter(|place| !place.is_leaving()).collect();
        let (of_session, now) = (own.iter().filter(|place| place.key == *key), Instant::now());
        let oldest = of_session.clone().min_by_key(|place| place.since).filter(|_| of_session.count() >= limits.per_session);
        if let Some(oldest) = oldest
            && now < oldest.since + HOLD
        {
            return Err(refusal_until("polls_of_session", oldest.since + HOLD));
        }
        if own.len() - usize::from(oldest.is_some()) >= limits.per_user {
            // The request that holds a place ends a moment after its time.
            let next_end = own.iter().map(|place| place.until).min().unwrap_or(now);
            return Err(refusal_until("polls_of_person", next_end + Duration::from_secs(1)));
        }
        if self.taken >= limits.in_all {
            return Err(ErrorCode::Overloaded.into());
        }
        if let Some(oldest) = oldest {
            oldest.wake(Waking::End);
        }
        Ok(())
    }
}

fn refusal_until(limit: &'static str, instant: Instant) -> ApiError {
    let wait = instant.saturating_duration_since(Instant::now());
    ApiError::rate_limited(limit, i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

impl Waiter {
    /// Waits until there is a reason not to.
    pub(super) async fn wait(&self) -> Waking {
        self.place.wait().await
    }

    /// Notes what has been seen by a further look. What happened during it wakes again.
    pub(super) fn note(&self, seen: Seen) {
        self.place.note(seen);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut places = self.room.places();
        for subject in &self.subjects {
            if let Some(here) = places.by_subject.get_mut(subject) {
                here.retain(|place| !Arc::ptr_eq(place, &self.place));
                if here.is_empty() {
                    places.by_subject.remove(subject);
                }
            }
        }
        places.taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::SeenChats;
    use super::*;
    use crate::domain::{ChatId, SessionId, UserId};
    use crate::store::ChatProgress;

    const LIMITS: PollLimits = PollLimits { per_session: 2, per_user: 3, in_all: 5 };
    const LONG: Duration = Duration::from_secs(25);

    struct Pair {
        ann: SessionKey,
        bob: SessionKey,
        chat: ChatId,
    }

    impl Pair {
        fn new() -> Self {
            let (ann, bob) = (session_of(UserId::generate()), session_of(UserId::generate()));
            Self { ann, bob, chat: ChatId::between(ann.user, bob.user).expect("two people") }
        }

        fn messages(&self, up_to: u64) -> Seen {
            Seen::Messages { chat: self.chat, up_to }
        }

        fn progress(&self, last_seq: u64, read_seqs: [u64; 2]) -> ChatProgress {
            ChatProgress { chat: self.chat, last_seq, read_seqs }
        }
    }

    fn session_of(user: UserId) -> SessionKey {
        SessionKey { user, session: SessionId::generate().expect("random bytes").hash() }
    }

    fn enter(room: &WaitingRoom, key: SessionKey, seen: Seen) -> Waiter {
        room.enter(key, seen, LONG).unwrap_or_else(|_| panic!("there is room"))
    }

    /// What wakes them at once; `None` when they wait on.
    async fn woken(waiter: &Waiter) -> Option<Waking> {
        tokio::select! {
            biased;
            waking = waiter.wait() => Some(waking),
            () = tokio::task::yield_now() => None,
        }
    }

    #[tokio::test]
    async fn news_is_what_somebody_has_not_seen() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let messages = enter(&room, pair.ann, pair.messages(5));
        let list = enter(&room, pair.bob, Seen::Conversations(SeenChats::of(pair.bob.user, &[pair.progress(5, [5, 3])])));
        let expectations = [
            (pair.progress(5, [5, 3]), None, None),
            (pair.progress(0, [0, 2]), None, None),
            (pair.progress(0, [0, 4]), None, Some(Waking::Look)),
            (pair.progress(6, [0, 6]), Some(Waking::Look), Some(Waking::Look)),
            (Pair::new().progress(9, [9, 9]), None, None),
        ];
        for (progress, of_messages, of_list) in expectations {
            room.notice(&Change::Chat(progress));
            assert_eq!((woken(&messages).await, woken(&list).await), (of_messages, of_list), "{progress:?}");
        }
    }

    #[tokio::test]
    async fn a_chat_that_is_not_on_the_list_is_news_to_its_members_only() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let (member, other) = (enter(&room, pair.ann, Seen::Conversations(SeenChats::default())), session_of(UserId::generate()));
        let other = enter(&room, other, Seen::Conversations(SeenChats::default()));
        room.notice(&Change::Chat(pair.progress(1, [1, 0])));
        assert_eq!((woken(&member).await, woken(&other).await), (Some(Waking::Look), None));
    }

    #[tokio::test]
    async fn news_between_entering_and_waiting_is_not_lost_and_what_was_seen_since_is_none() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let waiter = enter(&room, pair.ann, pair.messages(0));
        room.notice(&Change::Chat(pair.progress(1, [1, 0])));
        assert_eq!(woken(&waiter).await, Some(Waking::Look));
        waiter.note(pair.messages(1));
        room.notice(&Change::Chat(pair.progress(1, [1, 0])));
        assert_eq!(woken(&waiter).await, None);
    }

    #[tokio::test]
    async fn a_change_of_rights_wakes_the_person_and_those_who_look_at_a_chat_with_them() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let own_list = enter(&room, pair.ann, Seen::Conversations(SeenChats::default()));
        let peer_chat = enter(&room, pair.bob, pair.messages(0));
        let peer_list = enter(&room, pair.bob, Seen::Conversations(SeenChats::default()));
        room.notice(&Change::Chat(pair.progress(1, [1, 0])));
        room.notice(&Change::Access(pair.ann.user));
        assert_eq!(woken(&own_list).await, Some(Waking::Look));
        assert_eq!(woken(&peer_chat).await, Some(Waking::LastLook), "it outweighs news");
        assert_eq!(woken(&peer_list).await, Some(Waking::Look));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_time() {
        let (room, pair, begun) = (WaitingRoom::new(LIMITS), Pair::new(), Instant::now());
        assert_eq!(enter(&room, pair.ann, pair.messages(0)).wait().await, Waking::End);
        assert_eq!(begun.elapsed(), LONG);
    }

    #[tokio::test]
    async fn a_closed_room_lets_nobody_wait() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let before = enter(&room, pair.ann, pair.messages(0));
        room.close();
        let after = enter(&room, pair.bob, pair.messages(0));
        assert_eq!((woken(&before).await, woken(&after).await), (Some(Waking::End), Some(Waking::End)));
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_limited_by_session_by_person_and_in_all() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let refusal = |key: SessionKey| room.enter(key, pair.messages(0), LONG).err();
        let mut of_session = vec![enter(&room, pair.ann, pair.messages(0)), enter(&room, pair.ann, pair.messages(0))];
        let refused = refusal(pair.ann).expect("two of three places are of one session");
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::RateLimited, Some(2)), "then the oldest may be taken");
        let _of_person = enter(&room, session_of(pair.ann.user), pair.messages(0));
        tokio::time::advance(Duration::from_secs(5)).await;
        let refused = refusal(session_of(pair.ann.user)).expect("three places are of one person");
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::RateLimited, Some(21)), "the first ends in 20 seconds");
        let _others = [
            enter(&room, pair.bob, pair.messages(0)),
            enter(&room, session_of(UserId::generate()), Seen::Conversations(SeenChats::default())),
        ];
        assert_eq!(refusal(session_of(UserId::generate())).map(|refused| refused.code), Some(ErrorCode::Overloaded));
        of_session.pop();
        assert!(refusal(pair.ann).is_none(), "a place that was left is free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_has_too_many_places_gives_its_oldest_for_a_new_one() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        let first = enter(&room, pair.ann, pair.messages(0));
        tokio::time::advance(HOLD / 2).await;
        let second = enter(&room, pair.ann, pair.messages(0));
        assert!(room.enter(pair.ann, pair.messages(0), LONG).is_err(), "the first was not held for long");
        tokio::time::advance(HOLD / 2).await;
        let third = enter(&room, pair.ann, pair.messages(0));
        assert_eq!(first.wait().await, Waking::End);
        assert_eq!((woken(&second).await, woken(&third).await), (None, None));
        assert!(room.enter(pair.ann, pair.messages(0), LONG).is_err(), "one place was given, and it is taken");
    }

    #[test]
    fn who_has_left_leaves_nothing() {
        let (room, pair) = (WaitingRoom::new(LIMITS), Pair::new());
        assert!(!room.is_waiting());
        let waiters = [enter(&room, pair.ann, pair.messages(0)), enter(&room, pair.bob, Seen::Conversations(SeenChats::default()))];
        assert!(room.is_waiting());
        drop(waiters);
        assert!(!room.is_waiting());
        assert!(room.0.places().by_subject.is_empty());
    }
}
