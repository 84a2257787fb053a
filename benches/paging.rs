//! Whether a page costs the same wherever it is and however much there is beside it: pairs of reads that differ in nothing else,
//! measured in turn in one run, told as the ratio of their medians.
//!
//! `cargo bench --bench paging`; with `-- --short` it only proves that it works. It asks the embedded store itself: the cost of HTTP,
//! the same for every page, would hide growth. MongoDB is left out: how much it looks at is told by its own plans, which
//! `tests/store/mongodb_plans.rs` reads, while times taken on a server that stands in for it would be that server's.

#![allow(clippy::expect_used, missing_docs, reason = "a bench fails by panicking")]

#[allow(dead_code, reason = "the other bench uses more of it")]
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/seed.rs"]
mod seed;

use std::time::Instant;

use chat_functions::domain::{ChatId, UserId};
use chat_functions::store::sqlite::SqliteStore;
use chat_functions::store::{ConversationCursor, MessageCursor, Store, Window};
use numbers::{Times, is_short, millis};
use seed::{Seeder, sent_at};

/// Records on a page.
const PAGE: usize = 50;

/// How much there is.
struct Scale {
    small_chat: u64,
    large_chat: u64,
    few_chats: u64,
    many_chats: u64,
    rounds: usize,
}

const FULL: Scale = Scale { small_chat: 10_000, large_chat: 1_000_000, few_chats: 10, many_chats: 10_000, rounds: 1_000 };
const SHORT: Scale = Scale { small_chat: 100, large_chat: 5_000, few_chats: 10, many_chats: 200, rounds: 10 };

/// One page of one list.
enum Read {
    OneChat(ChatId, Window),
    AllChats(UserId, Option<MessageCursor>),
    Conversations(UserId, Option<ConversationCursor>, usize),
}

impl Read {
    /// Reads it, and gives the number of its records.
    async fn run(&self, store: &dyn Store) -> usize {
        match self {
            Self::OneChat(chat, window) => store.list_chat_messages(*chat, *window, PAGE).await.map(|page| page.len()),
            Self::AllChats(user, before) => store.list_messages(*user, before.as_ref(), PAGE).await.map(|page| page.len()),
            Self::Conversations(user, before, limit) => {
                store.list_conversations(*user, before.as_ref(), *limit, sent_at(0)).await.map(|page| page.len())
            }
        }
        .expect("a page")
    }
}

/// The same page where there is little, and where there is much.
struct Comparison {
    name: &'static str,
    little: Read,
    much: Read,
}

/// A chat, and one of its members, who has no other.
struct Chat {
    id: ChatId,
    member: UserId,
    messages: u64,
}

impl Chat {
    fn seed(seeder: &Seeder, messages: u64) -> Self {
        let (member, other) = (seeder.person(), seeder.person());
        Self { id: seeder.chat(member, other, messages, messages), member, messages }
    }

    fn page(&self, window: Window) -> Read {
        Read::OneChat(self.id, window)
    }

    /// The page of the list over all chats that is behind this message.
    fn page_behind(&self, seq: u64) -> Read {
        Read::AllChats(self.member, Some(MessageCursor { sent_at: sent_at(seq), chat: self.id, seq }))
    }
}

/// Somebody with this many chats of one message each; and the oldest of them but a page.
fn seed_chats(seeder: &Seeder, peers: &[UserId]) -> (UserId, ConversationCursor) {
    let (user, mut deep) = (seeder.person(), None);
    for (number, peer) in (1..).zip(peers) {
        let chat = seeder.chat(user, *peer, 1, number);
        if number <= PAGE as u64 + 1 {
            deep = Some(ConversationCursor { sent_at: sent_at(number), chat });
        }
    }
    (user, deep.expect("a chat"))
}

fn seed(seeder: &Seeder, scale: &Scale) -> Vec<Comparison> {
    let (small, large) = (Chat::seed(seeder, scale.small_chat), Chat::seed(seeder, scale.large_chat));
    let peers: Vec<UserId> = (0..scale.many_chats).map(|_| seeder.person()).collect();
    let few = usize::try_from(scale.few_chats).expect("few");
    let ((busy, oldest), (quiet, _)) = (seed_chats(seeder, &peers), seed_chats(seeder, &peers[..few]));
    // Half of the large chat is before this page, and half behind it.
    let deep = large.messages / 2;
    let comparison = |name, little, much| Comparison { name, little, much };
    vec![
        comparison("newest page: of the small chat, of the large one", small.page(Window::Newest), large.page(Window::Newest)),
        comparison("back through the large chat: first page, deep page", large.page(Window::Newest), large.page(Window::Before(deep))),
        comparison("on through the large chat: first page, deep page", large.page(Window::After(0)), large.page(Window::After(deep))),
        comparison("newest over all chats: few messages, many", Read::AllChats(small.member, None), Read::AllChats(large.member, None)),
        comparison("back over all chats: first page, deep page", Read::AllChats(large.member, None), large.page_behind(deep)),
        comparison("newest conversations: of few, of many", Read::Conversations(quiet, None, few), Read::Conversations(busy, None, few)),
        comparison(
            "back through many conversations: first page, last page",
            Read::Conversations(busy, None, PAGE),
            Read::Conversations(busy, Some(oldest), PAGE),
        ),
    ]
}

/// Measures both sides in turn, each of them first every other time.
async fn compare(store: &dyn Store, comparisons: &[Comparison], rounds: usize) {
    let mut times: Vec<[Times; 2]> = comparisons.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        for (comparison, times) in comparisons.iter().zip(&mut times) {
            let mut records = [0; 2];
            for side in [round % 2, 1 - round % 2] {
                let read = [&comparison.little, &comparison.much][side];
                let begun = Instant::now();
                records[side] = read.run(store).await;
                times[side].add(begun.elapsed());
            }
            assert!(records[0] == records[1] && records[0] > 0, "{}: pages of {records:?} records", comparison.name);
        }
    }
    for (comparison, [little, much]) in comparisons.iter().zip(&times) {
        let (little, much) = (little.median(), much.median());
        let ratio = much.as_secs_f64() / little.as_secs_f64();
        println!("{:<56} {:>9} {:>9}   ratio {ratio:.2}", comparison.name, millis(little), millis(much));
    }
}

fn main() {
    let scale = if is_short() { SHORT } else { FULL };
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        let seeder = Seeder::open(folder.path()).await;
        let comparisons = seed(&seeder, &scale);
        seeder.finish();
        println!(
            "embedded store; chats of {} and {} messages, people with {} and {} chats; seeded in {:.0} s",
            scale.small_chat,
            scale.large_chat,
            scale.few_chats,
            scale.many_chats,
            begun.elapsed().as_secs_f64()
        );
        let store = SqliteStore::open(folder.path()).expect("a store");
        println!("medians of {} reads each, taken in turn; pages of {PAGE}:", scale.rounds);
        compare(&store, &comparisons, scale.rounds).await;
        store.close().await;
    });
}
