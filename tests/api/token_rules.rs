//! Which tokens are accepted, and how they may be sent.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Answer, Person};
use crate::context::{ALONE, Context};
use crate::support::server::JWT_SECRET;
use crate::tests;

tests!(Context:
    a_token_signed_by_us_over_other_claims_is_refused,
    a_token_with_another_header_is_refused,
    a_token_in_another_form_is_refused,
    a_token_is_read_from_its_header_only,
    the_scheme_is_read_in_any_case,
    two_tokens_are_refused in ALONE,
    tokens_joined_by_a_comma_are_refused,
    the_challenge_tells_whether_a_token_was_sent_and_no_more,
);

/// The header of every token of ours, to the letter.
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

fn signed(header: &str, claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    let unsigned = [header, &claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = jsonwebtoken::crypto::sign(unsigned.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), algorithm);
    format!("{unsigned}.{}", signature.expect("a signature"))
}

fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

async fn refused(person: &Person, token: &str) {
    let request = person.client.request(Method::GET, "/api/users/profile").bearer_auth(token);
    Answer::of(request).await.fails(401, "unauthorized");
}

async fn a_token_signed_by_us_over_other_claims_is_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let claims = claims_of(&ann.token);
    let again = signed(HEADER, &claims, JWT_SECRET, Algorithm::HS256);
    Answer::of(ann.client.request(Method::GET, "/api/users/profile").bearer_auth(again)).await.ok();
    let now = claims["iat"].as_i64().expect("a time");
    let mut changes = vec![("sub", json!(bob.id)), ("sid", json!("0".repeat(32))), ("exp", json!(now - 31)), ("iat", json!(now + 3_600))];
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        changes.extend([(name, json!("x")), (name, json!([claims[name]])), (name, json!({})), (name, Value::Null), (name, json!(1.5))]);
    }
    changes.push(("isAdmin", json!(true)));
    for (name, value) in changes {
        let mut other = claims.clone();
        other[name] = value;
        refused(&ann, &signed(HEADER, &other, JWT_SECRET, Algorithm::HS256)).await;
    }
    refused(&ann, &signed(HEADER, &claims, "another secret of more than 32 bytes, 0123456789", Algorithm::HS256)).await;
}

async fn a_token_with_another_header_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let claims = claims_of(&ann.token);
    let headers = [
        r#"{"typ":"JWT","alg":"none"}"#,
        r#"{"typ":"JWT","alg":"hs256"}"#,
        r#"{"typ":"JWT","alg":"HS256","crit":["exp"]}"#,
        r#"{"typ":"at+jwt","alg":"HS256"}"#,
        r#"{"typ":"JWT","alg":"HS256","jku":"https://example.com"}"#,
        r#"{"alg":"HS256"}"#,
    ];
    for header in headers {
        refused(&ann, &signed(header, &claims, JWT_SECRET, Algorithm::HS256)).await;
    }
    refused(&ann, &signed(r#"{"typ":"JWT","alg":"HS512"}"#, &claims, JWT_SECRET, Algorithm::HS512)).await;
}

async fn a_token_in_another_form_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let token = &ann.token;
    let (unsigned, signature) = token.rsplit_once('.').expect("three parts");
    let others = [
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!("{token}="),
        "x".repeat(4_090),
    ];
    for other in others {
        refused(&ann, &other).await;
    }
    for index in (0..token.len()).step_by(17).filter(|index| !token[*index..].starts_with('.')) {
        let mut changed = token.clone();
        let swapped = if token[index..].starts_with('A') { "B" } else { "A" };
        changed.replace_range(index..=index, swapped);
        refused(&ann, &changed).await;
    }
}

async fn a_token_is_read_from_its_header_only(context: Arc<Context>) {
    let ann = context.person().await;
    let get = |path: &str| ann.client.request(Method::GET, path);
    let path = "/api/users/profile";
    let elsewhere: [RequestBuilder; 4] = [
        get(&format!("{path}?access_token={}", ann.token)),
        get(path).header("Cookie", format!("token={0}; Authorization={0}", ann.token)),
        get(path).header("X-Access-Token", &ann.token),
        get(path).json(&json!({ "token": ann.token })),
    ];
    for request in elsewhere {
        Answer::of(request).await.fails(401, "unauthorized");
    }
}

async fn the_scheme_is_read_in_any_case(context: Arc<Context>) {
    let ann = context.person().await;
    let ask = |value: String| Answer::of(ann.client.request(Method::GET, "/api/users/profile").header("Authorization", value));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        ask(format!("{scheme} {}", ann.token)).await.ok();
    }
    for other in [format!("Basic {}", ann.token), ann.token.clone(), "Bearer".to_owned(), format!("Bearer{}", ann.token)] {
        ask(other).await.fails(401, "unauthorized");
    }
}

async fn two_tokens_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let twice = ann.request(Method::GET, "/api/users/profile").header("Authorization", format!("Bearer {}", ann.token));
    Answer::of(twice).await.fails(400, "invalid_request");
}

async fn tokens_joined_by_a_comma_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let joined = format!("Bearer {0}, Bearer {0}", ann.token);
    let request = ann.client.request(Method::GET, "/api/users/profile").header("Authorization", joined);
    Answer::of(request).await.fails(400, "invalid_request");
}

async fn the_challenge_tells_whether_a_token_was_sent_and_no_more(context: Arc<Context>) {
    let ended = context.person().await;
    ended.log_out().await.ok();
    let without = context.anonymous().get("/api/users/profile").await;
    assert_eq!(without.header("www-authenticate"), "Bearer realm=\"chat\"");
    let forged = Person { token: "a.b.c".to_owned(), ..ended.clone() };
    for person in [&ended, &forged] {
        let answer = person.get("/api/users/profile").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"chat\", error=\"invalid_token\"");
    }
}
