//! The ledger: people who write to each other through every fault, repeat until they are told of success, and compare what
//! they were told with what is there. Others wait for the messages meanwhile, and must get each of them once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Client, PASSWORD, Person, new_name, text};
use crate::eventually;

/// Writers on each side of the chat.
const WRITERS: usize = 2;
/// How long everybody may take to finish what they have begun.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a failed request is not repeated.
const PAUSE: Duration = Duration::from_millis(20);

/// A message as its reader or its writer knows it: its number and its text.
type Entry = (u64, String);

/// Two people, where to reach the server at present, and what they were told.
pub struct Ledger {
    ann: Person,
    bob: Person,
    url: Mutex<String>,
    http: reqwest::Client,
    stop: AtomicBool,
    /// How many messages were acknowledged so far.
    sent: AtomicUsize,
    /// How many messages there are in the end; 0 before that.
    total: AtomicU64,
    writers: Mutex<JoinSet<Vec<Entry>>>,
    pollers: Mutex<JoinSet<Vec<Entry>>>,
    guests: Mutex<JoinSet<Vec<Guest>>>,
    /// How often was refused for the time being what people asked to be changed, by code.
    refusals: Mutex<BTreeMap<String, usize>>,
}

/// Somebody who registered and was told so; perhaps also told that they have logged out.
struct Guest {
    token: String,
    email: String,
    is_logged_out: bool,
}

/// What became of a change that was asked for, as far as the answer tells.
enum Outcome {
    Done { answer: Value, is_replayed: bool },
    Unchanged,
    Unknown,
}

impl Outcome {
    fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

impl Ledger {
    /// People with accounts at a server.
    pub async fn open(url: &str) -> Arc<Self> {
        let client = Client::new(url);
        let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Arc::new(Self {
            ann,
            bob,
            url: Mutex::new(url.to_owned()),
            http,
            stop: AtomicBool::new(false),
            sent: AtomicUsize::new(0),
            total: AtomicU64::new(0),
            writers: Mutex::default(),
            pollers: Mutex::default(),
            guests: Mutex::default(),
            refusals: Mutex::default(),
        })
    }

    /// Has everybody write and wait for messages, on both sides at once, and guests come and go.
    pub fn begin(self: &Arc<Self>) {
        for writer in 0..2 * WRITERS {
            self.writers.lock().expect("unpoisoned").spawn(Arc::clone(self).write(writer));
        }
        for is_ann in [true, false] {
            self.pollers.lock().expect("unpoisoned").spawn(Arc::clone(self).poll(is_ann));
        }
        self.guests.lock().expect("unpoisoned").spawn(Arc::clone(self).come_and_go());
    }

    /// Waits until more is acknowledged, from each writer one message on average.
    pub async fn goes_on(&self) {
        let enough = self.sent.load(Ordering::SeqCst) + 2 * WRITERS;
        eventually("people write", async || self.sent.load(Ordering::SeqCst) >= enough).await;
    }

    /// The server is elsewhere now.
    pub fn move_to(&self, url: &str) {
        url.clone_into(&mut self.url.lock().expect("unpoisoned"));
    }

    /// Has everybody finish what they have begun, then compares. Gives the number of messages.
    pub async fn close(&self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let writers = std::mem::take(&mut *self.writers.lock().expect("unpoisoned"));
        let pollers = std::mem::take(&mut *self.pollers.lock().expect("unpoisoned"));
        let guests = std::mem::take(&mut *self.guests.lock().expect("unpoisoned"));
        let told = tokio::time::timeout(PATIENCE, writers.join_all()).await.expect("every send ends");
        let guests = guests.join_all().await;
        let count = told.iter().map(Vec::len).sum();
        let stored = self.compare_messages(&told).await;
        self.total.store(count as u64, Ordering::SeqCst);
        for seen in tokio::time::timeout(PATIENCE, pollers.join_all()).await.expect("every poller gets to the end") {
            assert_eq!(seen, stored, "who waits for messages gets each of them once and in order");
        }
        for guest in guests.iter().flatten() {
            self.compare_guest(guest).await;
        }
        count
    }

    /// How often something was refused for the time being, by code.
    pub fn refusals(&self) -> BTreeMap<String, usize> {
        self.refusals.lock().expect("unpoisoned").clone()
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.lock().expect("unpoisoned"))
    }

    /// Sends one message after the other, each until it is acknowledged.
    async fn write(self: Arc<Self>, writer: usize) -> Vec<Entry> {
        let (sender, recipient) = if writer.is_multiple_of(2) { (&self.ann, &self.bob) } else { (&self.bob, &self.ann) };
        let mut told = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let message = format!("writer {writer}, message {}", told.len());
            let body = json!({ "recipientId": recipient.id, "message": message, "clientId": format!("{writer}-{}", told.len()) });
            told.push((self.send(sender, &body).await, message));
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        told
    }

    /// Sends a message until that is acknowledged; gives its number.
    async fn send(&self, sender: &Person, body: &Value) -> u64 {
        let mut may_be_stored = false;
        loop {
            match self.post("/api/chat/send", &sender.token, body, StatusCode::OK).await {
                Outcome::Done { answer, is_replayed } => {
                    assert!(may_be_stored || !is_replayed, "stored though it was told that nothing was changed: {body}");
                    return answer["seq"].as_u64().expect("a number");
                }
                Outcome::Unchanged => {}
                Outcome::Unknown => may_be_stored = true,
            }
        }
    }

    /// Waits for one message after the other, and asks again where the last answer has left off, whatever comes in between.
    async fn poll(self: Arc<Self>, is_ann: bool) -> Vec<Entry> {
        let (reader, peer) = if is_ann { (&self.ann, &self.bob) } else { (&self.bob, &self.ann) };
        let mut seen: Vec<Entry> = Vec::new();
        loop {
            let (after, total) = (seen.last().map_or(0, |(seq, _)| *seq), self.total.load(Ordering::SeqCst));
            if total > 0 && after >= total {
                return seen;
            }
            let path = self.at(&format!("/api/chat/messages?with={}&after={after}", peer.id));
            let answer = self.http.get(path).bearer_auth(&reader.token).header("Prefer", "wait=2").send().await;
            match Self::page(answer).await {
                Some(page) => seen.extend(page),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The messages of an answer, if it is there and whole. What is no success must be an answer that asks to try again.
    async fn page(answer: reqwest::Result<reqwest::Response>) -> Option<Vec<Entry>> {
        let answer = answer.ok()?;
        let status = answer.status();
        let body: Value = answer.json().await.ok()?;
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "a poll: {status} {body}");
        body["messages"].as_array().map(|messages| messages.iter().map(entry).collect())
    }

    /// Registers people who log out at once; every other one stays.
    async fn come_and_go(self: Arc<Self>) -> Vec<Guest> {
        let mut guests = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let (name, stays) = (new_name(), guests.len() % 2 == 0);
            let email = format!("{name}@example.com");
            let body = json!({ "username": name, "email": email, "password": PASSWORD });
            let Outcome::Done { answer, .. } = self.post("/api/auth/register", "", &body, StatusCode::CREATED).await else { continue };
            let token = text(&answer["token"]);
            let is_logged_out = !stays && self.post("/api/auth/logout", &token, &json!({}), StatusCode::OK).await.is_done();
            // A log-out whose answer was lost may have happened or not.
            if stays || is_logged_out {
                guests.push(Guest { token, email, is_logged_out });
            }
        }
        guests
    }

    /// Asks for a change once. What is no success must be an answer that asks to try again, and says when.
    async fn post(&self, path: &str, token: &str, body: &Value, wanted: StatusCode) -> Outcome {
        let answer = self.http.post(self.at(path)).bearer_auth(token).json(body).send().await;
        let outcome = match answer {
            Ok(answer) => self.outcome(path, answer, wanted).await,
            Err(_lost) => Outcome::Unknown,
        };
        if !outcome.is_done() {
            tokio::time::sleep(PAUSE).await;
        }
        outcome
    }

    async fn outcome(&self, path: &str, answer: reqwest::Response, wanted: StatusCode) -> Outcome {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let Ok(answer) = answer.json::<Value>().await else { return Outcome::Unknown };
        if status == wanted {
            return Outcome::Done { answer, is_replayed: headers.contains_key("idempotency-replayed") };
        }
        if status == StatusCode::CONFLICT {
            return Outcome::Unchanged;
        }
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER), "{path}: {status} {answer}");
        let code = text(&answer["code"]);
        let outcome = if code == "outcome_unknown" { Outcome::Unknown } else { Outcome::Unchanged };
        *self.refusals.lock().expect("unpoisoned").entry(code).or_default() += 1;
        outcome
    }

    /// Gives what is stored.
    async fn compare_messages(&self, told: &[Vec<Entry>]) -> Vec<Entry> {
        let stored = self.all_messages().await;
        let by_seq: HashMap<u64, &str> = stored.iter().map(|(seq, content)| (*seq, content.as_str())).collect();
        let count: usize = told.iter().map(Vec::len).sum();
        for (seq, message) in told.iter().flatten() {
            assert_eq!(by_seq.get(seq), Some(&message.as_str()), "what was acknowledged is there under its number");
        }
        assert_eq!(stored.len(), count, "nothing is there twice, and all of it was acknowledged in the end");
        assert!(stored.iter().map(|(seq, _)| *seq).eq(1..=stored.len() as u64), "the numbers have no gap");
        assert!(told.iter().all(|of_one| of_one.is_sorted_by_key(|(seq, _)| *seq)), "a writer's messages keep their order");
        stored
    }

    async fn all_messages(&self) -> Vec<Entry> {
        let bob = self.bob.at(&Client::new(&self.at("")));
        let mut messages: Vec<Entry> = Vec::new();
        loop {
            let after = messages.last().map_or(0, |(seq, _)| *seq);
            let page = bob.messages(&format!("?with={}&after={after}&limit=100", self.ann.id)).await;
            if page.is_empty() {
                return messages;
            }
            messages.extend(page.iter().map(entry));
        }
    }

    async fn compare_guest(&self, guest: &Guest) {
        let profile = self.http.get(self.at("/api/users/profile")).bearer_auth(&guest.token).send().await.expect("an answer");
        let expected = if guest.is_logged_out { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        assert_eq!(profile.status(), expected, "{}", guest.email);
    }
}

fn entry(message: &Value) -> Entry {
    (message["seq"].as_u64().expect("a number"), text(&message["content"]))
}
