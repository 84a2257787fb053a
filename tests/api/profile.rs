//! `/api/users/profile`.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{PASSWORD, names, new_name, text, time};
use crate::context::Context;
use crate::tests;

tests!(Context:
    the_profile_is_the_own_user_flat,
    a_new_username_is_seen_at_once,
    a_new_address_logs_in_and_the_old_one_is_free,
    messages_from_can_be_changed_and_is_kept,
    several_fields_change_together,
    the_own_name_and_address_are_allowed_also_in_another_case,
    an_empty_change_is_refused,
    null_is_no_change,
    a_value_outside_its_rule_is_refused_and_nothing_changes,
    fields_that_the_route_does_not_have_are_refused,
    values_of_another_type_are_refused,
    a_taken_name_or_address_is_refused_and_nothing_changes,
    of_two_people_who_take_one_address_at_once_one_wins,
    a_change_beside_one_of_the_password_fails_by_the_password_alone,
);

const ROUTE: &str = "/api/users/profile";

async fn the_profile_is_the_own_user_flat(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    let chat = text(&ann.send(&bob, "hello").await.ok()["chatId"]);
    let profile = ann.profile().await;
    let expected = json!({
        "id": ann.id, "username": ann.username, "email": ann.email, "isEmailVerified": false, "pendingEmail": null, "friends": [bob.id], "chats": [chat],
        "online_status": "online", "last_login": profile["last_login"], "messagesFrom": "everyone", "createdAt": profile["createdAt"],
    });
    assert_eq!(profile, expected);
    assert!(time(&profile["last_login"]) >= time(&profile["createdAt"]));
}

async fn a_new_username_is_seen_at_once(context: Arc<Context>) {
    let ann = context.person().await;
    let mut expected = ann.profile().await;
    expected["username"] = json!(new_name());
    let body = ann.put(ROUTE, &json!({ "username": expected["username"] })).await.ok();
    assert_eq!(names(&body), ["message", "user"]);
    assert_eq!(body["message"], "Profile updated successfully");
    assert_eq!(body["user"], expected, "nothing else has changed");
    assert_eq!(ann.profile().await, expected);
}

async fn a_new_address_logs_in_and_the_old_one_is_free(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let email = format!("{}@example.org", new_name());
    let body = ann.put(ROUTE, &json!({ "email": email })).await.ok();
    assert_eq!((&body["user"]["email"], &body["user"]["isEmailVerified"]), (&json!(email), &json!(false)));
    assert_eq!(ann.profile().await["email"], email.as_str(), "the session goes on");
    assert_eq!(context.anonymous().log_in(&email, PASSWORD).await.ok()["user"]["id"], ann.id.as_str());
    context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    bob.put(ROUTE, &json!({ "email": ann.email })).await.ok();
    assert_eq!(context.anonymous().log_in(&ann.email, PASSWORD).await.ok()["user"]["id"], bob.id.as_str());
}

async fn messages_from_can_be_changed_and_is_kept(context: Arc<Context>) {
    let ann = context.person().await;
    for choice in ["friends", "everyone"] {
        let body = ann.put(ROUTE, &json!({ "messagesFrom": choice })).await.ok();
        assert_eq!(body["user"]["messagesFrom"], choice);
        ann.put(ROUTE, &json!({ "username": ann.username })).await.ok();
        assert_eq!(ann.profile().await["messagesFrom"], choice);
    }
}

async fn several_fields_change_together(context: Arc<Context>) {
    let ann = context.person().await;
    let name = new_name();
    let change = json!({ "username": name, "email": format!("{name}@example.org"), "messagesFrom": "friends" });
    ann.put(ROUTE, &change).await.ok();
    let profile = ann.profile().await;
    for field in ["username", "email", "messagesFrom"] {
        assert_eq!(profile[field], change[field]);
    }
}

async fn the_own_name_and_address_are_allowed_also_in_another_case(context: Arc<Context>) {
    let ann = context.person().await;
    for (name, email) in [(ann.username.clone(), ann.email.clone()), (ann.username.to_uppercase(), ann.email.to_uppercase())] {
        ann.put(ROUTE, &json!({ "username": name, "email": email })).await.ok();
        let profile = ann.profile().await;
        assert_eq!((text(&profile["username"]), text(&profile["email"])), (name, ann.email.clone()), "one's own address is no change");
    }
    context.anonymous().log_in(&ann.email, PASSWORD).await.ok();
}

async fn an_empty_change_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    ann.put(ROUTE, &json!({})).await.fails_in(&["email", "messagesFrom", "username"]);
}

async fn null_is_no_change(context: Arc<Context>) {
    let ann = context.person().await;
    let nothing = json!({ "username": null, "email": null, "messagesFrom": null });
    ann.put(ROUTE, &nothing).await.fails_in(&["email", "messagesFrom", "username"]);
    ann.put(ROUTE, &json!({ "username": null, "messagesFrom": "friends" })).await.ok();
    let profile = ann.profile().await;
    assert_eq!((text(&profile["username"]), text(&profile["messagesFrom"])), (ann.username, "friends".to_owned()));
}

async fn a_value_outside_its_rule_is_refused_and_nothing_changes(context: Arc<Context>) {
    let ann = context.person().await;
    let before = ann.profile().await;
    let fine = new_name();
    let bad: [(Value, &[&str]); 11] = [
        (json!({ "username": "ab" }), &["username"]),
        (json!({ "username": "" }), &["username"]),
        (json!({ "username": "two words" }), &["username"]),
        (json!({ "username": "admin" }), &["username"]),
        (json!({ "email": "" }), &["email"]),
        (json!({ "email": "ann@localhost" }), &["email"]),
        (json!({ "email": "ann@example.com\r\nBcc: bob@example.com" }), &["email"]),
        (json!({ "messagesFrom": "" }), &["messagesFrom"]),
        (json!({ "messagesFrom": "Friends" }), &["messagesFrom"]),
        (json!({ "username": fine, "email": "ann" }), &["email"]),
        (json!({ "username": "a", "email": "b", "messagesFrom": "c" }), &["email", "messagesFrom", "username"]),
    ];
    for (change, fields) in bad {
        ann.put(ROUTE, &change).await.fails_in(fields);
    }
    assert_eq!(ann.profile().await, before);
}

async fn fields_that_the_route_does_not_have_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let before = ann.profile().await;
    let unknown = [
        ("isEmailVerified", json!(true)),
        ("is_email_verified", json!(true)),
        ("_id", json!(ann.id)),
        ("id", json!(ann.id)),
        ("role", json!("admin")),
        ("isAdmin", json!(true)),
        ("ISADMIN", json!(true)),
        ("friends", json!([])),
        ("chats", json!([])),
        ("password", json!(PASSWORD)),
        ("passwordHash", json!("x")),
        ("tokenVersion", json!(1)),
        ("online_status", json!("offline")),
        ("last_login", json!(null)),
        ("createdAt", json!("2000-01-01T00:00:00.000Z")),
        ("messages_from", json!("friends")),
        ("Email", json!("ann@example.com")),
        ("$set", json!({ "isAdmin": true })),
        ("user", json!({ "isEmailVerified": true })),
        ("constructor", json!({})),
    ];
    for (field, value) in unknown {
        let mut change = json!({ "messagesFrom": "friends" });
        change[field] = value;
        ann.put(ROUTE, &change).await.fails(400, "invalid_json");
    }
    assert_eq!(ann.profile().await, before);
}

async fn values_of_another_type_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for field in ["username", "email", "messagesFrom"] {
        for value in [json!(1), json!(false), json!(["everyone"]), json!({ "$set": "everyone" })] {
            ann.put(ROUTE, &json!({ field: value })).await.fails(400, "invalid_json");
        }
    }
    for body in [json!(null), json!([]), json!(["ann"]), json!("ann"), json!(1)] {
        ann.put(ROUTE, &body).await.fails(400, "invalid_json");
    }
}

async fn a_taken_name_or_address_is_refused_and_nothing_changes(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let before = ann.profile().await;
    let (name, email, free) = (bob.username.to_uppercase(), bob.email.to_uppercase(), new_name());
    let taken = [
        (json!({ "username": name }), "username_taken"),
        (json!({ "email": email }), "email_taken"),
        (json!({ "username": name, "email": email }), "username_taken"),
        (json!({ "username": free, "email": email, "messagesFrom": "friends" }), "email_taken"),
        (json!({ "username": name, "email": format!("{free}@example.com") }), "username_taken"),
    ];
    for (change, code) in taken {
        ann.put(ROUTE, &change).await.fails(409, code);
    }
    assert_eq!(ann.profile().await, before);
    bob.put(ROUTE, &json!({ "username": free })).await.ok();
    assert_eq!(bob.profile().await["username"], free.as_str(), "a refused change holds nothing back");
}

async fn of_two_people_who_take_one_address_at_once_one_wins(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for _ in 0..10 {
        let email = format!("{}@example.org", new_name());
        let change = json!({ "email": email });
        let (by_ann, by_bob) = futures_util::join!(ann.put(ROUTE, &change), bob.put(ROUTE, &change));
        let loser = if by_ann.status == 200 { by_bob } else { by_ann };
        loser.fails(409, "email_taken");
        let (of_ann, of_bob) = (ann.profile().await, bob.profile().await);
        assert!((of_ann["email"] == change["email"]) != (of_bob["email"] == change["email"]), "{of_ann} {of_bob}");
    }
}

/// The session goes on, so nothing says that it has ended.
async fn a_change_beside_one_of_the_password_fails_by_the_password_alone(context: Arc<Context>) {
    let ann = context.person().await;
    let name = json!({ "username": new_name(), "currentPassword": PASSWORD });
    let password = json!({ "currentPassword": PASSWORD, "newPassword": "maple-anchor-violin" });
    let renaming_until_wrong = (0..4).map(|_| async {
        loop {
            let renamed = ann.put(ROUTE, &name).await;
            if renamed.status != 200 {
                return renamed.fails(403, "wrong_password");
            }
        }
    });
    let (_refused, changed) = futures_util::join!(join_all(renaming_until_wrong), ann.put("/api/auth/password", &password));
    changed.ok();
}
