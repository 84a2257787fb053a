//! User names: public, typed by other people, unique without regard to case.

use super::Invalid;

/// A name as its owner wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// The form in which names are compared and are unique: ASCII lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsernameKey(String);

/// How the names begin that a search is for, in the form in which names are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsernamePrefix(String);

/// Names that would let a person pass for the service, or that programs read as something else.
const RESERVED: [&str; 24] = [
    "admin",
    "administrator",
    "anonymous",
    "api",
    "chat-functions",
    "deleted",
    "everyone",
    "friends",
    "help",
    "mail",
    "me",
    "moderator",
    "nobody",
    "null",
    "official",
    "postmaster",
    "root",
    "security",
    "service",
    "staff",
    "support",
    "system",
    "undefined",
    "webmaster",
];

impl Username {
    /// Shortest name, in ASCII characters.
    pub const MIN_CHARS: usize = 3;
    /// Longest name, in ASCII characters.
    pub const MAX_CHARS: usize = 32;

    /// Accepts letters, digits and single `.` `_` `-` between them, and no reserved name. White space around it is no
    /// part of it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if !(Self::MIN_CHARS..=Self::MAX_CHARS).contains(&text.chars().count()) {
            return Err(Invalid::new(format!("must be {} to {} characters", Self::MIN_CHARS, Self::MAX_CHARS)));
        }
        let is_mark = |byte: u8| b"._-".contains(&byte);
        let bytes = text.as_bytes();
        let alphabet = bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || is_mark(byte));
        let marks_inside = bytes.first().is_some_and(u8::is_ascii_alphanumeric) && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
        let marks_single = !bytes.windows(2).any(|pair| is_mark(pair[0]) && is_mark(pair[1]));
        if !(alphabet && marks_inside && marks_single) {
            return Err(Invalid::new("must be letters and digits, with single . _ - between them"));
        }
        let name = Self(text.to_owned());
        if RESERVED.contains(&name.key().as_str()) {
            return Err(Invalid::new("is reserved"));
        }
        Ok(name)
    }

    /// Takes back what a store kept. It was checked when it came in, perhaps by older rules than today's.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form that is compared.
    #[must_use]
    pub fn key(&self) -> UsernameKey {
        UsernameKey(self.0.to_ascii_lowercase())
    }
}

impl UsernameKey {
    /// The form that stores index.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UsernamePrefix {
    /// Shortest and longest beginning, in code points.
    pub const MIN_CHARS: usize = 2;
    /// See [`MIN_CHARS`](Self::MIN_CHARS).
    pub const MAX_CHARS: usize = 64;

    /// Accepts any text of 2 to 64 code points; what no name begins with finds nobody. White space around it is no part
    /// of it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if (Self::MIN_CHARS..=Self::MAX_CHARS).contains(&text.chars().count()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid::new(format!("must be {} to {} characters", Self::MIN_CHARS, Self::MAX_CHARS)))
        }
    }

    /// The first key that can begin so.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.0
    }

    /// What is behind every key that begins so: keys are ASCII without U+007F.
    #[must_use]
    pub fn end(&self) -> String {
        format!("{}\u{7f}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_letters_digits_and_single_marks_are_accepted() {
        for good in ["ann", "Ann.Lee", "a-b_c.d", "007", &"x".repeat(32)] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn short_long_foreign_and_reserved_names_are_refused() {
        let bad =
            ["", "ab", &"x".repeat(33), "an n", "ann!", "änn", ".ann", "ann-", "a..b", "a-_b", "Root", "chat-functions", "a\u{212a}b"];
        let invisible = ["an\u{200b}n", "an\u{ad}n", "\u{2800}\u{2800}\u{2800}", "\u{3164}\u{3164}\u{3164}"];
        for text in bad.into_iter().chain(invisible) {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn white_space_around_a_name_is_no_part_of_it() {
        let longest = "x".repeat(Username::MAX_CHARS);
        for text in ["ann", &longest] {
            for space in [" ", "\t", "\r\n", "\u{a0}", "\u{3000}"] {
                let typed = format!("{space}{text}{space}");
                assert_eq!(Username::parse(&typed).expect("a name").as_str(), text, "{typed:?}");
                assert_eq!(UsernamePrefix::parse(&typed).expect("a prefix").first(), text, "{typed:?}");
            }
        }
        for text in [" ab ", "  a", "   ", " admin "] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
        assert!(UsernamePrefix::parse("  ").is_err(), "nobody is searched for by white space");
    }

    #[test]
    fn names_are_compared_without_case() {
        let key = |text: &str| Username::parse(text).expect("valid").key();
        assert_eq!(key("Ann"), key("aNN"));
    }

    #[test]
    fn a_beginning_bounds_the_names_that_begin_so() {
        let begins = |prefix: &str, name: &str| {
            let prefix = UsernamePrefix::parse(prefix).expect("valid");
            (prefix.first()..prefix.end().as_str()).contains(&name)
        };
        assert!(begins("AN", "an") && begins("an", "ann") && begins("an", "an_z") && begins("ann.z", "ann.zz"));
        assert!(!begins("an", "am") && !begins("an", "ao") && !begins(".*", "ann") && !begins("a%", "ann") && !begins("__", "ann"));
        assert!(UsernamePrefix::parse("a").is_err() && UsernamePrefix::parse(&"a".repeat(65)).is_err());
    }
}
