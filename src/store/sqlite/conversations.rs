//! Conversations and their read marks in SQLite.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{people, rows};
use crate::domain::{ChatId, Timestamp, UserId};
use crate::store::{Change, ChatProgress, Conversation, ConversationCursor, Marking};

/// Has no limit: it is stepped through only as far as the page needs.
const SELECT_CHATS: &str = "
    SELECT chat FROM chat_members
    WHERE user = ?1 AND (last_sent_at, chat) < (?2, ?3) ORDER BY last_sent_at DESC, chat DESC";
const SELECT_LAST_MESSAGE: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages WHERE chat = ?1 ORDER BY seq DESC LIMIT 1";
const SELECT_READ_SEQ: &str = "SELECT read_seq FROM chat_members WHERE user = ?1 AND chat = ?2";
const SELECT_PROGRESS: &str = "
    SELECT read_seq, last_seq FROM chat_members CROSS JOIN chats ON id = chat WHERE user = ?1 AND chat = ?2";
/// A mark never moves back.
const MOVE_MARK: &str = "UPDATE chat_members SET read_seq = ?3 WHERE user = ?1 AND chat = ?2 AND read_seq < ?3";

/// A page of somebody's conversations: one walk along an index and a few look-ups for each.
pub(super) fn select(
    connection: &Connection,
    reader: UserId,
    before: Option<ConversationCursor>,
    limit: usize,
    at: Timestamp,
) -> rusqlite::Result<Vec<Conversation>> {
    // Without a cursor, from behind everything: no chat has the highest id, and no message the highest time.
    let (sent_at, chat) =
        before.map_or((Timestamp::from_millis(i64::MAX), [u8::MAX; 32]), |cursor| (cursor.sent_at, cursor.chat.to_bytes()));
    let mut chats = connection.prepare_cached(SELECT_CHATS)?;
    let walk = chats.query(params![reader.to_bytes(), sent_at.as_millis(), chat])?;
    rows::decodable(walk, limit, rows::chat_key, |row| select_one(connection, row, reader, at))
}

fn select_one(connection: &Connection, row: &Row<'_>, reader: UserId, at: Timestamp) -> rusqlite::Result<Conversation> {
    let chat = rows::chat_id(row, 0)?;
    let peer = chat.peer_of(reader).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Conversation {
        reader,
        last_message: connection.prepare_cached(SELECT_LAST_MESSAGE)?.query_row([chat.to_bytes()], rows::message)?,
        read_seq: select_read_seq(connection, reader, chat)?,
        peer_read_seq: select_read_seq(connection, peer, chat)?,
        peer: people::select_person(connection, peer, reader, at)?,
    })
}

fn select_read_seq(connection: &Connection, member: UserId, chat: ChatId) -> rusqlite::Result<u64> {
    connection.prepare_cached(SELECT_READ_SEQ)?.query_row(params![member.to_bytes(), chat.to_bytes()], |row| rows::seq(row, 0))
}

/// Moves a read mark forwards; tells of it only if it has moved.
pub(super) fn mark(connection: &Connection, reader: UserId, chat: ChatId, seq: u64) -> rusqlite::Result<(Marking, Option<Change>)> {
    let member = params![reader.to_bytes(), chat.to_bytes()];
    let progress = |row: &Row<'_>| Ok((rows::seq(row, 0)?, rows::seq(row, 1)?));
    let Some((present, last_seq)) = connection.prepare_cached(SELECT_PROGRESS)?.query_row(member, progress).optional()? else {
        return Ok((Marking::NoChat, None));
    };
    if seq > last_seq {
        return Ok((Marking::BeyondLast, None));
    }
    let moved = connection.prepare_cached(MOVE_MARK)?.execute(params![reader.to_bytes(), chat.to_bytes(), rows::to_sql_seq(seq)])? > 0;
    let read_seq = seq.max(present);
    let news = moved.then(|| Change::Chat(ChatProgress::of_reader(chat, reader, read_seq, last_seq)));
    Ok((Marking::Read { read_seq, last_seq }, news))
}

#[cfg(test)]
mod tests {
    use super::super::schema::assert_plan;
    use super::*;

    #[test]
    fn a_list_is_one_walk_along_an_index_and_look_ups_by_key() {
        let walk = "SEARCH chat_members USING COVERING INDEX chat_members_latest (user=? AND (last_sent_at,chat)<(?,?))";
        assert_plan(SELECT_CHATS, &[walk]);
        assert_plan(SELECT_LAST_MESSAGE, &["SEARCH messages USING PRIMARY KEY (chat=?)"]);
        let member = "SEARCH chat_members USING PRIMARY KEY (user=? AND chat=?)";
        assert_plan(SELECT_READ_SEQ, &[member]);
        assert_plan(SELECT_PROGRESS, &[member, "SEARCH chats USING PRIMARY KEY (id=?)"]);
        assert_plan(MOVE_MARK, &[member]);
    }
}
