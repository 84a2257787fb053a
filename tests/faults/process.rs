//! The process is killed, or asked to stop, while people use it.

use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Ledger;
use crate::support::server::{Server, run_to_end};
use crate::{Context, SQLITE, Site, tests};

tests!(Context:
    killed_ten_times_at_random_it_loses_nothing,
    asked_to_stop_it_finishes_what_it_has_begun,
    a_second_process_on_the_file_is_refused_until_the_first_is_gone in SQLITE,
);

const KILLS: usize = 10;

/// Gives moments that differ from run to run; the seed is printed so that a run can be understood.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = u64::from(now.subsec_nanos()) | 1;
        println!("seed {seed}");
        Self(seed)
    }

    /// A number below `limit`, by xorshift (Marsaglia 2003).
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

async fn killed_ten_times_at_random_it_loses_nothing(context: Arc<Context>) {
    let (site, mut chance) = (context.site(), Chance::new());
    let mut server = site.start_ready().await;
    let ledger = Ledger::open(server.url()).await;
    ledger.begin();
    for kill in 0..KILLS {
        // Every other time it is surely at work when it is killed; else perhaps still starting.
        if kill % 2 == 0 {
            ledger.goes_on().await;
        }
        tokio::time::sleep(Duration::from_millis(chance.below(400))).await;
        server.kill();
        server = site.start();
        ledger.move_to(server.url());
    }
    server.ready().await.expect("a store");
    let messages = ledger.close().await;
    assert!(messages >= KILLS, "only {messages} messages were sent: nothing was at stake");
    server.kill();
    check_integrity(&site);
    site.clear().await;
}

/// The file is whole, whatever the moment of the kill was.
fn check_integrity(site: &Site) {
    if site.database.is_none() {
        let connection = rusqlite::Connection::open(site.folder.path().join("data/chat.db")).expect("the file");
        let answer: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
        assert_eq!(answer, "ok");
    }
}

async fn asked_to_stop_it_finishes_what_it_has_begun(context: Arc<Context>) {
    let site = context.site();
    let server = site.start_ready().await;
    let ledger = Ledger::open(server.url()).await;
    ledger.begin();
    ledger.goes_on().await;
    server.terminate();
    let status = server.wait().await;
    assert_eq!(status.code(), Some(0), "{:?}", server.log());
    let server = site.start_ready().await;
    ledger.move_to(server.url());
    ledger.close().await;
    drop(server);
    site.clear().await;
}

async fn a_second_process_on_the_file_is_refused_until_the_first_is_gone(context: Arc<Context>) {
    let site = context.site();
    let first = site.start();
    let (code, output, errors) = tokio::task::block_in_place(|| run_to_end(&site.environment, site.folder.path(), &[]));
    assert_eq!(code, Some(1));
    assert!(format!("{output}{errors}").contains("in use by another process"), "{output}{errors}");
    let answer = reqwest::get(format!("{}/api/health", first.url())).await.expect("an answer");
    assert_eq!(answer.status(), 200, "the first goes on");
    first.kill();
    let second: Server = site.start();
    let answer = reqwest::get(format!("{}/api/health", second.url())).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}
