//! `GET /api/chat/conversations`: the inbox.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, names, text};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    a_conversation_tells_the_other_person_the_last_message_and_what_is_unread,
    conversations_come_latest_first,
    pages_give_each_conversation_once,
    a_page_of_long_messages_stops_at_512_kib,
    a_person_without_messages_has_no_conversations,
    presence_is_shown_to_those_who_were_added_and_hidden_by_a_block,
    who_has_deleted_their_account_stays_without_a_name,
    an_answer_that_the_client_has_is_not_sent_again,
    values_outside_their_rules_are_refused,
    unknown_and_malformed_parameters_are_refused,
    a_forged_cursor_shows_nothing_of_others in ALONE,
);

const ROUTE: &str = "/api/chat/conversations";

/// Whom a page is about, in its order.
fn peers(page: &[Value]) -> Vec<String> {
    page.iter().map(|conversation| text(&conversation["user"]["username"])).collect()
}

async fn a_conversation_tells_the_other_person_the_last_message_and_what_is_unread(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for number in 1..=3 {
        ann.send(&bob, &format!("message {number}")).await.ok();
    }
    let list = bob.get(ROUTE).await.ok();
    assert_eq!(names(&list), ["conversations"], "there is no further page");
    let [of_bob] = &list["conversations"].as_array().expect("a list")[..] else { panic!("one conversation: {list}") };
    assert_eq!(names(of_bob), ["chatId", "lastMessage", "lastSeq", "peerReadSeq", "readSeq", "unread", "user"]);
    let messages = bob.messages(&format!("?with={}", ann.id)).await;
    assert_eq!(of_bob["lastMessage"], messages[2]);
    assert_eq!(of_bob["chatId"], messages[2]["chatId"]);
    assert_eq!(of_bob["user"], json!({ "id": ann.id, "username": ann.username, "online_status": "offline", "lastSeen": null }));
    let numbers = |of: &Value| ["lastSeq", "readSeq", "peerReadSeq", "unread"].map(|name| of[name].as_u64().expect("a number"));
    assert_eq!(numbers(of_bob), [3, 0, 3, 3], "a sender has read what they sent");
    assert_eq!(numbers(&ann.conversations("").await[0]), [3, 3, 0, 0]);
    bob.send(&ann, "and back").await.ok();
    assert_eq!(numbers(&bob.conversations("").await[0]), [4, 4, 3, 0], "who answers has read");
    assert_eq!(numbers(&ann.conversations("").await[0]), [4, 3, 4, 1]);
}

async fn conversations_come_latest_first(context: Arc<Context>) {
    let (ann, others) = (context.person().await, [context.person().await, context.person().await, context.person().await]);
    for other in &others {
        ann.send(other, "hello").await.ok();
    }
    let [first, second, third] = others.each_ref().map(|person| person.username.clone());
    assert_eq!(peers(&ann.conversations("").await), [third.clone(), second.clone(), first.clone()]);
    others[1].send(&ann, "hello back").await.ok();
    assert_eq!(peers(&ann.conversations("").await), [second, third, first]);
}

async fn pages_give_each_conversation_once(context: Arc<Context>) {
    let ann = context.person().await;
    for _ in 0..7 {
        context.person().await.send(&ann, "hello").await.ok();
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    for expected in [3, 3, 1] {
        let page = ann.get(&format!("{ROUTE}{query}")).await.ok();
        let conversations = page["conversations"].as_array().expect("a list");
        assert_eq!(conversations.len(), expected);
        seen.extend(peers(conversations));
        match page.get("nextBefore") {
            Some(next) => query = format!("?limit=3&before={}", text(next)),
            None => assert_eq!(expected, 1, "the last page is the one without a next"),
        }
    }
    assert_eq!(seen, peers(&ann.conversations("").await));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
}

async fn a_page_of_long_messages_stops_at_512_kib(context: Arc<Context>) {
    let (ann, long) = (context.person().await, "\u{1f980}".repeat(4_000));
    for _ in 0..34 {
        context.person().await.send(&ann, &long).await.ok();
    }
    let answer = ann.get(ROUTE).await;
    let bytes = answer.body.len();
    let page = answer.ok();
    assert!(bytes <= 512 * 1024, "{bytes} bytes");
    assert_eq!(page["conversations"].as_array().map(Vec::len), Some(31), "31 texts of 16,000 bytes fit, with what stands around them");
    let rest = ann.conversations(&format!("?before={}", text(&page["nextBefore"]))).await;
    assert_eq!(rest.len(), 3);
}

async fn a_person_without_messages_has_no_conversations(context: Arc<Context>) {
    assert_eq!(context.person().await.get(ROUTE).await.ok(), json!({ "conversations": [] }));
}

async fn presence_is_shown_to_those_who_were_added_and_hidden_by_a_block(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send(&bob, "hello").await.ok();
    let presence = async || {
        let user = ann.conversations("").await[0]["user"].clone();
        (text(&user["online_status"]), user["lastSeen"].is_string())
    };
    assert_eq!(presence().await, ("offline".to_owned(), false));
    bob.befriend(&ann).await.ok();
    assert_eq!(presence().await, ("online".to_owned(), true));
    bob.post("/api/users/blocks", &json!({ "userId": ann.id })).await.ok();
    assert_eq!(presence().await, ("offline".to_owned(), false), "the conversation stays, without presence");
}

async fn who_has_deleted_their_account_stays_without_a_name(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    bob.send(&ann, "good bye").await.ok();
    bob.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    let conversation = &ann.conversations("").await[0];
    assert_eq!(conversation["user"], json!({ "id": bob.id, "username": "deleted user", "online_status": "offline", "lastSeen": null }));
    assert_eq!((&conversation["lastMessage"]["content"], &conversation["unread"]), (&json!("good bye"), &json!(1)));
}

async fn an_answer_that_the_client_has_is_not_sent_again(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send(&bob, "hello").await.ok();
    let conditional = async |tags: &str| Answer::of(bob.request(Method::GET, ROUTE).header("If-None-Match", tags)).await;
    let tag = bob.get(ROUTE).await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 16, "a strong tag: {tag}");
    // As servers in between hand a tag on that compress the answer.
    let coded = |mark: &str| format!("W/\"{}{mark}\"", tag.trim_matches('"'));
    for tags in
        [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned(), coded("-gzip"), coded(";gzip"), coded("--br")]
    {
        let answer = conditional(&tags).await;
        assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (StatusCode::NOT_MODIFIED, tag.as_str(), 0), "{tags}");
        assert_eq!(answer.header("preference-applied"), "", "nobody asked to wait");
    }
    assert_eq!(conditional("\"other\"").await.status, StatusCode::OK);
    assert_eq!(conditional("malformed").await.status, StatusCode::OK);
    ann.send(&bob, "hello again").await.ok();
    let changed = conditional(&tag).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.ok()["conversations"][0]["lastSeq"], 2);
}

async fn values_outside_their_rules_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("before=x", "before"), ("before=", "before")]
    {
        ann.get(&format!("{ROUTE}?{query}")).await.fails_in(&[field]);
    }
    assert_eq!(ann.get(&format!("{ROUTE}?limit=100")).await.status, StatusCode::OK);
}

async fn unknown_and_malformed_parameters_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for query in ["after=1", "with=x", "Limit=1", "limit=1&other=2"] {
        ann.get(&format!("{ROUTE}?{query}")).await.fails(400, "invalid_query");
    }
}

async fn a_forged_cursor_shows_nothing_of_others(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    for other in [&bob, &carl] {
        ann.send(other, "hello").await.ok();
    }
    let cursor = text(&ann.get(&format!("{ROUTE}?limit=1")).await.ok()["nextBefore"]);
    let of_carl = carl.conversations(&format!("?before={cursor}")).await;
    assert!(of_carl.iter().all(|conversation| conversation["user"]["id"] == ann.id.as_str()), "{of_carl:?}");
}
