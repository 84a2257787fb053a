//! Other people as the caller sees them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Session, Timestamp, UserId};
use crate::store::Person;

/// What takes the place of the name of somebody who has deleted their account. With its space it is nobody's user name.
const DELETED_USER: &str = "deleted user";

/// Whether a person is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnlineStatus {
    /// A session of theirs was in use within the last two minutes.
    Online,
    /// None was, or it is nobody's to know.
    Offline,
}

/// Somebody else. Their address and their lists stay theirs; when they are there is for those whom they have added.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicUser {
    id: UserId,
    /// `deleted user` for somebody who has deleted their account.
    #[schema(examples("bob"))]
    username: String,
    #[serde(rename = "online_status")]
    online_status: OnlineStatus,
    #[schema(required)]
    last_seen: Option<Timestamp>,
}

impl PublicUser {
    /// The person at a moment.
    #[must_use]
    pub fn new(person: &Person, now: Timestamp) -> Self {
        let is_active = person.last_active.is_some_and(|at| at.is_credible(now) && now < at.plus_millis(Session::ONLINE_MILLIS));
        Self {
            id: person.id,
            username: person.username.as_str().to_owned(),
            online_status: if is_active && person.has_added_caller { OnlineStatus::Online } else { OnlineStatus::Offline },
            last_seen: person.last_seen.filter(|at| person.has_added_caller && at.is_credible(now)),
        }
    }

    /// Somebody whose account is gone while others still have their messages.
    #[must_use]
    pub fn deleted(id: UserId) -> Self {
        Self { id, username: DELETED_USER.to_owned(), online_status: OnlineStatus::Offline, last_seen: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Username;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn seen(idle_millis: i64, has_added_caller: bool) -> (OnlineStatus, Option<Timestamp>) {
        let active_at = NOW.plus_millis(-idle_millis);
        let username = Username::parse("ann").expect("a name");
        let person =
            Person { id: UserId::generate(), username, has_added_caller, last_active: Some(active_at), last_seen: Some(active_at) };
        let user = PublicUser::new(&person, NOW);
        (user.online_status, user.last_seen)
    }

    #[test]
    fn a_person_is_online_for_two_minutes_after_the_last_use() {
        assert_eq!(seen(119_999, true), (OnlineStatus::Online, Some(NOW.plus_millis(-119_999))));
        assert_eq!(seen(120_000, true), (OnlineStatus::Offline, Some(NOW.plus_millis(-120_000))));
    }

    #[test]
    fn nobody_was_seen_in_the_future() {
        assert_eq!(seen(-60_000, true), (OnlineStatus::Online, Some(NOW.plus_millis(60_000))), "as far as clocks differ");
        assert_eq!(seen(-60_001, true), (OnlineStatus::Offline, None));
    }

    #[test]
    fn who_was_not_added_learns_nothing() {
        assert_eq!(seen(0, false), (OnlineStatus::Offline, None));
    }
}
