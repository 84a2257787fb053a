//! The page to chat on, in a real browser: conversations, and what outlasts trouble. People are in windows of their own, whose tokens are
//! their tabs'.

use std::sync::Arc;

use serde_json::json;

use crate::client::{Client, PASSWORD, Person};
use crate::context::{ALONE, Context};
use crate::support::browser::Browser;
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::{Mode, Proxy};
use crate::support::server::{Environment, free_port};
use crate::terminal_chat::{proxy, stored};
use crate::tests;
use crate::window::Window;

tests!(Context:
    two_people_talk_in_two_windows,
    a_long_chat_pages_back,
    a_message_whose_answer_was_lost_is_there_once,
    messages_beyond_the_limit_are_sent_when_there_is_room in SQLITE,
    a_message_outlasts_a_server_that_was_killed in ALONE,
    a_message_outlasts_a_database_that_was_away_and_a_reload in MONGODB,
    a_message_that_is_refused_waits_for_a_decision in PAGE,
    everything_fits_on_a_small_phone in SQLITE,
);

/// The ways for what is the page's own and no store's.
const PAGE: &[&str] = &["sqlite", "host"];
const MONGODB: &[&str] = &["mongodb"];
const SQLITE: &[&str] = &["sqlite"];
/// The key that leads to the beginning, as WebDriver names it (W3C WebDriver, 17.4.2).
const HOME: &str = "\u{E011}";
const ENTER: &str = "\u{E007}";

async fn two_people_talk_in_two_windows(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let urls = context.two_urls();
    let (ann, bob) = (Window::open(&browser, &urls[0]).await, Window::open(&browser, &urls[1]).await);
    let (ann_name, bob_name) = (ann.register().await, bob.register().await);
    ann.talk_to(&bob_name).await;
    ann.write("hello <b>Bob</b>").await;
    ann.sees("#messages .own .state", "Sent").await;
    bob.sees("#chat-list .badge", "1").await;
    bob.sees("#chat-list .preview", "hello <b>Bob</b>").await;
    assert!(bob.there().await.property("title", "text").await.as_str().is_some_and(|title| title.starts_with("(1)")));
    bob.press("#chat-list a").await;
    bob.sees("#messages .other .text", "hello <b>Bob</b>").await;
    ann.sees("#messages .own .state", "Read").await;
    bob.counts("#chat-list .badge", 0).await;
    bob.fill("#text", "hello Ann").await;
    bob.there().await.press_keys("#text", ENTER).await;
    ann.sees("#messages .other .text", "hello Ann").await;
    ann.counts("#messages .day", 1).await;
    bob.sees("#messages .own .state", "Read").await;
    for (window, peer) in [(&ann, &bob_name), (&bob, &ann_name)] {
        window.counts("#messages .message", 2).await;
        window.counts("#pending .message", 0).await;
        window.sees("#chat-list .name", peer).await;
    }
    // What was open is open again, and nobody has to log in.
    ann.there().await.reload().await;
    ann.counts("#messages .message", 2).await;
    ann.open_account().await;
    ann.press("#log-out").await;
    ann.sees("#notice", "You are logged out.").await;
    ann.there().await.reload().await;
    ann.sees("#log-in h2", "Log in").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert_eq!(bob.there().await.complaints().await, Vec::<String>::new());
}

async fn a_long_chat_pages_back(context: Arc<Context>) {
    const MESSAGES: usize = 120;
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = context.pair().await;
    ann.send_several(&bob, MESSAGES).await;
    let window = Window::log_in(&browser, &context.url(), &bob).await;
    window.sees("#chat-list .badge", "120").await;
    window.press("#chat-list a").await;
    window.sees("#messages li:last-child", "message 120").await;
    while window.there().await.count("#messages .message").await < MESSAGES {
        browser.press_keys("#history", HOME).await;
    }
    let shown = browser.property("#messages", "innerText").await;
    let lines = shown.as_str().expect("a text").lines();
    let numbers = lines.filter_map(|line| line.split_once("message ")?.1.parse::<usize>().ok());
    assert!(numbers.eq(1..=MESSAGES), "each once and in order: {shown}");
    assert!(!browser.shows("#earlier").await, "there is nothing before the first");
    assert_eq!(browser.count("#messages .day").await, 1);
    ann.send(&bob, "message 121").await.ok();
    window.press("#to-end").await;
    window.counts("#messages .message", MESSAGES + 1).await;
    window.counts("#chat-list .badge", 0).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn a_message_whose_answer_was_lost_is_there_once(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ((ann, bob), (proxy, url)) = (context.pair().await, proxy(&context.url(), "POST /api/chat/send").await);
    let window = Window::log_in(&browser, &url, &ann).await;
    window.talk_to(&bob.username).await;
    proxy.lose_answers(2);
    window.write("once").await;
    window.write("and then").await;
    window.counts("#messages .own", 2).await;
    window.counts("#pending .message", 0).await;
    assert_eq!(proxy.answers_to_lose(), 0);
    assert_eq!(stored(&bob, &ann).await, ["once", "and then"]);
    window.sees("#messages li:last-child", "and then").await;
}

async fn messages_beyond_the_limit_are_sent_when_there_is_room(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (_folder, server) = context.instance_with(context.environment().with("LIMITS", "on").with("LIMIT_SEND", "1/2s")).await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let window = Window::log_in(&browser, server.url(), &ann).await;
    window.talk_to(&bob.username).await;
    for text in ["one", "two", "three"] {
        window.write(text).await;
    }
    window.sees("#pending .state", "Not sent yet: trying again in").await;
    window.counts("#messages .own", 3).await;
    assert_eq!(stored(&bob, &ann).await, ["one", "two", "three"]);
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
}

async fn a_message_outlasts_a_server_that_was_killed(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let environment = context.environment().with("LISTEN", format!("127.0.0.1:{}", free_port()));
    let server = context.start_in(&environment, folder.path()).await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let window = Window::log_in(&browser, server.url(), &ann).await;
    window.talk_to(&bob.username).await;
    window.write("before").await;
    window.sees("#messages .own .state", "Sent").await;
    server.kill();
    window.sees("#trouble", "The server cannot be reached; trying again…").await;
    window.write("meanwhile").await;
    window.sees("#pending .own .state", "Not sent yet; trying again…").await;
    let server = context.start_in(&environment, folder.path()).await;
    window.counts("#messages .own", 2).await;
    window.counts("#pending .message", 0).await;
    bob.send(&ann, "welcome back").await.ok();
    window.sees("#messages .other", "welcome back").await;
    assert_eq!(stored(&bob, &ann).await, ["before", "meanwhile", "welcome back"]);
    window.sees("#chat-list .preview", "welcome back").await;
    window.counts("#trouble:empty", 1).await;
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
    drop(server);
}

async fn a_message_outlasts_a_database_that_was_away_and_a_reload(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let database = TestDatabase::new().expect("a server");
    let proxy = Proxy::start(database.address(), Mode::Forward, "find").await;
    let (_folder, server) = context.instance_with(Environment::new().with("MONGODB_URI", database.uri_through(proxy.port()))).await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let window = Window::log_in(&browser, server.url(), &ann).await;
    window.talk_to(&bob.username).await;
    window.write("before").await;
    window.sees("#messages .own .state", "Sent").await;
    proxy.set(Mode::Refuse);
    window.write("meanwhile").await;
    window.sees("#trouble", "The server cannot answer at present; trying again…").await;
    window.sees("#pending .own .state", "Not sent yet; trying again…").await;
    window.there().await.reload().await;
    window.sees("#pending .own .text", "meanwhile").await;
    window.sees("#trouble", "The server cannot answer at present; trying again…").await;
    proxy.set(Mode::Forward);
    window.counts("#messages .own", 2).await;
    window.counts("#pending .message", 0).await;
    server.ready().await.expect("a store");
    assert_eq!(stored(&bob, &ann).await, ["before", "meanwhile"]);
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
    drop(server);
    database.drop_database().await;
}

async fn a_message_that_is_refused_waits_for_a_decision(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = context.pair().await;
    let window = Window::log_in(&browser, &context.url(), &ann).await;
    window.talk_to(&bob.username).await;
    bob.post("/api/users/blocks", &json!({ "userId": ann.id })).await.ok();
    window.write("refused").await;
    window.sees("#pending .state", "does not take messages from you").await;
    window.there().await.reload().await;
    window.sees("#pending .state", "does not take messages from you").await;
    bob.delete("/api/users/blocks", &json!({ "userId": ann.id })).await.ok();
    window.press("#pending [data-focus^=retry]").await;
    window.sees("#messages .own", "refused").await;
    bob.post("/api/users/blocks", &json!({ "userId": ann.id })).await.ok();
    window.write("dropped").await;
    window.press("#pending [data-focus^=discard]").await;
    window.counts("#pending .message", 0).await;
    assert_eq!(stored(&bob, &ann).await, ["refused"]);
}

/// Nothing is wider than the screen, so that nobody has to scroll sideways.
async fn fits(window: &Window<'_>) {
    const WIDTH: u64 = 360;
    let browser = window.there().await;
    for part in ["html", "body", "#history", "#lists", ".cards"] {
        let width = browser.property(part, "scrollWidth").await.as_u64().expect("a width");
        assert!(width <= WIDTH, "{part} is {width} wide");
    }
}

async fn everything_fits_on_a_small_phone(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    ann.send(&bob, &"long".repeat(100)).await.ok();
    bob.send(&ann, &"words that go on ".repeat(20)).await.ok();
    let window = Window::open(&browser, &context.url()).await;
    window.there().await.become_phone(360).await;
    fits(&window).await;
    window.press("#log-in [data-choose=register]").await;
    fits(&window).await;
    window.press("#register [data-choose=log-in]").await;
    window.enter(&ann.email, PASSWORD).await;
    window.sees("#chat-list .name", &bob.username).await;
    fits(&window).await;
    assert!(!browser.shows("#nothing-open").await, "one pane at a time");
    window.press("#chat-list a").await;
    window.counts("#messages .message", 2).await;
    fits(&window).await;
    assert!(!browser.shows("#lists").await);
    window.press("#peer-menu summary").await;
    fits(&window).await;
    window.press("#conversation .back").await;
    window.press("#choose-friends").await;
    window.sees("#friend-list .name", &bob.username).await;
    fits(&window).await;
    window.open_account().await;
    fits(&window).await;
    window.press("#account-pane .back").await;
    assert!(browser.shows("#friend-list").await);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
