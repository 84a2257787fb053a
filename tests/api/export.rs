//! `GET /api/users/export`: everything that is kept of somebody.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Person, names, new_name, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    an_export_holds_everything_that_is_kept,
    all_addresses_of_the_account_are_in_an_export,
    messages_go_on_over_pages,
    chats_go_on_over_pages,
    the_account_counts_towards_the_512_kib_of_its_page,
    an_export_holds_no_secret_and_nothing_of_others,
    a_cursor_that_is_none_is_refused,
);

const ROUTE: &str = "/api/users/export";

/// The lines of a page, and the cursor to the next.
async fn page(person: &Person, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = person.get(&format!("{ROUTE}{query}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/x-ndjson"), "{answer:?}");
    let next = Some(answer.header("x-next-cursor").to_owned()).filter(|cursor| !cursor.is_empty());
    let body = String::from_utf8(answer.body).expect("UTF-8");
    assert!(body.is_empty() || body.ends_with('\n'), "{body}");
    (body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), next)
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

async fn an_export_holds_everything_that_is_kept(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    ann.befriend(&bob).await.ok();
    ann.post("/api/users/blocks", &json!({ "userId": cid.id })).await.ok();
    ann.send(&bob, "hello").await.ok();
    bob.send(&ann, "hello back").await.ok();
    let (lines, next) = page(&ann, "").await;
    let kinds: Vec<_> = lines.iter().map(|line| text(&line["type"])).collect();
    assert_eq!(kinds, ["account", "session", "friend", "block", "message", "message"]);
    let account = &lines[0];
    assert_eq!((&account["id"], &account["email"], &account["username"]), (&json!(ann.id), &json!(ann.email), &json!(ann.username)));
    assert_eq!(
        names(account),
        ["createdAt", "email", "id", "isEmailVerified", "lastSeen", "last_login", "messagesFrom", "type", "username"]
    );
    assert_eq!(lines[2]["userId"], bob.id.as_str());
    assert_eq!(lines[3]["userId"], cid.id.as_str());
    assert_eq!((&lines[4]["content"], &lines[5]["content"]), (&json!("hello back"), &json!("hello")), "newest first");
    let (lines, next) = page(&ann, &format!("?cursor={}", next.expect("there is more"))).await;
    let chat = &ann.conversations("").await[0];
    assert_eq!(lines, [json!({ "type": "conversation", "chatId": chat["chatId"], "userId": bob.id, "readSeq": 1 })]);
    assert_eq!(next, None);
    assert_eq!(page(&context.person().await, "").await.1, None, "without messages there is one page");
}

async fn all_addresses_of_the_account_are_in_an_export(context: Arc<Context>) {
    let ann = context.verified_person().await;
    let [first, second] = [(); 2].map(|()| format!("{}@example.org", new_name()));
    ann.put("/api/users/profile", &json!({ "email": first })).await.ok();
    let link = context.mail_to(&first, "Confirm your", 1).await.remove(0).token();
    ann.put("/api/auth/email", &json!({ "token": link })).await.ok();
    ann.put("/api/users/profile", &json!({ "email": second })).await.ok();
    let account = page(&ann, "").await.0.remove(0);
    assert_eq!((&account["email"], &account["pendingEmail"]), (&json!(first), &json!(second)));
    assert_eq!(account["recoveryEmails"], json!([ann.email]));
}

async fn chats_go_on_over_pages(context: Arc<Context>) {
    let ann = context.person().await;
    let long = "\u{1f980}".repeat(4_000);
    for _ in 0..34 {
        context.person().await.send(&ann, &long).await.ok();
    }
    let (mut lines, mut next) = (Vec::new(), Some("chats.".to_owned()));
    while let Some(cursor) = next {
        let (more, after) = page(&ann, &format!("?cursor={cursor}")).await;
        lines.extend(more);
        next = after;
    }
    assert_eq!(lines.iter().map(|line| text(&line["chatId"])).collect::<BTreeSet<_>>().len(), 34);
    assert_eq!(lines.len(), 34);
}

/// With more and more sessions, whose lines come first, fewer messages fit.
async fn the_account_counts_towards_the_512_kib_of_its_page(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for _ in 0..100 {
        bob.send(&ann, &"\"".repeat(3_000)).await.ok();
    }
    for _ in 0..20 {
        let answer = ann.get(ROUTE).await;
        let bytes = answer.body.len();
        assert!(bytes <= 512 * 1024 && bytes > 505 * 1024, "{bytes} bytes");
        ann.log_in_again().await;
    }
}

async fn messages_go_on_over_pages(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let texts: Vec<_> = (0..205).map(|number| format!("message {number}")).collect();
    for text in &texts {
        ann.send(&bob, text).await.ok();
    }
    let (mut lines, mut next) = page(&ann, "").await;
    let mut pages = 1;
    while let Some(cursor) = next {
        let (more, after) = page(&ann, &format!("?cursor={cursor}")).await;
        assert!(more.iter().all(|line| line["type"] == "message" || line["type"] == "conversation"), "what comes first is not repeated");
        lines.extend(more);
        (next, pages) = (after, pages + 1);
    }
    let exported: Vec<_> = of_type(&lines, "message").into_iter().map(|line| text(&line["content"])).collect();
    assert_eq!((pages, exported.len()), (4, 205), "three of messages and one of chats");
    assert_eq!(exported.into_iter().collect::<BTreeSet<_>>(), texts.into_iter().collect());
}

async fn an_export_holds_no_secret_and_nothing_of_others(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    bob.befriend(&ann).await.ok();
    bob.send(&ann, "for ann").await.ok();
    context.person().await.send(&bob, "for bob alone").await.ok();
    let whole = format!("{:?}{:?}", page(&ann, "").await.0, page(&ann, "?cursor=chats.").await.0);
    let secret = text(&crate::token_rules::part(&ann.token, 1)["sid"]);
    for absent in [&secret, "argon2", "for bob alone", &bob.email, &bob.username] {
        assert!(!whole.contains(absent), "{absent}: {whole}");
    }
}

async fn a_cursor_that_is_none_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for bad in ["x", "AAAA", "chats", "chats.x", &"A".repeat(200)] {
        ann.get(&format!("{ROUTE}?cursor={bad}")).await.fails_in(&["cursor"]);
    }
    ann.get(&format!("{ROUTE}?before=x")).await.fails(400, "invalid_query");
}
