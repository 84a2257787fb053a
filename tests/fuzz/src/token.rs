//! Access tokens: no text but one that was issued is a token; and claims are checked even when our own key has signed them.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_functions::domain::{SessionId, Timestamp, UserId};
use chat_functions::identity::Tokens;
use jsonwebtoken::{Algorithm, EncodingKey};

const SECRET: &str = "a secret of the fuzz targets, which is long enough";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new(&SECRET.into()));
/// The first part of every token of the key.
static HEADER: LazyLock<String> = LazyLock::new(|| {
    let (user, session) = (UserId::generate(), SessionId::generate().expect("randomness"));
    let token = TOKENS.issue(user, &session, NOW, NOW.plus_millis(1_000)).expect("a token");
    token.split('.').next().expect("three parts").to_owned()
});

/// Bytes as a token, and as the claims of one that is signed.
pub fn token(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(TOKENS.verify(text, NOW).is_none(), "nobody issued it");
        assert!(TOKENS.verify(&format!("{}.{text}", *HEADER), NOW).is_none(), "nobody signed it");
    }
    let signed = format!("{}.{}", *HEADER, URL_SAFE_NO_PAD.encode(bytes));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256);
    let _none_or_one = TOKENS.verify(&format!("{signed}.{}", signature.expect("a signature")), NOW);
}
