//! How many database operations a request takes: as many as ARCHITECTURE.md promises, however much data there is.
//!
//! On MongoDB the driver's own monitoring counts the commands; the embedded store has a counter.

use std::sync::Arc;

use serde_json::json;

use crate::client::{PASSWORD, Person, text};
use crate::{Context, tests};

tests!(Context: every_request_keeps_to_its_budget, an_open_request_that_is_refused_costs_nothing);

async fn every_request_keeps_to_its_budget(context: Arc<Context>) {
    let context = context.fresh().await;
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    let friend = json!({ "friendId": bob.id });
    let keyed = json!({ "recipientId": bob.id, "message": "hello", "clientId": "1" });
    // So that there is something behind what is read.
    for number in 0..30 {
        ann.send(&bob, &format!("message {number}")).await.ok();
    }
    context
        .costs("registration", 1, context.client.register("budget", "budget@example.com", PASSWORD))
        .await
        .expect(201.try_into().expect("a status"));
    let login = context.costs("log-in", 3, context.client.log_in(&ann.email, PASSWORD)).await.ok();
    context.costs("profile", 2, ann.get("/api/users/profile")).await.ok();
    context.costs("change of profile", 3, ann.put("/api/users/profile", &json!({ "messagesFrom": "everyone" }))).await.ok();
    context.costs("new friend", 2, ann.post("/api/users/friends", &friend)).await.ok();
    context.costs("friend removed", 2, ann.delete("/api/users/friends", &friend)).await.ok();
    context.costs("send", 4, ann.send(&bob, "hello")).await.ok();
    context.costs("send with a client id", 4, ann.post("/api/chat/send", &keyed)).await.ok();
    context.costs("messages of one chat", 2, bob.get(&format!("/api/chat/messages?with={}&limit=20", ann.id))).await.ok();
    context.costs("messages of all chats", 3, bob.get("/api/chat/messages?limit=20")).await.ok();
    let again = Person { token: text(&login["token"]), ..ann };
    context.costs("log-out", 2, again.log_out()).await.ok();
    context.costs("a token of an ended session", 2, again.get("/api/users/profile")).await.fails(401, "unauthorized");
    context.clear().await;
}

async fn an_open_request_that_is_refused_costs_nothing(context: Arc<Context>) {
    let context = context.fresh().await;
    let before = (context.operations)();
    let nobody = Person {
        client: context.client.clone(),
        id: String::new(),
        username: String::new(),
        email: String::new(),
        token: "a.b.c".to_owned(),
    };
    nobody.get("/api/users/profile").await.fails(401, "unauthorized");
    nobody.send(&nobody, "hello").await.fails(401, "unauthorized");
    context.client.register("!", "!", "!").await.fails_in(&["email", "password", "username"]);
    context.client.log_in("ann@example.com", &"long".repeat(200)).await.fails(401, "invalid_credentials");
    context.client.get("/api/nothing").await.fails(404, "not_found");
    assert_eq!((context.operations)(), before);
    context.clear().await;
}
