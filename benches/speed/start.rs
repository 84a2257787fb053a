//! How soon a process answers, and what it takes while nothing happens.

use std::time::{Duration, Instant};

use crate::load::{self, Connection};
use crate::numbers::{Times, in_millis};
use crate::process::Process;
use crate::report::{Goal, Row, Section};
use crate::server::EXECUTABLE;
use crate::site::{Kind, Site};

/// Between two questions whether the store answers.
const PAUSE: Duration = Duration::from_millis(1);
/// Starts that are timed.
const FULL: usize = 20;
const SHORT: usize = 2;

/// Measures both stores.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let starts = if is_short { SHORT } else { FULL };
    let method = format!(
        "From the start of a process to its first answers, the median of {starts} starts with data that was there before; and the memory \
         that it holds when it has answered and nothing else happens."
    );
    let mut section = Section::new("Start and size", &method, ["chat-functions", ""]);
    println!("{}", section.title);
    for (kind, store) in [(Kind::Sqlite, "SQLite"), (Kind::ChangeStream, "MongoDB")] {
        measure_store(kind, store, starts, &mut section).await;
    }
    let bytes = u32::try_from(std::fs::metadata(EXECUTABLE).expect("the program").len()).expect("a file of less than 4 GiB");
    section.add(Row::alone("size of the program", f64::from(bytes) / (1024.0 * 1024.0), "MiB"));
    vec![section]
}

async fn measure_store(kind: Kind, store: &str, starts: usize, section: &mut Section) -> Option<()> {
    let site = Site::open(kind).await?;
    site.people(1).await;
    let (mut lives, mut ready, mut memory) = (Times::default(), Times::default(), 0.0);
    for _ in 0..starts {
        let begun = Instant::now();
        let server = site.launch();
        let mut connection = Connection::open(load::address_of(server.url())).await;
        let (status, _) = connection.ask(load::get("/", None)).await;
        assert!(status.is_success(), "{status}");
        lives.add(begun.elapsed());
        while !connection.ask(load::get("/api/health", None)).await.0.is_success() {
            tokio::time::sleep(PAUSE).await;
        }
        ready.add(begun.elapsed());
        let process = Process(server.pid());
        process.settle(0).await;
        memory = process.memory_mib();
        server.stop().await;
    }
    section.add(Row::alone(format!("{store}: first answer"), in_millis(lives.median()), "ms").aiming_at(Goal::AtMost(50.0)));
    section.add(Row::alone(format!("{store}: the store answers"), in_millis(ready.median()), "ms"));
    section.add(Row::alone(format!("{store}: memory at rest"), memory, "MiB").aiming_at(Goal::AtMost(20.0)));
    site.clear().await;
    Some(())
}
