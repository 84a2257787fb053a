//! Summaries of chats that lag behind their messages, as a crash between the two writes leaves them.

use std::sync::Arc;

use chat_functions::domain::ChatId;
use chat_functions::store::{Append, Marking, Store};
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};

use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Pair, message, send};
use crate::support::mongodb::TestDatabase;
use crate::{Context, connect, tests};

tests!(Context:
    a_message_that_the_summary_lags_behind_can_be_marked in MONGODB,
    the_only_message_of_a_chat_without_a_summary_can_be_marked in MONGODB,
    a_repeated_send_brings_a_summary_forward in MONGODB,
    a_mark_that_is_there_already_is_no_change in MONGODB,
);

/// A database of its own, and its summaries past the program.
struct Lagging {
    database: TestDatabase,
    store: Arc<dyn Store>,
    summaries: Collection<Document>,
    pair: Pair,
}

impl Lagging {
    async fn open() -> Self {
        let database = TestDatabase::new().expect("a server");
        let (store, summaries) = (connect(&database).await.expect("a store"), database.open().await.collection("chats"));
        let pair = Pair::create(&*store).await;
        Self { database, store, summaries, pair }
    }

    async fn summary(&self) -> Document {
        self.summaries.find_one(doc! { "_id": key(self.pair.chat) }).await.expect("an answer").expect("a summary")
    }

    /// Makes the summary what it was.
    async fn put_back(&self, summary: &Document) {
        let replaced = self.summaries.replace_one(doc! { "_id": key(self.pair.chat) }, summary).await.expect("an answer");
        assert_eq!(replaced.modified_count, 1);
    }

    async fn mark(&self, seq: u64) -> Marking {
        self.store.mark_read(self.pair.bob.id(), self.pair.chat, seq).await.expect("an answer")
    }

    /// The number of the last message of Bob's only conversation, and how far he and Ann have read.
    async fn listed(&self) -> (u64, u64, u64) {
        let page = self.store.list_conversations(self.pair.bob.id(), None, 10, NOW).await.expect("a page");
        assert_eq!(page.len(), 1, "{page:?}");
        (page[0].last_message.seq, page[0].read_seq, page[0].peer_read_seq)
    }

    async fn close(self) {
        self.store.close().await;
        self.database.drop_database().await;
    }
}

fn key(chat: ChatId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: chat.to_bytes().to_vec() }
}

async fn a_message_that_the_summary_lags_behind_can_be_marked(_: Arc<Context>) {
    let lagging = Lagging::open().await;
    send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, "1")).await;
    let summary = lagging.summary().await;
    send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, "2")).await;
    send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, "3")).await;
    lagging.put_back(&summary).await;
    assert_eq!(lagging.mark(4).await, Marking::BeyondLast);
    assert_eq!(lagging.mark(2).await, Marking::Read { read_seq: 2, last_seq: 3 });
    assert_eq!(lagging.listed().await, (3, 2, 3));
    lagging.close().await;
}

async fn the_only_message_of_a_chat_without_a_summary_can_be_marked(_: Arc<Context>) {
    let lagging = Lagging::open().await;
    send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, "1")).await;
    lagging.summaries.delete_one(doc! { "_id": key(lagging.pair.chat) }).await.expect("deleted");
    assert_eq!(lagging.mark(2).await, Marking::BeyondLast);
    assert_eq!(lagging.mark(1).await, Marking::Read { read_seq: 1, last_seq: 1 });
    assert_eq!(lagging.listed().await, (1, 1, 1));
    lagging.close().await;
}

async fn a_repeated_send_brings_a_summary_forward(_: Arc<Context>) {
    let lagging = Lagging::open().await;
    send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, "1")).await;
    let summary = lagging.summary().await;
    let keyed = message(lagging.pair.chat, lagging.pair.ann.id(), "2", Some("key"));
    let second = send(&*lagging.store, &keyed).await;
    lagging.put_back(&summary).await;
    let head = lagging.store.find_chat_head(lagging.pair.chat).await.expect("an answer");
    assert_eq!(lagging.store.append_message(&keyed, head).await.expect("an answer"), Append::Replayed(second));
    assert_eq!(lagging.listed().await, (2, 0, 2));
    lagging.close().await;
}

async fn a_mark_that_is_there_already_is_no_change(_: Arc<Context>) {
    let lagging = Lagging::open().await;
    for number in 1..=3 {
        send(&*lagging.store, &lagging.pair.message(&lagging.pair.ann, &number.to_string())).await;
    }
    assert_eq!(lagging.mark(2).await, Marking::Read { read_seq: 2, last_seq: 3 });
    let marked = lagging.summary().await;
    for seq in [2, 1, 0] {
        assert_eq!(lagging.mark(seq).await, Marking::Read { read_seq: 2, last_seq: 3 });
    }
    // Not even the marker, so that no other process looks at it.
    assert_eq!(lagging.summary().await, marked);
    lagging.close().await;
}
