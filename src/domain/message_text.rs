//! What one person writes to another.

use super::Invalid;

/// The text of a message: kept and returned byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(String);

impl MessageText {
    /// Longest text in Unicode code points.
    pub const MAX_CHARS: usize = 4_000;
    /// Longest text in bytes of UTF-8.
    pub const MAX_BYTES: usize = 16_384;

    /// Accepts text that is not only white space, holds no U+0000 and keeps both limits.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        if text.trim().is_empty() {
            return Err(Invalid::new("must not be empty"));
        }
        if text.contains('\0') {
            return Err(Invalid::new("must not contain U+0000"));
        }
        if text.len() > Self::MAX_BYTES || text.chars().count() > Self::MAX_CHARS {
            return Err(Invalid::new(format!("must be at most {} characters and {} bytes", Self::MAX_CHARS, Self::MAX_BYTES)));
        }
        Ok(Self(text))
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MessageText {
    /// Shows the length only: what people write to each other does not belong in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_byte_for_byte() {
        for text in [" hi ", "e\u{301}", "\u{feff}a\r\n\t", "👩‍👩‍👧"] {
            assert_eq!(MessageText::parse(text.to_owned()).expect("valid").as_str(), text);
        }
    }

    #[test]
    fn both_limits_hold_at_the_last_character() {
        assert!(MessageText::parse("😀".repeat(4_000)).is_ok());
        assert!(MessageText::parse("a".repeat(4_001)).is_err());
        assert!(MessageText::parse("😀".repeat(4_097)).is_err());
    }

    #[test]
    fn blank_text_and_nul_are_refused() {
        for bad in ["", " \n\t\u{2003}", "a\0b"] {
            assert!(MessageText::parse(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
