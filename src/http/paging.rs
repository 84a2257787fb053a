//! How long a page is, and where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::schemas::whole_number;
use super::{Fields, Query, optional};
use crate::domain::{ChatId, Timestamp};
use crate::store::{Message, MessageCursor};

/// Most entries of a page.
pub const MAX_PAGE_ENTRIES: usize = 100;
const DEFAULT_PAGE_ENTRIES: usize = 50;
/// A page stops at this much text in bytes, so that a hundred of the longest messages do not make one answer.
const MAX_PAGE_BYTES: usize = 512 * 1024;

const CHAT_BYTES: usize = 32;
const NUMBER_BYTES: usize = 8;

/// How many entries the parameter `limit` asks for.
pub fn take_limit(query: &mut Query, fields: &mut Fields) -> usize {
    let limit = fields.optional("limit", query.take("limit"), |text| {
        let limit = text.parse().ok().filter(|limit| (1..=MAX_PAGE_ENTRIES).contains(limit));
        limit.ok_or_else(|| format!("must be a number from 1 to {MAX_PAGE_ENTRIES}"))
    });
    limit.unwrap_or(DEFAULT_PAGE_ENTRIES)
}

/// The parameter `limit` in the document of the API.
#[must_use]
pub fn limit_parameter() -> Parameter {
    let number = whole_number(1, MAX_PAGE_ENTRIES, DEFAULT_PAGE_ENTRIES);
    optional("limit", ParameterIn::Query, number, "Entries of the page at most. A page of long messages may have fewer.")
}

/// How many messages from the front fit into a page; at least one.
pub fn count_fitting<'a>(messages: impl Iterator<Item = &'a Message>) -> usize {
    let sizes = messages.scan(0, |total, message| {
        *total += message.content.len();
        Some(*total)
    });
    sizes.enumerate().take_while(|(index, total)| *index == 0 || *total <= MAX_PAGE_BYTES).count()
}

/// Cuts a list over several chats, newest first, to a page of at most `limit` entries; gives the cursor to what follows,
/// if anything does. `list` holds one more entry than `limit` when there is one; each entry has its place by a message.
pub fn cut_page<T>(list: &mut Vec<T>, limit: usize, message_of: impl Fn(&T) -> &Message) -> Option<String> {
    let fitting = count_fitting(list.iter().take(limit).map(&message_of));
    let has_more = fitting < list.len();
    list.truncate(fitting);
    list.last().filter(|_| has_more).map(|last| encode_cursor(&MessageCursor::of(message_of(last))))
}

/// Writes a place in a list over several chats as an opaque string. It grants nothing: the query behind it carries the
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
