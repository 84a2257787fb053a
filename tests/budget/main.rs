//! How many database operations a request takes: as many as ARCHITECTURE.md promises, however much data there is.
//!
//! On MongoDB the driver's own monitoring counts the commands; the embedded store has a counter.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "the HTTP suite uses more of it")]
#[path = "../api/client.rs"]
mod client;
#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_functions::domain::Clock;
use chat_functions::gateway::{self, App};
use chat_functions::identity::{PasswordCost, PasswordHasher, Tokens};
use chat_functions::settings::Service;
use chat_functions::store::Store;
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use client::{Answer, Client, PASSWORD, Person, text};
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use serde_json::json;
use support::harness::{self, Way};
use support::mongodb::TestDatabase;
use support::server::JWT_SECRET;

/// What the driver and the upkeep of the store send by themselves.
const UPKEEP: &[&str] = &["hello", "isMaster", "ismaster", "ping", "createIndexes", "listIndexes", "endSessions"];

/// A server in this process, whose store can be asked what it did.
pub struct Context {
    client: Client,
    operations: Box<dyn Fn() -> u64 + Send + Sync>,
    database: Option<TestDatabase>,
}

impl Context {
    fn on_sqlite() -> Self {
        // Kept to the end of the process: the store has files in it open.
        let folder = tempfile::tempdir().expect("a folder").keep();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder).expect("a store"));
        let counted = Arc::clone(&store);
        Self { client: serve(store), operations: Box::new(move || counted.operations()), database: None }
    }

    async fn on_mongodb() -> Result<Self, String> {
        let database = TestDatabase::new()?;
        let commands = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commands);
        let observer = EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && !UPKEEP.contains(&started.command_name.as_str())
            {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let store = MongoStore::connect_observed(&database.uri(), observer).map_err(|error| error.to_string())?;
        while store.check().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { client: serve(Arc::new(store)), operations: Box::new(move || commands.load(Ordering::SeqCst)), database: Some(database) })
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

/// Serves the application on a thread of its own, as `main` does, to the end of the process.
fn serve(store: Arc<dyn Store>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = Client::new(&format!("http://{}", listener.local_addr().expect("an address")));
    let app = App {
        store,
        clock: Clock::default(),
        tokens: Tokens::new(&JWT_SECRET.into()),
        passwords: PasswordHasher::new(PasswordCost::LOWEST, 8).expect("a hasher"),
        services: Service::ALL.to_vec(),
        cors_origins: Vec::new(),
        is_https: false,
    };
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async { gateway::serve(listener, app).expect("a server").await.expect("served") });
    });
    client
}

tests!(Context: every_request_keeps_to_its_budget, an_open_request_that_is_refused_costs_nothing);

async fn every_request_keeps_to_its_budget(context: Arc<Context>) {
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    let friend = json!({ "friendId": bob.id });
    let keyed = json!({ "recipientId": bob.id, "message": "hello", "clientId": "1" });
    // So that there is something behind what is read.
    for number in 0..30 {
        ann.send(&bob, &format!("message {number}")).await.ok();
    }
    context
        .costs("registration", 1, context.client.register("budget", "budget@example.com", PASSWORD))
        .await
        .expect(201.try_into().expect("a status"));
    let login = context.costs("log-in", 3, context.client.log_in(&ann.email, PASSWORD)).await.ok();
    context.costs("profile", 2, ann.get("/api/users/profile")).await.ok();
    context.costs("change of profile", 3, ann.put("/api/users/profile", &json!({ "messagesFrom": "everyone" }))).await.ok();
    context.costs("new friend", 2, ann.post("/api/users/friends", &friend)).await.ok();
    context.costs("friend removed", 2, ann.delete("/api/users/friends", &friend)).await.ok();
    context.costs("send", 4, ann.send(&bob, "hello")).await.ok();
    context.costs("send with a client id", 4, ann.post("/api/chat/send", &keyed)).await.ok();
    context.costs("messages of one chat", 2, bob.get(&format!("/api/chat/messages?with={}&limit=20", ann.id))).await.ok();
    context.costs("messages of all chats", 3, bob.get("/api/chat/messages?limit=20")).await.ok();
    let again = Person { token: text(&login["token"]), ..ann };
    context.costs("log-out", 2, again.log_out()).await.ok();
    context.costs("a token of an ended session", 2, again.get("/api/users/profile")).await.fails(401, "unauthorized");
}

async fn an_open_request_that_is_refused_costs_nothing(context: Arc<Context>) {
    // A quiet context of its own: the other test's requests would be counted too.
    let context = if context.database.is_some() { Context::on_mongodb().await.expect("a server") } else { Context::on_sqlite() };
    let before = (context.operations)();
    let nobody = Person {
        client: context.client.clone(),
        id: String::new(),
        username: String::new(),
        email: String::new(),
        token: "a.b.c".to_owned(),
    };
    nobody.get("/api/users/profile").await.fails(401, "unauthorized");
    nobody.send(&nobody, "hello").await.fails(401, "unauthorized");
    context.client.register("!", "!", "!").await.fails_in(&["email", "password", "username"]);
    context.client.log_in("ann@example.com", &"long".repeat(200)).await.fails(401, "invalid_credentials");
    context.client.get("/api/nothing").await.fails(404, "not_found");
    assert_eq!((context.operations)(), before);
    if let Some(database) = &context.database {
        database.drop_database().await;
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sqlite = Context::on_sqlite();
    let mongodb = runtime.block_on(Context::on_mongodb());
    let ways = vec![Way { name: "sqlite", context: Ok(Arc::new(sqlite)) }, Way { name: "mongodb", context: mongodb.map(Arc::new) }];
    harness::run(&runtime, ways, &[TESTS], |context| async move {
        if let Some(database) = &context.database {
            database.drop_database().await;
        }
    })
}
