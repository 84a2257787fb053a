//! A place in the list over all chats, as an opaque string. It grants nothing: the query behind it carries the caller.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::{ChatId, Timestamp};
use crate::store::MessageCursor;

const CHAT_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;

/// Writes a cursor.
pub(super) fn encode(cursor: &MessageCursor) -> String {
    let mut bytes = Vec::with_capacity(CHAT_BYTES + 2 * NUMBER_BYTES);
    bytes.extend_from_slice(&cursor.sent_at.as_millis().to_be_bytes());
    bytes.extend_from_slice(&cursor.chat.to_bytes());
    bytes.extend_from_slice(&cursor.seq.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`encode`] wrote; `None` for anything else.
pub(super) fn decode(text: &str) -> Option<MessageCursor> {
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
        assert_eq!(decode(&encode(&cursor)), Some(cursor));
    }

    proptest! {
        #[test]
        fn any_text_is_a_cursor_in_its_one_spelling_or_none(text in "[A-Za-z0-9_=-]{0,80}") {
            if let Some(cursor) = decode(&text) {
                prop_assert_eq!(encode(&cursor), text);
            }
        }
    }
}
