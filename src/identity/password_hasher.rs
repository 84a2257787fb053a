//! Password hashing: argon2id, as many at once as there are cores, with a bounded queue before it.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Params, Version, password_hash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hashing_threads::{HashingThreads, Memory, Reserved};
use super::password_strength::is_guessable;
use super::waiting::Waiting;
use crate::domain::{Invalid, Net, Password, PasswordHash};
use crate::http::{ApiError, ErrorCode};

/// Hashes that may wait for a core; further ones are refused.
const MAX_WAITING: usize = 64;
/// How long a hash may wait for a core.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// More hashes at once than this would only take memory from each other.
const MAX_AT_ONCE: usize = 4;
/// Salt and hash lengths in bytes (RFC 9106, 4).
const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

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

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Too many hashes are waiting.
    #[error("too many password hashes are waiting")]
    Overloaded,
    /// The password may not be set.
    #[error("is too easy to guess; use several unrelated words")]
    TooCommon,
    /// The hash function or the system's generator failed.
    #[error("hashing a password failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl HashingError {
    /// The failure that a client is told, in whose request the password stands in `field`.
    #[must_use]
    pub fn in_field(self, field: &'static str) -> ApiError {
        match self {
            Self::Overloaded => ErrorCode::Overloaded.into(),
            Self::TooCommon => ApiError { code: ErrorCode::PasswordTooCommon, ..ApiError::field(field, self.to_string()) },
            Self::Failed(cause) => ApiError::caused(ErrorCode::Internal, cause),
        }
    }
}

impl From<HashingError> for ApiError {
    fn from(error: HashingError) -> Self {
        error.in_field("password")
    }
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

/// How many hashes there are at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingLoad {
    /// Those that are being computed.
    pub running: usize,
    /// Those that wait for a core.
    pub waiting: usize,
}

/// Hashes and checks passwords. Clones share the limits.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    min_chars: usize,
    /// Checked when there is no account, so that an unknown one costs the same as a wrong password.
    dummy: PasswordHash,
    threads: HashingThreads,
    admitted: Arc<Semaphore>,
    waiting: Waiting,
}

impl PasswordHasher {
    /// A hasher for one process, with so many hashes at most that wait for one net. Costs no hash: the dummy is made of
    /// random bytes.
    pub fn new(cost: PasswordCost, min_chars: usize, max_waiting_per_net: usize) -> Result<Self, HashingError> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(OUTPUT_BYTES)).map_err(failed)?;
        let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
        Ok(Self {
            dummy: dummy_hash(&params)?,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            min_chars,
            threads: HashingThreads::start(at_once).map_err(failed)?,
            admitted: Arc::new(Semaphore::new(at_once + MAX_WAITING)),
            waiting: Waiting::new(max_waiting_per_net),
        })
    }

    /// How many hashes there are.
    #[must_use]
    pub fn load(&self) -> HashingLoad {
        let running = self.threads.busy();
        let admitted = self.threads.count() + MAX_WAITING - self.admitted.available_permits();
        // The two are not read in one moment.
        HashingLoad { running, waiting: admitted.saturating_sub(running) }
    }

    /// Reads a password that is to be set: [`Password::parse`] and the shortest length.
    pub fn read_new(&self, text: &str) -> Result<Password, Invalid> {
        let password = Password::parse(text)?;
        if password.expose().chars().count() < self.min_chars {
            return Err(Invalid(format!("must be at least {} characters", self.min_chars)));
        }
        Ok(password)
    }

    /// Hashes a password that is to be set; refuses a guessable one. `personal` are words that an attacker knows, `net` is
    /// where the request comes from.
    pub async fn hash(&self, password: Password, personal: Vec<String>, net: Net) -> Result<PasswordHash, HashingError> {
        let this = self.clone();
        self.run(
            net,
            move |memory| {
                if is_guessable(&password, &personal) { Err(HashingError::TooCommon) } else { this.hash_now(&password, memory) }
            },
        )
        .await?
    }

    /// Checks a password against the stored hash, or against the dummy when there is none. Costs one hash either way.
    pub async fn verify(&self, password: Password, stored: Option<PasswordHash>, net: Net) -> Result<Verification, HashingError> {
        let this = self.clone();
        self.run(net, move |memory| this.verify_now(&password, stored.as_ref(), memory)).await?
    }

    async fn run<T: Send + 'static>(&self, net: Net, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Result<T, HashingError> {
        let (thread, place) = self.admit(net).await?;
        let result = thread.run(move |memory| {
            // Its place is taken as long as it works.
            let _place = place;
            work(memory)
        });
        result.await.ok_or_else(|| failed("the hash function panicked"))
    }

    async fn admit(&self, net: Net) -> Result<(Reserved, OwnedSemaphorePermit), HashingError> {
        let place = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_full| HashingError::Overloaded)?;
        if let Some(thread) = self.threads.try_reserve() {
            return Ok((thread, place));
        }
        let _waiting = self.waiting.begin(net).ok_or(HashingError::Overloaded)?;
        let thread = tokio::time::timeout(MAX_WAIT, self.threads.reserve()).await;
        thread.ok().flatten().map(|thread| (thread, place)).ok_or(HashingError::Overloaded)
    }

    fn hash_now(&self, password: &Password, memory: &mut Memory) -> Result<PasswordHash, HashingError> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(failed)?;
        let params = self.argon2.params();
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).map_err(failed)?,
            salt: Some(Salt::new(&salt).map_err(failed)?),
            hash: Some(derive(&self.argon2, password, &salt, memory).map_err(failed)?),
        };
        Ok(PasswordHash::new(phc.to_string()))
    }

    fn verify_now(&self, password: &Password, stored: Option<&PasswordHash>, memory: &mut Memory) -> Result<Verification, HashingError> {
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
        let renewed = if self.is_current(&stored) { None } else { Some(self.hash_now(password, memory)?) };
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
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    derive(&argon2, password, salt, memory).is_ok_and(|output| output == *expected)
}

fn derive(argon2: &Argon2, password: &Password, salt: &[u8], memory: &mut Memory) -> password_hash::Result<Output> {
    let params = argon2.params();
    let mut output = vec![0; params.output_len().unwrap_or(OUTPUT_BYTES)];
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, &mut output, memory.blocks(params.block_count()))?;
    Ok(Output::new(&output)?)
}

/// A well-formed hash that no password has.
fn dummy_hash(params: &Params) -> Result<PasswordHash, HashingError> {
    use base64::Engine as _;
    let mut random = [0; SALT_BYTES + OUTPUT_BYTES];
    getrandom::fill(&mut random).map_err(failed)?;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let (salt, output) = random.split_at(SALT_BYTES);
    Ok(PasswordHash::new(format!("$argon2id$v=19$m={},t={},p=1${}${}", params.m_cost(), params.t_cost(), encode(salt), encode(output))))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HashingError {
    HashingError::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "tulip-gravel-onion";
    const NET: Net = Net::Unknown;

    fn hasher(cost: PasswordCost) -> PasswordHasher {
        PasswordHasher::new(cost, 8, 4).expect("a hasher")
    }

    fn password(text: &str) -> Password {
        Password::parse(text).expect("within the limits")
    }

    async fn hash_of(hasher: &PasswordHasher, text: &str) -> PasswordHash {
        hasher.hash(password(text), Vec::new(), NET).await.expect("a hash")
    }

    fn reserve_all(hasher: &PasswordHasher) -> Vec<Reserved> {
        std::iter::from_fn(|| hasher.threads.try_reserve()).collect()
    }

    #[test]
    fn a_new_password_has_enough_characters_not_bytes() {
        let hasher = hasher(PasswordCost::LOWEST);
        assert!(hasher.read_new("ж7#Qю2я").is_err());
        assert!(hasher.read_new("ж7#Qю2яя").is_ok());
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_the_promised_parameters() {
        let hash = hash_of(&hasher(PasswordCost::LOWEST), GOOD).await;
        let parts: Vec<_> = hash.expose().split('$').collect();
        assert_eq!(parts[1..4], ["argon2id", "v=19", "m=19456,t=2,p=1"]);
        assert_eq!((parts[4].len(), parts[5].len()), (22, 43), "16 and 32 bytes in base64");
    }

    #[tokio::test]
    async fn only_the_very_password_is_right() {
        let hasher = hasher(PasswordCost::LOWEST);
        let long = format!("{}x", "tulip gravel onion kettle ".repeat(5).chars().take(127).collect::<String>());
        let other = format!("{}y", &long[..127]);
        let hash = hash_of(&hasher, &long).await;
        assert!(matches!(hasher.verify(password(&long), Some(hash.clone()), NET).await, Ok(Verification::Right(None))));
        assert!(matches!(hasher.verify(password(&other), Some(hash), NET).await, Ok(Verification::Wrong)));
    }

    #[tokio::test]
    async fn an_outdated_hash_is_renewed_with_todays_parameters() {
        let today = hasher(PasswordCost { passes: 3, ..PasswordCost::LOWEST });
        let old = hash_of(&hasher(PasswordCost::LOWEST), GOOD).await;
        let Ok(Verification::Right(Some(renewed))) = today.verify(password(GOOD), Some(old), NET).await else { panic!("not renewed") };
        assert!(renewed.expose().contains("t=3"));
        assert!(matches!(today.verify(password(GOOD), Some(renewed), NET).await, Ok(Verification::Right(None))));
    }

    #[tokio::test]
    async fn nothing_is_right_without_a_usable_hash() {
        let hasher = hasher(PasswordCost::LOWEST);
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
            assert!(matches!(hasher.verify(password(GOOD), stored, NET).await, Ok(Verification::Wrong)));
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_hashes_are_refused_at_once() {
        let hasher = hasher(PasswordCost::LOWEST);
        let everything = u32::try_from(hasher.admitted.available_permits()).expect("few");
        let _taken = Arc::clone(&hasher.admitted).acquire_many_owned(everything).await.expect("open");
        assert!(matches!(hasher.verify(password(GOOD), None, NET).await, Err(HashingError::Overloaded)));
    }

    #[tokio::test]
    async fn only_4_hashes_wait_for_one_net_and_others_wait_beside_them() {
        let hasher = hasher(PasswordCost::LOWEST);
        let taken = reserve_all(&hasher);
        let other = Net::of(std::net::Ipv4Addr::LOCALHOST.into());
        let mut waiting: Vec<_> = [NET, NET, NET, NET, other].map(|net| Box::pin(hasher.verify(password(GOOD), None, net))).into();
        for waiting in &mut waiting {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        assert!(matches!(hasher.verify(password(GOOD), None, NET).await, Err(HashingError::Overloaded)));
        drop(taken);
        assert!(futures_util::future::join_all(waiting).await.iter().all(Result::is_ok));
        assert!(hasher.verify(password(GOOD), None, NET).await.is_ok(), "whoever waits no more takes no place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hash_waits_3_seconds_for_a_core_at_most() {
        let hasher = hasher(PasswordCost::LOWEST);
        let _taken = reserve_all(&hasher);
        let begun = tokio::time::Instant::now();
        assert!(matches!(hasher.verify(password(GOOD), None, NET).await, Err(HashingError::Overloaded)));
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
