//! The ledger: people who write to each other through every fault, repeat until they are told of success, and compare what
//! they were told with what is there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Client, PASSWORD, Person, new_name, text};

/// Writers on each side of the chat.
const WRITERS: usize = 2;

/// Two people, where to reach the server at present, and what they were told.
pub struct Ledger {
    ann: Person,
    bob: Person,
    url: Mutex<String>,
    http: reqwest::Client,
    stop: AtomicBool,
    writers: Mutex<JoinSet<Vec<(String, u64)>>>,
    guests: Mutex<JoinSet<Vec<Guest>>>,
}

/// Somebody who registered and was told so; perhaps also told that they have logged out.
struct Guest {
    token: String,
    email: String,
    is_logged_out: bool,
}

impl Ledger {
    /// People with accounts at a server.
    pub async fn open(url: &str) -> Arc<Self> {
        let client = Client::new(url);
        let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build().expect("a client");
        Arc::new(Self {
            ann,
            bob,
            url: Mutex::new(url.to_owned()),
            http,
            stop: AtomicBool::new(false),
            writers: Mutex::default(),
            guests: Mutex::default(),
        })
    }

    /// Has everybody write, on both sides at once, and guests come and go.
    pub fn begin(self: &Arc<Self>) {
        for writer in 0..2 * WRITERS {
            self.writers.lock().expect("unpoisoned").spawn(Arc::clone(self).write(writer));
        }
        self.guests.lock().expect("unpoisoned").spawn(Arc::clone(self).come_and_go());
    }

    /// The server is elsewhere now.
    pub fn move_to(&self, url: &str) {
        url.clone_into(&mut self.url.lock().expect("unpoisoned"));
    }

    /// Has everybody finish what they have begun, then compares. Gives the number of messages.
    pub async fn close(&self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let writers = std::mem::take(&mut *self.writers.lock().expect("unpoisoned"));
        let guests = std::mem::take(&mut *self.guests.lock().expect("unpoisoned"));
        let told = tokio::time::timeout(Duration::from_mins(1), writers.join_all()).await.expect("every send ends");
        let guests = guests.join_all().await;
        self.compare_messages(&told).await;
        for guest in guests.iter().flatten() {
            self.compare_guest(guest).await;
        }
        told.iter().map(Vec::len).sum()
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url.lock().expect("unpoisoned"))
    }

    /// Sends one message after the other, each until it is acknowledged.
    async fn write(self: Arc<Self>, writer: usize) -> Vec<(String, u64)> {
        let (sender, recipient) = if writer.is_multiple_of(2) { (&self.ann, &self.bob) } else { (&self.bob, &self.ann) };
        let mut told = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let message = format!("writer {writer}, message {}", told.len());
            let body = json!({ "recipientId": recipient.id, "message": message, "clientId": format!("{writer}-{}", told.len()) });
            let seq = loop {
                if let Some(answer) = self.post("/api/chat/send", &sender.token, &body, StatusCode::OK).await {
                    break answer["seq"].as_u64().expect("a number");
                }
            };
            told.push((message, seq));
        }
        told
    }

    /// Registers people who log out at once; every other one stays.
    async fn come_and_go(self: Arc<Self>) -> Vec<Guest> {
        let mut guests = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let (name, stays) = (new_name(), guests.len() % 2 == 0);
            let email = format!("{name}@example.com");
            let body = json!({ "username": name, "email": email, "password": PASSWORD });
            let Some(answer) = self.post("/api/auth/register", "", &body, StatusCode::CREATED).await else { continue };
            let token = text(&answer["token"]);
            let is_logged_out = !stays && self.post("/api/auth/logout", &token, &json!({}), StatusCode::OK).await.is_some();
            // A log-out whose answer was lost may have happened or not.
            if stays || is_logged_out {
                guests.push(Guest { token, email, is_logged_out });
            }
        }
        guests
    }

    /// The answer if there is one and it acknowledges. What is no acknowledgement must be one of the answers that ask to try again.
    async fn post(&self, path: &str, token: &str, body: &Value, wanted: StatusCode) -> Option<Value> {
        let answer = self.http.post(self.at(path)).bearer_auth(token).json(body).send().await;
        if let Ok(answer) = answer {
            let status = answer.status();
            let body = answer.json::<Value>().await.ok();
            if status == wanted && body.is_some() {
                return body;
            }
            let asks_to_repeat = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT);
            assert!(status == wanted || asks_to_repeat, "{path}: {status} {body:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        None
    }

    async fn compare_messages(&self, told: &[Vec<(String, u64)>]) {
        let stored = self.all_messages().await;
        let by_seq: HashMap<u64, &str> = stored.iter().map(|(seq, content)| (*seq, content.as_str())).collect();
        let count: usize = told.iter().map(Vec::len).sum();
        for (message, seq) in told.iter().flatten() {
            assert_eq!(by_seq.get(seq), Some(&message.as_str()), "what was acknowledged is there under its number");
        }
        assert_eq!(stored.len(), count, "nothing is there twice, and all of it was acknowledged in the end");
        assert!(stored.iter().map(|(seq, _)| *seq).eq(1..=stored.len() as u64), "the numbers have no gap");
        assert!(told.iter().all(|of_one| of_one.is_sorted_by_key(|(_, seq)| *seq)), "a writer's messages keep their order");
    }

    async fn all_messages(&self) -> Vec<(u64, String)> {
        let bob = self.bob.at(&Client::new(&self.at("")));
        let mut messages: Vec<(u64, String)> = Vec::new();
        loop {
            let after = messages.last().map_or(0, |(seq, _)| *seq);
            let page = bob.messages(&format!("?with={}&after={after}&limit=100", self.ann.id)).await;
            if page.is_empty() {
                return messages;
            }
            messages.extend(page.iter().map(|message| (message["seq"].as_u64().expect("a number"), text(&message["content"]))));
        }
    }

    async fn compare_guest(&self, guest: &Guest) {
        let profile = self.http.get(self.at("/api/users/profile")).bearer_auth(&guest.token).send().await.expect("an answer");
        let expected = if guest.is_logged_out { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        assert_eq!(profile.status(), expected, "{}", guest.email);
    }
}
