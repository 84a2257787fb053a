//! Access tokens: JSON Web Tokens that name a session and are worth nothing without it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::derived_key::key_id;
use crate::domain::{SessionId, SessionKey, Timestamp, UserId};

/// Longest token in bytes.
const MAX_TOKEN_BYTES: usize = 4 * 1024;
/// How long after its end a token is still read; its session decides.
const LEEWAY_MILLIS: i64 = 30_000;
/// Who issues the tokens, and for whom.
const ISSUER: &str = "chat-functions";

/// Signs and verifies tokens by HMAC-SHA-256 and by nothing else (RFC 8725, 3.1).
#[derive(Clone)]
pub struct Tokens {
    current: Key,
    /// Still verifies, and signs nothing.
    previous: Option<Key>,
    validation: Validation,
}

/// A secret in the forms in which it is used.
#[derive(Clone)]
struct Key {
    header: Header,
    /// The one first part that this key's tokens have, its name included. A token with another, be it one more field or
    /// another spelling, is not ours.
    encoded_header: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Key {
    fn new(secret: &SecretString) -> Self {
        let header = Header { kid: Some(key_id(secret)), ..Header::new(Algorithm::HS256) };
        let secret = secret.expose_secret().as_bytes();
        Self {
            encoded_header: encode_header(&header),
            header,
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Tokens signed with a secret.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked against our own clock, after the signature.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        Self { current: Key::new(secret), previous: None, validation }
    }

    /// The same, with another secret whose tokens are good too: the one before, or the one that comes next.
    #[must_use]
    pub fn with_previous(self, secret: &SecretString) -> Self {
        Self { previous: Some(Key::new(secret)), ..self }
    }

    /// The token of a session that begins now and ends at `expires_at`.
    pub fn issue(
        &self,
        user: UserId,
        session: &SessionId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user.to_string(),
            sid: session.expose(),
            iat: now.as_millis() / 1_000,
            exp: expires_at.as_millis() / 1_000,
        };
        jsonwebtoken::encode(&self.current.header, &claims, &self.current.signing)
    }

    /// The session that a token names; `None` for any token that is not ours, whole and in time. No I/O.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<SessionKey> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let header = token.split('.').next()?;
        let key = std::iter::once(&self.current).chain(&self.previous).find(|key| key.encoded_header == header)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation).ok()?.claims;
        let expires_at = Timestamp::from_millis(claims.exp.checked_mul(1_000)?);
        // When it was issued does not matter: the clock of the instance that issued it may be ahead, and its session decides.
        if now >= expires_at.plus_millis(LEEWAY_MILLIS) {
            return None;
        }
        Some(SessionKey { user: UserId::parse(&claims.sub)?, session: SessionId::parse(&claims.sid)?.hash() })
    }
}

fn encode_header(header: &Header) -> String {
    use base64::Engine as _;
    let json = serde_json::to_vec(header).unwrap_or_default();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    const SECRET: &str = "a secret of more than thirty-two bytes";

    fn tokens() -> Tokens {
        Tokens::new(&SECRET.into())
    }

    /// The header of every token of that secret.
    fn own_header() -> String {
        format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{}"}}"#, key_id(&SECRET.into()))
    }

    fn issued() -> (String, SessionKey) {
        let (user, session) = (UserId::generate(), SessionId::generate().expect("random bytes"));
        let token = tokens().issue(user, &session, NOW, NOW.plus_millis(60_000)).expect("a token");
        (token, SessionKey { user, session: session.hash() })
    }

    fn signed(header: &str, claims: &str) -> String {
        let unsigned = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(unsigned.as_bytes(), &key, Algorithm::HS256).expect("a signature");
        format!("{unsigned}.{signature}")
    }

    #[test]
    fn a_token_names_its_session_until_it_ends() {
        let (token, key) = issued();
        assert_eq!(tokens().verify(&token, NOW), Some(key));
        assert_eq!(tokens().verify(&token, NOW.plus_millis(60_000 + LEEWAY_MILLIS - 1)), Some(key));
        assert_eq!(tokens().verify(&token, NOW.plus_millis(60_000 + LEEWAY_MILLIS)), None);
        assert_eq!(tokens().verify(&token, NOW.plus_millis(-300 * Timestamp::DAY_MILLIS)), Some(key), "issued by a clock far ahead");
    }

    #[test]
    fn another_secret_verifies_nothing() {
        let (token, _) = issued();
        assert_eq!(Tokens::new(&"another secret of thirty-two bytes!!".into()).verify(&token, NOW), None);
    }

    #[test]
    fn a_previous_secret_verifies_and_signs_nothing() {
        let (old_token, key) = issued();
        let rotated = Tokens::new(&"the secret that has come after it, 32+".into()).with_previous(&SECRET.into());
        assert_eq!(rotated.verify(&old_token, NOW), Some(key));
        let session = SessionId::generate().expect("random bytes");
        let new_token = rotated.issue(key.user, &session, NOW, NOW.plus_millis(60_000)).expect("a token");
        assert!(rotated.verify(&new_token, NOW).is_some());
        assert_eq!(tokens().verify(&new_token, NOW), None);
    }

    #[test]
    fn only_our_own_header_is_accepted_even_when_signed() {
        let (token, _) = issued();
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64")).expect("UTF-8");
        assert!(tokens().verify(&signed(&own_header(), &claims), NOW).is_some());
        let foreign = [
            r#"{"typ":"JWT","alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"0123456789abcdef"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"typ":"JWT","alg":"hs256"}"#,
            r#"{"typ":"JWT","alg":"none"}"#,
            r#"{"typ":"JWT","alg":"HS512"}"#,
            r#"{"typ":"at+jwt","alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"HS256","crit":["exp"]}"#,
            r#"{"typ":"JWT","alg":"HS256","jku":"https://example.com"}"#,
        ];
        for header in foreign {
            assert_eq!(tokens().verify(&signed(header, &claims), NOW), None, "{header}");
            let named = header.replace('{', &format!(r#"{{"kid":"{}","#, key_id(&SECRET.into())));
            assert_eq!(tokens().verify(&signed(&named, &claims), NOW), None, "{named}");
        }
    }

    #[test]
    fn claims_must_be_there_and_of_their_type() {
        let header = &own_header();
        let (sub, sid) = (UserId::generate().to_string(), SessionId::generate().expect("random bytes").expose());
        let (iat, exp) = (NOW.as_millis() / 1_000, NOW.as_millis() / 1_000 + 60);
        let good = serde_json::json!({"iss": ISSUER, "aud": ISSUER, "sub": sub, "sid": sid, "iat": iat, "exp": exp});
        assert!(tokens().verify(&signed(header, &good.to_string()), NOW).is_some());
        for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
            for wrong in [serde_json::json!(null), serde_json::json!("x"), serde_json::json!(["x"]), serde_json::json!(1.5)] {
                let mut claims = good.clone();
                claims[name] = wrong;
                assert_eq!(tokens().verify(&signed(header, &claims.to_string()), NOW), None, "{claims}");
                claims.as_object_mut().expect("object").remove(name);
                assert_eq!(tokens().verify(&signed(header, &claims.to_string()), NOW), None, "{claims}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_token_is_no_token(at in 0..1_000_usize, byte in 0..=127_u8) {
            let (token, _) = issued();
            let mut changed = token.clone().into_bytes();
            let at = at % changed.len();
            changed[at] = byte;
            let changed = String::from_utf8(changed).expect("ASCII");
            prop_assume!(changed != token);
            prop_assert_eq!(tokens().verify(&changed, NOW), None);
        }

        #[test]
        fn no_text_panics_the_verifier(text in ".{0,200}") {
            prop_assert_eq!(tokens().verify(&text, NOW), None);
        }
    }
}
