//! Messages as clients see them.

use serde::Serialize;

use crate::domain::{ChatId, MessageId, Timestamp, UserId};
use crate::store::Message;

/// A message in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody {
    id: MessageId,
    chat_id: ChatId,
    seq: u64,
    sender_id: UserId,
    recipient_id: UserId,
    content: String,
    timestamp: Timestamp,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        Self {
            id: message.id(),
            chat_id: message.chat,
            seq: message.seq,
            sender_id: message.sender,
            recipient_id: message.recipient(),
            content: message.content,
            timestamp: message.sent_at,
        }
    }
}
