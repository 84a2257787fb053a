//! What documents tell of changes.

use mongodb::bson::{Binary, RawDocument};
use serde::Deserialize;

use super::computed;
use super::documents::{CHATS, Undecodable, chat_id};
use crate::domain::{ChatId, UserId};
use crate::store::{Change, ChatProgress};

/// The part of a chat's summary that tells how far it has got.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProgressDocument {
    last_message: LastSeq,
    #[serde(default)]
    read_seq: ReadSeqs,
}

#[derive(Deserialize)]
struct LastSeq {
    seq: i64,
}

/// The marks of both members, 0 for one who has neither read nor sent anything.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ReadSeqs {
    #[serde(deserialize_with = "computed::whole_number")]
    low: i64,
    #[serde(deserialize_with = "computed::whole_number")]
    high: i64,
}

impl ProgressDocument {
    pub(super) fn of_chat(&self, chat: ChatId) -> Result<ChatProgress, Undecodable> {
        let last_seq = u64::try_from(self.last_message.seq).map_err(|_negative| Undecodable::new(CHATS, "lastMessage.seq"))?;
        Ok(ChatProgress { chat, last_seq, read_seqs: self.read_seq.to_numbers()? })
    }
}

impl ReadSeqs {
    /// In the order of [`ChatId::members`].
    pub(super) fn to_numbers(&self) -> Result<[u64; 2], Undecodable> {
        let number = |mark| u64::try_from(mark).map_err(|_negative| Undecodable::new(CHATS, "readSeq"));
        Ok([number(self.low)?, number(self.high)?])
    }
}

/// What the summary of the chat with a key tells; `None` when it does not decode.
pub(super) fn chat_change(key: &Binary, summary: &RawDocument) -> Option<Change> {
    let progress: ProgressDocument = mongodb::bson::deserialize_from_slice(summary.as_bytes()).ok()?;
    progress.of_chat(chat_id(key)?).ok().map(Change::Chat)
}

/// What a change of the marker tells in the document of the person with a key; `None` when there can be no such key.
pub(super) fn access_change(key: &Binary) -> Option<Change> {
    key.bytes.as_slice().try_into().ok().map(UserId::from_bytes).map(Change::Access)
}
