//! Friends and chats by the driver, as the documents that the store would have written.

use chat_functions::domain::{ChatId, Timestamp, UserId};
use chat_functions::store::Message;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime, Document, Uuid, doc};
use mongodb::{Collection, Database};

use super::{Chat, client_id, sent_at};

/// Documents written at once.
const BATCH: usize = 5_000;

/// A database whose indexes a store has made.
pub struct Loader {
    users: Collection<Document>,
    chats: Batch,
    messages: Batch,
}

/// Documents of one collection that are still to be written.
struct Batch {
    collection: Collection<Document>,
    documents: Vec<Document>,
}

impl Loader {
    pub fn open(database: &Database) -> Self {
        let batch = |name| Batch { collection: database.collection(name), documents: Vec::with_capacity(BATCH) };
        Self { users: database.collection("users"), chats: batch("chats"), messages: batch("messages") }
    }

    pub async fn add_friends(&self, person: UserId, friends: &[UserId]) {
        let friend = |id: &UserId| doc! { "id": user_key(*id), "addedAt": date(sent_at(0)) };
        let friends: Vec<Document> = friends.iter().map(friend).collect();
        let update = doc! { "$set": { "friends": friends } };
        self.users.update_one(doc! { "_id": user_key(person) }, update).await.expect("written");
    }

    pub async fn add(&mut self, chat: &Chat) {
        let ([low, high], last, read_seq) = (chat.id.members(), chat.last_message(), number(chat.read_seq()));
        let last_message = doc! {
            "seq": number(last.seq),
            "sentAt": date(last.sent_at),
            "sender": user_key(last.sender),
            "content": last.content,
        };
        let summary = doc! {
            "_id": chat_key(chat.id),
            "members": [user_key(low), user_key(high)],
            "lastMessage": last_message,
            "readSeq": { "low": read_seq, "high": read_seq },
            "changedAt": date(last.sent_at),
        };
        self.chats.add(summary).await;
        for message in chat.messages() {
            self.messages.add(document_of(&message)).await;
        }
    }

    pub async fn finish(mut self) {
        self.chats.write().await;
        self.messages.write().await;
    }
}

/// A message as the store keeps it.
pub fn document_of(message: &Message) -> Document {
    doc! {
        "_id": { "chat": chat_key(message.chat), "seq": number(message.seq) },
        "sender": user_key(message.sender),
        "recipient": user_key(message.recipient()),
        "content": &message.content,
        "sentAt": date(message.sent_at),
        "clientId": client_id(message.seq),
    }
}

impl Batch {
    async fn add(&mut self, document: Document) {
        self.documents.push(document);
        if self.documents.len() == BATCH {
            self.write().await;
        }
    }

    async fn write(&mut self) {
        if !self.documents.is_empty() {
            self.collection.insert_many(self.documents.drain(..)).ordered(false).await.expect("written");
        }
    }
}

fn chat_key(id: ChatId) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: id.to_bytes().to_vec() }
}

fn user_key(id: UserId) -> Uuid {
    Uuid::from_bytes(id.to_bytes())
}

fn number(number: u64) -> i64 {
    i64::try_from(number).expect("a number that BSON has")
}

fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.as_millis())
}
