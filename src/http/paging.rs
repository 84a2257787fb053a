//! How long a page is, and where the next one begins.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::schemas::whole_number;
use super::{ApiError, ErrorCode, Fields, MessageBody, Query, optional};
use crate::domain::{ChatId, Timestamp};
use crate::store::{Message, MessageCursor};

/// Most entries of a page.
pub const MAX_PAGE_ENTRIES: usize = 100;
const DEFAULT_PAGE_ENTRIES: usize = 50;
/// A page stops at so many bytes as they are sent, so that a hundred of the longest messages do not make one answer.
const MAX_PAGE_BYTES: usize = 512 * 1024;
/// Bytes for what stands around the entries: names, brackets and a cursor.
const FRAME_BYTES: usize = 256;

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

/// What is left of the bytes of a page.
#[derive(Debug)]
pub struct Room {
    left: usize,
    is_untouched: bool,
}

impl Room {
    /// That of a page which begins with so many bytes.
    #[must_use]
    pub fn after(bytes: usize) -> Self {
        Self { left: MAX_PAGE_BYTES.saturating_sub(FRAME_BYTES + bytes), is_untouched: true }
    }

    /// Takes an entry in, if it fits as it is sent: written as JSON, with a separator. The first one always does.
    pub fn admits(&mut self, entry: &impl Serialize) -> Result<bool, ApiError> {
        let mut size = Size(1);
        serde_json::to_writer(&mut size, entry).map_err(|error| ApiError::caused(ErrorCode::Internal, error))?;
        let fits = size.0 <= self.left || self.is_untouched;
        self.left = if fits { self.left.saturating_sub(size.0) } else { 0 };
        self.is_untouched = false;
        Ok(fits)
    }
}

/// Counts what is written.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages from the front that fit into a page.
pub fn fill_page(messages: impl IntoIterator<Item = Message>) -> Result<Vec<MessageBody>, ApiError> {
    let (mut room, mut page) = (Room::after(0), Vec::new());
    for message in messages {
        let entry = MessageBody::from(message);
        if !room.admits(&entry)? {
            break;
        }
        page.push(entry);
    }
    Ok(page)
}

/// Cuts a list over several chats, newest first, to a page of at most `limit` entries that fit; gives the cursor to what follows,
/// if anything does. `list` holds one more entry than `limit` when there is one; each entry has its place by a message.
pub fn cut_page<T, E: Serialize>(
    list: Vec<T>,
    limit: usize,
    mut room: Room,
    message_of: impl Fn(&T) -> &Message,
    entry_of: impl Fn(T) -> E,
) -> Result<(Vec<E>, Option<String>), ApiError> {
    let (total, mut page, mut cursor) = (list.len(), Vec::new(), None);
    for record in list.into_iter().take(limit) {
        let place = MessageCursor::of(message_of(&record));
        let entry = entry_of(record);
        if !room.admits(&entry)? {
            break;
        }
        page.push(entry);
        cursor = Some(place);
    }
    let next = cursor.filter(|_| page.len() < total).map(|cursor| encode_cursor(&cursor));
    Ok((page, next))
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

    /// Messages as they were kept before control characters were refused are on it too.
    #[test]
    fn a_page_is_as_long_as_what_is_sent_of_it() {
        let (ann, bob) = (UserId::generate(), UserId::generate());
        let chat = ChatId::between(ann, bob).expect("two people");
        for text in ["\u{1}", "\u{7f}", "\"", "\u{1f600}", "x"] {
            let message =
                |seq| Message { chat, seq, sender: ann, content: text.repeat(4_000), sent_at: Timestamp::from_millis(1_800_000_000_007) };
            for before in [0, 100_000] {
                let list = (0..200).rev().map(message).collect();
                let (page, next) = cut_page(list, 150, Room::after(before), |message| message, MessageBody::from).expect("a page");
                let sent = before + serde_json::to_vec(&serde_json::json!({ "messages": page, "nextBefore": next })).expect("JSON").len();
                let entry = sent / page.len();
                assert!(sent <= MAX_PAGE_BYTES && next.is_some(), "{} of {text:?} in {sent} bytes", page.len());
                assert!(page.len() == 150 || sent + entry > MAX_PAGE_BYTES - FRAME_BYTES, "{} of {text:?} in {sent} bytes", page.len());
            }
        }
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
