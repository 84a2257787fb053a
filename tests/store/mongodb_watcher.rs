//! Processes on one database hear of each other's changes: by a change stream or else by one query, whatever happens to the server.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chat_functions::domain::ChatId;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::{Append, Change, ChangeListener, Marking, Store};
use mongodb::bson::doc;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;

use crate::mongodb_only::MONGODB;
use crate::people::{NOW, Pair};
use crate::support::database_server::{DatabaseServer, Kind};
use crate::support::mongodb::TestDatabase;
use crate::support::not_run::not_run;
use crate::support::proxy::{Mode, Proxy};
use crate::{Context, connect_to, tests};

/// Within this a change is heard of, and all is well again after a fault.
const SETTLED: Duration = Duration::from_mins(1);
/// What must not travel with the news of a message.
const TEXT: &str = "for the eyes of two";

tests!(Context:
    the_stream_brings_changes_of_another_store_without_texts in MONGODB,
    a_server_without_streams_is_asked_for_changes_while_somebody_waits in MONGODB,
    a_thousand_who_wait_cost_no_more_than_one_and_nobody_costs_nothing in MONGODB,
    a_stream_that_is_cut_is_opened_again_and_nothing_is_missed in MONGODB,
    a_stream_that_hangs_is_made_up_for_and_nothing_is_missed in MONGODB,
    a_server_that_is_away_at_the_start_is_waited_for in MONGODB,
    a_server_that_is_killed_and_comes_back_is_heard_again in MONGODB,
    a_listener_that_panics_ends_nothing in MONGODB,
);

/// A listener.
#[derive(Default)]
struct Ear {
    is_waiting: AtomicBool,
    heard: Mutex<Vec<Change>>,
    /// How many changes are to be met with a panic.
    panics: AtomicUsize,
}

impl ChangeListener for Ear {
    fn is_waiting(&self) -> bool {
        self.is_waiting.load(Ordering::SeqCst)
    }

    fn notice(&self, change: &Change) {
        let is_panicking = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(!is_panicking, "a listener panics, as the test wants it to");
        self.heard.lock().expect("unpoisoned").push(*change);
    }
}

impl Ear {
    fn on(store: &dyn Store, is_waiting: bool) -> Arc<Self> {
        let ear = Arc::new(Self { is_waiting: AtomicBool::new(is_waiting), ..Self::default() });
        store.listen(Arc::clone(&ear) as Arc<dyn ChangeListener>);
        ear
    }

    fn has_heard(&self, is_it: impl Fn(&Change) -> bool) -> bool {
        self.heard.lock().expect("unpoisoned").iter().any(is_it)
    }

    /// Waits until a change is heard of; how long that took.
    async fn hears(&self, within: Duration, is_it: impl Fn(&Change) -> bool) -> Duration {
        let begun = Instant::now();
        while !self.has_heard(&is_it) {
            assert!(begun.elapsed() < within, "not heard within {within:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        begun.elapsed()
    }
}

/// Whether a change tells that a chat has got so far.
fn reaches(chat: ChatId, seq: u64) -> impl Fn(&Change) -> bool {
    move |change| matches!(change, Change::Chat(progress) if progress.chat == chat && progress.last_seq >= seq)
}

/// Somebody who changes things, and a listener on another store.
struct Two {
    speaker: Arc<dyn Store>,
    listener: Arc<dyn Store>,
    ear: Arc<Ear>,
    pair: Pair,
}

impl Two {
    /// One store at each of two ways to the same database.
    async fn meet(speaker: &str, listener: Arc<dyn Store>, is_waiting: bool) -> Self {
        let speaker = connect_to(speaker).await.expect("a store");
        let ear = Ear::on(&*listener, is_waiting);
        let pair = Pair::create(&*speaker).await;
        Self { speaker, listener, ear, pair }
    }

    /// Sends a message, however long the server is away; its number.
    async fn send(&self) -> u64 {
        let begun = Instant::now();
        loop {
            match self.speaker.append_message(&self.pair.message(&self.pair.ann, TEXT), None).await {
                Ok(Append::Stored(message)) => return message.seq,
                other => assert!(begun.elapsed() < SETTLED, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends until something is heard, as it is once the listener has got into its stride.
    async fn settle(&self) {
        let (begun, chat) = (Instant::now(), self.pair.chat);
        self.ear.heard.lock().expect("unpoisoned").clear();
        while !self.ear.has_heard(reaches(chat, 1)) {
            assert!(begun.elapsed() < SETTLED, "nothing is heard");
            self.send().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn hears_a_message(&self, within: Duration) -> Duration {
        let seq = self.send().await;
        self.ear.hears(within, reaches(self.pair.chat, seq)).await
    }

    async fn part(self) {
        self.speaker.close().await;
        self.listener.close().await;
    }
}

/// The commands that a store sends and the answers that it gets, as text.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Vec<String>>>);

impl Wire {
    fn observed(&self, uri: &str) -> Arc<dyn Store> {
        let wire = self.clone();
        let observer = EventHandler::callback(move |event| {
            let text = match event {
                CommandEvent::Started(event) => event.command.to_string(),
                CommandEvent::Succeeded(event) => event.reply.to_string(),
                _ => return,
            };
            wire.0.lock().expect("unpoisoned").push(text);
        });
        Arc::new(MongoStore::connect_observed(uri, observer).expect("a store"))
    }

    fn count(&self, parts: &[&str]) -> usize {
        self.0.lock().expect("unpoisoned").iter().filter(|text| parts.iter().all(|part| text.contains(part))).count()
    }

    /// How often changes were asked for.
    fn looks(&self) -> usize {
        self.count(&["\"find\"", "hangedAt\": { \"$gte\""])
    }

    /// How often a stream was opened, or tried to be.
    fn streams(&self) -> usize {
        self.count(&["\"aggregate\"", "$changeStream"])
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SETTLED, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the server of the test run has change streams.
async fn has_streams(database: &TestDatabase) -> bool {
    let hello = database.open().await.run_command(doc! { "hello": 1 }).await.expect("an answer");
    hello.contains_key("setName") || not_run::<()>("the MongoDB server of this run has no change streams").is_some()
}

async fn the_stream_brings_changes_of_another_store_without_texts(_: Arc<Context>) {
    let (database, wire) = (TestDatabase::new().expect("a server"), Wire::default());
    if !has_streams(&database).await {
        return;
    }
    // Nobody waits, so that nothing but the stream can tell.
    let two = Two::meet(&database.uri(), wire.observed(&database.uri()), false).await;
    let (ann, bob, chat) = (&two.pair.ann, &two.pair.bob, two.pair.chat);
    two.settle().await;
    for _ in 0..20 {
        two.hears_a_message(SETTLED).await;
    }
    let seq = two.send().await;
    assert_eq!(two.speaker.mark_read(bob.id(), chat, seq).await.expect("an answer"), Marking::Read { read_seq: seq, last_seq: seq });
    let is_read = |change: &Change| matches!(change, Change::Chat(progress) if progress.chat == chat && progress.read_seqs == [seq; 2]);
    two.ear.hears(SETTLED, is_read).await;
    for person in [ann, bob] {
        two.speaker.end_session(&person.key(), NOW).await.expect("an answer");
        two.ear.hears(SETTLED, |change| *change == Change::Access(person.id())).await;
    }
    assert_eq!((wire.streams(), wire.looks()), (1, 0));
    assert_eq!(wire.count(&[TEXT]) + wire.count(&["passwordHash"]), 0, "more travels than the news");
    two.part().await;
    database.drop_database().await;
}

async fn a_server_without_streams_is_asked_for_changes_while_somebody_waits(_: Arc<Context>) {
    let Some(server) = DatabaseServer::start(Kind::Standalone).await else { return };
    let wire = Wire::default();
    let two = Two::meet(&server.uri(), wire.observed(&server.uri()), true).await;
    two.settle().await;
    for _ in 0..5 {
        two.hears_a_message(SETTLED).await;
    }
    let ann = &two.pair.ann;
    two.speaker.end_session(&ann.key(), NOW).await.expect("an answer");
    two.ear.hears(SETTLED, |change| *change == Change::Access(ann.id())).await;
    two.ear.panics.store(1, Ordering::SeqCst);
    two.hears_a_message(SETTLED).await;
    assert_eq!(wire.count(&[TEXT]), 0, "more travels than the news");
    two.part().await;
}

async fn a_thousand_who_wait_cost_no_more_than_one_and_nobody_costs_nothing(_: Arc<Context>) {
    const LOOKS: usize = 12;
    let Some(server) = DatabaseServer::start(Kind::Standalone).await else { return };
    let wire = Wire::default();
    let store = wire.observed(&server.uri());
    let mut ears = vec![Ear::on(&*store, false)];
    until("a stream is tried again and again", || wire.streams() >= 3).await;
    assert_eq!(wire.looks(), 0, "nobody waits");
    ears.extend((0..1_000).map(|_| Ear::on(&*store, true)));
    until("changes are asked for", || wire.looks() > 0).await;
    let (begun, before) = (Instant::now(), wire.looks());
    until("changes are asked for again", || wire.looks() >= before + LOOKS).await;
    // By the settings: every 400 ms for chats, every 2 s for people.
    let usual = Duration::from_secs(LOOKS as u64) / 3;
    assert!(begun.elapsed() > usual * 3 / 5, "{LOOKS} looks in {:?}", begun.elapsed());
    assert_eq!(store.operations(), 0, "the upkeep is not counted");
    store.close().await;
}

/// A listener behind a proxy that fails, and a speaker who reaches the server all the while.
async fn behind(proxy: &Proxy, database: &TestDatabase) -> Two {
    let two = Two::meet(&database.uri(), connect_to(&database.uri_through(proxy.port())).await.expect("a store"), true).await;
    two.settle().await;
    two
}

async fn lose_and_find(mode: Mode) {
    let database = TestDatabase::new().expect("a server");
    let proxy = Proxy::start(database.address(), Mode::Forward, "unused").await;
    let two = behind(&proxy, &database).await;
    for _ in 0..2 {
        proxy.set(mode);
        while two.listener.find_chat_head(two.pair.chat).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let missed = two.send().await;
        proxy.set(Mode::Forward);
        two.ear.hears(SETTLED, reaches(two.pair.chat, missed)).await;
    }
    if has_streams(&database).await {
        two.ear.is_waiting.store(false, Ordering::SeqCst);
        two.settle().await;
    }
    two.part().await;
    database.drop_database().await;
}

async fn a_stream_that_is_cut_is_opened_again_and_nothing_is_missed(_: Arc<Context>) {
    lose_and_find(Mode::Refuse).await;
}

async fn a_stream_that_hangs_is_made_up_for_and_nothing_is_missed(_: Arc<Context>) {
    lose_and_find(Mode::Swallow).await;
}

async fn a_server_that_is_away_at_the_start_is_waited_for(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let proxy = Proxy::start(database.address(), Mode::Refuse, "unused").await;
    let listener = Arc::new(MongoStore::connect(&database.uri_through(proxy.port())).expect("a store"));
    let two = Two::meet(&database.uri(), listener, true).await;
    assert!(two.listener.check().await.is_err());
    two.send().await;
    proxy.set(Mode::Forward);
    two.settle().await;
    two.part().await;
    database.drop_database().await;
}

async fn a_server_that_is_killed_and_comes_back_is_heard_again(_: Arc<Context>) {
    let Some(mut server) = DatabaseServer::start(Kind::AsInThisRun).await else { return };
    let two = Two::meet(&server.uri(), connect_to(&server.uri()).await.expect("a store"), true).await;
    two.settle().await;
    for _ in 0..2 {
        server.kill();
        server.start_again();
        two.hears_a_message(SETTLED).await;
    }
    two.part().await;
}

async fn a_listener_that_panics_ends_nothing(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let two = Two::meet(&database.uri(), connect_to(&database.uri()).await.expect("a store"), true).await;
    two.settle().await;
    for panics in [1, 2] {
        two.ear.panics.store(panics, Ordering::SeqCst);
        two.hears_a_message(SETTLED).await;
        assert_eq!(two.ear.panics.load(Ordering::SeqCst), 0);
    }
    two.part().await;
    database.drop_database().await;
}
