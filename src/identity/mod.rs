//! Who is calling: password hashes, tokens, and the check that every request of a person passes.
//!
//! The services meet here and in the store, never in each other.

mod argon2id;
mod audit;
mod bearer;
mod confirmation;
mod derived_key;
mod hashing_threads;
mod password_hasher;
mod password_strength;
mod signing_key;
mod tokens;
mod waiting;

pub use argon2id::{PasswordCost, Verification};
pub use audit::{Actor, Audit};
pub use bearer::{Bearer, Caller, require_bearer};
pub use confirmation::Confirmation;
pub use derived_key::{MailTokens, Pseudonyms};
pub use password_hasher::{HashingError, HashingLoad, PasswordHasher};
pub use signing_key::load_or_make_key;
pub use tokens::Tokens;
