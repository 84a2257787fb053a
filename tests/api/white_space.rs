//! White space around an address or a user name, as keyboards of phones add it, is no part of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{PASSWORD, Person, new_name, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    white_space_around_a_name_or_an_address_is_dropped_on_every_route,
    every_route_that_takes_a_name_or_an_address_is_tried,
);

/// The routes whose bodies take one, with its field; each is tried below.
const TAKING: [(&str, &str, &str); 6] = [
    ("/api/auth/register", "post", "username"),
    ("/api/auth/register", "post", "email"),
    ("/api/auth/login", "post", "email"),
    ("/api/auth/password-reset", "post", "email"),
    ("/api/users/profile", "put", "username"),
    ("/api/users/profile", "put", "email"),
];

/// With white space of several kinds around it.
fn padded(text: &str) -> String {
    format!(" \t{text}\u{a0}\r\n")
}

async fn white_space_around_a_name_or_an_address_is_dropped_on_every_route(context: Arc<Context>) {
    let (client, name) = (context.anonymous(), new_name());
    let email = format!("{name}@example.com");
    let body = client.register(&padded(&name), &padded(&email), PASSWORD).await.expect(201.try_into().expect("a status"));
    assert_eq!((&body["user"]["username"], &body["user"]["email"]), (&json!(name), &json!(email)));
    client.register(&padded(&name), &format!("{}@example.com", new_name()), PASSWORD).await.fails(409, "username_taken");
    client.register(&new_name(), &padded(&email), PASSWORD).await.fails(409, "email_taken");
    let body = client.log_in(&padded(&email), PASSWORD).await.ok();
    let (id, token) = (text(&body["user"]["id"]), text(&body["token"]));
    let ann = Person { client: client.clone(), id, username: name.clone(), email: email.clone(), token };

    let ask = json!({ "email": padded(&email) });
    client.post("/api/auth/password-reset", &ask).await.expect(202.try_into().expect("a status"));
    context.mail_to(&email, "new password", 1).await;
    let same = json!({ "username": padded(&name), "email": padded(&email) });
    assert_eq!(ann.put("/api/users/profile", &same).await.ok()["user"], ann.profile().await);
    let other = new_name();
    let moved = json!({ "username": padded(&other), "email": padded(&format!("{other}@example.com")) });
    let user = &ann.put("/api/users/profile", &moved).await.ok()["user"];
    assert_eq!((&user["username"], &user["email"]), (&json!(other), &json!(format!("{other}@example.com"))));
    let found = ann.get(&format!("/api/users/search?username=+{other}%20%09")).await.ok();
    assert_eq!(found["users"][0]["username"], json!(other));
}

async fn every_route_that_takes_a_name_or_an_address_is_tried(context: Arc<Context>) {
    let document = context.anonymous().get("/api/openapi.json").await.ok();
    let mut taking = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            for field in fields_of(&document, operation).filter(|field| ["email", "username"].contains(&field.as_str())) {
                taking.insert((path.clone(), method.clone(), field));
            }
        }
    }
    let tried = TAKING.map(|(path, method, field)| (path.to_owned(), method.to_owned(), field.to_owned()));
    assert_eq!(taking, BTreeSet::from(tried));
}

/// The fields of an operation's body.
fn fields_of(document: &Value, operation: &Value) -> impl Iterator<Item = String> {
    let reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
    let schema = document.pointer(reference.trim_start_matches('#')).filter(|_| !reference.is_empty());
    let fields = schema.and_then(|schema| schema["properties"].as_object()).into_iter().flatten();
    fields.map(|(name, _)| name.clone()).collect::<Vec<_>>().into_iter()
}
