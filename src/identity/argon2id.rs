//! argon2id (RFC 9106), and the form in which its hashes are stored (PHC strings).

use std::error::Error;

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Params, Version};

use super::hashing_threads::Memory;
use crate::domain::{Password, PasswordHash};

/// Salt and hash lengths in bytes (RFC 9106, 4).
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// Why a hash was not computed: the hash function or the system's generator failed.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// What one hash costs. Lanes are always 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl PasswordCost {
    /// The least that is allowed, and the default (OWASP Password Storage Cheat Sheet).
    pub const LOWEST: Self = Self { memory_kib: 19_456, passes: 2 };
    /// The most: a stored hash that asks for more is not evaluated, lest a planted one exhaust the memory.
    pub const HIGHEST: Self = Self { memory_kib: 262_144, passes: 10 };
    /// The most lanes that a stored hash may ask for.
    const MAX_LANES: u32 = 4;
}

/// What checking a password against a hash gave.
#[derive(Debug)]
#[must_use]
pub enum Verification {
    /// It is not the password, or there was nothing to check against.
    Wrong,
    /// It is the password. The hash is there when the stored one was made with other parameters than today's.
    Right(Option<PasswordHash>),
}

/// Hashes and checks passwords, on the thread that calls.
#[derive(Clone)]
pub(super) struct Argon2id {
    argon2: Argon2<'static>,
    /// Checked when there is no account, so that an unknown one costs the same as a wrong password.
    dummy: PasswordHash,
}

impl Argon2id {
    /// With today's cost. Costs no hash: the dummy is made of random bytes.
    pub(super) fn new(cost: PasswordCost) -> Result<Self, Failure> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(OUTPUT_BYTES))?;
        Ok(Self { dummy: dummy_hash(&params)?, argon2: argon2id(params) })
    }

    /// Hashes a password with a salt of its own.
    pub(super) fn hash(&self, password: &Password, memory: &mut Memory) -> Result<PasswordHash, Failure> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)?;
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(self.argon2.params())?,
            salt: Some(Salt::new(&salt)?),
            hash: Some(derive(&self.argon2, password, &salt, memory)?),
        };
        Ok(PasswordHash::new(phc.to_string()))
    }

    /// Checks a password against the stored hash, or against the dummy when there is none that may be evaluated.
    pub(super) fn verify(&self, password: &Password, stored: Option<&PasswordHash>, memory: &mut Memory) -> Result<Verification, Failure> {
        let usable = stored.and_then(|stored| Phc::new(stored.expose()).ok()).filter(is_affordable);
        if stored.is_some() && usable.is_none() {
            log::error!(event = "password_hash_unusable"; "a stored password hash is not argon2id within the allowed cost; its owner cannot log in");
        }
        let Some(stored) = usable else {
            let _always_wrong = Phc::new(self.dummy.expose()).is_ok_and(|dummy| is_hash_of(&dummy, password, memory));
            return Ok(Verification::Wrong);
        };
        if !is_hash_of(&stored, password, memory) {
            return Ok(Verification::Wrong);
        }
        let renewed = if self.is_current(&stored) { None } else { Some(self.hash(password, memory)?) };
        Ok(Verification::Right(renewed))
    }

    /// Whether a stored hash has today's parameters.
    fn is_current(&self, stored: &Phc) -> bool {
        Params::try_from(stored).is_ok_and(|params| {
            let today = self.argon2.params();
            (params.m_cost(), params.t_cost(), params.p_cost()) == (today.m_cost(), today.t_cost(), today.p_cost())
        })
    }
}

fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether a stored hash may be evaluated: ours in kind, and not above the ceiling.
fn is_affordable(stored: &Phc) -> bool {
    stored.algorithm == Ident::from(Algorithm::Argon2id)
        && stored.version == Some(Version::V0x13.into())
        && Params::try_from(stored).is_ok_and(|params| {
            let highest = PasswordCost::HIGHEST;
            params.m_cost() <= highest.memory_kib && params.t_cost() <= highest.passes && params.p_cost() <= PasswordCost::MAX_LANES
        })
}

/// Whether a hash is that of a password. Takes as long for each password: outputs are compared in constant time.
fn is_hash_of(stored: &Phc, password: &Password, memory: &mut Memory) -> bool {
    let (Some(salt), Some(expected), Ok(params)) = (&stored.salt, &stored.hash, Params::try_from(stored)) else { return false };
    derive(&argon2id(params), password, salt, memory).is_ok_and(|output| output == *expected)
}

fn derive(argon2: &Argon2, password: &Password, salt: &[u8], memory: &mut Memory) -> Result<Output, Failure> {
    let params = argon2.params();
    let mut output = vec![0; params.output_len().unwrap_or(OUTPUT_BYTES)];
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, &mut output, memory.blocks(params.block_count()))?;
    Ok(Output::new(&output)?)
}

/// A well-formed hash that no password has.
fn dummy_hash(params: &Params) -> Result<PasswordHash, Failure> {
    use base64::Engine as _;
    let mut random = [0; SALT_BYTES + OUTPUT_BYTES];
    getrandom::fill(&mut random)?;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let (salt, output) = random.split_at(SALT_BYTES);
    Ok(PasswordHash::new(format!("$argon2id$v=19$m={},t={},p=1${}${}", params.m_cost(), params.t_cost(), encode(salt), encode(output))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "tulip-gravel-onion";

    fn argon2id(cost: PasswordCost) -> Argon2id {
        Argon2id::new(cost).expect("a cost within the limits")
    }

    fn hash(argon2id: &Argon2id, text: &str) -> PasswordHash {
        argon2id.hash(&password(text), &mut Memory::default()).expect("a hash")
    }

    fn verify(argon2id: &Argon2id, text: &str, stored: Option<&PasswordHash>) -> Verification {
        argon2id.verify(&password(text), stored, &mut Memory::default()).expect("an answer")
    }

    fn password(text: &str) -> Password {
        Password::parse(text).expect("within the limits")
    }

    #[test]
    fn a_hash_is_argon2id_with_the_promised_parameters() {
        let hash = hash(&argon2id(PasswordCost::LOWEST), GOOD);
        let parts: Vec<_> = hash.expose().split('$').collect();
        assert_eq!(parts[1..4], ["argon2id", "v=19", "m=19456,t=2,p=1"]);
        assert_eq!((parts[4].len(), parts[5].len()), (22, 43), "16 and 32 bytes in base64");
    }

    #[test]
    fn only_the_very_password_is_right() {
        let argon2id = argon2id(PasswordCost::LOWEST);
        let long = format!("{}x", "tulip gravel onion kettle ".repeat(5).chars().take(127).collect::<String>());
        let other = format!("{}y", &long[..127]);
        let hash = hash(&argon2id, &long);
        assert!(matches!(verify(&argon2id, &long, Some(&hash)), Verification::Right(None)));
        assert!(matches!(verify(&argon2id, &other, Some(&hash)), Verification::Wrong));
    }

    #[test]
    fn an_outdated_hash_is_renewed_with_todays_parameters() {
        let today = argon2id(PasswordCost { passes: 3, ..PasswordCost::LOWEST });
        let old = hash(&argon2id(PasswordCost::LOWEST), GOOD);
        let Verification::Right(Some(renewed)) = verify(&today, GOOD, Some(&old)) else { panic!("not renewed") };
        assert!(renewed.expose().contains("t=3"));
        assert!(matches!(verify(&today, GOOD, Some(&renewed)), Verification::Right(None)));
    }

    #[test]
    fn nothing_is_right_without_a_usable_hash() {
        let argon2id = argon2id(PasswordCost::LOWEST);
        let salt_and_output = "c29tZXNhbHRzb21lc2FsdA$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
        let unusable = [
            None,
            Some(String::new()),
            Some("plain".to_owned()),
            Some(format!("$argon2i$v=19$m=19456,t=2,p=1${salt_and_output}")),
            Some(format!("$argon2id$v=16$m=19456,t=2,p=1${salt_and_output}")),
            Some(format!("$argon2id$v=19$m=1048576,t=2,p=1${salt_and_output}")),
            Some(format!("$argon2id$v=19$m=19456,t=100,p=1${salt_and_output}")),
        ];
        for stored in unusable {
            let stored = stored.map(PasswordHash::new);
            assert!(matches!(verify(&argon2id, GOOD, stored.as_ref()), Verification::Wrong));
        }
    }
}
