//! The database is away at the start, goes away later, or does what it was asked and cannot say so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::client::{Answer, Client, Person, once};
use crate::ledger::Ledger;
use crate::support::chance;
use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::{Context, MONGODB, PATIENCE, Site, eventually, tests};

tests!(Context:
    a_database_that_is_away_at_the_start_is_waited_for in MONGODB,
    a_database_that_refuses_is_told_and_forgotten_after in MONGODB,
    a_database_that_hangs_is_told_and_forgotten_after in MONGODB,
    sends_whose_answers_the_database_could_not_give_are_stored_once in MONGODB,
);

/// A server that reaches its database through a proxy.
struct Faulty {
    site: Site,
    proxy: Proxy,
    server: Server,
    client: Client,
}

impl Faulty {
    async fn start(context: &Context, mode: Mode) -> Self {
        let mut site = context.site();
        let database = site.database.as_ref().expect("a database");
        let proxy = Proxy::start(database.address(), mode, "clientId").await;
        site.environment = site.environment.with("MONGODB_URI", database.uri_through(proxy.port()));
        let server = site.start();
        Self { site, proxy, client: Client::new(server.url()), server }
    }

    async fn is_ready(&self) -> bool {
        once(self.client.get("/api/health")).await.status == StatusCode::OK
    }

    async fn ready(&self) {
        eventually("the server is ready", || self.is_ready()).await;
    }

    async fn clear(self) {
        self.server.kill();
        self.proxy.set(Mode::Forward);
        self.site.clear().await;
    }
}

/// The answer, which must come. That it came in time its code tells: a request that is given up as a whole is answered by another one.
async fn in_time(what: &str, answer: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(PATIENCE, once(answer)).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Every route says so in time and in the envelope; the process itself is well.
async fn tells_that_the_database_is_away(faulty: &Faulty, ann: &Person, bob: &Person) {
    assert_eq!(faulty.client.get("/").await.status, StatusCode::OK);
    let answers = futures_util::join!(
        in_time("profile", ann.get("/api/users/profile")),
        in_time("messages", ann.get("/api/chat/messages")),
        in_time("send", ann.send(bob, "hello")),
        in_time("log-in", faulty.client.log_in(&ann.email, crate::client::PASSWORD)),
        in_time("registration", faulty.client.register("somebody", "somebody@example.com", crate::client::PASSWORD)),
        in_time("log-out", ann.log_out()),
    );
    for answer in <[Answer; 6]>::from(answers) {
        assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        let code = answer.json()["code"].as_str().map(str::to_owned).expect("a code");
        assert!(["unavailable", "outcome_unknown", "overloaded"].contains(&code.as_str()), "{code}");
        answer.fails(503, &code);
    }
    let health = in_time("health", faulty.client.get("/api/health")).await;
    assert_eq!(health.expect(StatusCode::SERVICE_UNAVAILABLE)["status"], "unavailable");
}

async fn a_database_that_is_away_at_the_start_is_waited_for(context: Arc<Context>) {
    let faulty = Faulty::start(&context, Mode::Refuse).await;
    let nobody = |name: &str| Person {
        client: faulty.client.clone(),
        id: uuid::Uuid::new_v4().simple().to_string(),
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        token: "none".to_owned(),
    };
    let refused = in_time("log-in", faulty.client.log_in(&nobody("ann").email, crate::client::PASSWORD)).await;
    refused.fails(503, "unavailable");
    assert_eq!(faulty.client.get("/").await.status, StatusCode::OK);
    assert!(!faulty.is_ready().await);
    faulty.proxy.set(Mode::Forward);
    faulty.ready().await;
    let ann = Person::register(&faulty.client).await;
    assert_eq!(ann.profile().await["username"], ann.username.as_str());
    faulty.clear().await;
}

async fn a_database_that_refuses_is_told_and_forgotten_after(context: Arc<Context>) {
    Box::pin(lose_and_find(&context, Mode::Refuse)).await;
}

async fn a_database_that_hangs_is_told_and_forgotten_after(context: Arc<Context>) {
    Box::pin(lose_and_find(&context, Mode::Swallow)).await;
}

async fn lose_and_find(context: &Context, mode: Mode) {
    let faulty = Faulty::start(context, Mode::Forward).await;
    faulty.ready().await;
    let (ann, bob) = (Person::register(&faulty.client).await, Person::register(&faulty.client).await);
    faulty.proxy.set(mode);
    Box::pin(tells_that_the_database_is_away(&faulty, &ann, &bob)).await;
    faulty.proxy.set(Mode::Forward);
    faulty.ready().await;
    // Whether the log-out was done before the database hung is not known; log-ins work in any case.
    let ann = ann.log_in_again().await;
    ann.send(&bob, "we are back").await.ok();
    faulty.clear().await;
}

/// How many answers are lost. The driver looks for its server anew after each, which takes up to half a second.
fn lost_answers() -> usize {
    chance::count("LOST_ANSWERS", 50) as usize
}

async fn sends_whose_answers_the_database_could_not_give_are_stored_once(context: Arc<Context>) {
    let faulty = Faulty::start(&context, Mode::Forward).await;
    faulty.ready().await;
    let ledger = Ledger::open(faulty.server.url()).await;
    faulty.proxy.lose_answers(lost_answers());
    ledger.begin();
    let begun = Instant::now();
    let patience = PATIENCE + Duration::from_secs(lost_answers() as u64);
    while faulty.proxy.answers_to_lose() > 0 {
        assert!(begun.elapsed() < patience, "the answers are not lost");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ledger.close().await;
    // Reads beside the writes may have failed too, before anything was changed.
    let refusals = ledger.refusals();
    assert!(refusals.keys().all(|code| ["outcome_unknown", "unavailable", "overloaded"].contains(&code.as_str())), "{refusals:?}");
    assert!(refusals["outcome_unknown"] * 4 >= lost_answers(), "the driver tries each write twice: {refusals:?}");
    faulty.clear().await;
}
