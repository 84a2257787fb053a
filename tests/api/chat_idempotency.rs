//! A send with a client id is stored once, however often it is repeated.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Person};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    a_repetition_gets_the_first_answer_and_stores_nothing,
    another_text_under_the_same_client_id_is_a_mismatch,
    the_header_means_the_same_as_the_field,
    a_client_id_belongs_to_its_sender_and_recipient,
    malformed_client_ids_are_refused,
    a_repeated_header_is_refused in ALONE,
    a_repetition_is_authorized_anew,
    one_client_id_20_times_at_once_is_one_message,
);

const REPLAYED: &str = "idempotency-replayed";

async fn send(sender: &Person, recipient: &Person, message: &str, client_id: &str) -> Answer {
    sender.post("/api/chat/send", &json!({ "recipientId": recipient.id, "message": message, "clientId": client_id })).await
}

async fn send_with_header(sender: &Person, recipient: &Person, message: &str, keys: &[&str]) -> Answer {
    let body = json!({ "recipientId": recipient.id, "message": message });
    let request = sender.request(Method::POST, "/api/chat/send").json(&body);
    Answer::of(keys.iter().fold(request, |request, key| request.header("Idempotency-Key", *key))).await
}

async fn a_repetition_gets_the_first_answer_and_stores_nothing(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let first = send(&ann, &bob, "once", "id-1").await;
    assert_eq!(first.header(REPLAYED), "");
    let first = first.ok();
    bob.send(&ann, "in between").await.ok();
    let again = send(&ann, &bob, "once", "id-1").await;
    assert_eq!(again.header(REPLAYED), "true");
    assert_eq!(again.ok(), first);
    assert_eq!(bob.messages("").await.len(), 2);
}

async fn another_text_under_the_same_client_id_is_a_mismatch(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    send(&ann, &bob, "one text", "id").await.ok();
    send(&ann, &bob, "another text", "id").await.fails(422, "idempotency_mismatch");
    assert_eq!(bob.messages("").await.len(), 1);
}

async fn the_header_means_the_same_as_the_field(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let first = send(&ann, &bob, "once", "key:1").await.ok();
    assert_eq!(send_with_header(&ann, &bob, "once", &["key:1"]).await.ok(), first);
    assert_eq!(send_with_header(&ann, &bob, "once", &["\"key:1\""]).await.ok(), first);
    let body = json!({ "recipientId": bob.id, "message": "once", "clientId": "key:1" });
    let both = |key: &'static str| ann.request(Method::POST, "/api/chat/send").json(&body).header("Idempotency-Key", key);
    assert_eq!(Answer::of(both("key:1")).await.ok(), first);
    Answer::of(both("key:2")).await.fails_in(&["clientId"]);
}

async fn a_client_id_belongs_to_its_sender_and_recipient(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    for (sender, recipient) in [(&ann, &bob), (&bob, &ann), (&ann, &carl)] {
        let answer = send(sender, recipient, "mine", "same").await;
        assert_eq!(answer.header(REPLAYED), "");
        answer.ok();
    }
}

async fn malformed_client_ids_are_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for bad in ["", "with space", "\u{e9}", &"x".repeat(65), "a,b"] {
        send(&ann, &bob, "x", bad).await.fails_in(&["clientId"]);
    }
    for bad in ["with space", "\"open", &"x".repeat(65), "a,b"] {
        send_with_header(&ann, &bob, "x", &[bad]).await.fails(400, "invalid_request");
    }
    send(&ann, &bob, "x", &"x".repeat(64)).await.ok();
}

async fn a_repeated_header_is_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    send_with_header(&ann, &bob, "x", &["one", "two"]).await.fails(400, "invalid_request");
}

async fn a_repetition_is_authorized_anew(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    send(&ann, &bob, "once", "id").await.ok();
    bob.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    send(&ann, &bob, "once", "id").await.fails(403, "not_accepted");
}

async fn one_client_id_20_times_at_once_is_one_message(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let answers = futures_util::future::join_all((0..20).map(|_| send(&ann, &bob, "once", "id"))).await;
    let bodies: Vec<Value> = answers.into_iter().map(Answer::ok).collect();
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:?}");
    assert_eq!(bob.messages("").await.len(), 1);
}
