//! The key by which a client may repeat a send without sending twice.

use super::Invalid;

/// A client's own name for one message, unique per sender and chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Longest key, in ASCII characters.
    pub const MAX_CHARS: usize = 64;

    /// Accepts 1 to 64 of `A-Z a-z 0-9 _ - . :`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(format!("must be 1 to {} of A-Z a-z 0-9 _ - . :", Self::MAX_CHARS)))
        }
    }

    /// The key as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_alphabet_and_both_lengths_are_accepted() {
        assert!(ClientId::parse("aZ0_-.:").is_ok());
        assert!(ClientId::parse("x").is_ok());
        assert!(ClientId::parse(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn empty_long_and_foreign_characters_are_refused() {
        for bad in ["", " ", "a b", "a,b", "é", "a\n", &"x".repeat(65)] {
            assert!(ClientId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
