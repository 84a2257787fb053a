//! What the documents tell of speed is what was measured.

#![allow(clippy::expect_used, missing_docs, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "the bench uses more of it")]
#[path = "../benches/speed/report.rs"]
mod report;

use std::path::Path;

use report::Report;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file")
}

fn published() -> Report {
    serde_json::from_str(&read("docs/speed.json")).expect("a report")
}

#[test]
fn the_tables_are_those_of_one_whole_run() {
    let report = published();
    assert_eq!(report.command, "scripts/bench --publish");
    assert_eq!(read("docs/speed.md"), report.to_markdown());
}

#[test]
fn the_readme_shows_the_goals_and_what_was_reached() {
    assert!(
        read("README.md").contains(&published().to_summary()),
        "README.md lacks the summary of docs/speed.json:\n{}",
        published().to_summary()
    );
}
