//! `/api/users/profile`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::new_name;
use crate::context::Context;
use crate::register::USER_FIELDS;
use crate::tests;

tests!(Context:
    a_profile_has_its_fields_and_no_other,
    a_change_touches_the_fields_given_and_is_seen_at_once,
    an_empty_change_is_refused,
    a_change_outside_the_rules_changes_nothing,
    nobody_sets_what_is_not_theirs_to_set,
    taken_names_and_addresses_change_nothing,
    ones_own_name_and_address_are_not_taken,
    of_10_changes_to_one_name_one_succeeds,
);

const PATH: &str = "/api/users/profile";

async fn a_profile_has_its_fields_and_no_other(context: Arc<Context>) {
    let profile = context.person().await.profile().await;
    let mut fields: Vec<_> = profile.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, USER_FIELDS);
    assert_eq!(profile["online_status"], "online");
}

async fn a_change_touches_the_fields_given_and_is_seen_at_once(context: Arc<Context>) {
    let ann = context.person().await;
    let (name, email) = (new_name(), format!("{}@Example.com", new_name()));
    let changes = [json!({ "username": name }), json!({ "email": email }), json!({ "messagesFrom": "friends" })];
    for change in changes {
        let before = ann.profile().await;
        let answer = ann.put(PATH, &change).await.ok();
        assert_eq!(answer["message"], "Profile updated successfully");
        let mut expected = before;
        expected.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        assert_eq!(answer["user"], expected);
        assert_eq!(ann.profile().await, expected);
    }
}

async fn an_empty_change_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for body in [json!({}), json!({ "username": null, "email": null })] {
        ann.put(PATH, &body).await.fails_in(&["email", "messagesFrom", "username"]);
    }
}

async fn a_change_outside_the_rules_changes_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let before = ann.profile().await;
    ann.put(PATH, &json!({ "username": "a b", "email": "x", "messagesFrom": "nobody" })).await.fails_in(&[
        "email",
        "messagesFrom",
        "username",
    ]);
    ann.put(PATH, &json!({ "username": new_name(), "email": "x" })).await.fails_in(&["email"]);
    assert_eq!(ann.profile().await, before);
}

async fn nobody_sets_what_is_not_theirs_to_set(context: Arc<Context>) {
    let ann = context.person().await;
    let before = ann.profile().await;
    for field in [
        "isEmailVerified",
        "isAdmin",
        "_id",
        "id",
        "role",
        "friends",
        "blocks",
        "passwordHash",
        "sessions",
        "$set",
        "Username",
        "user.email",
    ] {
        for value in [json!(true), json!("x"), json!({ "$gt": "" }), Value::Null] {
            ann.put(PATH, &json!({ "messagesFrom": "friends", field: value })).await.fails(400, "invalid_json");
        }
    }
    assert_eq!(ann.profile().await, before);
}

async fn taken_names_and_addresses_change_nothing(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let before = ann.profile().await;
    ann.put(PATH, &json!({ "username": bob.username.to_uppercase() })).await.fails(409, "username_taken");
    ann.put(PATH, &json!({ "email": bob.email.to_uppercase() })).await.fails(409, "email_taken");
    ann.put(PATH, &json!({ "username": new_name(), "email": bob.email })).await.fails(409, "email_taken");
    assert_eq!(ann.profile().await, before);
}

async fn ones_own_name_and_address_are_not_taken(context: Arc<Context>) {
    let ann = context.person().await;
    let change = json!({ "username": ann.username.to_uppercase(), "email": ann.email.to_uppercase() });
    ann.put(PATH, &change).await.ok();
    assert_eq!(ann.profile().await["username"], change["username"]);
}

async fn of_10_changes_to_one_name_one_succeeds(context: Arc<Context>) {
    let people = futures_util::future::join_all((0..10).map(|_| context.person())).await;
    let change = json!({ "username": new_name() });
    let answers = futures_util::future::join_all(people.iter().map(|person| person.put(PATH, &change))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status.is_success());
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.fails(409, "username_taken");
    }
}
