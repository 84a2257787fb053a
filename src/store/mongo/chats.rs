//! Chats and messages in MongoDB.
//!
//! A message's key is its chat and number, so the unique key decides who gets a number. A send inserts the number after
//! the last one it knows; when another writer was faster it looks again. Since nobody inserts a number without having
//! seen its predecessor with the majority, there is no gap, whoever writes and whatever fails.
//!
//! The chat's own document is a summary that every send brings forward by maxima only. The order in which summaries
//! arrive does not matter, repeating one changes nothing, and one that was lost is made up by the next or by the
//! repetition of its send.

use async_trait::async_trait;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::options::FindOptions;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{
    CHANGED_AT, CHATS, MESSAGES, MessageDocument, Undecodable, chat_id, chat_key, date, message_key, stored_seq, time, user_key,
};
use super::failure::unless_duplicate;
use super::patience::Patience;
use super::reads::page;
use crate::domain::{ChatId, ClientId, Timestamp, UserId};
use crate::store::{
    Append, Change, ChatHead, ChatProgress, ChatStore, Conversation, ConversationCursor, Marking, Message, MessageCursor, NewMessage,
    StoreError, Window,
};

/// Attempts at a summary. One collision is all that can be expected.
const MAX_ATTEMPTS: usize = 10;

#[derive(Deserialize)]
struct ChatKeyDocument {
    #[serde(rename = "_id")]
    id: Binary,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadDocument {
    last_message: LastMessage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastMessage {
    seq: i64,
    sent_at: DateTime,
}

#[async_trait]
impl ChatStore for MongoStore {
    async fn list_chat_ids(&self, user: UserId, limit: usize) -> Result<Vec<ChatId>, StoreError> {
        let mut options = page(doc! { "lastMessage.sentAt": -1, "_id": -1 }, limit)?;
        options.projection = Some(doc! { "_id": 1 });
        let decode = |key: ChatKeyDocument| chat_id(&key.id).ok_or_else(|| Undecodable::new(CHATS, "key"));
        self.find_decodable(CHATS, doc! { "members": user_key(user) }, options, decode).await
    }

    async fn find_chat_head(&self, chat: ChatId) -> Result<Option<ChatHead>, StoreError> {
        let filter = doc! { "_id": chat_key(chat) };
        let projection = doc! { "_id": 0, "lastMessage.seq": 1, "lastMessage.sentAt": 1 };
        let head: Option<HeadDocument> = self.find_one(CHATS, filter, projection).await?;
        head.map(|HeadDocument { last_message: last }| {
            let last_seq = u64::try_from(last.seq).map_err(StoreError::broken)?;
            Ok(ChatHead { last_seq, last_sent_at: time(last.sent_at) })
        })
        .transpose()
    }

    /// Two operations when `head` is fresh: the message, then the summary. A repetition, whether by the client or after
    /// a lost answer, finds the message by its client id and brings the summary up to it. Without a client id a lost
    /// answer is told as unknown, and nothing is tried again here.
    async fn append_message(&self, message: &NewMessage, head: Option<ChatHead>) -> Result<Append, StoreError> {
        let (store, message) = (self.clone(), message.clone());
        // Of the two steps none may be left out because nobody waits any more.
        tokio::spawn(async move { store.append(&message, head).await }).await.map_err(StoreError::broken)?
    }

    async fn list_chat_messages(&self, chat: ChatId, window: Window, limit: usize) -> Result<Vec<Message>, StoreError> {
        let (above, below, direction) = match window {
            Window::Newest => (0, u64::MAX, -1),
            Window::Before(seq) => (0, seq, -1),
            Window::After(seq) => (seq, u64::MAX, 1),
        };
        let range = doc! { "_id": { "$gt": message_key(chat, above), "$lt": message_key(chat, below) } };
        let mut messages = self.find_messages(range, page(doc! { "_id": direction }, limit)?).await?;
        if direction < 0 {
            messages.reverse();
        }
        Ok(messages)
    }

    async fn list_messages(&self, user: UserId, before: Option<&MessageCursor>, limit: usize) -> Result<Vec<Message>, StoreError> {
        // Each walks one index; of either the newest may be needed, so each gives a whole page.
        let options = page(doc! { "sentAt": -1, "_id": -1 }, limit)?;
        let walk = |side| self.find_decodable(MESSAGES, behind(side, user, before), options.clone(), MessageDocument::into_message);
        let (mut messages, received) = futures_util::try_join!(walk("sender"), walk("recipient"))?;
        messages.extend(received);
        messages.sort_unstable_by_key(|message| std::cmp::Reverse(MessageCursor::of(message)));
        messages.truncate(limit);
        Ok(messages)
    }

    async fn list_conversations(
        &self,
        user: UserId,
        before: Option<&ConversationCursor>,
        limit: usize,
        at: Timestamp,
    ) -> Result<Vec<Conversation>, StoreError> {
        self.conversations_of(user, before, limit, at).await
    }

    async fn mark_read(&self, reader: UserId, chat: ChatId, seq: u64) -> Result<Marking, StoreError> {
        let store = self.clone();
        // A mark that was begun is told though nobody waits for it any more.
        tokio::spawn(async move { store.mark(reader, chat, seq).await }).await.map_err(StoreError::broken)?
    }
}

impl MongoStore {
    async fn append(&self, message: &NewMessage, head: Option<ChatHead>) -> Result<Append, StoreError> {
        let turn = self.turns.take(message.chat).await?;
        let (mut last, mut patience) = (head, Patience::begin());
        loop {
            let next = message.after(last);
            if self.insert(&next, message.client_id.as_ref()).await? {
                drop(turn);
                let summarised = self.bring_forward(&next).await;
                // The message is there whatever became of the summary.
                self.listeners.tell(&Change::Chat(ChatProgress::of_message(&next)));
                summarised.map_err(StoreError::after_a_change)?;
                return Ok(Append::Stored(next));
            }
            if let Some(first) = self.find_repeated(message).await? {
                return self.replay(message, first, head).await;
            }
            // What took the number may not be with the majority yet. Until it is, it may be undone, and its number is free again.
            let found = self.find_last(message.chat).await?.filter(|found| found.last_seq >= next.seq);
            patience.try_again(found.is_some()).await?;
            last = found.or(last);
        }
    }

    /// Whether the number was free.
    async fn insert(&self, message: &Message, client_id: Option<&ClientId>) -> Result<bool, StoreError> {
        let document = MessageDocument::new(message, client_id.map(ClientId::as_str));
        let inserted = self
            .connection
            .write(|database| async move { unless_duplicate(database.collection(MESSAGES).insert_one(document).await) })
            .await?;
        Ok(inserted.is_some())
    }

    /// Brings the chat's summary up to a message. `lastMessage` compares by its first field, the number.
    pub(super) async fn bring_forward(&self, message: &Message) -> Result<(), StoreError> {
        let (seq, [low, high]) = (stored_seq(message.seq), message.chat.members());
        let read_mark = if message.sender == low { "readSeq.low" } else { "readSeq.high" };
        let last = doc! {
            "seq": seq,
            "sentAt": date(message.sent_at),
            "sender": user_key(message.sender),
            "content": message.content.as_str(),
        };
        let update = doc! {
            "$max": { "lastMessage": last, read_mark: seq },
            "$currentDate": { CHANGED_AT: true },
            "$setOnInsert": { "members": [user_key(low), user_key(high)] },
        };
        let filter = doc! { "_id": chat_key(message.chat) };
        for _ in 0..MAX_ATTEMPTS {
            let (filter, update) = (filter.clone(), update.clone());
            let written = self
                .connection
                .write(|database| async move {
                    unless_duplicate(database.collection::<Document>(CHATS).update_one(filter, update).upsert(true).await)
                })
                .await?;
            // Two first messages may both try to create the document; the second then finds it.
            if written.is_some() {
                return Ok(());
            }
        }
        Err(StoreError::outcome_unknown("the summary of a chat could not be written"))
    }

    async fn replay(&self, message: &NewMessage, first: Message, head: Option<ChatHead>) -> Result<Append, StoreError> {
        let repeated = message.repeating(first);
        if let Append::Replayed(first) = &repeated
            && head.is_none_or(|head| head.last_seq < first.seq)
        {
            self.bring_forward(first).await?;
            self.listeners.tell(&Change::Chat(ChatProgress::of_message(first)));
        }
        Ok(repeated)
    }

    async fn find_repeated(&self, message: &NewMessage) -> Result<Option<Message>, StoreError> {
        let Some(client_id) = &message.client_id else { return Ok(None) };
        let filter = doc! { "_id.chat": chat_key(message.chat), "sender": user_key(message.sender), "clientId": client_id.as_str() };
        Ok(self.find_messages(filter, page(doc! {}, 1)?).await?.pop())
    }

    async fn find_last(&self, chat: ChatId) -> Result<Option<ChatHead>, StoreError> {
        let last = self.find_last_message(chat).await?;
        Ok(last.map(|last| ChatHead { last_seq: last.seq, last_sent_at: last.sent_at }))
    }

    /// The last message of a chat that the majority has. A number may be put after no other one: what only the primary has is
    /// gone when another server takes its place, and would leave a gap.
    pub(super) async fn find_last_message(&self, chat: ChatId) -> Result<Option<Message>, StoreError> {
        Ok(self.list_chat_messages(chat, Window::Newest, 1).await?.pop())
    }

    async fn find_messages(&self, filter: Document, options: FindOptions) -> Result<Vec<Message>, StoreError> {
        let documents: Vec<MessageDocument> = self.find(MESSAGES, filter, options).await?;
        documents.into_iter().map(|document| document.into_message().map_err(StoreError::broken)).collect()
    }
}

/// What one side of a person's messages holds behind a cursor. The first condition bounds the walk along the index.
fn behind(side: &str, user: UserId, before: Option<&MessageCursor>) -> Document {
    let mut filter = doc! { side: user_key(user) };
    if let Some(cursor) = before {
        let at = date(cursor.sent_at);
        filter.insert("sentAt", doc! { "$lte": at });
        filter.insert("$or", [doc! { "sentAt": { "$lt": at } }, doc! { "_id": { "$lt": message_key(cursor.chat, cursor.seq) } }]);
    }
    filter
}
