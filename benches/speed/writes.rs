//! What it gives that changes of the embedded store which wait together are committed together: sends a second, beside those of the same
//! store when it commits each of them by itself.
//!
//! It asks the store itself for what a send asks for, and on a disk: the wait for the disk is what is shared.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::store::Store as _;
use chat_functions::store::sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::numbers::median;
use crate::operations;
use crate::people::{self, Person};
use crate::report::{Goal, Row, Section};

/// How much is measured.
struct Scale {
    rounds: usize,
    /// How long the senders of a round send.
    span: Duration,
}

const FULL: Scale = Scale { rounds: 7, span: Duration::from_secs(2) };
const SHORT: Scale = Scale { rounds: 1, span: Duration::from_millis(100) };

const MANY: usize = 64;

/// A store, and people in it, each two of whom are the sender and the recipient of a chat.
struct Subject {
    store: Arc<SqliteStore>,
    people: Vec<Person>,
    _folder: TempDir,
}

impl Subject {
    async fn open(max_batch: NonZeroUsize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open_with(folder.path(), max_batch, SqliteStore::DEADLINE).expect("a store");
        let people = people::create(&store, 2 * MANY).await;
        Self { store: store.into(), people, _folder: folder }
    }

    /// How many messages a second so many senders send, each when the one before is answered.
    async fn sends_per_second(&self, senders: usize, span: Duration) -> f64 {
        let begun = Instant::now();
        let mut sending = JoinSet::new();
        for pair in self.people.chunks_exact(2).take(senders) {
            let (store, sender, recipient) = (Arc::clone(&self.store), pair[0].session, pair[1].id);
            sending.spawn(async move {
                let mut sent = 0_u32;
                while begun.elapsed() < span {
                    operations::send(store.as_ref(), &sender, recipient).await;
                    sent += 1;
                }
                sent
            });
        }
        let sent: u32 = sending.join_all().await.into_iter().sum();
        f64::from(sent) / begun.elapsed().as_secs_f64()
    }
}

/// Measures with many senders and with one.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    let method = "The embedded store by itself, with the three operations of a send, in turn with the same store when it commits each change \
                  by itself; every message is on the disk when its sender goes on.";
    let mut section = Section::new("Writes of the embedded store", method, ["committed together", "each by itself"]);
    println!("{}", section.title);
    let (together, alone) = (Subject::open(SqliteStore::MAX_BATCH).await, Subject::open(NonZeroUsize::MIN).await);
    for (senders, who, goal) in [(MANY, "64 senders", 4.0), (1, "1 sender", 1.0)] {
        let mut figures = [Vec::new(), Vec::new()];
        for _ in 0..scale.rounds {
            for (subject, figures) in [&together, &alone].into_iter().zip(&mut figures) {
                figures.push(subject.sends_per_second(senders, scale.span).await);
            }
        }
        section.add(Row::beside(format!("sends a second, {who}"), figures.map(median), "/s").aiming_at(Goal::RatioAtLeast(goal)));
    }
    together.store.close().await;
    alone.store.close().await;
    vec![section]
}
