//! Whoever waits learns of the end of their rights wherever it happened, and gets nothing that is newer.
//!
//! Trials at random: a reader waits at one instance and asks again whenever they are answered; at the other their rights end,
//! while somebody writes to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person};
use crate::context::Context;
use crate::support::chance;
use crate::tests;

tests!(Context:
    whoever_waits_gets_nothing_newer_than_the_end_of_their_session,
    nothing_newer_than_a_block_ends_a_wait_at_the_other_instance,
);

/// The variable that asks for more trials than an ordinary run has time for.
const TRIALS: &str = "REVOCATION_TRIALS";
/// Trials at a time.
const AT_ONCE: usize = 6;
const NEW: &str = "maple-anchor-violin";
/// So long a poll is given to begin to wait; nothing tells it from one that is about to. One that began too late waits on and on: then
/// a trial is repeated with more time.
const BEGUN: [Duration; 3] = [Duration::from_millis(400), Duration::from_secs(2), Duration::from_secs(10)];

fn trials() -> usize {
    chance::count(TRIALS, 18) as usize
}

/// Within this a wait ends after what ends it was answered. Whoever asks for trials has a machine that does nothing else; otherwise
/// what counts is that the wait ends before its own time is up.
fn ends_within() -> Duration {
    Duration::from_secs(if std::env::var_os(TRIALS).is_some() { 5 } else { 20 })
}

/// A whole number below a limit, by chance.
fn below(limit: u32) -> u32 {
    getrandom::u32().expect("random bytes") % limit
}

/// How a session comes to its end.
#[derive(Debug, Clone, Copy)]
enum End {
    LogOut,
    ByAnother,
    WithAllOthers,
    NewPassword,
    Deletion,
}

impl End {
    const ALL: [Self; 5] = [Self::LogOut, Self::ByAnother, Self::WithAllOthers, Self::NewPassword, Self::Deletion];

    /// Ends the session of `phone`, mostly by another one of its owner's.
    async fn come(self, phone: &Person, desk: &Person, session: &Value) -> Answer {
        match self {
            Self::LogOut => phone.log_out().await,
            Self::ByAnother => desk.delete("/api/auth/sessions", &json!({ "sessionId": session })).await,
            Self::WithAllOthers => desk.delete("/api/auth/sessions", &json!({ "all": true })).await,
            Self::NewPassword => desk.put("/api/auth/password", &json!({ "currentPassword": PASSWORD, "newPassword": NEW })).await,
            Self::Deletion => desk.delete("/api/users/profile", &json!({ "password": PASSWORD })).await,
        }
    }
}

async fn whoever_waits_gets_nothing_newer_than_the_end_of_their_session(context: Arc<Context>) {
    for first in (0..trials()).step_by(AT_ONCE) {
        join_all((first..first + AT_ONCE).map(|number| trial(&context, End::ALL[number % End::ALL.len()]))).await;
    }
}

async fn trial(context: &Context, end: End) {
    let [here, there] = context.two_ways_in();
    let (desk, bob) = context.pair().await;
    let phone = desk.log_in_again().await;
    let sessions = phone.get("/api/auth/sessions").await.ok();
    let session = sessions["sessions"].as_array().expect("sessions").iter().find(|session| session["current"] == true).expect("its own");
    bob.send(&desk, "before").await.ok();
    let (waiting, writer, ended, ending) = (phone.at(&there), bob.at(&here), phone.at(&here), desk.at(&here));
    let pause = Duration::from_millis(below(300).into());
    let come = async {
        tokio::time::sleep(pause).await;
        // What is sent at the same time may arrive or not.
        let is_noisy = below(2) == 1;
        let noise = async { if is_noisy { Some(writer.send(&desk, "meanwhile").await) } else { None } };
        let (came, _may_be_refused) = futures_util::join!(end.come(&ended, &ending, &session["id"]), noise);
        came.ok();
        let at = Instant::now();
        let _refused_after_a_deletion = writer.send(&desk, "after").await;
        at
    };
    let (ended_at, of_messages, of_list) = tokio::join!(come, messages_until_refused(&waiting, &bob), list_until_refused(&waiting));
    for (what, (refused_at, texts)) in [("messages", of_messages), ("the list", of_list)] {
        assert!(!texts.contains(&json!("after")), "{end:?} after {pause:?}: {what} brought what was sent after the end");
        let took = refused_at.saturating_duration_since(ended_at);
        assert!(took < ends_within(), "{end:?} after {pause:?}: {what} ended {took:?} later");
    }
}

/// Polls for messages until that is refused; tells when, and which texts came.
async fn messages_until_refused(reader: &Person, peer: &Person) -> (Instant, Vec<Value>) {
    let (mut texts, mut after) = (Vec::new(), 1);
    loop {
        let answer = reader.poll_messages(peer, after, 25).await;
        if answer.status != StatusCode::OK {
            answer.fails(401, "unauthorized");
            return (Instant::now(), texts);
        }
        for message in answer.ok()["messages"].as_array().expect("messages") {
            after = message["seq"].as_u64().expect("a number");
            texts.push(message["content"].clone());
        }
    }
}

/// Polls for the list of conversations until that is refused; tells when, and which last messages it has shown.
async fn list_until_refused(reader: &Person) -> (Instant, Vec<Value>) {
    let (mut texts, mut tag) = (Vec::new(), "\"none yet\"".to_owned());
    loop {
        let answer = reader.poll_conversations(&tag, 25).await;
        match answer.status {
            StatusCode::NOT_MODIFIED => {}
            StatusCode::OK => {
                answer.header("etag").clone_into(&mut tag);
                let list = answer.ok();
                texts.extend(list["conversations"].as_array().expect("a list").iter().map(|entry| entry["lastMessage"]["content"].clone()));
            }
            _ => {
                answer.fails(401, "unauthorized");
                return (Instant::now(), texts);
            }
        }
    }
}

async fn nothing_newer_than_a_block_ends_a_wait_at_the_other_instance(context: Arc<Context>) {
    for _ in 0..trials().div_ceil(AT_ONCE * 2) {
        join_all((0..AT_ONCE).map(|number| block_trial(&context, number % 2 == 0))).await;
    }
}

/// A reader waits at one instance for messages of somebody; one of them blocks the other at the other instance. Who was blocked
/// is answered at once; who blocks waits on, and nothing comes.
async fn block_trial(context: &Context, reader_blocks: bool) {
    let mut took = Duration::ZERO;
    for begun in BEGUN {
        took = block_once(context, reader_blocks, begun).await;
        if took < ends_within() {
            return;
        }
    }
    panic!("the reader blocks: {reader_blocks}; it took {took:?}");
}

/// How long the wait goes on after the block.
async fn block_once(context: &Context, reader_blocks: bool, begun: Duration) -> Duration {
    let [here, there] = context.two_ways_in();
    let (ann, bob) = context.pair().await;
    bob.send(&ann, "before").await.ok();
    let (waiting, blocking) = (ann.at(&there), async {
        tokio::time::sleep(begun + Duration::from_millis(below(300).into())).await;
        let (by, whom) = if reader_blocks { (&ann, &bob) } else { (&bob, &ann) };
        by.at(&here).post("/api/users/blocks", &json!({ "userId": whom.id })).await.ok();
        let at = Instant::now();
        if reader_blocks {
            bob.at(&here).send(&ann, "after").await.fails(403, "not_accepted");
        }
        at
    });
    let wait = if reader_blocks { 2 } else { 25 };
    let polled = async { (waiting.poll_messages(&bob, 1, wait).await, Instant::now()) };
    let ((answer, answered_at), blocked_at) = tokio::join!(polled, blocking);
    assert_eq!(answer.ok(), json!({ "messages": [] }));
    answered_at.saturating_duration_since(blocked_at)
}
