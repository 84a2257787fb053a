//! Tests that go by chance, and can be repeated.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A number of runs or trials: what a variable says, which may ask for more than an ordinary run has time for.
pub fn count(variable: &str, default: u32) -> u32 {
    std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(default)
}

/// Where chance begins, which is printed; the variable repeats it.
pub fn seed(variable: &str) -> u64 {
    let given = std::env::var(variable).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().expect("random bytes"));
    println!("{variable}={seed}");
    seed
}

/// One whose cases follow from a seed.
pub fn runner(mut config: Config, seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    config.failure_persistence = None;
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}
