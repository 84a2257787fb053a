//! What one person writes to another.

use super::Invalid;
use super::visible::is_blank;

/// The text of a message: kept and returned byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(String);

impl MessageText {
    /// Longest text in Unicode code points.
    pub const MAX_CHARS: usize = 4_000;
    /// Longest text in bytes of UTF-8.
    pub const MAX_BYTES: usize = 16_384;

    /// Accepts text of which something can be seen, that has no control characters but tab, line feed and carriage return, and that
    /// keeps both limits.
    pub fn parse(text: String) -> Result<Self, Invalid> {
        if text.chars().any(|character| character.is_control() && !"\t\n\r".contains(character)) {
            return Err(Invalid::new("must not contain control characters other than tab, line feed and carriage return"));
        }
        if is_blank(&text) {
            return Err(Invalid::new("must not be empty or invisible"));
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
        let flag_of_wales = "🏴\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}";
        for text in
            [" hi ", "e\u{301}", "\u{feff}a\r\n\t", "👩‍👩‍👧", "❤\u{fe0f}", flag_of_wales, "\u{200f}שלום", "می\u{200c}خواهم", "⠓⠊\u{2800}"]
        {
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
    fn text_of_which_nothing_can_be_seen_is_refused() {
        let blank = "\u{200b}\u{2800}\u{3164}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{180e}\u{200d}\u{202e}\u{2060}\u{2066}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{13441}\u{16fe4}\u{1d159}\u{1d173}\u{e0001}\u{e007f}\u{e0100}\u{2003}\u{85}";
        for bad in blank.chars().map(String::from).chain(["", " \n\t\u{2003}", blank].map(str::to_owned)) {
            assert!(MessageText::parse(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_but_for_those_of_lines() {
        for control in (0..=u8::MAX).map(char::from).filter(|character| character.is_control()) {
            assert_eq!(MessageText::parse(format!("a{control}b")).is_ok(), "\t\n\r".contains(control), "{control:?}");
        }
    }
}
