//! `GET /api/chat/messages`: one chat by number, all chats by time.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Person, text};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    a_chat_is_read_by_its_id_or_by_the_other_person,
    pages_go_back_by_before_and_forward_by_after,
    every_walk_gives_each_message_once,
    all_chats_are_read_oldest_first_and_walked_by_cursor,
    a_page_stops_at_512_kib,
    others_chats_are_not_found,
    a_person_without_messages_has_an_empty_chat,
    values_outside_their_rules_are_refused,
    unknown_and_malformed_parameters_are_refused,
    parameters_that_do_not_decode_are_refused in ALONE,
    a_forged_cursor_shows_nothing_of_others,
);

async fn exchange(ann: &Person, bob: &Person, count: u64) -> String {
    let mut chat = String::new();
    for number in 1..=count {
        let (sender, recipient) = if number % 3 == 0 { (bob, ann) } else { (ann, bob) };
        chat = text(&sender.send(recipient, &number.to_string()).await.ok()["chatId"]);
    }
    chat
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().expect("a number")).collect()
}

async fn page(person: &Person, query: &str) -> Value {
    person.get(&format!("/api/chat/messages{query}")).await.ok()
}

async fn a_chat_is_read_by_its_id_or_by_the_other_person(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let chat = exchange(&ann, &bob, 4).await;
    carl.send(&ann, "elsewhere").await.ok();
    let by_person = ann.messages(&format!("?with={}", bob.id)).await;
    assert_eq!(seqs(&by_person), [1, 2, 3, 4]);
    assert_eq!(ann.messages(&format!("?chatId={chat}")).await, by_person);
    assert_eq!(bob.messages(&format!("?with={}", ann.id)).await, by_person);
}

async fn pages_go_back_by_before_and_forward_by_after(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    exchange(&ann, &bob, 7).await;
    let with = format!("?with={}&limit=3", bob.id);
    let newest = page(&ann, &with).await;
    assert_eq!((seqs(newest["messages"].as_array().expect("messages")), &newest["nextBefore"]), (vec![5, 6, 7], &json!(5)));
    let last = page(&ann, &format!("{with}&before=2")).await;
    assert_eq!((seqs(last["messages"].as_array().expect("messages")), last.get("nextBefore")), (vec![1], None));
    assert_eq!(seqs(&ann.messages(&format!("{with}&after=5")).await), [6, 7]);
    assert_eq!(seqs(&ann.messages(&format!("{with}&after=0")).await), [1, 2, 3]);
    assert!(ann.messages(&format!("{with}&after=7")).await.is_empty());
    assert_eq!(ann.messages(&format!("?with={}", bob.id)).await.len(), 7, "50 without a limit");
}

async fn every_walk_gives_each_message_once(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    exchange(&ann, &bob, 60).await;
    let (mut back, mut forth) = (Vec::new(), Vec::new());
    let mut next = Some(String::new());
    while let Some(before) = next {
        let page = page(&bob, &format!("?with={}&limit=7{before}", ann.id)).await;
        back.splice(0..0, seqs(page["messages"].as_array().expect("messages")));
        next = page.get("nextBefore").map(|seq| format!("&before={seq}"));
    }
    while forth.len() < 60 {
        let after = forth.last().copied().unwrap_or(0);
        forth.extend(seqs(&bob.messages(&format!("?with={}&limit=7&after={after}", ann.id)).await));
    }
    assert!(back.into_iter().eq(1..=60));
    assert!(forth.into_iter().eq(1..=60));
}

async fn all_chats_are_read_oldest_first_and_walked_by_cursor(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    for number in 0..9 {
        let other = if number % 2 == 0 { &bob } else { &carl };
        if number % 3 == 0 {
            other.send(&ann, &number.to_string()).await.ok()
        } else {
            ann.send(other, &number.to_string()).await.ok()
        };
    }
    bob.send(&carl, "not Ann's").await.ok();
    let (mut walked, mut next) = (Vec::new(), Some(String::new()));
    while let Some(before) = next {
        let page = page(&ann, &format!("?limit=4{before}")).await;
        let contents = page["messages"].as_array().expect("messages").iter().map(|message| text(&message["content"]));
        walked.splice(0..0, contents);
        next = page.get("nextBefore").map(|cursor| format!("&before={}", text(cursor)));
    }
    assert!(walked.into_iter().eq((0..9).map(|number| number.to_string())));
}

/// What is sent counts: a quotation mark takes two bytes, and what stands around a text takes some too.
async fn a_page_stops_at_512_kib(context: Arc<Context>) {
    for text in ["\u{1f600}", "\"", "\\\n"] {
        let (ann, bob) = context.pair().await;
        for _ in 0..70 {
            ann.send(&bob, &text.repeat(4_000 / text.chars().count())).await.ok();
        }
        for query in [format!("?with={}&limit=100", ann.id), format!("?with={}&limit=100&after=0", ann.id), "?limit=100".to_owned()] {
            let answer = bob.get(&format!("/api/chat/messages{query}")).await;
            let (bytes, count) = (answer.body.len(), answer.ok()["messages"].as_array().expect("a list").len());
            assert!(bytes <= 512 * 1024 && bytes + bytes / count > 511 * 1024, "{query}: {count} of {text:?} in {bytes} bytes");
        }
        let before = page(&bob, &format!("?with={}&limit=100", ann.id)).await["nextBefore"].as_u64().expect("a number");
        assert_eq!(seqs(&bob.messages(&format!("?with={}&before={before}&limit=100", ann.id)).await).last(), Some(&(before - 1)));
    }
}

async fn others_chats_are_not_found(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let chat = exchange(&ann, &bob, 1).await;
    carl.get(&format!("/api/chat/messages?chatId={chat}")).await.fails(404, "chat_not_found");
    let never = format!("{}{}", "0".repeat(31), "1") + &carl.id;
    carl.get(&format!("/api/chat/messages?chatId={never}")).await.fails(404, "chat_not_found");
}

async fn a_person_without_messages_has_an_empty_chat(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let nobody = uuid::Uuid::now_v7().simple().to_string();
    for with in [&bob.id, &nobody, &ann.id] {
        assert_eq!(page(&ann, &format!("?with={with}")).await, json!({ "messages": [] }));
    }
    assert_eq!(page(&ann, "").await, json!({ "messages": [] }));
}

async fn values_outside_their_rules_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let with = uuid::Uuid::now_v7().simple().to_string();
    let cases = [
        ("?limit=0".to_owned(), vec!["limit"]),
        ("?limit=101".to_owned(), vec!["limit"]),
        ("?limit=ten".to_owned(), vec!["limit"]),
        ("?limit=".to_owned(), vec!["limit"]),
        ("?with=x".to_owned(), vec!["with"]),
        ("?chatId=x".to_owned(), vec!["chatId"]),
        ("?after=1".to_owned(), vec!["after"]),
        ("?before=1".to_owned(), vec!["before"]),
        (format!("?with={with}&before=-1"), vec!["before"]),
        (format!("?with={with}&before=%2B1"), vec!["before"]),
        (format!("?with={with}&after=9223372036854775808"), vec!["after"]),
        (format!("?with={with}&before=1&after=1"), vec!["after"]),
        (format!("?with={with}&chatId={with}{with}"), vec!["chatId"]),
    ];
    for (query, fields) in cases {
        let answer = ann.get(&format!("/api/chat/messages{query}")).await;
        let body = answer.fails(422, "validation_failed");
        assert!(fields.iter().all(|field| body["fields"].get(field).is_some()), "{query}: {body}");
    }
}

async fn unknown_and_malformed_parameters_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for query in ["?Limit=1", "?limit[]=1", "?offset=1", "?$where=1"] {
        ann.get(&format!("/api/chat/messages{query}")).await.fails(400, "invalid_query");
    }
    // Alone the second is noticed; the Functions host joins them to a value that is no number.
    let repeated = ann.get("/api/chat/messages?limit=1&limit=2").await;
    assert!([400, 422].contains(&repeated.status.as_u16()), "{repeated:?}");
}

async fn parameters_that_do_not_decode_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for query in ["?limit=%", "?limit=%zz", "?with=%ff", "?with=%C0%AE"] {
        ann.get(&format!("/api/chat/messages{query}")).await.fails(400, "invalid_query");
    }
}

async fn a_forged_cursor_shows_nothing_of_others(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    exchange(&ann, &bob, 5).await;
    carl.send(&ann, "Carl's only one").await.ok();
    let cursor = text(&page(&ann, "?limit=2").await["nextBefore"]);
    let seen = carl.messages(&format!("?before={cursor}")).await;
    assert!(seen.iter().all(|message| message["senderId"] == carl.id.as_str()), "{seen:?}");
    for forged in ["AAAA", &cursor[1..], &format!("{cursor}A"), "%00"] {
        carl.get(&format!("/api/chat/messages?before={forged}")).await.fails_in(&["before"]);
    }
}
