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

use anstream::{AutoStream, ColorChoice};
use anstyle::AnsiColor;
use env_logger::{Builder, Target};
use log::kv::{Error as KvError, Key, Value, VisitSource};
use log::{LevelFilter, Record};
use serde::ser::{Error as _, Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use crate::domain::{Clock, Timestamp};
use crate::settings::LogFormat;

/// Longest line in bytes, its end included.
const MAX_LINE_BYTES: usize = 8 * 1024;
/// Lines that may wait for the reader of standard output.
const MAX_WAITING_LINES: usize = 4_096;

/// Lines that are written in one go, at most.
const MAX_LINES_TOGETHER: usize = 256;
/// How long a line waits for others before they are written.
const GATHERING: Duration = Duration::from_millis(2);
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
    let is_coloured = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
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
                LogFormat::Text if is_coloured => coloured(text_line(&clock, record), record.level()),
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

/// Writes what waits, in one go. Lines that come soon after each other wait for each other, because waking this thread
/// costs who logs more than the line does.
fn write_lines(entries: &Receiver<Entry>) {
    let mut out = io::stdout();
    while let Ok(first) = entries.recv() {
        if matches!(first, Entry::Line(_)) {
            std::thread::sleep(GATHERING);
        }
        let mut lines = Vec::new();
        let mut flushed = Vec::new();
        for entry in std::iter::once(first).chain(entries.try_iter().take(MAX_LINES_TOGETHER - 1)) {
            match entry {
                Entry::Line(mut line) => lines.append(&mut line),
                Entry::Flushed(done) => flushed.push(done),
            }
        }
        // A closed standard output loses lines; there is nowhere left to say so.
        drop(out.write_all(&lines).and_then(|()| out.flush()));
        for done in flushed {
            let _waits_no_more = done.send(());
        }
        let dropped = DROPPED_LINES.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            log::warn!(event = "log_lines_dropped", lines = dropped; "{dropped} log lines were dropped: standard output was not read");
        }
    }
}

/// The key of the pair that says what kind of line it is; told before all others.
const EVENT: &str = "event";

/// Writes the other key-value pairs of a record as fields of a JSON object.
struct JsonFields<'a, M>(&'a mut M);

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for JsonFields<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
        if key.as_str() == EVENT {
            return Ok(());
        }
        let written = match value.to_borrowed_str() {
            Some(text) => self.0.serialize_entry(key.as_str(), text),
            None => self.0.serialize_entry(key.as_str(), &json_of(&value)),
        };
        written.map_err(|_| KvError::msg("a value that has no JSON"))
    }
}

/// Writes them as `name=value` behind a sentence.
struct TextFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), KvError> {
        use std::fmt::Write as _;
        if key.as_str() == EVENT {
            return Ok(());
        }
        write!(self.0, " {key}={}", json_of(&value)).map_err(KvError::from)
    }
}

fn json_of(value: &Value<'_>) -> Json {
    match (value.to_i64(), value.to_u64(), value.to_f64(), value.to_bool()) {
        (_, Some(number), ..) => Json::from(number),
        (Some(number), ..) => Json::from(number),
        (_, _, Some(number), _) => Json::from(number),
        (.., Some(truth)) => Json::from(truth),
        _ => Json::from(value.to_string()),
    }
}

/// A line as an object, with this much of the message.
struct JsonLine<'a> {
    time: Timestamp,
    instance: &'a str,
    record: &'a Record<'a>,
    message: &'a str,
}

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.record.key_values();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("level", level_name(self.record.level()))?;
        map.serialize_entry("instance", self.instance)?;
        let event = pairs.get(Key::from_str(EVENT));
        map.serialize_entry(EVENT, event.as_ref().and_then(Value::to_borrowed_str).unwrap_or("message"))?;
        pairs.visit(&mut JsonFields(&mut map)).map_err(S::Error::custom)?;
        map.serialize_entry("message", self.message)?;
        map.end()
    }
}

fn level_name(level: log::Level) -> &'static str {
    match level {
        log::Level::Error => "error",
        log::Level::Warn => "warn",
        log::Level::Info => "info",
        log::Level::Debug => "debug",
        log::Level::Trace => "trace",
    }
}

fn json_line(clock: &Clock, instance: &str, record: &Record<'_>) -> String {
    let (time, mut message) = (clock.now(), record.args().to_string());
    loop {
        let object = JsonLine { time, instance, record, message: &message };
        let line = escape_separators(serde_json::to_string(&object).unwrap_or_default());
        if line.len() < MAX_LINE_BYTES || message.is_empty() {
            return line;
        }
        shorten(&mut message, line.len() - MAX_LINE_BYTES + 1);
    }
}

fn text_line(clock: &Clock, record: &Record<'_>) -> String {
    let time = clock.now().to_string();
    let clock_time = time.get(11..23).unwrap_or(&time);
    let mut line = format!("{clock_time} {:5} {}", record.level(), record.args());
    if record.level() <= log::Level::Warn {
        // The only error a visit can give is one of our own visitor, and texts take everything.
        let _infallible = record.key_values().visit(&mut TextFields(&mut line));
    }
    let mut line = escape_separators(line.replace(|c: char| c.is_control(), " "));
    if line.len() >= MAX_LINE_BYTES {
        let excess = line.len() - MAX_LINE_BYTES + 1;
        shorten(&mut line, excess);
    }
    line
}

/// Gives the level of a line its colour, for a terminal.
fn coloured(mut line: String, level: log::Level) -> String {
    let colour = match level {
        log::Level::Error => AnsiColor::Red,
        log::Level::Warn => AnsiColor::Yellow,
        log::Level::Info => AnsiColor::Green,
        log::Level::Debug | log::Level::Trace => AnsiColor::BrightBlack,
    };
    let (style, level) = (colour.on_default(), format!("{level:5}"));
    if let Some(place) = line.find(&level) {
        line.replace_range(place..place + level.len(), &format!("{style}{level}{style:#}"));
    }
    line
}

/// JSON leaves these two as they are, and some readers take them for the end of a line.
fn escape_separators(line: String) -> String {
    if !line.contains('\u{2028}') && !line.contains('\u{2029}') {
        return line;
    }
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
    fn a_terminal_sees_the_level_in_its_colour() {
        let line = coloured("01:02:03.004 WARN  beware of WARN ".to_owned(), log::Level::Warn);
        assert_eq!(line, "01:02:03.004 \u{1b}[33mWARN \u{1b}[0m beware of WARN ");
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
