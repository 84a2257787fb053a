//! Log lines: one event each, on standard output, as JSON for programs or as a sentence for people.
//!
//! A line never breaks, never starts with anything but `{` in JSON, and is at most 8 KiB. Writing a line never waits
//! for the reader: lines go through a bounded queue to a thread of their own; when the reader falls behind, lines are
//! dropped and counted.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use env_logger::{Builder, Target};
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde_json::{Map, Value as Json};

use crate::domain::Clock;
use crate::settings::LogFormat;

/// Longest line in bytes, its end included.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Lines that may wait for the reader of standard output.
const MAX_WAITING_LINES: usize = 4_096;

/// How long the end of the process waits for the last lines; a reader that stopped must not stop the process too.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

/// The way to the writing thread, once there is one.
static QUEUE: OnceLock<SyncSender<Entry>> = OnceLock::new();
/// Lines dropped because nobody read them.
static DROPPED_LINES: AtomicU64 = AtomicU64::new(0);

/// Starts logging for the whole process. Panics from then on become one error line each.
pub fn start(format: LogFormat, filter: &str) {
    let (sender, receiver) = sync_channel(MAX_WAITING_LINES);
    let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver));
    let target: Box<dyn Write + Send> =
        if spawned.is_ok() { Box::new(Queue(QUEUE.get_or_init(|| sender).clone())) } else { Box::new(io::stdout()) };
    let clock = Clock::default();
    let instance = format!("{:08x}", getrandom::u32().unwrap_or_else(|_no_random| std::process::id()));
    Builder::new()
        .filter_level(LevelFilter::Info)
        // What the framework says of its start-up we say ourselves.
        .filter_module("actix_server", LevelFilter::Warn)
        .parse_filters(filter)
        .target(Target::Pipe(target))
        .format(move |out, record| {
            let line = match format {
                LogFormat::Json => json_line(&clock, &instance, record),
                LogFormat::Text => text_line(&clock, record),
            };
            writeln!(out, "{line}")
        })
        .init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error!(event = "panic", place = place.as_str(); "a task panicked: {}", panic_text(panic.payload()));
    }));
}

/// Waits until the lines written so far have reached standard output.
pub fn flush() {
    let (done, is_done) = sync_channel(1);
    if QUEUE.get().is_some_and(|queue| queue.try_send(Entry::Flushed(done)).is_ok()) {
        let _in_time = is_done.recv_timeout(FLUSH_PATIENCE);
    }
}

/// An error and what caused it, from the outside in.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// What travels to the writing thread.
enum Entry {
    Line(Vec<u8>),
    Flushed(SyncSender<()>),
}

struct Queue(SyncSender<Entry>);

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.0.try_send(Entry::Line(line.to_vec())) {
            DROPPED_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    /// Nothing to do: waiting for the reader is left to the end of the process.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(entries: &Receiver<Entry>) {
    let mut out = io::stdout();
    while let Ok(entry) = entries.recv() {
        match entry {
            // A closed standard output loses lines; there is nowhere left to say so.
            Entry::Line(line) => drop(out.write_all(&line).and_then(|()| out.flush())),
            Entry::Flushed(done) => drop(done.send(())),
        }
        let dropped = DROPPED_LINES.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            log::warn!(event = "log_lines_dropped", lines = dropped; "{dropped} log lines were dropped: standard output was not read");
        }
    }
}

/// The key-value pairs of a record.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
        let json = match (value.to_i64(), value.to_u64(), value.to_f64(), value.to_bool()) {
            (_, Some(number), ..) => Json::from(number),
            (Some(number), ..) => Json::from(number),
            (_, _, Some(number), _) => Json::from(number),
            (.., Some(truth)) => Json::from(truth),
            _ => Json::from(value.to_string()),
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

fn fields(record: &Record<'_>) -> Map<String, Json> {
    let mut fields = Fields::default();
    // The only error a visit can give is one of our own visitor, which gives none.
    let _infallible = record.key_values().visit(&mut fields);
    fields.0
}

fn json_line(clock: &Clock, instance: &str, record: &Record<'_>) -> String {
    let mut message = record.args().to_string();
    loop {
        let mut object = Map::new();
        object.insert("time".to_owned(), clock.now().to_string().into());
        object.insert("level".to_owned(), record.level().as_str().to_ascii_lowercase().into());
        object.insert("instance".to_owned(), instance.into());
        object.insert("event".to_owned(), "message".into());
        object.extend(fields(record));
        object.insert("message".to_owned(), message.clone().into());
        let line = escape_separators(&Json::Object(object).to_string());
        if line.len() < MAX_LINE_BYTES || message.is_empty() {
            return line;
        }
        shorten(&mut message, line.len() - MAX_LINE_BYTES + 1);
    }
}

fn text_line(clock: &Clock, record: &Record<'_>) -> String {
    use std::fmt::Write as _;
    let time = clock.now().to_string();
    let clock_time = time.get(11..23).unwrap_or(&time);
    let mut line = format!("{clock_time} {:5} {}", record.level(), record.args());
    if record.level() <= log::Level::Warn {
        for (name, value) in fields(record).iter().filter(|(name, _)| *name != "event") {
            let _infallible = write!(line, " {name}={value}");
        }
    }
    let mut line = escape_separators(&line.replace(|c: char| c.is_control(), " "));
    if line.len() >= MAX_LINE_BYTES {
        let excess = line.len() - MAX_LINE_BYTES + 1;
        shorten(&mut line, excess);
    }
    line
}

/// JSON leaves these two as they are, and some readers take them for the end of a line.
fn escape_separators(line: &str) -> String {
    line.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// Cuts at least `excess` bytes off the end, between characters.
fn shorten(text: &mut String, excess: usize) {
    let mut keep = text.len().saturating_sub(excess);
    while !text.is_char_boundary(keep) {
        keep -= 1;
    }
    text.truncate(keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(format: LogFormat, message: &str) -> String {
        let render = |arguments: std::fmt::Arguments<'_>| {
            let pairs = [("event", "test"), ("status", "ok\n")];
            let record = Record::builder().level(log::Level::Warn).args(arguments).key_values(&pairs).build();
            match format {
                LogFormat::Json => json_line(&Clock::default(), "0000abcd", &record),
                LogFormat::Text => text_line(&Clock::default(), &record),
            }
        };
        render(format_args!("{message}"))
    }

    #[test]
    fn a_json_line_is_one_object_with_the_event_first_class() {
        let line = line_of(LogFormat::Json, "hello");
        let object: Json = serde_json::from_str(&line).expect("JSON");
        assert!(line.starts_with('{'));
        assert_eq!(object["event"], "test");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["message"], "hello");
    }

    #[test]
    fn no_input_breaks_a_line() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let line = line_of(format, "a\r\nb\u{1b}[31m\u{2028}c\u{0}");
            assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{2028}', '\0']), "{line:?}");
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (sender, _nobody_reads) = sync_channel(2);
        let (mut queue, before) = (Queue(sender), DROPPED_LINES.load(Ordering::Relaxed));
        for _ in 0..5 {
            assert_eq!(queue.write(b"line").expect("never fails"), 4);
        }
        assert_eq!(DROPPED_LINES.load(Ordering::Relaxed) - before, 3);
    }

    #[test]
    fn a_line_has_at_most_8_kib() {
        for format in [LogFormat::Json, LogFormat::Text] {
            for filler in ["x", "é", "\"", "\u{1}"] {
                assert!(line_of(format, &filler.repeat(20_000)).len() < MAX_LINE_BYTES);
            }
        }
    }
}
