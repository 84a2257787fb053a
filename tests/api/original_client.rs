//! A client written against the original design: its routes, fields and messages, to the letter.

use std::sync::Arc;

use serde_json::json;

use crate::client::{PASSWORD, text};
use crate::context::Context;
use crate::tests;

tests!(Context: two_people_meet_and_talk);

async fn two_people_meet_and_talk(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;

    let login = context.anonymous().post("/api/auth/login", &json!({ "email": ann.email, "password": PASSWORD })).await.ok();
    assert_eq!(login["message"], "Login successful");
    assert_eq!(login["user"]["username"], ann.username.as_str());
    let ann = crate::client::Person { token: text(&login["token"]), ..ann };

    let profile = ann.profile().await;
    for (field, value) in [("username", json!(ann.username)), ("email", json!(ann.email)), ("friends", json!([])), ("chats", json!([]))] {
        assert_eq!(profile[field], value, "{field}");
    }
    assert_eq!(profile["online_status"], "online");
    assert!(profile["last_login"].is_string());
    let updated = ann.put("/api/users/profile", &json!({ "username": ann.username, "email": ann.email })).await.ok();
    assert_eq!(updated["message"], "Profile updated successfully");

    assert_eq!(ann.befriend(&bob).await.ok()["message"], "Friend added successfully");
    assert_eq!(ann.profile().await["friends"], json!([bob.id]));
    assert_eq!(ann.send(&bob, "hello").await.ok()["message"], "Message sent successfully");
    let messages = bob.messages("").await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["senderId"], ann.id.as_str());
    assert_eq!(messages[0]["recipientId"], bob.id.as_str());
    assert_eq!(messages[0]["content"], "hello");
    assert!(messages[0]["timestamp"].is_string());

    assert_eq!(ann.delete("/api/users/friends", &json!({ "friendId": bob.id })).await.ok()["message"], "Friend removed successfully");
    assert_eq!(ann.log_out().await.ok()["message"], "Logout successful");
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
}
