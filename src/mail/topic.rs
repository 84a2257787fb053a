//! What letters are about, and the texts, which are files in the folder `letters`.

use crate::domain::{MailKind, MailPurpose};

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// A mail that was ordered.
    Ordered(MailKind),
    /// What the owner of an account gets when somebody registers with their address once more.
    AlreadyRegistered,
}

/// What makes up a letter. `{host}`, `{username}`, `{lifetime}` and a line `{link}` stand for what they say.
pub(super) struct Template {
    pub subject: &'static str,
    pub text: &'static str,
    /// Where the link leads, what its button says, and what the token is for.
    pub action: Option<(&'static str, &'static str, MailPurpose)>,
}

impl Topic {
    #[cfg(test)]
    pub(super) const ALL: [Self; 6] = [
        Self::Ordered(MailKind::Verification),
        Self::Ordered(MailKind::NewAddress),
        Self::Ordered(MailKind::AddressChanged),
        Self::Ordered(MailKind::PasswordReset),
        Self::Ordered(MailKind::PasswordChanged),
        Self::AlreadyRegistered,
    ];

    pub(super) fn template(self) -> Template {
        match self {
            Self::Ordered(MailKind::Verification) => Template {
                subject: "Confirm your address for {host}",
                text: include_str!("letters/verification.txt"),
                action: Some(("/api/auth/email", "Confirm this address", MailPurpose::Verification)),
            },
            Self::Ordered(MailKind::NewAddress) => Template {
                subject: "Confirm your new address for {host}",
                text: include_str!("letters/new-address.txt"),
                action: Some(("/api/auth/email", "Confirm this address", MailPurpose::NewAddress)),
            },
            Self::Ordered(MailKind::AddressChanged) => {
                Template { subject: "Your address at {host} was changed", text: include_str!("letters/address-changed.txt"), action: None }
            }
            Self::Ordered(MailKind::PasswordReset) => Template {
                subject: "A new password for {host}",
                text: include_str!("letters/password-reset.txt"),
                action: Some(("/api/auth/password-reset", "Choose a new password", MailPurpose::PasswordReset)),
            },
            Self::Ordered(MailKind::PasswordChanged) => Template {
                subject: "Your password at {host} was changed",
                text: include_str!("letters/password-changed.txt"),
                action: None,
            },
            Self::AlreadyRegistered => {
                Template { subject: "You have an account at {host}", text: include_str!("letters/already-registered.txt"), action: None }
            }
        }
    }
}
