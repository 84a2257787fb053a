//! Sessions: what a token stands for, and how long.

use std::fmt;

use sha2::{Digest, Sha256};

use super::hex::{Hex, parse_hex};
use super::{Timestamp, UserId};

/// The secret name of a session, carried in the token only.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 16]);

/// What a store keeps of a [`SessionId`]: its SHA-256, so that a copy of the store is not a bunch of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash([u8; 32]);

/// What a list of sessions calls one: 32 lower-case hexadecimal digits, made one-way from what the store keeps, so that
/// a list that gets into wrong hands opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicSessionId([u8; 16]);

/// Names one session of one person; every request of theirs is checked by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Whose session.
    pub user: UserId,
    /// Which one.
    pub session: SessionHash,
}

/// A session as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which session.
    pub hash: SessionHash,
    /// When its owner logged in.
    pub created_at: Timestamp,
    /// When it was last seen in use, to within [`Session::TOUCH_AFTER_MILLIS`].
    pub last_used_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The client program that logged in, as it named itself.
    pub user_agent: Option<String>,
}

impl SessionId {
    /// A new name of 128 random bits from the system's generator.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads the form that a token carries.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(|id| Self(id.into_bytes())).filter(|id| id.expose() == text)
    }

    /// The form that a token carries.
    #[must_use]
    pub fn expose(&self) -> String {
        uuid::Uuid::from_bytes(self.0).simple().to_string()
    }

    /// The form that a store keeps.
    #[must_use]
    pub fn hash(&self) -> SessionHash {
        SessionHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

impl SessionHash {
    /// The 32 bytes that stores keep.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name of the session in lists.
    #[must_use]
    pub fn public_id(self) -> PublicSessionId {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        PublicSessionId(id)
    }
}

impl PublicSessionId {
    /// Accepts the exact form that [`Display`](fmt::Display) writes and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).map(Self)
    }
}

impl fmt::Display for PublicSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl Session {
    /// A session ends after 14 days without use.
    pub const IDLE_MILLIS: i64 = 14 * Timestamp::DAY_MILLIS;
    /// A session ends after 30 days in any case.
    pub const LIFETIME_MILLIS: i64 = 30 * Timestamp::DAY_MILLIS;
    /// Sessions a person may have; a further log-in ends the least recently used one.
    pub const MAX_PER_USER: usize = 20;
    /// Use is written down when the last note of it is at least this old.
    pub const TOUCH_AFTER_MILLIS: i64 = 60_000;
    /// How long a session shows, after its beginning, that whoever uses it knows the password.
    pub const FRESH_MILLIS: i64 = 10 * 60_000;
    /// A person counts as online this long after their last use of a session.
    pub const ONLINE_MILLIS: i64 = 2 * 60_000;

    /// A session that begins now.
    #[must_use]
    pub fn begin(id: &SessionId, now: Timestamp, user_agent: Option<String>) -> Self {
        Self { hash: id.hash(), created_at: now, last_used_at: now, expires_at: now.plus_millis(Self::LIFETIME_MILLIS), user_agent }
    }

    /// Whether a request that carries this session is its owner's.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < self.last_used_at.plus_millis(Self::IDLE_MILLIS)
    }

    /// Whether the session began so lately that its user need not give the password again. One that a clock which was wrong has
    /// begun ahead of now did not.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.created_at.is_credible(now) && now < self.created_at.plus_millis(Self::FRESH_MILLIS)
    }

    /// Whether this use of the session should be written down.
    #[must_use]
    pub fn is_touch_due(&self, now: Timestamp) -> bool {
        now >= self.last_used_at.plus_millis(Self::TOUCH_AFTER_MILLIS) || !self.last_used_at.is_credible(now)
    }

    /// When those of a person's sessions count as last used whose stored use is not credible: before all the others, so that
    /// they are the first to make room. `None` when every use is credible.
    #[must_use]
    pub fn use_before_all(uses: impl IntoIterator<Item = Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let (credible, ahead): (Vec<_>, Vec<_>) = uses.into_iter().partition(|last_used_at| last_used_at.is_credible(now));
        let earliest = credible.into_iter().fold(now, Timestamp::min);
        (!ahead.is_empty()).then(|| earliest.plus_millis(-1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_after_14_idle_days_and_after_30_in_any_case() {
        let start = Timestamp::from_millis(1_000);
        let day = |days: i64| start.plus_millis(days * Timestamp::DAY_MILLIS);
        let mut session = Session::begin(&SessionId::generate().expect("random bytes"), start, None);
        assert!(session.is_live(day(14).plus_millis(-1)));
        assert!(!session.is_live(day(14)));
        session.last_used_at = day(29);
        assert!(session.is_live(day(30).plus_millis(-1)));
        assert!(!session.is_live(day(30)));
    }

    #[test]
    fn a_use_that_lies_too_far_ahead_counts_as_before_all_others() {
        let now = Timestamp::from_millis(1_000_000);
        let uses = |offsets: &[i64]| Session::use_before_all(offsets.iter().map(|offset| now.plus_millis(*offset)), now);
        assert_eq!(uses(&[0, -5_000, 60_000]), None);
        assert_eq!(uses(&[0, -5_000, 60_001]), Some(now.plus_millis(-5_001)));
        assert_eq!(uses(&[300 * Timestamp::DAY_MILLIS]), Some(now.plus_millis(-1)));
    }

    #[test]
    fn a_session_id_reads_back_what_it_writes_and_no_other_spelling() {
        let id = SessionId::generate().expect("random bytes");
        assert_eq!(SessionId::parse(&id.expose()), Some(id.clone()));
        assert_eq!(SessionId::parse(&format!("{{{}}}", id.expose())), None);
    }

    #[test]
    fn the_name_in_lists_is_neither_the_id_nor_what_is_stored() {
        let id = SessionId::generate().expect("random bytes");
        let public = id.hash().public_id();
        assert_eq!(PublicSessionId::parse(&public.to_string()), Some(public));
        assert_ne!(public.0, id.0);
        assert_ne!(public.0, id.hash().to_bytes()[..16]);
    }
}
