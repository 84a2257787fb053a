//! Which tokens are accepted, where they are read, and how a refusal challenges.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Person, names, text};
use crate::context::Context;
use crate::support::server::JWT_SECRET;
use crate::tests;

tests!(Context:
    a_token_names_its_session_and_nothing_private,
    the_scheme_is_read_in_any_case,
    a_token_with_another_header_is_refused,
    a_token_with_a_missing_or_wrong_claim_is_refused,
    a_token_of_another_signature_is_refused,
    a_token_in_another_spelling_is_refused,
    a_text_that_is_no_token_is_refused,
    another_scheme_is_refused,
    a_token_outside_the_header_counts_as_none,
    two_authorization_headers_are_a_bad_request,
);

const ROUTE: &str = "/api/users/profile";
/// The challenge to a request without a token, and to one with a bad token; it never tells what was bad.
const CHALLENGE: &str = r#"Bearer realm="chat""#;
const BAD_TOKEN: &str = r#"Bearer realm="chat", error="invalid_token""#;
/// The first part of a token of ours, which says which key has signed it.
fn header(token: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a part")).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

/// A token of any two parts, signed as ours are.
fn signed(header: &str, claims: &str, secret: &str) -> String {
    let unsigned = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{unsigned}.{}", signature(&unsigned, secret, jsonwebtoken::Algorithm::HS256))
}

fn signature(unsigned: &str, secret: &str, algorithm: jsonwebtoken::Algorithm) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::crypto::sign(unsigned.as_bytes(), &key, algorithm).expect("a signature")
}

/// A part of a token, decoded.
pub fn part(token: &str, index: usize) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).expect("a part")).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}

async fn with_authorization(context: &Context, value: &str) -> Answer {
    Answer::of(context.anonymous().request(Method::GET, ROUTE).header("Authorization", value)).await
}

/// A token is refused in the one way in which all bad ones are.
async fn refused(context: &Context, token: &str) {
    refused_header(context, &format!("Bearer {token}")).await;
}

async fn refused_header(context: &Context, value: &str) {
    let answer = with_authorization(context, value).await;
    assert_eq!(answer.status, 401, "{value}: {answer:?}");
    assert_eq!(answer.header("www-authenticate"), BAD_TOKEN, "{value}");
    assert_eq!(answer.fails(401, "unauthorized")["message"], "A valid token is required", "{value}");
}

async fn a_token_names_its_session_and_nothing_private(context: Arc<Context>) {
    let ann = context.person().await;
    let own = part(&ann.token, 0);
    assert_eq!((names(&own), &own["alg"]), (vec!["alg", "kid", "typ"], &json!("HS256")));
    let claims = part(&ann.token, 1);
    assert_eq!(names(&claims), ["aud", "exp", "iat", "iss", "sid", "sub"]);
    assert_eq!(claims["sub"], ann.id.as_str());
    let seconds = |name: &str| claims[name].as_i64().expect("whole seconds");
    assert_eq!(seconds("exp") - seconds("iat"), 30 * 86_400);
    // Signed by hand it is the same token, so what the other tests forge differs only in what they say.
    assert_eq!(
        with_authorization(&context, &format!("Bearer {}", signed(&header(&ann.token), &claims.to_string(), JWT_SECRET))).await.status,
        200
    );
}

async fn the_scheme_is_read_in_any_case(context: Arc<Context>) {
    let ann = context.person().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(with_authorization(&context, &format!("{scheme} {}", ann.token)).await.ok()["id"], ann.id.as_str());
    }
}

async fn a_token_with_another_header_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let claims = part(&ann.token, 1).to_string();
    let kid = text(&part(&ann.token, 0)["kid"]);
    let headers = [
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"typ":"JWT","alg":"none"}"#,
        r#"{"typ":"JWT","alg":"None"}"#,
        r#"{"typ":"JWT","alg":"hs256"}"#,
        r#"{"typ":"JWT","alg":"HS256 "}"#,
        r#"{"typ":"JWT","alg":["HS256"]}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"at+jwt","alg":"HS256"}"#,
        r#"{"typ":"jwt","alg":"HS256"}"#,
        r#"{"typ":"JWT","alg":"HS256","crit":["exp"]}"#,
        r#"{"typ":"JWT","alg":"HS256","crit":[]}"#,
        r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#,
        r#"{"typ":"JWT","alg":"HS256","jku":"https://example.com/keys"}"#,
        r#"{"typ":"JWT","alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#,
        r#"{"typ":"JWT","alg":"HS256","x5u":"https://example.com/chain"}"#,
        r#"{"typ":"JWT","alg":"HS256","b64":false}"#,
        "{}",
        "[]",
        "no JSON",
    ];
    for header in headers {
        refused(&context, &signed(header, &claims, JWT_SECRET)).await;
        let with_our_key = header.replace('}', &format!(r#","kid":"{kid}"}}"#));
        // One of them is a token of ours, letter for letter.
        if with_our_key != self::header(&ann.token) {
            refused(&context, &signed(&with_our_key, &claims, JWT_SECRET)).await;
        }
    }
}

async fn a_token_with_a_missing_or_wrong_claim_is_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let good = part(&ann.token, 1);
    let now = good["iat"].as_i64().expect("seconds");
    let mut bad = vec![json!({}), json!([]), json!("claims"), json!(null)];
    let mut change = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        bad.push(claims);
    };
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        for value in [json!(null), json!(""), json!("x"), json!(["x"]), json!({}), json!(true), json!(1.5)] {
            change(name, value);
        }
    }
    change("exp", json!(now - 31));
    change("exp", json!((now + 3_600).to_string()));
    change("exp", json!(i64::MAX));
    change("sub", json!(bob.id));
    change("sub", json!(ann.id.to_uppercase()));
    change("sid", part(&bob.token, 1)["sid"].clone());
    change("sid", json!("0".repeat(32)));
    change("aud", json!(["chat-functions", "another"]));
    change("nbf", json!(now + 3_600));
    change("isAdmin", json!(true));
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        let mut claims = good.clone();
        claims.as_object_mut().expect("an object").remove(name);
        bad.push(claims);
    }
    for claims in bad {
        refused(&context, &signed(&header(&ann.token), &claims.to_string(), JWT_SECRET)).await;
    }
}

async fn a_token_of_another_signature_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let (unsigned, good) = ann.token.rsplit_once('.').expect("a signature");
    let claims = part(&ann.token, 1).to_string();
    let hs512 = format!("{}.{}", URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS512"}"#), URL_SAFE_NO_PAD.encode(&claims));
    let bob_signature = context.person().await.token.rsplit_once('.').map(|(_, signature)| signature.to_owned());
    let forged = [
        signed(&header(&ann.token), &claims, "another secret of more than thirty-two bytes"),
        signed(&header(&ann.token), &claims, ""),
        format!("{unsigned}."),
        format!("{unsigned}.{}", bob_signature.expect("a signature")),
        format!("{unsigned}.{}", &good[..good.len() - 4]),
        format!("{unsigned}.{}", signature(unsigned, JWT_SECRET, jsonwebtoken::Algorithm::HS512)),
        format!("{hs512}.{}", signature(&hs512, JWT_SECRET, jsonwebtoken::Algorithm::HS512)),
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#), URL_SAFE_NO_PAD.encode(&claims)),
    ];
    for token in forged {
        refused(&context, &token).await;
    }
}

async fn a_token_in_another_spelling_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let parts: Vec<&str> = ann.token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts: {}", ann.token) };
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let unused_bits = same_bytes_other_end(signature);
    let spellings = [
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}."),
        format!(".{header}.{claims}.{signature}"),
        format!("{header}..{claims}.{signature}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{}", URL_SAFE.encode(&bytes)),
        format!("{header}.{claims}.{}", STANDARD.encode(&bytes)),
        format!("{header}.{claims}.{unused_bits}"),
        format!("{header}.{claims}.{signature} x"),
        format!("\"{}\"", ann.token),
        ann.token.to_lowercase(),
        ann.token.replace('.', "%2E"),
    ];
    for token in spellings {
        refused(&context, &token).await;
    }
}

/// A lax decoder reads the same 32 bytes: the last character's two lowest bits belong to none.
fn same_bytes_other_end(signature: &str) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    let place = alphabet.find(last).expect("base64");
    assert_eq!(place % 4, 0, "a canonical end");
    format!("{start}{}", &alphabet[place + 1..place + 2])
}

async fn a_text_that_is_no_token_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let mut claims = part(&ann.token, 1);
    claims["padding"] = json!("x".repeat(4_000));
    let large = signed(&header(&ann.token), &claims.to_string(), JWT_SECRET);
    let (letters, dots) = ("x".repeat(4_096), ".".repeat(1_000));
    for token in ["x", "null", "undefined", "..", "a.b.c", "e30.e30.e30", &ann.id, &large, &letters, &dots] {
        refused(&context, token).await;
    }
    refused_header(&context, "Bearer").await;
}

async fn another_scheme_is_refused(context: Arc<Context>) {
    let Person { token, email, .. } = context.person().await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{email}:{}", crate::client::PASSWORD)));
    for value in
        [basic, token.clone(), format!("Token {token}"), format!("Bearer:{token}"), format!("Bearer={token}"), format!("JWT {token}")]
    {
        refused_header(&context, &value).await;
    }
}

async fn a_token_outside_the_header_counts_as_none(context: Arc<Context>) {
    let token = context.person().await.token;
    let client = context.anonymous();
    let requests = [
        client.request(Method::GET, ROUTE),
        client.request(Method::GET, &format!("{ROUTE}?token={token}")),
        client.request(Method::GET, &format!("{ROUTE}?access_token={token}")),
        client.request(Method::GET, &format!("{ROUTE}?Authorization=Bearer%20{token}")),
        client.request(Method::GET, ROUTE).header("Cookie", format!("token={token}; Authorization=Bearer {token}")),
        client.request(Method::GET, ROUTE).header("X-Authorization", format!("Bearer {token}")),
        client.request(Method::GET, ROUTE).header("Proxy-Authorization", format!("Bearer {token}")),
        client.request(Method::PUT, ROUTE).json(&json!({ "token": token, "access_token": token, "messagesFrom": "friends" })),
    ];
    for request in requests {
        let answer = Answer::of(request).await;
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{answer:?}");
        answer.fails(401, "unauthorized");
    }
}

async fn two_authorization_headers_are_a_bad_request(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let value = |person: &Person| format!("Bearer {}", person.token);
    for (first, second) in
        [(value(&ann), value(&bob)), (value(&ann), value(&ann)), (value(&ann), "Basic x".to_owned()), ("x".to_owned(), value(&ann))]
    {
        let request = context.anonymous().request(Method::GET, ROUTE);
        Answer::of(request.header("Authorization", &first).header("Authorization", &second)).await.fails(400, "invalid_request");
        for separator in [", ", ","] {
            with_authorization(&context, &format!("{first}{separator}{second}")).await.fails(400, "invalid_request");
        }
    }
}
