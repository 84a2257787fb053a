//! Who is calling: password hashes, tokens, and the check that every request of a person passes.
//!
//! The services meet here and in the store, never in each other.

mod bearer;
mod password_hasher;
mod password_strength;
mod signing_key;
mod tokens;

pub use bearer::{Bearer, Caller, require_bearer};
pub use password_hasher::{HashingError, PasswordCost, PasswordHasher, Verification};
pub use signing_key::load_or_make_key;
pub use tokens::Tokens;
