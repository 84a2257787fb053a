//! Password hashing: as many hashes at once as there are cores, with a bounded queue before them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::argon2id::{Argon2id, Failure, PasswordCost, Verification};
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
    Failed(#[from] Failure),
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
    argon2id: Argon2id,
    min_chars: usize,
    threads: HashingThreads,
    admitted: Arc<Semaphore>,
    waiting: Waiting,
}

impl PasswordHasher {
    /// A hasher for one process, with so many hashes at most that wait for one net.
    pub fn new(cost: PasswordCost, min_chars: usize, max_waiting_per_net: usize) -> Result<Self, HashingError> {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_AT_ONCE);
        Ok(Self {
            argon2id: Argon2id::new(cost)?,
            min_chars,
            threads: HashingThreads::start(at_once).map_err(Failure::from)?,
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
        let argon2id = self.argon2id.clone();
        let hash = move |memory: &mut Memory| {
            if is_guessable(&password, &personal) { Err(HashingError::TooCommon) } else { Ok(argon2id.hash(&password, memory)?) }
        };
        self.run(net, hash).await?
    }

    /// Checks a password against the stored hash, or against the dummy when there is none. Costs one hash either way.
    pub async fn verify(&self, password: Password, stored: Option<PasswordHash>, net: Net) -> Result<Verification, HashingError> {
        let argon2id = self.argon2id.clone();
        Ok(self.run(net, move |memory| argon2id.verify(&password, stored.as_ref(), memory)).await??)
    }

    async fn run<T: Send + 'static>(&self, net: Net, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Result<T, HashingError> {
        let (thread, place) = self.admit(net).await?;
        let result = thread.run(move |memory| {
            // Its place is taken as long as it works.
            let _place = place;
            work(memory)
        });
        result.await.ok_or_else(|| HashingError::Failed("the hash function panicked".into()))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "tulip-gravel-onion";
    const NET: Net = Net::Unknown;

    fn hasher() -> PasswordHasher {
        PasswordHasher::new(PasswordCost::LOWEST, 8, 4).expect("a hasher")
    }

    fn password(text: &str) -> Password {
        Password::parse(text).expect("within the limits")
    }

    fn reserve_all(hasher: &PasswordHasher) -> Vec<Reserved> {
        std::iter::from_fn(|| hasher.threads.try_reserve()).collect()
    }

    #[test]
    fn a_new_password_has_enough_characters_not_bytes() {
        let hasher = hasher();
        assert!(hasher.read_new("ж7#Qю2я").is_err());
        assert!(hasher.read_new("ж7#Qю2яя").is_ok());
    }

    #[tokio::test]
    async fn beyond_the_queue_hashes_are_refused_at_once() {
        let hasher = hasher();
        let everything = u32::try_from(hasher.admitted.available_permits()).expect("few");
        let _taken = Arc::clone(&hasher.admitted).acquire_many_owned(everything).await.expect("open");
        assert!(matches!(hasher.verify(password(GOOD), None, NET).await, Err(HashingError::Overloaded)));
    }

    #[tokio::test]
    async fn only_4_hashes_wait_for_one_net_and_others_wait_beside_them() {
        let hasher = hasher();
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
        let hasher = hasher();
        let _taken = reserve_all(&hasher);
        let begun = tokio::time::Instant::now();
        assert!(matches!(hasher.verify(password(GOOD), None, NET).await, Err(HashingError::Overloaded)));
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
