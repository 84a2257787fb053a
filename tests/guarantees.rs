//! `docs/guarantees.md` says of every promise what shows it: each number is there once, and the tests it names exist.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::ops::RangeInclusive;
use std::path::Path;

/// The numbers that there must be: rows of tables by their section, everything else by its letter.
const NUMBERS: [(&str, RangeInclusive<u32>); 18] = [
    ("P", 1..=10),
    ("T", 1..=14),
    ("L", 1..=14),
    ("4.", 1..=10),
    ("A", 1..=9),
    ("5.", 1..=19),
    ("I", 1..=4),
    ("6.", 1..=11),
    ("R", 1..=8),
    ("C", 1..=6),
    ("G", 1..=5),
    ("H", 1..=5),
    ("D", 1..=12),
    // There is no O4.
    ("O", 1..=3),
    ("O", 5..=9),
    ("F", 1..=27),
    ("Z", 1..=9),
    ("S", 1..=4),
];
/// How a reason begins that stands in a test's place, or beside one.
const REASONS: [&str; 3] = ["not shown: ", "not kept: ", "by command: "];

/// A row of a table.
struct Row {
    number: String,
    promise: String,
    shown_by: String,
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

fn document() -> String {
    read("docs/guarantees.md").expect("the document")
}

fn rows() -> Vec<Row> {
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| number |");
    let read = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, promise, shown_by] = cells[..] else { panic!("three cells: {line}") };
        Row { number: number.to_owned(), promise: promise.to_owned(), shown_by: shown_by.to_owned() }
    };
    document().lines().filter(is_row).map(read).collect()
}

/// The tests that a line names: whatever is written as code and holds `::`.
fn tests(line: &str) -> Vec<(&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::")).collect()
}

/// Whether a file has a test of this name: one that the standard runner finds by its attribute, or one in the list of
/// the runner of `tests/support/harness.rs`.
fn is_test(source: &str, name: &str) -> bool {
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else { return false };
    let list = source.split_once("tests!(").and_then(|(_, list)| list.split_once(");")).map_or("", |(list, _)| list);
    let is_listed = list.split(|sign: char| !sign.is_alphanumeric() && sign != '_').any(|listed| listed == name);
    let lines_before = before.rsplit_once('\n').map_or("", |(lines, _)| lines).lines().rev();
    let mut attributes = lines_before.map(str::trim).take_while(|line| line.starts_with("#["));
    is_listed || attributes.any(|attribute| attribute.contains("test]") || attribute.contains("test("))
}

/// Whether a part of a cell says why there is no test.
fn is_reason(part: &str) -> bool {
    REASONS.iter().any(|reason| part.strip_prefix(reason).is_some_and(|told| !told.trim().is_empty()))
}

#[test]
fn every_number_is_there_once() {
    let expected = NUMBERS.iter().flat_map(|(letter, range)| range.clone().map(move |number| format!("{letter}{number}")));
    assert_eq!(rows().into_iter().map(|row| row.number).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[test]
fn every_promise_is_shown_by_tests_or_says_why_not() {
    for Row { number, promise, shown_by } in rows() {
        assert!(promise.ends_with('.'), "{number}: {promise}");
        for part in shown_by.split("; ") {
            assert!(is_reason(part) || !tests(part).is_empty(), "{number}: {part}");
        }
    }
}

#[test]
fn every_test_named_exists() {
    for line in document().lines() {
        assert!(line.matches('`').count().is_multiple_of(2), "{line}");
        for (file, name) in tests(line) {
            let source = read(file).unwrap_or_else(|| panic!("there is no {file}: {line}"));
            assert!(is_test(&source, name), "{file} has no test {name}: {line}");
        }
    }
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let source = "tests!(Context: listed in ALONE,\n    gone);\nasync fn listed(context: Arc<Context>) {}\nfn helper() {}\n\
                  #[test]\nfn plain() {}\n    #[tokio::test(start_paused = true)]\n    #[ignore]\n    async fn attributed() {}\n";
    for (name, expected) in [("listed", true), ("plain", true), ("attributed", true), ("helper", false), ("gone", false), ("lain", false)] {
        assert_eq!(is_test(source, name), expected, "{name}");
    }
}
