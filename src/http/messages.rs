//! Messages as clients see them.

use serde::Serialize;

use crate::domain::Timestamp;
use crate::store::Message;

/// A message in an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageBody {
    id: String,
    chat_id: String,
    seq: u64,
    sender_id: String,
    recipient_id: String,
    content: String,
    timestamp: Timestamp,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        Self {
            id: message.id().to_string(),
            chat_id: message.chat.to_string(),
            seq: message.seq,
            sender_id: message.sender.to_string(),
            recipient_id: message.recipient().to_string(),
            content: message.content,
            timestamp: message.sent_at,
        }
    }
}
