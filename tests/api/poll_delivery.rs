//! How soon what is sent at one instance reaches who waits at the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::tests;

tests!(Context: of_100_messages_99_reach_who_waits_at_the_other_instance_within_1_5_seconds in &["instances"]);

const MESSAGES: u64 = 100;
const MOST: Duration = Duration::from_millis(1_500);

async fn of_100_messages_99_reach_who_waits_at_the_other_instance_within_1_5_seconds(context: Arc<Context>) {
    let [here, there] = context.two_ways_in();
    let (ann, bob) = context.pair().await;
    let (writer, reader) = (ann.at(&here), bob.at(&there));
    writer.send(&bob, "hello").await.ok();
    let mut delays = Vec::new();
    for seq in 2..=MESSAGES + 1 {
        let polled = async { (reader.poll_messages(&ann, seq - 1, 25).await, Instant::now()) };
        let sent = async {
            // So that some meet one who waits already, and others one who is about to.
            tokio::time::sleep(Duration::from_millis((getrandom::u32().expect("random bytes") % 50).into())).await;
            let begun = Instant::now();
            writer.send(&bob, "news").await.ok();
            begun
        };
        let ((answer, came_at), sent_at) = tokio::join!(polled, sent);
        assert_eq!(answer.ok()["messages"][0]["seq"], seq);
        delays.push(came_at - sent_at);
    }
    delays.sort_unstable();
    let [.., slow, slowest] = delays[..] else { panic!("two at least") };
    assert!(slow < MOST, "the slowest took {slowest:?}, the next {slow:?}");
}
