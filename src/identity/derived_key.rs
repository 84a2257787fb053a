//! Keys for other purposes than signing, derived from the secret of the tokens: one label each, so that none tells
//! anything of another (RFC 5869).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::domain::{EmailKey, Hex, MailPurpose, MailToken, UserId};

/// Bytes of a key's name, and of a pseudonym: enough to tell them apart, too few to stand for what they are made from.
const SHORT_BYTES: usize = 8;

/// 32 bytes for one purpose.
fn derive(secret: &SecretString, label: &str) -> [u8; 32] {
    let mut key = [0; 32];
    // It fails for more than 8,160 bytes only.
    let _fits = Hkdf::<Sha256>::new(None, secret.expose_secret().as_bytes()).expand(label.as_bytes(), &mut key);
    key
}

fn short_hex(bytes: &[u8]) -> String {
    Hex(&bytes[..bytes.len().min(SHORT_BYTES)]).to_string()
}

/// The name by which a token says which secret has signed it.
pub(super) fn key_id(secret: &SecretString) -> String {
    short_hex(&derive(secret, "chat-functions token key id"))
}

/// Names for addresses in the log: equal for equal addresses, and nothing for who lacks the secret.
#[derive(Clone)]
pub struct Pseudonyms([u8; 32]);

impl Pseudonyms {
    /// Pseudonyms that last as long as the secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self(derive(secret, "chat-functions log pseudonym"))
    }

    /// The pseudonym of an address, 16 hexadecimal digits.
    #[must_use]
    pub fn of(&self, email: &EmailKey) -> String {
        // A key of any length is a key.
        Hmac::<Sha256>::new_from_slice(&self.0)
            .map(|mac| short_hex(&mac.chain_update(email.as_str()).finalize().into_bytes()))
            .unwrap_or_default()
    }
}

/// Makes the tokens that mails carry: a mail that is sent again, because nobody knows whether it arrived, carries the same one.
#[derive(Clone)]
pub struct MailTokens([u8; 32]);

impl MailTokens {
    /// Tokens that last as long as the secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self(derive(secret, "chat-functions mail token"))
    }

    /// The token of one order, by the random id that the order has in the store and nowhere else.
    #[must_use]
    pub fn of(&self, order: [u8; 16], purpose: MailPurpose, user: UserId, address: &EmailKey) -> MailToken {
        let mut token = [0; 32];
        let user = user.to_bytes();
        // Only the last part has no fixed end.
        let info = [&order[..], &user, purpose.as_str().as_bytes(), b"\0", address.as_str().as_bytes()];
        // A key of 32 bytes is long enough, and so few bytes always come out of it.
        let _fits = Hkdf::<Sha256>::from_prk(&self.0).map(|key| key.expand_multi_info(&info, &mut token));
        MailToken::from_bytes(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Email;

    #[test]
    fn a_mail_token_is_the_same_again_and_another_for_anything_that_differs() {
        let (tokens, ann) = (MailTokens::new(&"one secret".into()), UserId::from_bytes([1; 16]));
        let key = |text: &str| Email::parse(text).expect("an address").key();
        let (address, reset) = (key("ann@example.com"), MailPurpose::PasswordReset);
        let token = tokens.of([7; 16], reset, ann, &address);
        assert!(token == tokens.of([7; 16], reset, ann, &key("Ann@Example.com")), "however the address is spelt");
        assert!(token != MailToken::from_bytes([0; 32]));
        for other in [
            tokens.of([8; 16], reset, ann, &address),
            tokens.of([7; 16], MailPurpose::Verification, ann, &address),
            tokens.of([7; 16], reset, UserId::from_bytes([2; 16]), &address),
            tokens.of([7; 16], reset, ann, &key("bob@example.com")),
            MailTokens::new(&"other secret".into()).of([7; 16], reset, ann, &address),
        ] {
            assert!(token != other);
        }
    }

    #[test]
    fn each_purpose_and_each_secret_has_a_key_of_its_own() {
        let (one, other): (SecretString, SecretString) = ("one secret".into(), "other secret".into());
        assert_eq!(derive(&one, "a"), derive(&one, "a"));
        assert_ne!(derive(&one, "a"), derive(&one, "b"));
        assert_ne!(derive(&one, "a"), derive(&other, "a"));
        assert_eq!(key_id(&one).len(), 16);
    }

    #[test]
    fn a_pseudonym_is_of_the_address_in_any_case_and_of_the_secret() {
        let key = |text: &str| Email::parse(text).expect("an address").key();
        let pseudonyms = Pseudonyms::new(&"one secret".into());
        assert_eq!(pseudonyms.of(&key("Ann@example.com")), pseudonyms.of(&key("ann@EXAMPLE.com")));
        assert_ne!(pseudonyms.of(&key("ann@example.com")), pseudonyms.of(&key("bob@example.com")));
        assert_ne!(pseudonyms.of(&key("ann@example.com")), Pseudonyms::new(&"other secret".into()).of(&key("ann@example.com")));
    }
}
