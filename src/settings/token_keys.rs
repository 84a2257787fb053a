//! The keys of the tokens: there in production, and never easy to guess.

use std::collections::HashSet;

use super::Mode;
use super::rules::Reader;

/// Shortest key of the tokens, in bytes: as long as the SHA-256 it keys (RFC 7518, 3.2).
const JWT_SECRET_MIN_BYTES: usize = 32;
/// A key with fewer different bytes was not made at random.
const JWT_SECRET_MIN_DISTINCT_BYTES: usize = 10;
/// Samples from documents that are long and varied enough to pass the rules above (RFC 7515 A.1 and the pages of jwt.io).
const JWT_SECRET_SAMPLES: [&str; 4] = [
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "change-me-to-32-random-bytes-or-more",
];

impl Reader<'_> {
    pub(super) fn jwt_secret(&mut self, mode: Mode) -> Option<String> {
        let Some(secret) = self.get("JWT_SECRET") else {
            if mode == Mode::Production {
                self.wrong_in_production(
                    "JWT_SECRET",
                    "is required in production: 32 random bytes or more, e.g. of `openssl rand -base64 48`",
                );
            }
            return None;
        };
        self.check_secret("JWT_SECRET", &secret);
        Some(secret)
    }

    pub(super) fn jwt_secret_previous(&mut self) -> Option<String> {
        let secret = self.get("JWT_SECRET_PREVIOUS")?;
        self.check_secret("JWT_SECRET_PREVIOUS", &secret);
        if self.get("JWT_SECRET").is_none() {
            self.wrong("JWT_SECRET_PREVIOUS", "needs a JWT_SECRET beside it, which signs");
        }
        Some(secret)
    }

    /// Whoever guesses a secret can be anybody, for as long as it verifies.
    fn check_secret(&mut self, variable: &'static str, secret: &str) {
        let distinct = secret.bytes().collect::<HashSet<_>>().len();
        if secret.len() < JWT_SECRET_MIN_BYTES {
            self.wrong(variable, "must be 32 bytes or more, e.g. of `openssl rand -base64 48`");
        } else if distinct < JWT_SECRET_MIN_DISTINCT_BYTES || JWT_SECRET_SAMPLES.contains(&secret) {
            self.wrong(variable, "is easy to guess: make one by `openssl rand -base64 48`");
        }
    }
}
