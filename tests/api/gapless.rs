//! However many write to a chat at once, and however they are interrupted, each reader gets every message once and in order:
//! by cursor, by waiting, by paging back, and by looking at the list of conversations.

mod chat;

use std::sync::Arc;

use chat::Chat;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::client::{Person, time};
use crate::context::Context;
use crate::support::chance;
use crate::tests;

tests!(Context: every_reader_gets_each_message_once_and_in_order_while_8_write);

/// Writers, half of them on each side.
const WRITERS: usize = 8;

/// How people write and read.
#[derive(Debug, Clone)]
struct Case {
    /// Of each writer: how many messages at once, and the pause after them in milliseconds.
    bursts: Vec<Vec<(u8, u8)>>,
    /// The sizes of pages, by turns.
    limits: Vec<u8>,
    /// Whether the one who waits also marks what they have read.
    marks: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let bursts = prop::collection::vec(prop::collection::vec((1..=4_u8, 0..20_u8), 0..=3), WRITERS);
    (bursts, prop::collection::vec(1..=9_u8, 1..=4), any::<bool>()).prop_map(|(bursts, limits, marks)| Case { bursts, limits, marks })
}

/// Each takes several times as long where a database is between.
fn runs(context: &Context) -> u32 {
    let default = if context.has_mongodb() { 12 } else { 40 };
    chance::count("GAPLESS_RUNS", default)
}

async fn every_reader_gets_each_message_once_and_in_order_while_8_write(context: Arc<Context>) {
    let config = Config { cases: runs(&context), max_shrink_time: 30_000, ..Config::default() };
    let mut runner = chance::runner(config, chance::seed("GAPLESS_SEED"));
    let pairs = Pairs::default();
    block_in_place(|| {
        runner.run(&case(), |case| Handle::current().block_on(Box::pin(run(&context, &pairs, case))).map_err(TestCaseError::fail))
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
}

/// People who have not written to each other yet; an account takes longer to make than most cases.
#[derive(Default)]
struct Pairs(tokio::sync::Mutex<(Vec<Person>, usize)>);

impl Pairs {
    async fn next(&self, context: &Context) -> (Person, Person) {
        let (people, next) = &mut *self.0.lock().await;
        *next += 1;
        // The last one has met all the others.
        if *next + 1 >= people.len() {
            people.push(context.person().await);
            *next = 0;
        }
        if people.len() == 1 {
            people.push(context.person().await);
        }
        (people[*next].clone(), people[people.len() - 1].clone())
    }
}

/// Nothing, or what is wrong.
type Told<T = ()> = Result<T, String>;

async fn run(context: &Context, pairs: &Pairs, case: Case) -> Told {
    let (ann, bob) = pairs.next(context).await;
    let chat = Chat::new(ann, bob, case);
    let lists = async { tokio::join!(chat.watch(&chat.ann), chat.watch(&chat.bob)) };
    let (sent, followed, polled, paged, (list_of_ann, list_of_bob)) =
        tokio::join!(chat.write(), chat.follow(), chat.follow_waiting(), chat.page_back(), lists);
    let (polled, marked_up_to) = polled?;
    compare("by cursor", &sent, &followed?)?;
    compare("by waiting", &sent, &polled)?;
    compare("by paging back", &sent, &paged?)?;
    list_of_ann?;
    list_of_bob?;
    chat.check_marks(&sent, marked_up_to).await
}

/// Whether a reader has got what was sent, in order.
fn compare(way: &str, sent: &[Value], read: &[Value]) -> Told {
    let seqs = |messages: &[Value]| messages.iter().map(|message| message["seq"].as_u64().unwrap_or(0)).collect::<Vec<_>>();
    if !seqs(read).iter().copied().eq(1..=sent.len() as u64) {
        return Err(format!("{way}: of {} messages {:?}", sent.len(), seqs(read)));
    }
    for (sent, read) in sent.iter().zip(read) {
        if ["seq", "content", "senderId", "timestamp"].iter().any(|name| sent[name] != read[name]) {
            return Err(format!("{way}: {read} instead of {sent}"));
        }
    }
    if !read.is_sorted_by_key(|message| time(&message["timestamp"])) {
        return Err(format!("{way}: the times descend"));
    }
    Ok(())
}
