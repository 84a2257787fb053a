//! Bodies that are not the JSON that a route expects.

use std::sync::Arc;

use chat_functions::gateway;
use chat_functions::settings::Service;
use reqwest::Method;
use serde_json::Value;

use crate::client::{Answer, Person};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    what_is_not_the_expected_json_is_refused,
    a_missing_body_is_told_on_every_route_whatever_the_type_says,
    half_a_character_is_refused_in_every_text_of_every_body,
    a_body_must_say_that_it_is_json,
    an_encoded_body_is_refused in ALONE,
    a_route_without_a_body_does_not_mind_one,
);

async fn post(person: &Person, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    Answer::of(person.request(method, path).header("Content-Type", "application/json").body(body)).await
}

async fn what_is_not_the_expected_json_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let deep = format!("{{\"friendId\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies: Vec<Vec<u8>> = [
        "",
        "x",
        "{",
        "null",
        "true",
        "7",
        "\"text\"",
        "[]",
        "[\"7\"]",
        "{\"friendId\":\"7\"",
        "{\"friendId\":\"7\"} x",
        "{\"friendId\":\"7\"}{}",
        "{\"friendId\":NaN}",
        "{friendId:\"7\"}",
        "{'friendId':'7'}",
        "{\"friendId\":\"7\",}",
        "{\"friendId\":\"7\",\"friendId\":\"8\"}",
        "{\"friendId\":\"7\",\"other\":1}",
        "{\"friendid\":\"7\"}",
        "{\"friendId\":7}",
        "{\"friendId\":\"a\nb\"}",
        "\u{feff}{\"friendId\":\"7\"}",
        &deep,
    ]
    .map(|body| body.as_bytes().to_vec())
    .into_iter()
    .chain([b"{\"friendId\":\"\xff\"}".to_vec(), b"{\"friendId\":\"\xc0\xae\"}".to_vec(), vec![b'['; 10_000]])
    .collect();
    for body in bodies {
        let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        for method in [Method::POST, Method::DELETE] {
            let answer = post(&ann, method, "/api/users/friends", body.clone()).await;
            assert_eq!(answer.status.as_u16(), 400, "{shown}");
            answer.fails(400, "invalid_json");
        }
    }
}

/// Every route that takes a body, with the texts that it may have.
fn routes_with_texts() -> Vec<(Method, String, Vec<String>)> {
    let document = serde_json::to_value(gateway::document(&Service::ALL)).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("the paths") {
        for (method, operation) in item.as_object().expect("the operations") {
            let Some(schema) = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str() else { continue };
            let schema = document.pointer(&schema[1..]).expect("a schema");
            let is_text = |schema: &Value| !["boolean", "integer"].iter().any(|kind| schema["type"].to_string().contains(kind));
            let fields = schema["properties"].as_object().expect("the fields").iter().filter(|(_, schema)| is_text(schema));
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            routes.push((method, path.clone(), fields.map(|(name, _)| name.clone()).collect()));
        }
    }
    assert!(routes.len() > 14, "{routes:?}");
    routes
}

async fn a_missing_body_is_told_on_every_route_whatever_the_type_says(context: Arc<Context>) {
    let ann = context.person().await;
    for (method, path, _) in routes_with_texts() {
        let request = || ann.request(method.clone(), &path);
        let empty = |kind: &'static str| request().header("Content-Type", kind).body("");
        for request in [request(), empty("application/json"), empty("text/plain")] {
            let body = Answer::of(request).await.fails(400, "invalid_json");
            assert!(body["message"].as_str().is_some_and(|message| message.ends_with("the body is missing")), "{method} {path}: {body}");
        }
    }
}

async fn half_a_character_is_refused_in_every_text_of_every_body(context: Arc<Context>) {
    let ann = context.person().await;
    for (method, path, fields) in routes_with_texts() {
        for field in fields {
            let answer = post(&ann, method.clone(), &path, format!("{{\"{field}\":\"good night \\ud83d\"}}")).await;
            assert_eq!(answer.status, 422, "{method} {path} {field}: {answer:?}");
            answer.fails_in(&[&field]);
        }
    }
    let both = "{\"email\":\"\\udc00\",\"password\":\"\\ud83d\\ud83d\"}";
    ann.client.post_text("/api/auth/login", both).await.fails_in(&["email", "password"]);
    ann.client.post_text("/api/auth/login", "{\"email\":\"\\udc00\",\"other\":1}").await.fails(400, "invalid_json");
}

async fn a_body_must_say_that_it_is_json(context: Arc<Context>) {
    let ann = context.person().await;
    let body = format!("{{\"friendId\":\"{}\"}}", ann.id);
    for good in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=\"UTF-8\"",
        "application/json; charset=utf8",
        "application/json; profile=x",
        "application/json;",
    ] {
        let request = ann.request(Method::POST, "/api/users/friends").header("Content-Type", good).body(body.clone());
        let answer = Answer::of(request).await;
        if good.ends_with(';') && !context.is_alone() {
            // The host cannot read an empty parameter.
            assert_eq!((answer.status.as_u16(), answer.body.len()), (500, 0));
        } else {
            answer.fails_in(&["friendId"]);
        }
    }
    for bad in
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/jsonp", "multipart/form-data"]
    {
        let request = ann.request(Method::POST, "/api/users/friends").header("Content-Type", bad).body(body.clone());
        Answer::of(request).await.fails(415, "unsupported_media_type");
    }
    Answer::of(ann.request(Method::POST, "/api/users/friends").body(body)).await.fails(415, "unsupported_media_type");
}

async fn an_encoded_body_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for encoding in ["gzip", "identity", "br"] {
        let request = ann.request(Method::POST, "/api/users/friends").header("Content-Encoding", encoding);
        Answer::of(request.header("Content-Type", "application/json").body("{}")).await.fails(415, "unsupported_media_type");
    }
}

async fn a_route_without_a_body_does_not_mind_one(context: Arc<Context>) {
    let ann = context.person().await;
    post(&ann, Method::GET, "/api/users/profile", "{").await.ok();
    post(&ann, Method::POST, "/api/auth/logout", "not JSON").await.ok();
}
