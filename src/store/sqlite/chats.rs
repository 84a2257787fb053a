//! Chats and messages in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{SqliteStore, conversations, rows};
use crate::domain::{ChatId, ClientId, Timestamp, UserId};
use crate::store::{
    Append, Change, ChatHead, ChatProgress, ChatStore, Conversation, ConversationCursor, Marking, Message, MessageCursor, NewMessage,
    StoreError, Window,
};

/// Like the other lists over all chats it has no limit: it is stepped through only as far as the page needs.
const SELECT_CHAT_IDS: &str = "
    SELECT chat FROM chat_members WHERE user = ?1 ORDER BY last_sent_at DESC, chat DESC";
const SELECT_HEAD: &str = "SELECT last_seq, last_sent_at FROM chats WHERE id = ?1";
const SELECT_BY_CLIENT_ID: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages WHERE chat = ?1 AND sender = ?2 AND client_id = ?3";
const SELECT_BEFORE: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages WHERE chat = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";
const SELECT_AFTER: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages WHERE chat = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const SELECT_SENT: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages
    WHERE sender = ?1 AND (sent_at, chat, seq) < (?2, ?3, ?4) ORDER BY sent_at DESC, chat DESC, seq DESC";
const SELECT_RECEIVED: &str = "
    SELECT chat, seq, sender, content, sent_at FROM messages
    WHERE recipient = ?1 AND (sent_at, chat, seq) < (?2, ?3, ?4) ORDER BY sent_at DESC, chat DESC, seq DESC";
const UPSERT_CHAT: &str = "
    INSERT INTO chats (id, last_seq, last_sent_at) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET last_seq = excluded.last_seq, last_sent_at = excluded.last_sent_at";
/// The read mark never moves back.
const UPSERT_MEMBER: &str = "
    INSERT INTO chat_members (user, chat, last_sent_at, read_seq) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (user, chat) DO UPDATE SET last_sent_at = excluded.last_sent_at, read_seq = max(read_seq, excluded.read_seq)";
const INSERT_MESSAGE: &str = "
    INSERT INTO messages (chat, seq, sender, recipient, content, sent_at, client_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

#[async_trait]
impl ChatStore for SqliteStore {
    async fn list_chat_ids(&self, user: UserId, limit: usize) -> Result<Vec<ChatId>, StoreError> {
        self.read(move |snapshot| {
            let mut chats = snapshot.prepare_cached(SELECT_CHAT_IDS)?;
            let walk = chats.query([user.to_bytes()])?;
            rows::decodable(walk, limit, rows::chat_key, |row| rows::chat_id(row, 0))
        })
        .await
    }

    async fn find_chat_head(&self, chat: ChatId) -> Result<Option<ChatHead>, StoreError> {
        self.read(move |snapshot| select_head(snapshot, chat)).await
    }

    /// One transaction of the only writer: the hint is not needed.
    async fn append_message(&self, message: &NewMessage, _head: Option<ChatHead>) -> Result<Append, StoreError> {
        let message = message.clone();
        self.add(move |connection| append(connection, &message)).await
    }

    async fn list_chat_messages(&self, chat: ChatId, window: Window, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.read(move |snapshot| {
            let (query, bound, descends) = match window {
                Window::Newest => (SELECT_BEFORE, i64::MAX, true),
                Window::Before(seq) => (SELECT_BEFORE, rows::to_sql_seq(seq), true),
                Window::After(seq) => (SELECT_AFTER, rows::to_sql_seq(seq), false),
            };
            let mut messages = snapshot.prepare_cached(query)?;
            let page: rusqlite::Result<Vec<Message>> =
                messages.query_map(params![chat.to_bytes(), bound, rows::to_sql_limit(limit)], rows::message)?.collect();
            page.map(|mut page| {
                if descends {
                    page.reverse();
                }
                page
            })
        })
        .await
    }

    async fn list_messages(&self, user: UserId, before: Option<&MessageCursor>, limit: usize) -> Result<Vec<Message>, StoreError> {
        let before = before.copied();
        self.read(move |snapshot| {
            // Each query walks one index; of either the newest may be needed, so each gives a whole page.
            let mut page = select_of_person(snapshot, SELECT_SENT, user, before, limit)?;
            page.extend(select_of_person(snapshot, SELECT_RECEIVED, user, before, limit)?);
            page.sort_unstable_by_key(|message| std::cmp::Reverse(MessageCursor::of(message)));
            page.truncate(limit);
            Ok(page)
        })
        .await
    }

    async fn list_conversations(
        &self,
        user: UserId,
        before: Option<&ConversationCursor>,
        limit: usize,
        at: Timestamp,
    ) -> Result<Vec<Conversation>, StoreError> {
        let before = before.copied();
        self.read(move |snapshot| conversations::select(snapshot, user, before, limit, at)).await
    }

    async fn mark_read(&self, reader: UserId, chat: ChatId, seq: u64) -> Result<Marking, StoreError> {
        self.write_and_tell(move |connection| conversations::mark(connection, reader, chat, seq)).await
    }
}

fn append(connection: &Connection, message: &NewMessage) -> rusqlite::Result<(Append, Option<Change>)> {
    if let Some(stored) = find_repeated(connection, message)? {
        return Ok((message.repeating(stored), None));
    }
    let stored = message.after(select_head(connection, message.chat)?);
    insert(connection, &stored, message.client_id.as_ref())?;
    let progress = ChatProgress::of_message(&stored);
    Ok((Append::Stored(stored), Some(Change::Chat(progress))))
}

fn find_repeated(connection: &Connection, message: &NewMessage) -> rusqlite::Result<Option<Message>> {
    let Some(client_id) = &message.client_id else { return Ok(None) };
    connection
        .prepare_cached(SELECT_BY_CLIENT_ID)?
        .query_row(params![message.chat.to_bytes(), message.sender.to_bytes(), client_id.as_str()], rows::message)
        .optional()
}

fn insert(connection: &Connection, message: &Message, client_id: Option<&ClientId>) -> rusqlite::Result<()> {
    let (chat, seq, sent_at) = (message.chat.to_bytes(), rows::to_sql_seq(message.seq), message.sent_at.as_millis());
    connection.prepare_cached(UPSERT_CHAT)?.execute(params![chat, seq, sent_at])?;
    for member in message.chat.members() {
        let read_seq = if member == message.sender { seq } else { 0 };
        connection.prepare_cached(UPSERT_MEMBER)?.execute(params![member.to_bytes(), chat, sent_at, read_seq])?;
    }
    connection.prepare_cached(INSERT_MESSAGE)?.execute(params![
        chat,
        seq,
        message.sender.to_bytes(),
        message.recipient().to_bytes(),
        message.content,
        sent_at,
        client_id.map(ClientId::as_str),
    ])?;
    Ok(())
}

fn select_head(connection: &Connection, chat: ChatId) -> rusqlite::Result<Option<ChatHead>> {
    connection
        .prepare_cached(SELECT_HEAD)?
        .query_row([chat.to_bytes()], |row| Ok(ChatHead { last_seq: rows::seq(row, 0)?, last_sent_at: rows::time(row, 1)? }))
        .optional()
}

fn select_of_person(
    connection: &Connection,
    query: &'static str,
    user: UserId,
    before: Option<MessageCursor>,
    limit: usize,
) -> rusqlite::Result<Vec<Message>> {
    // Without a cursor, from behind everything: no chat has the highest id, and no message the highest time.
    let (sent_at, chat, seq) = before
        .map_or((Timestamp::from_millis(i64::MAX), [u8::MAX; 32], u64::MAX), |cursor| (cursor.sent_at, cursor.chat.to_bytes(), cursor.seq));
    let mut messages = connection.prepare_cached(query)?;
    let walk = messages.query(params![user.to_bytes(), sent_at.as_millis(), chat, rows::to_sql_seq(seq)])?;
    rows::decodable(walk, limit, rows::message_key, rows::message)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn every_list_is_one_walk_along_an_index() {
        let walks = [
            (SELECT_CHAT_IDS, "SEARCH chat_members USING COVERING INDEX chat_members_latest (user=?)"),
            (SELECT_HEAD, "SEARCH chats USING PRIMARY KEY (id=?)"),
            (SELECT_BY_CLIENT_ID, "SEARCH messages USING INDEX messages_client_id (chat=? AND sender=? AND client_id=?)"),
            (SELECT_BEFORE, "SEARCH messages USING PRIMARY KEY (chat=? AND seq<?)"),
            (SELECT_AFTER, "SEARCH messages USING PRIMARY KEY (chat=? AND seq>?)"),
            (SELECT_SENT, "SEARCH messages USING INDEX messages_sent (sender=? AND (sent_at,chat,seq)<(?,?,?))"),
            (SELECT_RECEIVED, "SEARCH messages USING INDEX messages_received (recipient=? AND (sent_at,chat,seq)<(?,?,?))"),
        ];
        for (query, walk) in walks {
            schema::assert_plan(query, &[walk]);
        }
    }
}
