//! What is told to people by mail, and the tokens that such a mail carries.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{RECOVERY_MILLIS, Timestamp};

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// Asks the owner of a new account to show that the address is theirs.
    Verification,
    /// Asks the owner of an address that an account wants to move to.
    NewAddress,
    /// Tells that such a move was asked for.
    AddressChangeAsked,
    /// Tells that the address was changed.
    AddressChanged,
    /// Lets the owner set a new password.
    PasswordReset,
    /// Tells that the password was changed.
    PasswordChanged,
}

/// What a mail's token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailPurpose {
    /// To verify the address of a new account.
    Verification,
    /// To move an account to a new address.
    NewAddress,
    /// To set a new password.
    PasswordReset,
    /// The same from an address that the account had: it becomes the account's again.
    Recovery,
}

/// The secret in a mail: 256 bits that nobody can guess, worth one use.
#[derive(Clone, PartialEq, Eq)]
pub struct MailToken([u8; 32]);

/// What a store keeps of a [`MailToken`]: its SHA-256, so that a copy of the store opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MailTokenHash([u8; 32]);

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Verification, Self::NewAddress, Self::AddressChangeAsked, Self::AddressChanged, Self::PasswordReset, Self::PasswordChanged];

    /// The name that stores and the log use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::NewAddress => "new_address",
            Self::AddressChangeAsked => "address_change_asked",
            Self::AddressChanged => "address_changed",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
        }
    }

    /// The inverse of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What the token in such a mail is for; `None` for a mail that only tells.
    #[must_use]
    pub fn purpose(self) -> Option<MailPurpose> {
        match self {
            Self::Verification => Some(MailPurpose::Verification),
            Self::NewAddress => Some(MailPurpose::NewAddress),
            Self::PasswordReset => Some(MailPurpose::PasswordReset),
            Self::AddressChangeAsked | Self::AddressChanged | Self::PasswordChanged => None,
        }
    }
}

impl MailPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::Verification, Self::NewAddress, Self::PasswordReset, Self::Recovery];

    /// The name that stores use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::NewAddress => "new_address",
            Self::PasswordReset => "password_reset",
            Self::Recovery => "recovery",
        }
    }

    /// Whether a new password may be set.
    #[must_use]
    pub fn is_reset(self) -> bool {
        matches!(self, Self::PasswordReset | Self::Recovery)
    }

    /// The inverse of [`as_str`](Self::as_str).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// How long a token is good for: a day for an address, half an hour for a password. One to a recovery address is good as long
    /// as that is one, which each change of the address prolongs.
    #[must_use]
    pub fn lifetime_millis(self) -> i64 {
        match self {
            Self::Verification | Self::NewAddress => Timestamp::DAY_MILLIS,
            Self::PasswordReset => 30 * Timestamp::MINUTE_MILLIS,
            Self::Recovery => RECOVERY_MILLIS,
        }
    }

    /// Whether a token can end then, having been put out by a clock that was right. One that ends later counts as over: it would be
    /// good for as long as that clock was ahead.
    #[must_use]
    pub fn can_end(self, end: Timestamp, now: Timestamp) -> bool {
        end.plus_millis(-self.lifetime_millis()).is_credible(now)
    }
}

impl MailToken {
    /// A new token from the system's generator.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A token of bytes that nobody can guess.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Accepts the exact form that [`expose`](Self::expose) writes and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The form that a link carries: 43 characters of base64url.
    #[must_use]
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The form that a store keeps.
    #[must_use]
    pub fn hash(&self) -> MailTokenHash {
        MailTokenHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailToken(…)")
    }
}

impl MailTokenHash {
    /// The 32 bytes that stores keep.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The inverse of [`to_bytes`](Self::to_bytes).
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        for purpose in MailPurpose::ALL {
            assert_eq!(MailPurpose::parse(purpose.as_str()), Some(purpose));
        }
    }

    #[test]
    fn a_token_reads_back_in_its_one_spelling() {
        let token = MailToken::generate().expect("random bytes");
        let text = token.expose();
        assert_eq!((text.len(), MailToken::parse(&text)), (43, Some(token)));
        for bad in ["", &text[1..], &format!("{text}="), &format!("{text}A"), &text.replace(|c: char| c.is_ascii(), " ")] {
            assert_eq!(MailToken::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = MailToken::generate().expect("random bytes");
        assert!(!format!("{token:?}").contains(&token.expose()));
    }
}
