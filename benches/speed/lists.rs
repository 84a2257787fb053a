//! What those take who wait for another list of conversations, beside those who wait for messages.
//!
//! Many who wait need many open files: `ulimit -n 20000`.

use std::time::Duration;

use chat_functions::domain::{ChatId, Clock, MessageText};
use chat_functions::store::{Append, NewMessage, Store};
use futures_util::StreamExt as _;
use reqwest::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::task::JoinSet;

use crate::people::{self, Person};
use crate::process::Process;
use crate::report::{Goal, Row, Section};
use crate::seed::CONTENT;
use crate::site::{Kind, Site};

/// Conversations of each who waits.
const CONVERSATIONS: usize = 50;
/// Most that the lists may take beside messages, in MiB.
const MOST_MORE: f64 = 10.0;
/// Messages stored at once.
const AT_ONCE: usize = 64;
/// People who begin to wait at a time, and the pause after them: more connections at once than that a listener would drop.
const ARRIVALS: usize = 50;
const ARRIVAL_PAUSE: Duration = Duration::from_millis(20);

/// What somebody waits for.
#[derive(Clone, Copy)]
enum Wish {
    Messages,
    List,
}

/// People in a ring, each of whom has a chat with the nearest on either side, and in it a message.
async fn create_ring(store: &dyn Store, count: usize) -> Vec<Person> {
    let (people, sent_at) = (people::create(store, count).await, Clock::default().now());
    let pairs = (0..count).flat_map(|number| (1..=CONVERSATIONS / 2).map(move |step| (number, (number + step) % count)));
    let sends = pairs.map(async |(from, to)| {
        let chat = ChatId::between(people[from].id, people[to].id).expect("two people");
        let text = MessageText::parse(CONTENT.to_owned()).expect("a text");
        store.append_message(&NewMessage { chat, sender: people[from].id, text, client_id: None, sent_at }, None).await
    });
    let sent: Vec<_> = futures_util::stream::iter(sends).buffer_unordered(AT_ONCE).collect().await;
    assert!(sent.iter().all(|sent| matches!(sent, Ok(Append::Stored(_)))), "all are stored");
    people
}

/// The answer to a request that is repeated, as `Retry-After` says, while it is refused for want of room.
async fn insist(request: &RequestBuilder) -> Response {
    loop {
        let answer = request.try_clone().expect("no body").send().await.expect("an answer");
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            assert!([StatusCode::OK, StatusCode::NOT_MODIFIED].contains(&answer.status()), "{answer:?}");
            return answer;
        }
        let seconds = answer.headers()[RETRY_AFTER].to_str().expect("ASCII").parse().expect("seconds");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

/// Reads what there is, and then waits for more without end. Everybody has read their list, because what that takes belongs to the
/// connection, whose buffer then is as large as it gets, and not to the wait.
async fn wait(http: Client, url: String, person: Person, peer: Person, wish: Wish) {
    let get = |path: &str| http.get(format!("{url}{path}")).bearer_auth(&person.token);
    let list = insist(&get("/api/chat/conversations")).await;
    let tag = list.headers()[ETAG].clone();
    let _page = list.bytes().await.expect("a page");
    let wait = match wish {
        Wish::Messages => {
            let _page = insist(&get(&format!("/api/chat/messages?with={}", peer.id))).await.bytes().await.expect("a page");
            get(&format!("/api/chat/messages?with={}&after=1", peer.id))
        }
        Wish::List => get("/api/chat/conversations").header(IF_NONE_MATCH, tag),
    };
    loop {
        let _nothing = insist(&wait.try_clone().expect("no body").header("Prefer", "wait=25")).await.bytes().await;
    }
}

/// What a fresh process takes for all who wait, in MiB.
async fn memory_for(site: &Site, people: &[Person], wish: Wish) -> f64 {
    let server = site.start().await;
    let (process, http) = (Process(server.pid()), Client::builder().no_proxy().build().expect("a client"));
    process.settle(0).await;
    let at_rest = process.memory_mib();
    let mut waiting = JoinSet::new();
    for (number, person) in people.iter().enumerate() {
        let peer = people[(number + 1) % people.len()].clone();
        waiting.spawn(wait(http.clone(), server.url().to_owned(), person.clone(), peer, wish));
        if number % ARRIVALS == 0 {
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
    }
    process.settle(people.len()).await;
    let taken = process.memory_mib() - at_rest;
    waiting.shutdown().await;
    server.stop().await;
    taken
}

/// Measures both on the embedded store; what waits is the same on the other.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let count = if is_short { 60 } else { 5_000 };
    let Some(site) = Site::open(Kind::Sqlite).await else { return Vec::new() };
    let people = site.fill(async |store| create_ring(store, count).await).await;
    let title = format!("{count} people who wait for their list of conversations");
    let method = format!("Each has {CONVERSATIONS} conversations and has read the list. Beside the same people who wait for messages.");
    let mut section = Section::new(&title, &method, ["lists", "messages"]);
    println!("{title}");
    let of_messages = memory_for(&site, &people, Wish::Messages).await;
    let of_lists = memory_for(&site, &people, Wish::List).await;
    section.add(Row::beside("memory beyond that at rest", [of_lists, of_messages], "MiB"));
    section.add(Row::alone("more for lists", (of_lists - of_messages).max(0.1), "MiB").aiming_at(Goal::AtMost(MOST_MORE)));
    site.clear().await;
    vec![section]
}
