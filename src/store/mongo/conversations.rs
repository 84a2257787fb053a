//! The list of a person's conversations, and how far they have read in each.

use std::collections::HashMap;

use mongodb::bson::{Binary, DateTime, Document, Uuid, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::MongoStore;
use super::documents::{CHANGED_AT, CHATS, Undecodable, chat_id, chat_key, date, stored_seq, time, user_id, user_key};
use super::progress::{ProgressDocument, ReadSeqs};
use super::reads::page;
use crate::domain::{ChatId, Timestamp, UserId};
use crate::store::{Change, Conversation, ConversationCursor, Marking, Message, Person, StoreError};

/// The summary of a chat.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConversationDocument {
    #[serde(rename = "_id")]
    id: Binary,
    last_message: LastMessage,
    #[serde(default)]
    read_seq: ReadSeqs,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastMessage {
    seq: i64,
    sent_at: DateTime,
    sender: Uuid,
    content: String,
}

impl MongoStore {
    pub(super) async fn conversations_of(
        &self,
        user: UserId,
        before: Option<&ConversationCursor>,
        limit: usize,
        at: Timestamp,
    ) -> Result<Vec<Conversation>, StoreError> {
        let mut options = page(doc! { "lastMessage.sentAt": -1, "_id": -1 }, limit)?;
        options.projection = Some(doc! { "lastMessage": 1, "readSeq": 1 });
        let decode = |summary: ConversationDocument| summary.into_conversation(user);
        let mut conversations = self.find_decodable(CHATS, behind(user, before), options, decode).await?;
        let peers = conversations.iter().filter_map(|conversation| conversation.chat().peer_of(user)).map(user_key).collect();
        // Whoever has blocked the reader is among them: what they wrote before stays theirs to read.
        let people = self.people_among(user, peers, Document::new(), at).await?;
        let mut people: HashMap<UserId, Person> = people.into_iter().map(|person| (person.id, person)).collect();
        for conversation in &mut conversations {
            conversation.peer = conversation.chat().peer_of(user).and_then(|peer| people.remove(&peer));
        }
        Ok(conversations)
    }

    /// Moves a mark in the chat's summary. After a crash the summary may lag behind the messages, so when it knows none of that
    /// number, the last message is looked at, and the summary is brought up to it first.
    pub(super) async fn mark(&self, reader: UserId, chat: ChatId, seq: u64) -> Result<Marking, StoreError> {
        if chat.peer_of(reader).is_none() {
            return Ok(Marking::NoChat);
        }
        if let Some(marking) = self.move_mark(reader, chat, seq).await? {
            return Ok(marking);
        }
        match self.find_last_message(chat).await? {
            None => Ok(Marking::NoChat),
            Some(last) if last.seq < seq => Ok(Marking::BeyondLast),
            Some(last) => {
                self.bring_forward(&last).await?;
                let marking = self.move_mark(reader, chat, seq).await?;
                marking.ok_or_else(|| StoreError::broken("the summary of a chat does not follow its messages"))
            }
        }
    }

    /// `None` when the summary knows no message of that number. A mark that is as far already is no change of the document.
    async fn move_mark(&self, reader: UserId, chat: ChatId, seq: u64) -> Result<Option<Marking>, StoreError> {
        let [low, _] = chat.members();
        let (is_low, mark) = (reader == low, stored_seq(seq));
        let (field, path) = if is_low { ("readSeq.low", "$readSeq.low") } else { ("readSeq.high", "$readSeq.high") };
        let is_further = doc! { "$lt": [{ "$ifNull": [path, 0_i64] }, mark] };
        let update = vec![doc! { "$set": {
            field: { "$max": [path, mark] },
            CHANGED_AT: { "$cond": [is_further, "$$NOW", format!("${CHANGED_AT}")] },
        } }];
        let filter = doc! { "_id": chat_key(chat), "lastMessage.seq": { "$gte": mark } };
        let before: Option<ProgressDocument> = self
            .connection
            .write(|database| async move {
                let chats = database.collection::<ProgressDocument>(CHATS);
                let update = chats.find_one_and_update(filter, update).return_document(ReturnDocument::Before);
                update.projection(doc! { "_id": 0, "lastMessage.seq": 1, "readSeq": 1 }).await
            })
            .await?;
        let Some(before) = before else { return Ok(None) };
        let mut progress = before.of_chat(chat).map_err(StoreError::broken)?;
        let own = &mut progress.read_seqs[usize::from(!is_low)];
        let (is_moved, read_seq) = (*own < seq, seq.max(*own));
        *own = read_seq;
        if is_moved {
            self.listeners.tell(&Change::Chat(progress));
        }
        Ok(Some(Marking::Read { read_seq, last_seq: progress.last_seq }))
    }
}

/// A person's chats behind a cursor. The first condition bounds the walk along the index.
fn behind(user: UserId, before: Option<&ConversationCursor>) -> Document {
    let mut filter = doc! { "members": user_key(user) };
    if let Some(cursor) = before {
        let at = date(cursor.sent_at);
        filter.insert("lastMessage.sentAt", doc! { "$lte": at });
        filter.insert("$or", [doc! { "lastMessage.sentAt": { "$lt": at } }, doc! { "_id": { "$lt": chat_key(cursor.chat) } }]);
    }
    filter
}

impl ConversationDocument {
    /// As `reader` sees it, without the other person.
    fn into_conversation(self, reader: UserId) -> Result<Conversation, Undecodable> {
        let impossible = |field| Undecodable::new(CHATS, field);
        let chat = chat_id(&self.id).ok_or_else(|| impossible("key"))?;
        let sender = user_id(self.last_message.sender);
        if chat.peer_of(reader).is_none() || chat.peer_of(sender).is_none() {
            return Err(impossible("member"));
        }
        let ([low, _], [of_low, of_high]) = (chat.members(), self.read_seq.to_numbers()?);
        let (read_seq, peer_read_seq) = if reader == low { (of_low, of_high) } else { (of_high, of_low) };
        Ok(Conversation {
            reader,
            last_message: Message {
                chat,
                seq: u64::try_from(self.last_message.seq).map_err(|_negative| impossible("lastMessage.seq"))?,
                sender,
                content: self.last_message.content,
                sent_at: time(self.last_message.sent_at),
            },
            read_seq,
            peer_read_seq,
            peer: None,
        })
    }
}
