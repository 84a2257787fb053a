//! Passwords as typed and as stored. Neither can be printed.
//!
//! What makes a password good enough to be set is decided where it is hashed, in the Authentication service.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use super::Invalid;

/// A typed password in Unicode normal form C, so that one typed on another keyboard is the same password.
///
/// Nothing is trimmed, folded or cut. Normal form KC is not used: it would make different passwords equal.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

/// The encoded hash of a password (a PHC string).
#[derive(Debug, Clone)]
pub struct PasswordHash(SecretString);

impl Password {
    /// Shortest password in code points that may be set. A process may ask for more.
    pub const MIN_CHARS: usize = 8;
    /// Longest password in code points after normalisation.
    pub const MAX_CHARS: usize = 128;
    /// Longest password in bytes after normalisation.
    pub const MAX_BYTES: usize = 512;

    /// Normalises a typed password; refuses what is over either limit, or holds control characters.
    ///
    /// Text far over the limit is refused before it is normalised.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let too_long = || Invalid::new(format!("must be at most {} characters and {} bytes", Self::MAX_CHARS, Self::MAX_BYTES));
        if text.len() > 4 * Self::MAX_BYTES {
            return Err(too_long());
        }
        let normal: String = text.nfc().collect();
        if normal.len() > Self::MAX_BYTES || normal.chars().count() > Self::MAX_CHARS {
            return Err(too_long());
        }
        if normal.chars().any(char::is_control) {
            return Err(Invalid::new("must not contain control characters"));
        }
        Ok(Self(normal.into()))
    }

    /// The normalised text, to be hashed or measured and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PasswordHash {
    /// Takes a PHC string as it is; whether it can be verified is found out when it is.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc.into())
    }

    /// The PHC string, to be stored, compared or verified.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        Password::parse(text).expect("valid").expose().to_owned()
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_password() {
        assert_eq!(normal("cafe\u{301} au lait"), normal("caf\u{e9} au lait"));
    }

    #[test]
    fn nothing_is_trimmed_folded_or_made_compatible() {
        assert_eq!(normal("  Two Spaces  "), "  Two Spaces  ");
        assert_ne!(normal("ﬁsh and chips"), normal("fish and chips"));
    }

    #[test]
    fn a_password_ends_at_128_characters_and_512_bytes() {
        assert_eq!(normal(&"a".repeat(128)).len(), 128);
        assert_eq!(normal(&"😀".repeat(128)).len(), 512);
        assert!(Password::parse(&"a".repeat(129)).is_err());
        assert!(Password::parse(&"a".repeat(1_000_000)).is_err());
    }

    #[test]
    fn control_characters_are_refused() {
        for bad in ["abc\u{7}defgh", "abc\0defgh", "abc\ndefgh", "abc\u{85}defgh"] {
            assert!(Password::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_does_not_print() {
        let shown = format!("{:?}", Password::parse("correct horse").expect("valid"));
        assert!(!shown.contains("horse"), "{shown}");
    }
}
