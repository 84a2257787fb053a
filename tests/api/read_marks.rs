//! `PUT /api/chat/conversations`: marking as read.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Person};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_mark_lowers_what_is_unread_and_is_seen_by_the_other,
    a_mark_never_moves_back,
    marks_that_overtake_each_other_leave_the_furthest,
    a_mark_names_a_message_that_exists,
    others_chats_are_not_found,
    a_mark_is_ones_own,
    bodies_of_another_shape_are_refused,
);

const ROUTE: &str = "/api/chat/conversations";

/// What somebody has read and has still to read, and what the other has read.
async fn marks(person: &Person) -> [u64; 3] {
    let conversation = &person.conversations("").await[0];
    ["readSeq", "unread", "peerReadSeq"].map(|name| conversation[name].as_u64().expect("a number"))
}

async fn a_mark_lowers_what_is_unread_and_is_seen_by_the_other(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let chat = ann.send_several(&bob, 3).await;
    let answer = bob.mark_read(&chat, 2).await.ok();
    let expected = json!({ "message": "Conversation marked as read", "chatId": chat, "readSeq": 2, "lastSeq": 3, "unread": 1 });
    assert_eq!(answer, expected);
    assert_eq!((marks(&bob).await, marks(&ann).await), ([2, 1, 3], [3, 0, 2]));
}

async fn a_mark_never_moves_back(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let chat = ann.send_several(&bob, 3).await;
    bob.mark_read(&chat, 3).await.ok();
    for seq in [1, 3] {
        assert_eq!(bob.mark_read(&chat, seq).await.ok()["readSeq"], 3);
    }
    ann.mark_read(&chat, 1).await.ok();
    assert_eq!((marks(&bob).await, marks(&ann).await), ([3, 0, 3], [3, 0, 3]), "a sender has read what they sent");
}

async fn marks_that_overtake_each_other_leave_the_furthest(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let chat = ann.send_several(&bob, 20).await;
    let marking = (1..=20).map(|seq| bob.mark_read(&chat, seq * 7 % 20 + 1));
    for answer in futures_util::future::join_all(marking).await {
        answer.ok();
    }
    assert_eq!(marks(&bob).await, [20, 0, 20]);
}

async fn a_mark_names_a_message_that_exists(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let chat = ann.send_several(&bob, 2).await;
    for seq in [json!(3), json!(i64::MAX), json!(0), json!(-1)] {
        bob.put(ROUTE, &json!({ "chatId": chat, "readSeq": seq })).await.fails_in(&["readSeq"]);
    }
    assert_eq!(marks(&bob).await, [0, 2, 2], "nothing was marked");
}

async fn others_chats_are_not_found(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let chat = ann.send_several(&bob, 1).await;
    let never = format!("{}{}", "0".repeat(32), "1".repeat(32));
    let mut failures = Vec::new();
    for chat in [&chat, &never] {
        let mut failure = carl.mark_read(chat, 1).await.fails(404, "chat_not_found");
        failure["requestId"] = Value::Null;
        failures.push(failure);
    }
    assert_eq!(failures[0], failures[1], "a chat of others is as one that never was");
    assert_eq!(marks(&bob).await, [0, 1, 1]);
}

async fn a_mark_is_ones_own(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let chat = ann.send_several(&bob, 1).await;
    let body = json!({ "chatId": chat, "readSeq": 1, "userId": bob.id });
    ann.put(ROUTE, &body).await.fails(400, "invalid_json");
    ann.mark_read(&chat, 1).await.ok();
    assert_eq!(marks(&bob).await, [0, 1, 1]);
}

async fn bodies_of_another_shape_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    ann.put(ROUTE, &json!({})).await.fails_in(&["chatId", "readSeq"]);
    ann.put(ROUTE, &json!({ "chatId": "x", "readSeq": 0 })).await.fails_in(&["chatId", "readSeq"]);
    for body in [r#"{"chatId":1,"readSeq":1}"#, r#"{"readSeq":"1"}"#, r#"{"readSeq":1.5}"#, r#"{"readSeq":9223372036854775808}"#, "[]"] {
        let request = ann.request(Method::PUT, ROUTE).header("Content-Type", "application/json").body(body);
        Answer::of(request).await.fails(400, "invalid_json");
    }
}
