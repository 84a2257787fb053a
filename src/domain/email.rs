//! E-mail addresses: how a person is found at log-in, and where mail goes.

use email_address::{EmailAddress, Options};

use super::Invalid;

/// An address as its owner wrote it. Mail goes to this spelling. A stored one is empty where an account has none.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

/// The form in which addresses are compared and are unique: ASCII lower case, nothing else stripped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

impl Email {
    /// Longest address in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Accepts `local@dotted.domain` in ASCII: no quotes, comments, address literals or spaces. White space around it, as
    /// keyboards of phones add it, is no part of it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new(format!("must be at most {} bytes", Self::MAX_BYTES)));
        }
        let plain = text.is_ascii() && !text.contains(['"', '(', ')', '[', ']', '<', '>']);
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        if plain && EmailAddress::parse_with_options(text, options).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be an e-mail address like name@example.com"))
        }
    }

    /// Takes back what a store kept. It was checked when it came in, perhaps by older rules than today's.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for the address of an account that has none. What is typed never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }

    /// The form that is compared.
    #[must_use]
    pub fn key(&self) -> EmailKey {
        EmailKey(self.0.to_ascii_lowercase())
    }
}

impl EmailKey {
    /// The form that stores index.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Email {
    /// Addresses stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Email(…)")
    }
}

impl std::fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_addresses_are_accepted() {
        for good in ["a@b.co", "Ann.Lee+chat@mail.example.com", "x_y-z@xn--bcher-kva.example", "$ref@example.com"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "b.".repeat(126));
        let bad = [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@@b.co",
            "a b@c.de",
            "a@b .co",
            "a@b.co\u{200b}",
            "\"a\"@b.co",
            "a(x)@b.co",
            "a@[1.2.3.4]",
            "Ann <a@b.co>",
            "a@b.co\r\nBcc: c@d.ee",
            "ä@b.co",
            "a@bücher.de",
            "a\u{212a}@b.co",
            ".a@b.co",
            "a..b@c.de",
            "a@-b.co",
            "a@b..co",
            &long_local,
            &long,
        ];
        for text in bad {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn white_space_around_an_address_is_no_part_of_it() {
        let longest = format!("{}@{}.com", "a".repeat(64), ["b".repeat(61).as_str(); 3].join("."));
        assert_eq!(longest.len(), Email::MAX_BYTES);
        for text in ["ann@example.com", &longest] {
            for space in [" ", "\t", "\r\n", "\u{a0}", "\u{3000}", "  \n "] {
                for typed in [format!("{text}{space}"), format!("{space}{text}"), format!("{space}{text}{space}")] {
                    assert_eq!(Email::parse(&typed).expect("an address").as_str(), text, "{typed:?}");
                }
            }
        }
    }

    #[test]
    fn addresses_are_compared_in_lower_case_only() {
        let key = |text: &str| Email::parse(text).expect("valid").key();
        assert_eq!(key("Ann@Example.COM"), key("ann@example.com"));
        assert_ne!(key("a.nn@example.com"), key("ann@example.com"));
        assert_ne!(key("ann+x@example.com"), key("ann@example.com"));
    }
}
