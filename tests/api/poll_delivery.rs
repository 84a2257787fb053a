//! What is sent at one instance reaches who waits at the other. How soon is measured by `scripts/bench polls`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::context::Context;
use crate::tests;

tests!(Context: every_message_reaches_who_waits_at_the_other_instance_before_their_time_is_up in &["instances"]);

const MESSAGES: u64 = 100;
/// How long a reader is willing to wait, in seconds; at the end of that the store is asked once more.
const WAIT: u64 = 25;
/// What comes later came by that last look.
const MOST: Duration = Duration::from_secs(20);

async fn every_message_reaches_who_waits_at_the_other_instance_before_their_time_is_up(context: Arc<Context>) {
    let [here, there] = context.two_ways_in();
    let (ann, bob) = context.pair().await;
    let (writer, reader) = (ann.at(&here), bob.at(&there));
    writer.send(&bob, "hello").await.ok();
    for seq in 2..=MESSAGES + 1 {
        let polled = async { (reader.poll_messages(&ann, seq - 1, WAIT).await, Instant::now()) };
        let sent = async {
            // So that some meet one who waits already, and others one who is about to.
            tokio::time::sleep(Duration::from_millis((getrandom::u32().expect("random bytes") % 50).into())).await;
            let begun = Instant::now();
            writer.send(&bob, "news").await.ok();
            begun
        };
        let ((answer, came_at), sent_at) = tokio::join!(polled, sent);
        assert_eq!(answer.ok()["messages"][0]["seq"], seq);
        assert!(came_at.saturating_duration_since(sent_at) < MOST, "message {seq} took {:?}", came_at - sent_at);
    }
}
