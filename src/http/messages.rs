//! Messages as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{ChatId, MessageId, MessageText, Timestamp, UserId};
use crate::store::Message;

/// A message in an answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageBody {
    id: MessageId,
    chat_id: ChatId,
    /// Its number in its chat.
    #[schema(minimum = 1, examples(42))]
    seq: u64,
    sender_id: UserId,
    recipient_id: UserId,
    #[schema(value_type = MessageText)]
    content: String,
    timestamp: Timestamp,
}

impl MessageBody {
    /// Its number in its chat.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }
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
