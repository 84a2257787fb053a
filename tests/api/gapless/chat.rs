//! A chat in which people write, and those who read it in all the ways that there are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Case, Told, WRITERS};
use crate::client::{Answer, Person, text};

/// How long a case may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);
/// What readers who do not wait leave to the others.
const BREATH: Duration = Duration::from_millis(5);
/// How long a reader is willing to wait, in seconds; something always comes before that.
const WAIT: u8 = 20;

/// What goes on in a chat.
pub(super) struct Chat {
    pub ann: Person,
    pub bob: Person,
    case: Case,
    begun: Instant,
    /// How many messages there will be; 0 while that is not known. It is known before the last one is sent, so that whoever waits
    /// has something to wait for.
    total: AtomicU64,
    is_complete: AtomicBool,
}

impl Chat {
    pub fn new(ann: Person, bob: Person, case: Case) -> Self {
        Self { ann, bob, case, begun: Instant::now(), total: AtomicU64::new(0), is_complete: AtomicBool::new(false) }
    }

    /// Has everybody write, and then one of them once more. Gives what was sent as it should be read.
    pub async fn write(&self) -> Vec<Value> {
        let mut sent = join_all((0..WRITERS).map(|writer| self.write_in_bursts(writer))).await.concat();
        self.total.store(sent.len() as u64 + 1, Ordering::SeqCst);
        sent.push(self.send(&self.ann, &self.bob, "the last".to_owned()).await);
        self.is_complete.store(true, Ordering::SeqCst);
        sent.sort_by_key(|message| number(message, "seq"));
        sent
    }

    /// Sends in bursts, each message until it is acknowledged.
    async fn write_in_bursts(&self, writer: usize) -> Vec<Value> {
        let (sender, recipient) = if writer.is_multiple_of(2) { (&self.ann, &self.bob) } else { (&self.bob, &self.ann) };
        let (mut sent, mut count) = (Vec::new(), 0);
        for (size, pause) in &self.case.bursts[writer] {
            let numbers = count..count + usize::from(*size);
            count = numbers.end;
            sent.extend(join_all(numbers.map(|number| self.send(sender, recipient, format!("{writer}-{number}")))).await);
            tokio::time::sleep(Duration::from_millis((*pause).into())).await;
        }
        sent
    }

    async fn send(&self, sender: &Person, recipient: &Person, content: String) -> Value {
        let body = json!({ "recipientId": recipient.id, "message": content, "clientId": content.replace(' ', "-") });
        let answer = sender.post("/api/chat/send", &body).await.ok();
        json!({ "seq": answer["seq"], "content": content, "senderId": sender.id, "timestamp": answer["timestamp"] })
    }

    /// Whether a reader who has got so far is to go on.
    fn goes_on(&self, seq: u64) -> Told<bool> {
        let total = self.total.load(Ordering::SeqCst);
        if self.begun.elapsed() > PATIENCE {
            return Err(format!("after {PATIENCE:?} a reader has got to {seq} of {total}"));
        }
        Ok(total == 0 || seq < total)
    }

    /// The messages of a page, of a size that changes from turn to turn.
    async fn page(&self, reader: &Person, peer: &Person, turn: usize, place: &str, wait: Option<u8>) -> Told<Value> {
        let limit = self.case.limits[turn % self.case.limits.len()];
        let path = format!("/api/chat/messages?with={}&limit={limit}{place}", peer.id);
        let request = reader.request(Method::GET, &path);
        let request = wait.iter().fold(request, |request, wait| request.header("Prefer", format!("wait={wait}")));
        let body = Answer::of(request).await.ok();
        let count = body["messages"].as_array().map_or(0, Vec::len);
        if count > usize::from(limit) { Err(format!("{count} messages on a page of {limit}")) } else { Ok(body) }
    }

    /// Reads on behind what was read, without waiting.
    pub async fn follow(&self) -> Told<Vec<Value>> {
        let mut read = Vec::new();
        for turn in 0.. {
            if !self.goes_on(last_seq(&read))? {
                break;
            }
            let page = self.page(&self.ann, &self.bob, turn, &format!("&after={}", last_seq(&read)), None).await?;
            read.extend(messages(&page));
            tokio::time::sleep(BREATH).await;
        }
        Ok(read)
    }

    /// Reads on behind what was read, waiting for it; gives also up to where it was marked as read.
    pub async fn follow_waiting(&self) -> Told<(Vec<Value>, u64)> {
        let (mut read, mut marked) = (Vec::new(), 0);
        for turn in 0.. {
            if !self.goes_on(last_seq(&read))? {
                break;
            }
            let page = self.page(&self.bob, &self.ann, turn, &format!("&after={}", last_seq(&read)), Some(WAIT)).await?;
            if messages(&page).is_empty() {
                return Err(format!("waited in vain behind {} of {}", last_seq(&read), self.total.load(Ordering::SeqCst)));
            }
            read.extend(messages(&page));
            if self.case.marks && last_seq(&read) > marked {
                marked = last_seq(&read);
                self.mark(&text(&read[0]["chatId"]), marked).await?;
            }
        }
        Ok((read, marked))
    }

    async fn mark(&self, chat: &str, seq: u64) -> Told {
        let body = json!({ "chatId": chat, "readSeq": seq });
        let mark = self.bob.put("/api/chat/conversations", &body).await.ok();
        let (read, last, unread) = (number(&mark, "readSeq"), number(&mark, "lastSeq"), number(&mark, "unread"));
        if read < seq || last < read || unread != last - read { Err(format!("marked up to {seq}: {mark}")) } else { Ok(()) }
    }

    /// Reads from the end to the beginning, again and again; gives what the last time has brought.
    pub async fn page_back(&self) -> Told<Vec<Value>> {
        let (mut known, mut turn) = (0, 0);
        loop {
            let is_last_time = self.is_complete.load(Ordering::SeqCst);
            let read = self.page_back_once(&mut turn).await?;
            let newest = last_seq(&read);
            if newest < known || !read.iter().map(|message| number(message, "seq")).eq(1..=newest) {
                return Err(format!("paging back from {newest}, after {known}: {read:?}"));
            }
            known = newest;
            if is_last_time {
                return Ok(read);
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn page_back_once(&self, turn: &mut usize) -> Told<Vec<Value>> {
        let (mut pages, mut place) = (Vec::new(), String::new());
        loop {
            *turn += 1;
            let page = self.page(&self.ann, &self.bob, *turn, &place, None).await?;
            pages.push(messages(&page));
            match page["nextBefore"].as_u64() {
                Some(next) => place = format!("&before={next}"),
                None => return Ok(pages.into_iter().rev().flatten().collect()),
            }
        }
    }

    /// Waits for changes of the list of conversations until it shows the last message.
    pub async fn watch(&self, reader: &Person) -> Told {
        let peer = if reader.id == self.ann.id { &self.bob } else { &self.ann };
        let (mut tag, mut seen) = (String::new(), [0; 3]);
        while self.goes_on(seen[0])? {
            let request = reader.request(Method::GET, "/api/chat/conversations?limit=100").header("Prefer", format!("wait={WAIT}"));
            let answer = Answer::of(request.header(IF_NONE_MATCH, &tag)).await;
            if answer.status == StatusCode::NOT_MODIFIED {
                return Err(format!("waited in vain for another list than {seen:?}"));
            }
            answer.header(ETAG.as_str()).clone_into(&mut tag);
            let list = answer.ok();
            let Some(entry) = conversation_with(&list, peer) else { continue };
            let now = ["lastSeq", "readSeq", "peerReadSeq"].map(|name| number(entry, name));
            let is_true = now[0] == number(&entry["lastMessage"], "seq") && number(entry, "unread") == now[0] - now[1] && now[2] <= now[0];
            if !is_true || std::iter::zip(seen, now).any(|(before, now)| now < before) {
                return Err(format!("after {seen:?} the list shows {entry}"));
            }
            seen = now;
        }
        Ok(())
    }

    /// Whether both see in the end how far each has read: up to what they sent last, or marked.
    pub async fn check_marks(&self, sent: &[Value], marked: u64) -> Told {
        let last_of = |person: &Person| {
            sent.iter().rfind(|message| message["senderId"] == person.id.as_str()).map_or(0, |message| number(message, "seq"))
        };
        let (ann, bob, last) = (last_of(&self.ann), last_of(&self.bob).max(marked), sent.len() as u64);
        for (reader, peer, own, other) in [(&self.ann, &self.bob, ann, bob), (&self.bob, &self.ann, bob, ann)] {
            let all = reader.get("/api/chat/conversations?limit=100").await.ok();
            let shown =
                conversation_with(&all, peer).map(|entry| ["lastSeq", "readSeq", "peerReadSeq", "unread"].map(|name| number(entry, name)));
            if shown != Some([last, own, other, last - own]) {
                return Err(format!("of {last} messages, read up to {own} and {other}, the list shows {shown:?}"));
            }
        }
        Ok(())
    }
}

fn messages(page: &Value) -> Vec<Value> {
    page["messages"].as_array().expect("a list").clone()
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name}: {object}"))
}

fn last_seq(read: &[Value]) -> u64 {
    read.last().map_or(0, |message| number(message, "seq"))
}

fn conversation_with<'a>(list: &'a Value, peer: &Person) -> Option<&'a Value> {
    list["conversations"].as_array().expect("a list").iter().find(|entry| entry["user"]["id"] == peer.id.as_str())
}
