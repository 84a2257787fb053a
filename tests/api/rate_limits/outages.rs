//! Limits whose counters cannot be reached.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{HOME, Site, register, wait_of};
use crate::client::{PASSWORD, Person, once};
use crate::context::{ALONE, Context};
use crate::support::proxy::{Mode, Proxy};
use crate::tests;

tests!(Context:
    without_its_counters_nothing_runs_unlimited in ALONE,
    with_the_database_away_nothing_runs_unlimited in &["mongodb"],
);

async fn without_its_counters_nothing_runs_unlimited(context: Arc<Context>) {
    let site = Site::new(&context, &[]);
    let running = site.start().await;
    let home = running.client(HOME);
    let (ann, bob) = (Person::register(&home).await.log_in_again().await, Person::register(&home).await);
    let database = site.database().await;
    database.db_break_counters().await;
    once(home.log_in(&ann.email, "a wrong password")).await.fails(503, "unavailable");
    once(home.log_in(&ann.email, PASSWORD)).await.fails(503, "unavailable");
    once(register(&home)).await.fails(503, "unavailable");
    once(ann.send(&bob, "hello")).await.fails(503, "unavailable");
    assert!(bob.messages("").await.is_empty(), "what needs no counter goes on");
    database.db_mend_counters().await;
    home.log_in(&ann.email, PASSWORD).await.ok();
    ann.send(&bob, "hello").await.ok();
    site.clear().await;
}

async fn with_the_database_away_nothing_runs_unlimited(context: Arc<Context>) {
    let mut site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "2/15m")]);
    let database = site.database.as_ref().expect("a database");
    let proxy = Proxy::start(database.address(), Mode::Forward, "none is lost").await;
    site.environment = site.environment.clone().with("MONGODB_URI", database.uri_through(proxy.port()));
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await;
    proxy.set(Mode::Refuse);
    let guesses = join_all((0..10).map(|_| home.log_in(&ann.email, "a wrong password")));
    let (guesses, registration) = once(async { futures_util::join!(guesses, register(&home)) }).await;
    for answer in guesses.into_iter().chain([registration]) {
        wait_of(&answer);
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    proxy.set(Mode::Forward);
    ann.profile().await;
    home.log_in(&ann.email, PASSWORD).await.ok();
    site.clear().await;
}
