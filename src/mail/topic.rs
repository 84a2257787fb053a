//! What letters are about, and the texts, which are files in the folder `letters`.

use crate::domain::MailKind;

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// A mail that was ordered.
    Ordered(MailKind),
    /// The same to an address that is a way back to the account: it brings its link.
    WayBack(MailKind),
    /// What the owner of an account gets when somebody else tries to use their address.
    AlreadyRegistered,
}

/// What makes up a letter. `{host}`, `{username}`, `{lifetime}` and a line `{link}` stand for what they say.
pub(super) struct Template {
    pub subject: &'static str,
    pub text: &'static str,
    /// Where the link leads, and what its button says.
    pub action: Option<(&'static str, &'static str)>,
}

const RESET_PAGE: &str = "/api/auth/password-reset";
const ADDRESS_CHANGE_ASKED: &str = "Another address was asked for at {host}";
const ADDRESS_CHANGED: &str = "Your address at {host} was changed";
const PASSWORD_RESET: &str = "A new password for {host}";
const PASSWORD_CHANGED: &str = "Your password at {host} was changed";

fn told(subject: &'static str, text: &'static str) -> Template {
    Template { subject, text, action: None }
}

fn way_back(subject: &'static str, text: &'static str) -> Template {
    Template { subject, text, action: Some((RESET_PAGE, "Take the account back")) }
}

impl Topic {
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        let told = [MailKind::AddressChangeAsked, MailKind::AddressChanged, MailKind::PasswordChanged, MailKind::PasswordReset];
        let ordered = MailKind::ALL.into_iter().map(Self::Ordered);
        ordered.chain(told.into_iter().map(Self::WayBack)).chain([Self::AlreadyRegistered]).collect()
    }

    pub(super) fn template(self) -> Template {
        match self {
            Self::Ordered(MailKind::Verification) => Template {
                subject: "Confirm your address for {host}",
                text: include_str!("letters/verification.txt"),
                action: Some(("/api/auth/email", "Confirm this address")),
            },
            Self::Ordered(MailKind::NewAddress) => Template {
                subject: "Confirm your new address for {host}",
                text: include_str!("letters/new-address.txt"),
                action: Some(("/api/auth/email", "Confirm this address")),
            },
            Self::Ordered(MailKind::AddressChangeAsked) => told(ADDRESS_CHANGE_ASKED, include_str!("letters/address-change-asked.txt")),
            Self::Ordered(MailKind::AddressChanged) => told(ADDRESS_CHANGED, include_str!("letters/address-changed.txt")),
            Self::Ordered(MailKind::PasswordReset) => Template {
                subject: PASSWORD_RESET,
                text: include_str!("letters/password-reset.txt"),
                action: Some((RESET_PAGE, "Choose a new password")),
            },
            Self::Ordered(MailKind::PasswordChanged) => told(PASSWORD_CHANGED, include_str!("letters/password-changed.txt")),
            Self::WayBack(MailKind::AddressChangeAsked) => {
                way_back(ADDRESS_CHANGE_ASKED, include_str!("letters/address-change-asked-way-back.txt"))
            }
            Self::WayBack(MailKind::PasswordChanged) => way_back(PASSWORD_CHANGED, include_str!("letters/password-changed-way-back.txt")),
            Self::WayBack(MailKind::PasswordReset) => way_back(PASSWORD_RESET, include_str!("letters/password-reset-way-back.txt")),
            // Mail that verifies an address never goes to a way back.
            Self::WayBack(_) => way_back(ADDRESS_CHANGED, include_str!("letters/address-changed-way-back.txt")),
            Self::AlreadyRegistered => {
                Template { subject: "You have an account at {host}", text: include_str!("letters/already-registered.txt"), action: None }
            }
        }
    }
}
