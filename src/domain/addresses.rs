//! The addresses of an account: the one that logs in, the one it wants to move to, and those that are a way back.
//!
//! What a step makes of them is decided here, for both stores; a store only makes sure that nothing has changed meanwhile.

use super::{Email, EmailKey, MailPurpose, Timestamp};

/// Verified addresses that an account once had.
pub const MAX_RECOVERY_ADDRESSES: usize = 3;
/// How long they are a way back after the latest change.
pub const RECOVERY_MILLIS: i64 = 7 * Timestamp::DAY_MILLIS;
/// How much later than their end they are forgotten where nobody else wants them: a clock that is ahead for a while must not have
/// somebody lose the way back for good.
pub const RECOVERY_GRACE_MILLIS: i64 = 30 * Timestamp::DAY_MILLIS;

/// Where a verified account wants to move. It is a note and no key: it opens nothing, and others may have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEmail {
    /// The address.
    pub address: Email,
    /// When the note ends.
    pub until: Timestamp,
}

/// Names the one link that an address gets: its token is derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub [u8; 16]);

/// An address that the account had and had verified. It logs in nobody, but may set a new password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryAddress {
    /// The address.
    pub address: Email,
    /// Names its link, which is the same in every mail to it.
    pub link: LinkId,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The one that logs in; empty where an account has lost its own.
    pub email: Email,
    /// Whether its owner has used a link sent there.
    pub is_verified: bool,
    /// Where the account wants to move.
    pub pending: Option<PendingEmail>,
    /// The ways back, oldest first.
    pub recovery: Vec<RecoveryAddress>,
    /// When all of them end.
    pub recovery_until: Option<Timestamp>,
}

/// What a request to change the address does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It is the present one: only the note of another one ends.
    Stay,
    /// The address counts at once, unverified.
    AtOnce,
    /// The address is noted until its link is used.
    ByLink,
}

/// Why an address cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveRefusal {
    /// It is a way back to this account, which only a reset goes.
    OwnRecovery,
    /// Another change would displace a way back.
    TooMany,
    /// Whoever asks has not shown who they are.
    Unproven,
}

impl LinkId {
    /// A new one from the system's generator.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl Addresses {
    /// An address alone.
    #[must_use]
    pub fn only(email: Email, is_verified: bool) -> Self {
        Self { email, is_verified, pending: None, recovery: Vec::new(), recovery_until: None }
    }

    /// The same without what is past its time.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Self {
        let mut live = self.clone();
        live.pending = live.pending.filter(|pending| now < pending.until);
        if live.recovery_until.is_none_or(|until| until <= now) {
            live.recovery.clear();
            live.recovery_until = None;
        }
        live
    }

    /// The keys that nobody else can have, the present address first.
    #[must_use]
    pub fn keys(&self) -> Vec<EmailKey> {
        let present = Some(&self.email).filter(|email| !email.is_empty());
        present.into_iter().chain(self.recovery.iter().map(|recovery| &recovery.address)).map(Email::key).collect()
    }

    /// Who is told of a change: the present address and the ways back, never the one to move to.
    #[must_use]
    pub fn told(&self) -> Vec<Email> {
        let present = Some(&self.email).filter(|email| !email.is_empty());
        present.into_iter().chain(self.recovery.iter().map(|recovery| &recovery.address)).cloned().collect()
    }

    /// Which links may be out: for what and to whom.
    #[must_use]
    pub fn links(&self) -> Vec<(MailPurpose, EmailKey)> {
        let verification = (!self.is_verified && !self.email.is_empty()).then(|| (MailPurpose::Verification, self.email.key()));
        let to_pending = self.pending.as_ref().map(|pending| (MailPurpose::NewAddress, pending.address.key()));
        let resets = self.keys().into_iter().map(|key| (MailPurpose::PasswordReset, key));
        let ways_back = self.recovery.iter().map(|recovery| (MailPurpose::Recovery, recovery.address.key()));
        verification.into_iter().chain(to_pending).chain(resets).chain(ways_back).collect()
    }

    /// What asking for an address means; `by_link` where a verified account moves by a link only.
    pub fn plan(&self, new: &EmailKey, by_link: bool) -> Result<Move, MoveRefusal> {
        if self.email.key() == *new {
            return Ok(Move::Stay);
        }
        if self.recovery.iter().any(|recovery| recovery.address.key() == *new) {
            return Err(MoveRefusal::OwnRecovery);
        }
        match self.is_verified && by_link {
            false => Ok(Move::AtOnce),
            true if self.recovery.len() >= MAX_RECOVERY_ADDRESSES => Err(MoveRefusal::TooMany),
            true => Ok(Move::ByLink),
        }
    }

    /// These after such a step, begun at `now`.
    #[must_use]
    pub fn moved(&self, step: Move, new: &Email, now: Timestamp) -> Self {
        let mut next = Self { pending: None, ..self.clone() };
        match step {
            Move::Stay => {}
            Move::AtOnce => (next.email, next.is_verified) = (new.clone(), false),
            Move::ByLink => {
                let until = now.plus_millis(MailPurpose::NewAddress.lifetime_millis());
                next.pending = Some(PendingEmail { address: new.clone(), until });
            }
        }
        next
    }

    /// These once the link to the noted address was used: the present one becomes the youngest way back, reached by `link`.
    pub fn confirmed(&self, link: LinkId, now: Timestamp) -> Result<Option<Self>, MoveRefusal> {
        let Some(pending) = &self.pending else { return Ok(None) };
        if self.recovery.len() >= MAX_RECOVERY_ADDRESSES {
            return Err(MoveRefusal::TooMany);
        }
        let mut next = Self { recovery: self.recovery.clone(), ..Self::only(pending.address.clone(), true) };
        if self.is_verified && !self.email.is_empty() {
            next.recovery.push(RecoveryAddress { address: self.email.clone(), link });
        }
        Ok(Some(next.prolonged(now)))
    }

    /// These once a password was set by a link to an address: it is the present one, and everything junior to it is gone.
    /// `None` when it is none of this account's.
    #[must_use]
    pub fn reset_by(&self, address: &EmailKey, now: Timestamp) -> Option<Self> {
        if self.email.key() == *address {
            return Some(Self { is_verified: true, pending: None, ..self.clone() });
        }
        let place = self.recovery.iter().position(|recovery| recovery.address.key() == *address)?;
        let seniors = self.recovery[..place].to_vec();
        Some(Self { recovery: seniors, ..Self::only(self.recovery[place].address.clone(), true) }.prolonged(now))
    }

    fn prolonged(mut self, now: Timestamp) -> Self {
        self.recovery_until = (!self.recovery.is_empty()).then(|| now.plus_millis(RECOVERY_MILLIS));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const LINK: LinkId = LinkId([7; 16]);

    fn email(name: &str) -> Email {
        Email::parse(&format!("{name}@example.com")).expect("an address")
    }

    /// A verified account that has moved by links from the first address to the last.
    fn moved_over(names: &[&str]) -> Addresses {
        let first = Addresses::only(email(names[0]), true);
        names[1..].iter().fold(first, |present, name| {
            let pending = present.moved(Move::ByLink, &email(name), NOW);
            pending.confirmed(LINK, NOW).expect("room").expect("a note")
        })
    }

    fn ways_back(addresses: &Addresses) -> Vec<&str> {
        addresses.recovery.iter().map(|recovery| recovery.address.local_part()).collect()
    }

    #[test]
    fn each_state_has_its_way_to_a_new_address() {
        let (verified, moved) = (Addresses::only(email("a"), true), moved_over(&["a", "b"]));
        let full = moved_over(&["a", "b", "c", "d"]);
        let cases = [
            (&verified, "a", true, Ok(Move::Stay)),
            (&verified, "A", true, Ok(Move::Stay)),
            (&verified, "n", true, Ok(Move::ByLink)),
            (&verified, "n", false, Ok(Move::AtOnce)),
            (&Addresses::only(email("a"), false), "n", true, Ok(Move::AtOnce)),
            (&moved, "a", true, Err(MoveRefusal::OwnRecovery)),
            (&moved, "a", false, Err(MoveRefusal::OwnRecovery)),
            (&full, "n", true, Err(MoveRefusal::TooMany)),
            (&full, "c", true, Err(MoveRefusal::OwnRecovery)),
            (&full, "d", true, Ok(Move::Stay)),
        ];
        for (present, new, by_link, expected) in cases {
            assert_eq!(present.plan(&email(new).key(), by_link), expected, "{new} {by_link}");
        }
    }

    #[test]
    fn a_change_without_a_link_leaves_no_way_back() {
        let unverified = Addresses { is_verified: false, ..moved_over(&["a", "b"]).moved(Move::ByLink, &email("p"), NOW) };
        assert_eq!(ways_back(&unverified.confirmed(LINK, NOW).expect("room").expect("a note")), ["a"], "nor one that was never verified");
        let changed = moved_over(&["a", "b"]).moved(Move::AtOnce, &email("n"), NOW);
        assert_eq!((changed.email.local_part(), changed.is_verified, ways_back(&changed)), ("n", false, vec!["a"]));
    }

    #[test]
    fn each_change_gives_all_ways_back_seven_days_again_and_none_is_displaced() {
        let pending = moved_over(&["a", "b"]).moved(Move::ByLink, &email("c"), NOW);
        let later = NOW.plus_millis(RECOVERY_MILLIS - 1);
        let next = pending.confirmed(LINK, later).expect("room").expect("a note");
        assert_eq!((ways_back(&next), next.recovery_until), (vec!["a", "b"], Some(later.plus_millis(RECOVERY_MILLIS))));
        assert!(next.at(later.plus_millis(RECOVERY_MILLIS)).recovery.is_empty());
        let full = moved_over(&["a", "b", "c", "d"]).moved(Move::ByLink, &email("e"), NOW);
        assert_eq!(full.confirmed(LINK, NOW), Err(MoveRefusal::TooMany));
    }

    #[test]
    fn a_reset_keeps_what_is_senior_and_ends_what_is_junior() {
        let all = moved_over(&["a", "b", "c", "d"]).moved(Move::ByLink, &email("p"), NOW);
        for (by, left) in [("a", vec![]), ("b", vec!["a"]), ("c", vec!["a", "b"]), ("d", vec!["a", "b", "c"])] {
            let next = all.reset_by(&email(by).key(), NOW).expect("one of them");
            assert_eq!((next.email.local_part(), next.is_verified, ways_back(&next), &next.pending), (by, true, left, &None));
        }
        assert_eq!(all.reset_by(&email("x").key(), NOW), None);
    }

    #[test]
    fn a_link_is_good_for_an_address_of_its_purpose_alone() {
        let all = moved_over(&["a", "b"]).moved(Move::ByLink, &email("p"), NOW);
        let links = |purpose| {
            let of_purpose = all.links().into_iter().filter(move |link| link.0 == purpose);
            of_purpose.map(|(_, address)| address.as_str()[..1].to_owned()).collect::<Vec<_>>()
        };
        assert!(links(MailPurpose::Verification).is_empty());
        assert_eq!((links(MailPurpose::NewAddress), links(MailPurpose::PasswordReset)), (vec!["p".into()], vec!["b".into(), "a".into()]));
        assert_eq!(links(MailPurpose::Recovery), ["a"]);
        let new = Addresses::only(email("a"), false);
        assert!(new.links().contains(&(MailPurpose::Verification, email("a").key())));
        assert_eq!(all.told(), [email("b"), email("a")], "never the address to move to");
    }
}
