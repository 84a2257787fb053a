//! Who may come in.

/// What a registration needs to become an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationPolicy {
    /// Nothing: it is one at once, and its address may be verified later.
    #[default]
    Open,
    /// That its address is verified first. An address that is not opens nothing.
    Verified,
}
