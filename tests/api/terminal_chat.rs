//! The example client in real conversations: what it promises to whoever learns from it.

#[allow(dead_code, reason = "its main is for a real terminal")]
#[path = "../../examples/terminal-chat.rs"]
mod program;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::client::{Client, PASSWORD, Person, new_name, text};
use crate::context::{ALONE, Context};
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Environment;
use crate::tests;

tests!(Context:
    two_people_talk_in_two_terminals,
    a_message_whose_answer_was_lost_is_there_once,
    pages_that_were_lost_are_shown_once,
    messages_beyond_the_limit_are_sent_when_there_is_room in ALONE,
    a_message_outlasts_a_database_that_was_away in MONGODB,
    a_terminal_whose_session_was_ended_ends,
);

const MONGODB: &[&str] = &["mongodb"];

/// How long something may take to appear, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Somebody at a terminal.
struct Terminal {
    name: String,
    typed: UnboundedSender<String>,
    lines: Arc<Mutex<Vec<String>>>,
    running: JoinHandle<Result<(), String>>,
}

impl Terminal {
    fn open(url: &str, name: &str) -> Self {
        let ((typed, input), lines) = (unbounded_channel(), Arc::<Mutex<Vec<String>>>::default());
        let (shown, url) = (Arc::clone(&lines), url.to_owned());
        let show = Box::new(move |line: &str| shown.lock().expect("unpoisoned").push(line.to_owned()));
        let running = tokio::spawn(async move { program::run(&url, input, show).await });
        Self { name: name.to_owned(), typed, lines, running }
    }

    /// Somebody new.
    async fn register(url: &str) -> Self {
        let name = new_name();
        let terminal = Self::open(url, &name);
        terminal.enter(&format!("/register {name} {name}@example.com {PASSWORD}"));
        terminal.sees("/talk NAME").await;
        terminal
    }

    /// Somebody with an account.
    async fn log_in(url: &str, person: &Person) -> Self {
        let terminal = Self::open(url, &person.username);
        terminal.enter(&format!("/login {} {PASSWORD}", person.email));
        terminal.sees("/talk NAME").await;
        terminal
    }

    fn enter(&self, line: &str) {
        self.typed.send(line.to_owned()).expect("the program reads");
    }

    fn talk_to(&self, name: &str) {
        self.enter(&format!("/talk {name}"));
    }

    /// Looks at the list of one chat until it reads like this: what was shown is marked read a moment later.
    async fn lists(&self, part: &str) {
        let begun = Instant::now();
        for looks in 1.. {
            self.enter("/list");
            let lists = self.sees_all(" messages, ", looks).await;
            if lists.iter().any(|line| line == part) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{} waits for {part:?}: {lists:#?}", self.name);
        }
    }

    /// Waits for a line with this in it.
    async fn sees(&self, part: &str) {
        self.sees_all(part, 1).await;
    }

    /// Waits for so many lines with this in them, and gives those that there are then.
    async fn sees_all(&self, part: &str, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let found = self.lines_with(part);
            if found.len() >= count {
                return found;
            }
            let lines = self.lines_with("");
            assert!(begun.elapsed() < PATIENCE && !self.running.is_finished(), "{} waits for {part:?}: {lines:#?}", self.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn lines_with(&self, part: &str) -> Vec<String> {
        let lines = self.lines.lock().expect("unpoisoned");
        lines.iter().filter(|line| line.contains(part)).cloned().collect()
    }

    async fn end(self) -> Result<(), String> {
        tokio::time::timeout(PATIENCE, self.running).await.expect("the program ends").expect("no panic")
    }

    async fn quit(self) {
        self.enter("/quit");
        self.end().await.expect("no failure");
    }
}

/// A proxy before a server, that loses answers to requests with this in them; and its address.
pub async fn proxy(url: &str, marker: &'static str) -> (Proxy, String) {
    let proxy = Proxy::start(url.trim_start_matches("http://").to_owned(), Mode::Forward, marker).await;
    let address = format!("http://127.0.0.1:{}", proxy.port());
    (proxy, address)
}

/// What is stored between two people, in the order of its numbers.
pub async fn stored(one: &Person, other: &Person) -> Vec<String> {
    let messages = one.messages(&format!("?with={}&limit=100", other.id)).await;
    messages.iter().map(|message| text(&message["content"])).collect()
}

async fn two_people_talk_in_two_terminals(context: Arc<Context>) {
    let another = if context.has_mongodb() { Some(context.another_instance().await) } else { None };
    let urls = [context.url(), another.as_ref().map_or_else(|| context.url(), |(_, server)| server.url().to_owned())];
    let (ann, bob) = futures_util::join!(Terminal::register(&urls[0]), Terminal::register(&urls[1]));
    ann.talk_to("nobody-has-this-name");
    ann.sees("nobody of that name").await;
    ann.talk_to(&bob.name.to_uppercase());
    ann.enter("hello \tBob");
    ann.sees("you: hello  Bob").await;
    bob.sees(&format!("* 1 unread from {}", ann.name)).await;
    bob.lists(&format!("{}: 1 messages, 1 unread", ann.name)).await;
    bob.talk_to(&ann.name);
    bob.sees(&format!("{}: hello  Bob", ann.name)).await;
    bob.enter("hello Ann");
    ann.sees(&format!("{}: hello Ann", bob.name)).await;
    ann.lists(&format!("{}: 2 messages, 0 unread", bob.name)).await;
    futures_util::join!(ann.quit(), bob.quit());
}

async fn a_message_whose_answer_was_lost_is_there_once(context: Arc<Context>) {
    let ((ann, bob), (proxy, url)) = (context.pair().await, proxy(&context.url(), "POST /api/chat/send").await);
    let terminal = Terminal::log_in(&url, &ann).await;
    terminal.talk_to(&bob.username);
    proxy.lose_answers(2);
    terminal.enter("once");
    terminal.enter("and then");
    terminal.sees("you: and then").await;
    assert_eq!(proxy.answers_to_lose(), 0);
    assert_eq!(terminal.lines_with("The line is down").len(), 2);
    assert_eq!(terminal.lines_with("you: "), ["you: once", "you: and then"]);
    assert_eq!(stored(&bob, &ann).await, ["once", "and then"]);
    terminal.quit().await;
}

async fn pages_that_were_lost_are_shown_once(context: Arc<Context>) {
    const MESSAGES: usize = 12;
    let ((ann, bob), (proxy, url)) = (context.pair().await, proxy(&context.url(), "GET /api/chat/messages").await);
    let terminal = Terminal::log_in(&url, &bob).await;
    ann.send(&bob, "message 0").await.ok();
    terminal.talk_to(&ann.username);
    terminal.sees("message 0").await;
    for number in 1..=MESSAGES {
        if number % 4 == 0 {
            proxy.lose_answers(1);
        }
        ann.send(&bob, &format!("message {number}")).await.ok();
    }
    let shown = terminal.sees_all(": message", MESSAGES + 1).await;
    let wanted: Vec<String> = (0..=MESSAGES).map(|number| format!("{}: message {number}", ann.username)).collect();
    assert_eq!(shown, wanted);
    assert!(!terminal.lines_with("The line is down").is_empty(), "nothing was lost");
    terminal.quit().await;
}

async fn messages_beyond_the_limit_are_sent_when_there_is_room(context: Arc<Context>) {
    // Registrations are counted in the database, which others share.
    let environment = context.environment().with("LIMITS", "on").with("LIMIT_REGISTER", "1000/1h").with("LIMIT_SEND", "1/1s");
    let (_folder, server) = context.instance_with(environment).await;
    let client = Client::new(server.url());
    let (ann, bob) = futures_util::join!(Person::register(&client), Person::register(&client));
    let terminal = Terminal::log_in(server.url(), &ann).await;
    terminal.talk_to(&bob.username);
    for line in ["one", "two", "three"] {
        terminal.enter(line);
    }
    terminal.sees("you: three").await;
    assert!(!terminal.lines_with("Too many requests").is_empty());
    assert_eq!(stored(&bob, &ann).await, ["one", "two", "three"]);
    terminal.quit().await;
}

async fn a_message_outlasts_a_database_that_was_away(context: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let proxy = Proxy::start(database.address(), Mode::Forward, "find").await;
    let (_folder, server) = context.instance_with(Environment::new().with("MONGODB_URI", database.uri_through(proxy.port()))).await;
    let client = Client::new(server.url());
    let (ann, bob) = futures_util::join!(Person::register(&client), Person::register(&client));
    let terminal = Terminal::log_in(server.url(), &ann).await;
    terminal.talk_to(&bob.username);
    terminal.enter("before");
    terminal.sees("you: before").await;
    proxy.set(Mode::Refuse);
    terminal.enter("meanwhile");
    terminal.sees("trying again").await;
    proxy.set(Mode::Forward);
    terminal.sees("you: meanwhile").await;
    server.ready().await.expect("a store");
    assert_eq!(stored(&bob, &ann).await, ["before", "meanwhile"]);
    terminal.quit().await;
    drop(server);
    database.drop_database().await;
}

async fn a_terminal_whose_session_was_ended_ends(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let terminal = Terminal::log_in(&context.url(), &ann).await;
    terminal.talk_to(&bob.username);
    terminal.enter("hello");
    terminal.sees("you: hello").await;
    let ended = ann.delete("/api/auth/sessions", &serde_json::json!({ "all": true })).await;
    ended.expect(StatusCode::OK);
    let reason = terminal.end().await.expect_err("there is no session");
    assert!(reason.contains("A valid token is required"), "{reason}");
}
