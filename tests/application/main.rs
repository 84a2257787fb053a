//! The application in this process, where a test can move its clock and count what it asks of its store.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

mod budget;
#[allow(dead_code, reason = "the HTTP suite uses more of it")]
#[path = "../api/client.rs"]
mod client;
mod clocks;
mod expiry;
mod lifetimes;
mod limits;
mod model;
mod people;
mod polls;
#[path = "../support/mod.rs"]
mod support;
mod ways_back;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_functions::auth::RegistrationPolicy;
use chat_functions::chat::WaitingRoom;
use chat_functions::domain::{Clock, UserId};
use chat_functions::gateway::{self, App};
use chat_functions::identity::{MailTokens, PasswordCost, PasswordHasher, Pseudonyms, Tokens};
use chat_functions::mail::{self, Letters, Mailer, SmtpPatience, SmtpSetting, SmtpTls, Transport, TransportSetting, Worker};
use chat_functions::rate_limits::{ClientAddress, LimitSettings, RateLimits};
use chat_functions::settings::Service;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use chat_functions::store::{FriendAddition, Store};
use client::{Answer, Client};
use mongodb::bson::{DateTime, Document, Uuid, doc};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use support::harness::{self, Way};
use support::mongodb::TestDatabase;
use support::server::JWT_SECRET;
use support::smtp::{self, ReceivedMail, SmtpServer};

/// What the driver and the upkeep of the store send by themselves.
const UPKEEP: &[&str] = &["hello", "isMaster", "ismaster", "ping", "createIndexes", "listIndexes", "endSessions"];

/// How long a mail may be on its way, on a machine that does much else.
const MAIL_PATIENCE: Duration = Duration::from_mins(1);

/// A server in this process, whose store can be asked what it did.
pub struct Context {
    client: Client,
    clock: Clock,
    store: Arc<dyn Store>,
    operations: Counter,
    watching: Counter,
    database: Option<TestDatabase>,
    mail: Option<Mail>,
}

/// Tells how many there were so far.
type Counter = Box<dyn Fn() -> u64 + Send + Sync>;

/// The mail server of a context, and who sends to it.
struct Mail {
    server: SmtpServer,
    worker: Worker,
}

/// A store, and what a context needs to look at it.
struct Observed {
    store: Arc<dyn Store>,
    /// What requests have cost.
    operations: Counter,
    /// What looking for the changes of other processes has cost.
    watching: Counter,
    database: Option<TestDatabase>,
}

impl Observed {
    fn on_sqlite() -> Self {
        // Kept to the end of the process: the store has files in it open.
        let folder = tempfile::tempdir().expect("a folder").keep();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder).expect("a store"));
        let counted = Arc::clone(&store);
        Self { store, operations: Box::new(move || counted.operations()), watching: Box::new(|| 0), database: None }
    }

    async fn on_mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        let (of_requests, of_watcher) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (operations, watching) = (Arc::clone(&of_requests), Arc::clone(&of_watcher));
        let observer = EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && !UPKEEP.contains(&started.command_name.as_str())
                && !tidies(&started.command)
            {
                let counter = if looks_for_changes(&started.command) { &of_watcher } else { &of_requests };
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        let store = MongoStore::connect_observed(&database.uri(), observer).map_err(|error| error.to_string())?;
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let counter = |count: Arc<AtomicU64>| -> Counter { Box::new(move || count.load(Ordering::SeqCst)) };
        Ok(Self { store: Arc::new(store), operations: counter(operations), watching: counter(watching), database: Some(database) })
    }
}

/// Whether a command finishes what deletions have left over, or ends ways back whose time is over.
fn tidies(command: &Document) -> bool {
    let is_of_deletions = command.get_document("filter").is_ok_and(|filter| filter.contains_key("isListed"));
    let update = command.get_array("updates").ok().and_then(|updates| updates.first()?.as_document()?.get_document("q").ok());
    is_of_deletions || update.is_some_and(|filter| filter.keys().eq(["recoveryUntil"]))
}

/// Whether a command is one of those by which a store hears of the changes of other processes: on the stream of a whole
/// database, or by the marks of change.
fn looks_for_changes(command: &Document) -> bool {
    let is_by_mark =
        command.get_document("filter").is_ok_and(|filter| filter.keys().any(|name| name.to_lowercase().ends_with("changedat")));
    let is_of_stream = command.get_i32("aggregate").is_ok() || command.get_str("collection").is_ok_and(|name| name == "$cmd.aggregate");
    is_by_mark || is_of_stream
}

impl Context {
    /// Serves the application on an observed store, without mail.
    fn without_mail(observed: Observed) -> Self {
        let clock = Clock::default();
        let client = serve(&observed.store, &clock, Mailer::unavailable(), RegistrationPolicy::Open, LimitSettings::off());
        Self::new(observed, clock, client, None)
    }

    async fn with_mail(observed: Observed, registration: RegistrationPolicy) -> Self {
        let (clock, server) = (Clock::default(), SmtpServer::start(smtp::Options::default()).await);
        let (mailer, worker) = start_mail(&server, &observed.store, &clock);
        let client = serve(&observed.store, &clock, mailer, registration, LimitSettings::off());
        Self::new(observed, clock, client, Some(Mail { server, worker }))
    }

    fn new(observed: Observed, clock: Clock, client: Client, mail: Option<Mail>) -> Self {
        let Observed { store, operations, watching, database } = observed;
        Self { client, clock, store, operations, watching, database, mail }
    }

    /// A store like this one's, with data of its own.
    async fn another_store(&self) -> Observed {
        if self.database.is_some() { Observed::on_mongodb().await.expect("a server") } else { Observed::on_sqlite() }
    }

    /// Another application on data of its own, which no other test disturbs. Mail is sent beside the requests.
    async fn fresh(&self) -> Self {
        self.fresh_with(RegistrationPolicy::Open).await
    }

    /// The same with another policy.
    async fn fresh_with(&self, registration: RegistrationPolicy) -> Self {
        Self::with_mail(self.another_store().await, registration).await
    }

    /// The same that sends no mail, so that nothing happens but what is asked for.
    async fn fresh_without_mail(&self) -> Self {
        Self::without_mail(self.another_store().await)
    }

    /// A client of another instance on the same data, whose clock is ahead.
    fn another_instance(&self, ahead_millis: i64) -> Client {
        let clock = Clock::default();
        clock.advance_millis(ahead_millis);
        serve(&self.store, &clock, Mailer::unavailable(), RegistrationPolicy::Open, LimitSettings::off())
    }

    /// A client of another instance on the same data, which counts what happens.
    fn limited_instance(&self) -> Client {
        serve(&self.store, &self.clock, Mailer::unavailable(), RegistrationPolicy::Open, LimitSettings::default())
    }

    /// The same where addresses are verified first; mail is ordered and never sent.
    async fn fresh_that_keeps_mail(&self) -> Self {
        let (observed, clock) = (self.another_store().await, Clock::default());
        let client = serve(&observed.store, &clock, Mailer::default(), RegistrationPolicy::Verified, LimitSettings::off());
        Self::new(observed, clock, client, None)
    }

    /// The mails to an address with this in their subject, in the order of their arrival, once there are as many.
    async fn mails_to(&self, address: &str, subject: &str, count: usize) -> Vec<ReceivedMail> {
        let server = &self.mail.as_ref().expect("a mail server").server;
        let begun = std::time::Instant::now();
        loop {
            let mails = server.mails().into_iter().filter(|mail| mail.is_to(address) && mail.subject().contains(subject));
            let mails: Vec<_> = mails.collect();
            if mails.len() >= count {
                return mails;
            }
            assert!(begun.elapsed() < MAIL_PATIENCE, "no mail about {subject:?} has come to {address}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has the process that sends mail die where it is, and another one take its place.
    fn restart_mail(&mut self) {
        let mail = self.mail.as_mut().expect("a mail server");
        mail.worker = start_mail(&mail.server, &self.store, &self.clock).1;
    }

    /// The newest of them.
    async fn mail_to(&self, address: &str, subject: &str) -> ReceivedMail {
        self.mails_to(address, subject, 1).await.pop().expect("a mail")
    }

    /// Gives somebody without friends these; at once where that is much faster than one after the other.
    async fn fill_friends(&self, user: UserId, friends: &[UserId]) {
        let Some(database) = &self.database else {
            for friend in friends {
                assert_eq!(self.store.add_friend(user, *friend, self.clock.now()).await.expect("an answer"), FriendAddition::Added);
            }
            return;
        };
        let key = |id: UserId| Uuid::from_bytes(id.to_bytes());
        let entries: Vec<Document> = friends.iter().map(|friend| doc! { "id": key(*friend), "addedAt": DateTime::now() }).collect();
        let users = database.open().await.collection::<Document>("users");
        let updated = users.update_one(doc! { "_id": key(user) }, doc! { "$set": { "friends": entries } }).await.expect("an answer");
        assert_eq!(updated.modified_count, 1);
    }

    /// Removes what does not vanish by itself.
    async fn clear(&self) {
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }

    /// Checks what a request takes; none at all would mean that nobody counts.
    async fn costs(&self, what: &str, most: u64, request: impl Future<Output = Answer>) -> Answer {
        let before = (self.operations)();
        let answer = request.await;
        let spent = (self.operations)() - before;
        assert!((1..=most).contains(&spent), "{what}: {spent} operations, at most {most} allowed");
        answer
    }
}

/// Sends what waits in a store to a mail server, as `main` does.
fn start_mail(server: &SmtpServer, store: &Arc<dyn Store>, clock: &Clock) -> (Mailer, Worker) {
    let url = "http://127.0.0.1:8080";
    let setting = SmtpSetting {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        tls: SmtpTls::Offered,
        credentials: None,
        authorities: None,
        patience: SmtpPatience::default(),
    };
    let transport = Transport::open(&TransportSetting::Smtp(setting), url).expect("a transport");
    let letters = Letters::new(url, "Chat <chat@example.com>".parse().expect("a mailbox"));
    mail::start(transport, letters, MailTokens::new(&JWT_SECRET.into()), Arc::clone(store), clock.clone())
}

/// Serves the application on a thread of its own, as `main` does, to the end of the process.
fn serve(store: &Arc<dyn Store>, clock: &Clock, mailer: Mailer, registration: RegistrationPolicy, limits: LimitSettings) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = Client::new(&format!("http://{}", listener.local_addr().expect("an address")));
    let waiting_room = WaitingRoom::new(LimitSettings::off().polls);
    store.listen(Arc::new(waiting_room.clone()));
    let app = App {
        store: Arc::clone(store),
        clock: clock.clone(),
        tokens: Tokens::new(&JWT_SECRET.into()),
        passwords: PasswordHasher::new(PasswordCost::LOWEST, 8, usize::MAX).expect("a hasher"),
        rate_limits: RateLimits::new(limits, ClientAddress::default(), Arc::clone(store)),
        mailer,
        waiting_room,
        metrics: None,
        registration,
        pseudonyms: Pseudonyms::new(&JWT_SECRET.into()),
        services: Service::ALL.to_vec(),
        cors_origins: Vec::new(),
        is_https: false,
    };
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async { gateway::serve(listener, app).expect("a server").await.expect("served") });
    });
    client
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ways = [
        Way::new("sqlite", async || Ok(Context::without_mail(Observed::on_sqlite()))),
        Way::on_mongodb("mongodb", |_none| false, async || Observed::on_mongodb().await.map(Context::without_mail)),
    ];
    let tests =
        [budget::TESTS, clocks::TESTS, expiry::TESTS, lifetimes::TESTS, limits::TESTS, model::TESTS, polls::TESTS, ways_back::TESTS];
    harness::run(&runtime, &ways, &tests, |context| async move { context.clear().await })
}
