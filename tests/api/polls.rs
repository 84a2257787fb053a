//! Long polls: requests that wait for news (`Prefer: wait`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person};
use crate::context::{ALONE, Context};
use crate::support::server::Server;
use crate::tests;

tests!(Context:
    a_message_ends_the_wait_for_it,
    the_first_message_of_a_chat_ends_the_wait_for_it,
    what_is_there_already_is_not_waited_for,
    a_message_elsewhere_ends_no_wait_in_this_chat,
    messages_marks_and_chats_end_the_wait_for_the_list,
    a_wait_ends_with_its_time_and_what_there_was,
    a_wish_to_wait_is_granted_where_there_is_something_to_wait_for,
    a_wish_that_is_malformed_is_not_heard,
    a_log_out_ends_the_wait_of_its_session,
    another_log_out_ends_no_wait,
    a_block_ends_the_wait_with_what_there_was,
    a_deleted_account_waits_no_more_and_nobody_waits_for_it,
    those_who_wait_for_a_process_that_ends_are_answered_at_once in ALONE,
);

/// Longer than anything that is to come takes; shorter than the longest wait.
const SOON: Duration = Duration::from_secs(20);
/// So long a poll that waits is watched not to answer.
const WATCHED: Duration = Duration::from_millis(150);

/// A poll under way.
struct Waiting<'a>(AnswerFuture<'a>);

type AnswerFuture<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

impl<'a> Waiting<'a> {
    /// Begins one, which must not be answered at once.
    async fn begin(poll: impl Future<Output = Answer> + Send + 'a) -> Self {
        let mut waiting = Self(Box::pin(poll));
        waiting.watch().await;
        waiting
    }

    /// Sees to it that it waits.
    async fn watch(&mut self) {
        if let Ok(answer) = tokio::time::timeout(WATCHED, &mut self.0).await {
            panic!("answered without a reason: {answer:?}");
        }
    }

    /// The answer, long before the time of the poll is up.
    async fn answer(self) -> Answer {
        tokio::time::timeout(SOON, self.0).await.expect("the wait ends")
    }
}

fn contents(answer: &Value) -> Vec<&str> {
    answer["messages"].as_array().expect("messages").iter().map(|message| message["content"].as_str().expect("a text")).collect()
}

/// Somebody's list of conversations as a client that polls has it.
struct Inbox<'a> {
    owner: &'a Person,
    tag: String,
}

impl Inbox<'_> {
    /// The list that comes when something happens.
    async fn after(&mut self, what: &str, event: impl Future<Output = Answer>) -> Vec<Value> {
        let waiting = Waiting::begin(self.owner.poll_conversations(&self.tag, 25)).await;
        event.await.ok();
        let answer = waiting.answer().await;
        assert_ne!(answer.header("etag"), self.tag, "{what}");
        answer.header("etag").clone_into(&mut self.tag);
        answer.ok()["conversations"].as_array().expect("conversations").clone()
    }
}

async fn a_message_ends_the_wait_for_it(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send_several(&bob, 1).await;
    for seq in 2..=4 {
        let (of_bob, of_ann) =
            (Waiting::begin(bob.poll_messages(&ann, seq - 1, 25)).await, Waiting::begin(ann.poll_messages(&bob, seq - 1, 25)).await);
        ann.send(&bob, "news").await.ok();
        for waiting in [of_bob, of_ann] {
            let answer = waiting.answer().await;
            assert_eq!(answer.header("preference-applied"), "wait=25");
            let page = answer.ok();
            assert_eq!((contents(&page), &page["messages"][0]["seq"]), (vec!["news"], &json!(seq)));
        }
    }
}

async fn the_first_message_of_a_chat_ends_the_wait_for_it(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let waiting = Waiting::begin(bob.poll_messages(&ann, 0, 25)).await;
    ann.send(&bob, "hello").await.ok();
    assert_eq!(contents(&waiting.answer().await.ok()), ["hello"]);
}

async fn what_is_there_already_is_not_waited_for(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send_several(&bob, 2).await;
    let begun = Instant::now();
    let answer = bob.poll_messages(&ann, 1, 25).await;
    assert_eq!(answer.header("preference-applied"), "wait=25");
    assert_eq!(contents(&answer.ok()), ["message 2"]);
    assert_eq!(bob.poll_conversations("\"an older one\"", 25).await.status, StatusCode::OK);
    assert!(begun.elapsed() < SOON);
}

async fn a_message_elsewhere_ends_no_wait_in_this_chat(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let begun = Instant::now();
    let waiting = bob.poll_messages(&ann, 0, 1);
    let (answer, _) = futures_util::join!(waiting, carl.send(&bob, "hello"));
    assert!(begun.elapsed() >= Duration::from_secs(1), "the time is up");
    assert_eq!(answer.ok(), json!({ "messages": [] }));
}

async fn messages_marks_and_chats_end_the_wait_for_the_list(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    let chat = ann.send_several(&bob, 1).await;
    let mut inbox = Inbox { owner: &ann, tag: ann.conversations_tag().await };
    let read = inbox.after("a mark of the other", bob.mark_read(&chat, 1)).await;
    assert_eq!(read[0]["peerReadSeq"], 1);
    let sent = inbox.after("a message from the other", bob.send(&ann, "hello")).await;
    assert_eq!((&sent[0]["lastSeq"], &sent[0]["unread"]), (&json!(2), &json!(1)));
    let read = inbox.after("a mark of one's own, by another device", ann.mark_read(&chat, 2)).await;
    assert_eq!(read[0]["unread"], 0);
    let begun = inbox.after("a new chat", carl.send(&ann, "hello")).await;
    assert_eq!((begun.len(), &begun[0]["user"]["id"]), (2, &json!(carl.id)));
}

async fn a_wait_ends_with_its_time_and_what_there_was(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send_several(&bob, 1).await;
    let (tag, begun) = (bob.conversations_tag().await, Instant::now());
    let (messages, list) = futures_util::join!(bob.poll_messages(&ann, 1, 1), bob.poll_conversations(&tag, 1));
    assert!((Duration::from_secs(1)..SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(messages.header("preference-applied"), "wait=1");
    assert_eq!(messages.ok(), json!({ "messages": [] }));
    assert_eq!((list.status, list.header("etag"), list.header("preference-applied")), (StatusCode::NOT_MODIFIED, tag.as_str(), "wait=1"));
}

async fn a_wish_to_wait_is_granted_where_there_is_something_to_wait_for(context: Arc<Context>) {
    let ann = context.person().await;
    let bob = context.person().await;
    let with = format!("/api/chat/messages?with={}", bob.id);
    let begun = Instant::now();
    for path in ["/api/chat/messages", &with, &format!("{with}&before=5"), "/api/chat/conversations", "/api/users/friends"] {
        let answer = Answer::of(ann.request(Method::GET, path).header("Prefer", "wait=25")).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (StatusCode::OK, ""), "{path}");
    }
    assert!(begun.elapsed() < SOON);
    let chat_of_nobody = format!("/api/chat/messages?chatId={}{}&after=0", "0".repeat(32), ann.id);
    Answer::of(ann.request(Method::GET, &chat_of_nobody).header("Prefer", "wait=25")).await.fails(404, "chat_not_found");
}

async fn a_wish_that_is_malformed_is_not_heard(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let path = format!("/api/chat/messages?with={}&after=0", bob.id);
    for wish in ["wait", "wait=-1", "wait=soon", "return=minimal", "x=\"wait=25\""] {
        let answer = Answer::of(ann.request(Method::GET, &path).header("Prefer", wish)).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (StatusCode::OK, ""), "{wish}");
    }
    let answer = Answer::of(ann.request(Method::GET, &path).header("Prefer", "respond-async, wait=\"0\"")).await;
    assert_eq!(answer.header("preference-applied"), "wait=0");
}

async fn a_log_out_ends_the_wait_of_its_session(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let (other, tag) = (ann.log_in_again().await, ann.conversations_tag().await);
    let messages = Waiting::begin(other.poll_messages(&bob, 0, 25)).await;
    let list = Waiting::begin(other.poll_conversations(&tag, 25)).await;
    let sessions = ann.get("/api/auth/sessions").await.ok();
    let session = sessions["sessions"].as_array().expect("sessions").iter().find(|session| session["current"] == false).expect("another");
    ann.delete("/api/auth/sessions", &json!({ "sessionId": session["id"] })).await.ok();
    bob.send(&ann, "not for that session").await.ok();
    messages.answer().await.fails(401, "unauthorized");
    list.answer().await.fails(401, "unauthorized");
}

async fn another_log_out_ends_no_wait(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let mut waiting = Waiting::begin(ann.poll_messages(&bob, 0, 25)).await;
    ann.log_in_again().await.log_out().await.ok();
    waiting.watch().await;
    bob.send(&ann, "hello").await.ok();
    assert_eq!(contents(&waiting.answer().await.ok()), ["hello"]);
}

async fn a_block_ends_the_wait_with_what_there_was(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let waiting = Waiting::begin(bob.poll_messages(&ann, 0, 25)).await;
    ann.post("/api/users/blocks", &json!({ "userId": bob.id })).await.ok();
    assert_eq!(waiting.answer().await.ok(), json!({ "messages": [] }));
}

async fn a_deleted_account_waits_no_more_and_nobody_waits_for_it(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let (of_ann, of_bob) = (Waiting::begin(ann.poll_messages(&bob, 0, 25)).await, Waiting::begin(bob.poll_messages(&ann, 0, 25)).await);
    ann.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    of_ann.answer().await.fails(401, "unauthorized");
    assert_eq!(of_bob.answer().await.ok(), json!({ "messages": [] }));
}

async fn those_who_wait_for_a_process_that_ends_are_answered_at_once(context: Arc<Context>) {
    let (_folder, server) = context.another_instance().await;
    let (ann, bob) = people_at(&server).await;
    let tag = ann.conversations_tag().await;
    let waits = [Waiting::begin(ann.poll_messages(&bob, 0, 25)).await, Waiting::begin(ann.poll_conversations(&tag, 25)).await];
    server.terminate();
    let [messages, list] = waits.map(Waiting::answer);
    let (messages, list) = futures_util::join!(messages, list);
    assert_eq!(messages.ok(), json!({ "messages": [] }));
    assert_eq!(list.status, StatusCode::NOT_MODIFIED);
    assert!(server.wait().await.success());
}

async fn people_at(server: &Server) -> (Person, Person) {
    let client = crate::client::Client::new(server.url());
    (Person::register(&client).await, Person::register(&client).await)
}
