//! Whoever reads the log stops reading.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use crate::client::Client;
use crate::support::server::EXECUTABLE;
use crate::{Context, SQLITE, tests};

tests!(Context: a_log_that_nobody_reads_stops_nobody in SQLITE);

/// More lines than a pipe and the queue before it hold, at one a request.
const REQUESTS: usize = 8_000;
const AT_ONCE: usize = 100;
/// How long an answer may take: a write that waits for the reader would wait for ever.
const PATIENCE: Duration = Duration::from_mins(1);

async fn a_log_that_nobody_reads_stops_nobody(context: Arc<Context>) {
    let site = context.site();
    let mut command = Command::new(EXECUTABLE);
    command.current_dir(site.folder.path()).env_clear().envs(site.environment.variables().iter().cloned());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program runs");
    let output = child.stdout.take().expect("its output");
    let mut events = BufReader::new(output).lines().map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON"));
    let listening = events.find(|event| event["event"] == "listening").expect("it listens");
    let client = Client::new(listening["url"].as_str().expect("a URL"));
    for _ in 0..REQUESTS / AT_ONCE {
        let answers = join_all((0..AT_ONCE).map(|_| client.get("/api/nothing")));
        for answer in tokio::time::timeout(PATIENCE, answers).await.expect("answers though nobody reads") {
            answer.fails(404, "not_found");
        }
    }
    let told = tokio::task::block_in_place(|| events.find(|event| event["event"] == "log_lines_dropped"));
    assert!(told.expect("an event")["lines"].as_u64().is_some_and(|lines| lines > 0));
    child.kill().expect("it runs on");
    child.wait().expect("its end");
}
