//! Steps in chats: sending, reading, lists, read marks; and requests that mean nothing.

use reqwest::Method;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use super::play::{Expected, Play, Told, nobody, refusal};
use super::step::{Caller, Chat, Mark, Whom, Window};
use super::view::{TIME, compare};
use super::world::{Message, Number};
use crate::client::{Answer, text};

/// What people write: few texts, so that some are repeated.
const TEXTS: [&str; 4] = ["hello", " e\u{301}\r\n", "👩‍👩‍👧 \"$where\"", "DROP TABLE messages; --"];
const LIST: &str = "/api/chat/conversations";

/// A chat that a request names.
enum Named {
    /// By an id that is none.
    Garbage,
    /// One that does not exist, or is not the caller's.
    Missing,
    /// The caller's with somebody.
    With(Number),
}

impl Play<'_> {
    pub(super) async fn send(&mut self, by: Caller, to: Whom, text: u8, key: Option<u8>) -> Told {
        let (bearer, content) = (self.world.bearer(by), TEXTS[usize::from(text) % TEXTS.len()]);
        let mut body = json!({ "recipientId": self.id_of(to), "message": content });
        let name = key.map(|key| format!("key:{key}"));
        let in_header = key.is_some_and(|key| key % 2 == 0);
        if let Some(name) = name.as_ref().filter(|_| !in_header) {
            body["clientId"] = json!(name);
        }
        let mut request = self.request(&bearer, Method::POST, "/api/chat/send", Some(&body));
        if let Some(name) = name.filter(|_| in_header) {
            request = request.header("Idempotency-Key", name);
        }
        let begun = self.now().to_string();
        let answer = Answer::of(request).await;
        if let Some(refusal) = refusal(&bearer, if to == Whom::Garbage { vec!["recipientId"] } else { Vec::new() }) {
            return refusal.check(&answer).map(drop);
        }
        let (own, peer) = (bearer.number, self.world.named(to).filter(|peer| self.world.is_there(*peer)));
        match peer {
            None => Expected::Fails(404, "user_not_found").check(&answer).map(drop),
            Some(peer) if peer == own => Expected::FailsIn(vec!["recipientId"]).check(&answer).map(drop),
            Some(peer) if !self.world.takes_messages(peer, own) => Expected::Fails(403, "not_accepted").check(&answer).map(drop),
            Some(peer) => self.sent(own, peer, Message { sender: own, text: content.to_owned(), key, timestamp: begun }, &answer),
        }
    }

    /// A message that is accepted: it is stored, or it was before. Its time is when its sending began.
    fn sent(&mut self, own: Number, peer: Number, message: Message, answer: &Answer) -> Told {
        let ended = self.now().to_string();
        let chat = self.world.chat_mut(own, peer);
        let repeats = |other: &Message| message.key.is_some() && (other.key, other.sender) == (message.key, own);
        let former = chat.messages.iter().position(repeats);
        let (seq, timestamp) = match former {
            Some(index) if chat.messages[index].text != message.text => {
                return Expected::Fails(422, "idempotency_mismatch").check(answer).map(drop);
            }
            Some(index) => (index + 1, chat.messages[index].timestamp.clone()),
            None => (chat.messages.len() + 1, TIME.to_owned()),
        };
        let expected = json!({
            "message": "Message sent successfully",
            "id": format!("{}-{seq}", chat.id),
            "chatId": chat.id.to_string(),
            "seq": seq,
            "timestamp": timestamp,
        });
        let body = Expected::Ok(expected).check(answer)?;
        if answer.header("idempotency-replayed") != if former.is_some() { "true" } else { "" } {
            return Err(format!("a repetition is told as such: {answer:?}"));
        }
        if former.is_none() {
            let timestamp = text(&body["timestamp"]);
            if timestamp < message.timestamp || timestamp > ended {
                return Err(format!("sent at {timestamp}, between {} and {ended}", message.timestamp));
            }
            chat.messages.push(Message { timestamp, ..message });
            chat.mark(own, seq);
        }
        Ok(())
    }

    /// The chat that a request names by an id, and the text that names it.
    fn named(&self, own: Number, chat: Chat) -> (Named, String) {
        let number = match chat {
            Chat::With(whom) | Chat::Of(whom) => self.world.named(whom).ok_or(whom == Whom::Garbage),
            Chat::Between(one, other) => {
                let (one, other) = (self.world.slots[one], self.world.slots[other]);
                if one != own && other != own && one != other {
                    return (Named::Missing, self.chat_id(one, &self.world.accounts[other].id.to_string()));
                }
                if one == other { Err(true) } else { Ok(if one == own { other } else { one }) }
            }
        };
        match number {
            // Nobody has a chat with themselves, so it has no id.
            Err(true) => (Named::Garbage, "no id".to_owned()),
            Ok(peer) if peer == own => (Named::Garbage, self.world.accounts[own].id.to_string().repeat(2)),
            Err(false) => (Named::Missing, self.chat_id(own, &nobody())),
            Ok(peer) => (Named::With(peer), self.chat_id(own, &self.world.accounts[peer].id.to_string())),
        }
    }

    fn chat_id(&self, one: Number, other: &str) -> String {
        let mut members = [self.world.accounts[one].id.to_string(), other.to_owned()];
        members.sort();
        members.concat()
    }

    pub(super) async fn read_chat(&mut self, by: Caller, chat: Chat, window: Window, limit: Option<u8>) -> Told {
        let bearer = self.world.bearer(by);
        let (named, id) = self.named(bearer.number, chat);
        let (field, value, peer) = match chat {
            Chat::With(whom) => ("with", self.id_of(whom), self.world.named(whom)),
            Chat::Of(_) | Chat::Between(..) => ("chatId", id, if let Named::With(peer) = named { Some(peer) } else { None }),
        };
        let stored = peer.and_then(|peer| self.world.chat(bearer.number, peer));
        let length = stored.map_or(0, |chat| chat.messages.len());
        let place = |choice: u8| usize::from(choice) % (length + 3);
        let query = match window {
            Window::Newest => String::new(),
            Window::Before(choice) => format!("&before={}", place(choice)),
            Window::After(choice) => format!("&after={}", place(choice)),
        };
        let limit_part = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
        let answer = self.ask(&bearer, Method::GET, &format!("/api/chat/messages?{field}={value}{query}{limit_part}"), None).await;
        let is_wrong = matches!((chat, &named), (Chat::With(Whom::Garbage), _) | (Chat::Of(_) | Chat::Between(..), Named::Garbage));
        if let Some(refusal) = refusal(&bearer, if is_wrong { vec![field] } else { Vec::new() }) {
            return refusal.check(&answer).map(drop);
        }
        let Some(stored) = stored else {
            let expected = if field == "with" { Expected::Ok(json!({ "messages": [] })) } else { Expected::Fails(404, "chat_not_found") };
            return expected.check(&answer).map(drop);
        };
        let limit = limit.map_or(50, usize::from);
        let (first, end) = match window {
            Window::Newest => (length.saturating_sub(limit), length),
            Window::Before(choice) => {
                let end = place(choice).saturating_sub(1).min(length);
                (end.saturating_sub(limit), end)
            }
            Window::After(choice) => (place(choice).min(length), (place(choice) + limit).min(length)),
        };
        let messages: Vec<_> = (first + 1..=end).map(|seq| self.world.message(stored, seq)).collect();
        let mut expected = json!({ "messages": messages });
        if !matches!(window, Window::After(_)) && first > 0 {
            expected["nextBefore"] = json!(first + 1);
        }
        Expected::Ok(expected).check(&answer).map(drop)
    }

    /// All that two people wrote to each other.
    pub(super) async fn read_whole_chat(&self, by: Caller, other: Number) -> Told {
        let bearer = self.world.bearer(by);
        let Some(chat) = self.world.chat(bearer.number, other) else { return Ok(()) };
        let answer = self.ask(&bearer, Method::GET, &format!("/api/chat/messages?chatId={}&after=0&limit=100", chat.id), None).await;
        if let Some(refusal) = refusal(&bearer, Vec::new()) {
            return refusal.check(&answer).map(drop);
        }
        let messages: Vec<_> = (1..=chat.messages.len()).map(|seq| self.world.message(chat, seq)).collect();
        Expected::Ok(json!({ "messages": messages })).check(&answer).map(drop)
    }

    pub(super) async fn read_all(&self, by: Caller, limit: u8) -> Told {
        let bearer = self.world.bearer(by);
        self.walk(by, "/api/chat/messages", "messages", limit, self.world.all_messages(bearer.number), true).await
    }

    pub(super) async fn list_conversations(&self, by: Caller, limit: u8) -> Told {
        let bearer = self.world.bearer(by);
        self.walk(by, LIST, "conversations", limit, self.world.conversations(bearer.number), false).await
    }

    /// Reads a list page by page to its end and compares it with what should be on it, the latest first.
    async fn walk(&self, by: Caller, path: &str, name: &str, limit: u8, all: Vec<Value>, turned: bool) -> Told {
        let bearer = self.world.bearer(by);
        let mut cursor = String::new();
        let pages: Vec<&[Value]> = if all.is_empty() { vec![&[]] } else { all.chunks(usize::from(limit)).collect() };
        for (index, page) in pages.iter().enumerate() {
            let answer = self.ask(&bearer, Method::GET, &format!("{path}?limit={limit}{cursor}"), None).await;
            if let Some(refusal) = refusal(&bearer, Vec::new()) {
                return refusal.check(&answer).map(drop);
            }
            let mut items = page.to_vec();
            if turned {
                items.reverse();
            }
            let mut expected = json!({ name: items });
            let next = answer.json()["nextBefore"].clone();
            if index + 1 < pages.len() {
                // A place in the list is the application's own affair, as long as it leads to the next page.
                expected["nextBefore"] = next.clone();
                cursor = format!("&before={}", next.as_str().unwrap_or_default());
            }
            Expected::Ok(expected).check(&answer)?;
        }
        Ok(())
    }

    pub(super) async fn revisit(&mut self, by: Caller) -> Told {
        let bearer = self.world.bearer(by);
        let visited = self.world.accounts[bearer.number].visited.clone();
        let mut request = self.request(&bearer, Method::GET, LIST, None);
        if let Some((tag, _)) = &visited {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let answer = Answer::of(request).await;
        if let Some(refusal) = refusal(&bearer, Vec::new()) {
            return refusal.check(&answer).map(drop);
        }
        let expected = json!({ "conversations": self.world.conversations(bearer.number) });
        match visited {
            Some((_, before)) if answer.status == 304 => compare("the list as it was", &expected, &before),
            before => {
                let body = Expected::Ok(expected).check(&answer)?;
                if before.is_some_and(|(_, before)| before == body) {
                    return Err("the list is as it was and has another tag".to_owned());
                }
                self.world.accounts[bearer.number].visited = Some((answer.header(ETAG.as_str()).to_owned(), body));
                Ok(())
            }
        }
    }

    pub(super) async fn mark_read(&mut self, by: Caller, chat: Chat, mark: Mark) -> Told {
        let bearer = self.world.bearer(by);
        let (named, id) = self.named(bearer.number, chat);
        let peer = if let Named::With(peer) = named { Some(peer) } else { None };
        let length = peer.and_then(|peer| self.world.chat(bearer.number, peer)).map_or(0, |chat| chat.messages.len());
        let seq = match mark {
            Mark::Zero => 0,
            Mark::At(choice) => 1 + usize::from(choice) % length.max(1),
            Mark::Last => length.max(1),
            Mark::BeyondLast(choice) => length + 1 + usize::from(choice),
        };
        let answer = self.ask(&bearer, Method::PUT, LIST, Some(&json!({ "chatId": id, "readSeq": seq }))).await;
        let mut wrong = Vec::new();
        wrong.extend(matches!(named, Named::Garbage).then_some("chatId"));
        wrong.extend((seq == 0).then_some("readSeq"));
        if let Some(refusal) = refusal(&bearer, wrong) {
            return refusal.check(&answer).map(drop);
        }
        let Some(peer) = peer.filter(|_| length > 0) else { return Expected::Fails(404, "chat_not_found").check(&answer).map(drop) };
        if seq > length {
            return Expected::FailsIn(vec!["readSeq"]).check(&answer).map(drop);
        }
        let chat = self.world.chat_mut(bearer.number, peer);
        chat.mark(bearer.number, seq);
        let read = chat.read[chat.side(bearer.number)];
        let expected = json!({
            "message": "Conversation marked as read",
            "chatId": id,
            "readSeq": read,
            "lastSeq": length,
            "unread": length - read,
        });
        Expected::Ok(expected).check(&answer).map(drop)
    }
}
