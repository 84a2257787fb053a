//! `POST /api/chat/send`: what is sent, and to whom.

use std::sync::Arc;

use serde_json::json;

use crate::client::{Answer, Person, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_send_answers_with_the_place_of_the_message,
    both_sides_number_one_chat_together,
    a_chat_stands_in_both_profiles_the_latest_first,
    nobody_writes_to_themselves_or_to_nobody,
    text_comes_back_byte_for_byte,
    text_outside_its_rules_is_refused,
    who_takes_messages_from_friends_hears_from_those_they_have_added,
    of_50_sends_at_once_each_has_its_number,
);

async fn a_send_answers_with_the_place_of_the_message(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let sent = ann.send(&bob, "hello").await.ok();
    assert_eq!(sent["message"], "Message sent successfully");
    assert_eq!(sent["seq"], 1);
    let read = &bob.messages("").await[0];
    for field in ["id", "chatId", "seq", "timestamp"] {
        assert_eq!(sent[field], read[field], "{field}");
    }
    assert_eq!((&read["senderId"], &read["recipientId"], &read["content"]), (&json!(ann.id), &json!(bob.id), &json!("hello")));
    let mut fields: Vec<_> = read.as_object().expect("a message").keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["chatId", "content", "id", "recipientId", "senderId", "seq", "timestamp"]);
}

async fn both_sides_number_one_chat_together(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for seq in 1..=6 {
        let (sender, recipient) = if seq % 2 == 0 { (&ann, &bob) } else { (&bob, &ann) };
        assert_eq!(sender.send(recipient, "again").await.ok()["seq"], seq);
    }
}

async fn a_chat_stands_in_both_profiles_the_latest_first(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let with_bob = text(&ann.send(&bob, "first").await.ok()["chatId"]);
    let with_carl = text(&carl.send(&ann, "second").await.ok()["chatId"]);
    assert_eq!(ann.profile().await["chats"], json!([with_carl, with_bob]));
    assert_eq!(bob.profile().await["chats"], json!([with_bob]));
    bob.send(&ann, "third").await.ok();
    assert_eq!(ann.profile().await["chats"], json!([with_bob, with_carl]));
}

async fn nobody_writes_to_themselves_or_to_nobody(context: Arc<Context>) {
    let ann = context.person().await;
    ann.send(&ann, "dear diary").await.fails_in(&["recipientId"]);
    let nobody = uuid::Uuid::now_v7().simple().to_string();
    let send = async |id: &str| ann.post("/api/chat/send", &json!({ "recipientId": id, "message": "x" })).await;
    send(&nobody).await.fails(404, "user_not_found");
    for bad in ["", "x", &ann.id.to_uppercase(), &format!("{}0", ann.id), "../etc/passwd"] {
        send(bad).await.fails_in(&["recipientId"]);
    }
    ann.post("/api/chat/send", &json!({})).await.fails_in(&["message", "recipientId"]);
}

async fn text_comes_back_byte_for_byte(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let texts = [
        " leading and trailing ",
        "line\nline\r\n\ttab",
        "\u{1f469}\u{200d}\u{1f52c} \u{202e}rtl\u{202c} e\u{301} \u{e9}",
        "{\"$ne\": null} '; DROP TABLE users; -- <script>",
        "\u{feff}bom",
        &"\u{1f600}".repeat(4_000),
    ];
    for content in texts {
        ann.send(&bob, content).await.ok();
        assert_eq!(bob.messages("?limit=1").await[0]["content"], content);
    }
    let escaped = format!("{{\"recipientId\":\"{}\",\"message\":\"{}\"}}", bob.id, "\\u00e9".repeat(4_000));
    let request = ann.request(reqwest::Method::POST, "/api/chat/send").header("Content-Type", "application/json").body(escaped);
    Answer::of(request).await.ok();
}

async fn text_outside_its_rules_is_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for bad in [
        "",
        " \n\t\u{a0}\u{2003}",
        "\u{200b}",
        "\u{2800}\u{3164}\n\u{ad}",
        "\u{1}",
        "nul\0",
        "bell\u{7}",
        "\u{85}x",
        &"a".repeat(4_001),
        &"\u{1f600}".repeat(4_097),
    ] {
        ann.send(&bob, bad).await.fails_in(&["message"]);
    }
    assert!(bob.messages("").await.is_empty(), "what is refused changes nothing");
}

async fn who_takes_messages_from_friends_hears_from_those_they_have_added(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    bob.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    ann.befriend(&bob).await.ok();
    ann.send(&bob, "may I?").await.fails(403, "not_accepted");
    bob.send(&ann, "I may").await.ok();
    bob.befriend(&ann).await.ok();
    ann.send(&bob, "now I may").await.ok();
    assert_eq!(bob.messages("").await.len(), 2);
}

async fn of_50_sends_at_once_each_has_its_number(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let send = async |number: usize| {
        let (sender, recipient): (&Person, &Person) = if number.is_multiple_of(2) { (&ann, &bob) } else { (&bob, &ann) };
        sender.send(recipient, &number.to_string()).await.ok()["seq"].as_u64().expect("a number")
    };
    let mut seqs = futures_util::future::join_all((0..50).map(send)).await;
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(1..=50));
}
