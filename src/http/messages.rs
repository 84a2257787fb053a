//! Messages as clients see them, and pages over all chats of a person.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::domain::{ChatId, Timestamp};
use crate::store::{Message, MessageCursor};

/// A page stops at this much text in bytes, so that a hundred of the longest messages do not make one answer.
const MAX_PAGE_BYTES: usize = 512 * 1024;

const CHAT_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;

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

/// How many messages from the front fit into a page; at least one.
pub fn count_fitting<'a>(messages: impl Iterator<Item = &'a Message>) -> usize {
    let sizes = messages.scan(0, |total, message| {
        *total += message.content.len();
        Some(*total)
    });
    sizes.enumerate().take_while(|(index, total)| *index == 0 || *total <= MAX_PAGE_BYTES).count()
}

/// Cuts a list over all chats, newest first, to a page of at most `limit` messages; gives the cursor to what follows, if
/// anything does. `list` holds one more message than `limit` when there is one.
pub fn cut_page(list: &mut Vec<Message>, limit: usize) -> Option<String> {
    let fitting = count_fitting(list.iter().take(limit));
    let has_more = fitting < list.len();
    list.truncate(fitting);
    list.last().filter(|_| has_more).map(|last| encode_cursor(&MessageCursor::of(last)))
}

/// Writes a place in the list over all chats as an opaque string. It grants nothing: the query behind it carries the
/// caller.
fn encode_cursor(cursor: &MessageCursor) -> String {
    let mut bytes = Vec::with_capacity(CHAT_BYTES + 2 * NUMBER_BYTES);
    bytes.extend_from_slice(&cursor.sent_at.as_millis().to_be_bytes());
    bytes.extend_from_slice(&cursor.chat.to_bytes());
    bytes.extend_from_slice(&cursor.seq.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor that [`cut_page`] gave; `None` for anything else.
#[must_use]
pub fn decode_cursor(text: &str) -> Option<MessageCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (sent_at, rest) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    let (chat, rest) = rest.split_first_chunk::<CHAT_BYTES>()?;
    let seq = u64::from_be_bytes(rest.try_into().ok()?);
    let sent_at = Timestamp::from_millis(i64::from_be_bytes(*sent_at));
    i64::try_from(seq).ok()?;
    Some(MessageCursor { sent_at, chat: ChatId::from_bytes(*chat)?, seq })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::UserId;

    #[test]
    fn a_cursor_reads_back_what_it_writes() {
        let chat = ChatId::between(UserId::generate(), UserId::generate()).expect("two people");
        let cursor = MessageCursor { sent_at: Timestamp::from_millis(1_800_000_000_007), chat, seq: 42 };
        assert_eq!(decode_cursor(&encode_cursor(&cursor)), Some(cursor));
    }

    proptest! {
        #[test]
        fn any_text_is_a_cursor_in_its_one_spelling_or_none(text in "[A-Za-z0-9_=-]{0,80}") {
            if let Some(cursor) = decode_cursor(&text) {
                prop_assert_eq!(encode_cursor(&cursor), text);
            }
        }
    }
}
