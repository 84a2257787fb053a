//! What it costs that many wait: as much as that one does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Answer, Person, new_name};
use crate::{Context, people, tests};

tests!(Context: many_who_wait_cost_as_much_as_one_and_news_wakes_only_whom_it_concerns);

/// Pairs of people, each of whom waits for the other on all their devices.
const PAIRS: usize = 15;
/// Polls of a person: for messages, and for the list of conversations.
const POLLS: usize = 5;
const LIST_POLLS: usize = 1;
/// So long at least the operations are counted while nothing happens.
const WATCHED: Duration = Duration::from_secs(3);
/// Operations a second, whoever waits.
const MOST_A_SECOND: u64 = 5;
/// How long all may take to begin to wait, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

async fn many_who_wait_cost_as_much_as_one_and_news_wakes_only_whom_it_concerns(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let pairs = pairs(&context).await;
    let mut polls = JoinSet::new();
    for (number, (ann, bob)) in pairs.iter().enumerate() {
        for (reader, peer) in [(ann, bob), (bob, ann)] {
            wait(&mut polls, number, reader, peer).await;
        }
    }
    all_wait(&context).await;
    let (operations, watching) = ((context.operations)(), (context.watching)());
    let begun = Instant::now();
    tokio::time::sleep(WATCHED).await;
    assert_eq!((context.operations)(), operations, "who waits asks for nothing");
    let (watched, took) = ((context.watching)() - watching, begun.elapsed());
    assert!(watched <= MOST_A_SECOND * took.as_secs(), "{watched} operations in {took:?}");
    let (ann, bob) = &pairs[PAIRS / 2];
    ann.send(bob, "news").await.ok();
    for _ in 0..2 * POLLS {
        let answered = tokio::time::timeout(PATIENCE, polls.join_next()).await.expect("an answer");
        let (number, answer) = answered.expect("a poll").expect("no panic");
        assert_eq!((number, answer.status.as_u16()), (PAIRS / 2, 200), "{answer:?}");
    }
    // A look of each, and one at its session; the list takes two; and the send itself.
    let most = 2 * (2 * POLLS + LIST_POLLS) as u64 + 4;
    let spent = (context.operations)() - operations;
    assert!(spent <= most, "{spent} operations, at most {most} allowed");
    assert!(polls.try_join_next().is_none(), "the others wait on");
    polls.shutdown().await;
    context.clear().await;
}

/// People with something in their chats.
async fn pairs(context: &Context) -> Vec<(Person, Person)> {
    let password = people::password().await;
    let person = || async { people::create(context, &new_name(), &password).await };
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let (ann, bob) = (person().await, person().await);
        ann.send(&bob, "hello").await.ok();
        pairs.push((ann, bob));
    }
    pairs
}

/// Has somebody wait everywhere.
async fn wait(polls: &mut JoinSet<(usize, Answer)>, number: usize, reader: &Person, peer: &Person) {
    let tag = reader.conversations_tag().await;
    for poll in 0..POLLS {
        let (reader, peer, tag) = (reader.clone(), peer.clone(), tag.clone());
        polls.spawn(async move {
            let answer =
                if poll < LIST_POLLS { reader.poll_conversations(&tag, 25).await } else { reader.poll_messages(&peer, 1, 25).await };
            (number, answer)
        });
    }
}

/// Returns when all have looked and nobody looks any more.
async fn all_wait(context: &Context) {
    let begun = Instant::now();
    let mut before = 0;
    loop {
        let now = (context.operations)();
        if now == before && now > 2 * (2 * PAIRS * POLLS) as u64 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "they do not come to rest");
        before = now;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
