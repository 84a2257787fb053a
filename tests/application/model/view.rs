//! What people should see of the model, as JSON.

use serde_json::{Value, json};

use super::world::{Chat, Message, Number, World};

/// Stands for any time in what is expected.
pub const TIME: &str = "<a time>";
/// Stands for any text in what is expected.
pub const TEXT: &str = "<a text>";

impl World {
    pub fn own_user(&self, number: Number) -> Value {
        let account = &self.accounts[number];
        let friends: Vec<_> = account.friends.iter().map(|friend| self.accounts[*friend].id.to_string()).collect();
        let chats: Vec<_> = self.chats_of(number).iter().map(|chat| chat.id.to_string()).collect();
        json!({
            "id": account.id.to_string(),
            "username": account.username,
            "email": account.email,
            "isEmailVerified": false,
            "pendingEmail": null,
            "friends": friends,
            "chats": chats,
            "online_status": "online",
            "last_login": TIME,
            "messagesFrom": if account.from_friends_only { "friends" } else { "everyone" },
            "createdAt": TIME,
        })
    }

    /// Somebody as another one sees them.
    pub fn public_user(&self, number: Number, seen_by: Number) -> Value {
        let account = &self.accounts[number];
        if account.is_deleted {
            return json!({ "id": account.id.to_string(), "username": "deleted user", "online_status": "offline", "lastSeen": null });
        }
        let may_know = self.has_added(number, seen_by);
        let is_online = may_know && account.live().next().is_some();
        json!({
            "id": account.id.to_string(),
            "username": account.username,
            "online_status": if is_online { "online" } else { "offline" },
            "lastSeen": if may_know { json!(TIME) } else { Value::Null },
        })
    }

    pub fn friends(&self, number: Number) -> Value {
        let seen = self.accounts[number].friends.iter().filter(|friend| !self.has_blocked(**friend, number));
        let entry = |friend: &Number| {
            let mut entry = self.public_user(*friend, number);
            entry["mutual"] = json!(self.has_added(*friend, number));
            entry["addedAt"] = json!(TIME);
            entry
        };
        json!({ "friends": seen.map(entry).collect::<Vec<_>>() })
    }

    pub fn blocks(&self, number: Number) -> Value {
        let seen = self.accounts[number].blocks.iter().filter(|other| self.is_there(**other));
        json!({ "blocks": seen.map(|other| self.public_user(*other, number)).collect::<Vec<_>>() })
    }

    /// The sessions, each as far as it is known, in the order of their ids.
    pub fn sessions(&self, number: Number, current: &str) -> Value {
        let mut sessions: Vec<_> =
            self.accounts[number].live().map(|session| (session.public_id.clone(), session.token == current)).collect();
        sessions.sort();
        json!(sessions)
    }

    /// Everybody whom a search by somebody finds, in the order of their names.
    pub fn people(&self, seen_by: Number) -> Value {
        let is_seen = |number: &Number| self.is_there(*number) && !self.has_blocked(*number, seen_by);
        let mut seen: Vec<_> = (0..self.accounts.len()).filter(is_seen).collect();
        seen.sort_by_key(|number| self.accounts[*number].username.to_ascii_lowercase());
        json!(seen.iter().map(|number| self.public_user(*number, seen_by)).collect::<Vec<_>>())
    }

    pub fn message(&self, chat: &Chat, seq: usize) -> Value {
        let Message { sender, text, timestamp, .. } = &chat.messages[seq - 1];
        json!({
            "id": format!("{}-{seq}", chat.id),
            "chatId": chat.id.to_string(),
            "seq": seq,
            "senderId": self.accounts[*sender].id.to_string(),
            "recipientId": self.accounts[chat.peer_of(*sender)].id.to_string(),
            "content": text,
            "timestamp": timestamp,
        })
    }

    /// What somebody has sent and received, the newest first.
    pub fn all_messages(&self, number: Number) -> Vec<Value> {
        let of_chat = |chat: &&'_ Chat| {
            (1..=chat.messages.len()).map(|seq| (chat.messages[seq - 1].timestamp.clone(), chat.id, seq)).collect::<Vec<_>>()
        };
        let chats = self.chats_of(number);
        let mut places: Vec<_> = chats.iter().flat_map(of_chat).collect();
        places.sort_by(|one, other| other.cmp(one));
        let find = |id| *chats.iter().find(|chat| chat.id == id).expect("just listed");
        places.into_iter().map(|(_, id, seq)| self.message(find(id), seq)).collect()
    }

    /// The conversations of somebody, the latest first.
    pub fn conversations(&self, number: Number) -> Vec<Value> {
        self.chats_of(number).into_iter().map(|chat| self.conversation(chat, number)).collect()
    }

    fn conversation(&self, chat: &Chat, number: Number) -> Value {
        let (last, side) = (chat.messages.len(), chat.side(number));
        json!({
            "chatId": chat.id.to_string(),
            "user": self.public_user(chat.peer_of(number), number),
            "lastMessage": self.message(chat, last),
            "lastSeq": last,
            "readSeq": chat.read[side],
            "peerReadSeq": chat.read[1 - side],
            "unread": last - chat.read[side],
        })
    }
}

/// Compares what came with what was expected; the difference is told by its place.
pub fn compare(place: &str, expected: &Value, actual: &Value) -> Result<(), String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<std::collections::BTreeSet<_>>();
            if names(expected) != names(actual) {
                return Err(format!("{place}: {:?} instead of {:?}", names(actual), names(expected)));
            }
            expected.iter().try_for_each(|(name, value)| compare(&format!("{place}.{name}"), value, &actual[name]))
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let mut pairs = expected.iter().zip(actual).enumerate();
            pairs.try_for_each(|(index, (expected, actual))| compare(&format!("{place}[{index}]"), expected, actual))
        }
        (Value::String(expected), Value::String(actual)) if expected == TEXT || expected == TIME && actual.ends_with('Z') => Ok(()),
        _ if expected == actual => Ok(()),
        _ => Err(format!("{place}: {actual} instead of {expected}")),
    }
}
