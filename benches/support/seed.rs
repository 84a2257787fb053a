//! Fills an embedded store fast: by plain SQL on its file, while no process serves it.

use std::path::Path;

use chat_functions::domain::{ChatId, Timestamp, UserId};
use chat_functions::store::Store as _;
use chat_functions::store::sqlite::SqliteStore;
use rusqlite::{Connection, params};

/// When the first message of every chat was sent; each further one a millisecond after the one before.
const BEGUN_AT: i64 = 1_800_000_000_000;
/// What every message says: about as long as people write.
const CONTENT: &str = "See you at seven, then. I shall bring the maps and something to drink; you have the tent, don't you?";

const INSERT_USER: &str = "
    INSERT INTO users (id, username, username_key, email, email_key, password_hash, is_email_verified, messages_from, created_at)
    VALUES (?1, ?2, ?2, ?3, ?3, '', 1, 'everyone', ?4)";
const INSERT_CHAT: &str = "INSERT INTO chats (id, last_seq, last_sent_at) VALUES (?1, ?2, ?3)";
const INSERT_MEMBER: &str = "INSERT INTO chat_members (user, chat, last_sent_at, read_seq) VALUES (?1, ?2, ?3, ?4)";
const INSERT_MESSAGE: &str = "
    INSERT INTO messages (chat, seq, sender, recipient, content, sent_at, client_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The file of a store.
pub struct Seeder(Connection);

impl Seeder {
    /// Makes the file with the tables of this version, and opens it as fast and unsafe as can be.
    pub async fn open(folder: &Path) -> Self {
        SqliteStore::open(folder).expect("a store").close().await;
        let connection = Connection::open(folder.join("chat.db")).expect("the file");
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN").expect("set");
        Self(connection)
    }

    /// Somebody new.
    pub fn person(&self) -> UserId {
        let (id, name) = (UserId::generate(), format!("p{}", UserId::generate()));
        self.execute(INSERT_USER, params![id.to_bytes(), name, format!("{name}@example.com"), BEGUN_AT]);
        id
    }

    /// A chat of so many messages, the last of them sent by the number `last` of all milliseconds.
    pub fn chat(&self, one: UserId, other: UserId, messages: u64, last: u64) -> ChatId {
        let chat = ChatId::between(one, other).expect("two people");
        let (id, last_seq) = (chat.to_bytes(), sql(messages));
        self.execute(INSERT_CHAT, params![id, last_seq, sent_at(last).as_millis()]);
        for member in [one, other] {
            self.execute(INSERT_MEMBER, params![member.to_bytes(), id, sent_at(last).as_millis(), last_seq / 2]);
        }
        for seq in 1..=messages {
            let (sender, recipient) = if seq % 2 == 0 { (one, other) } else { (other, one) };
            let at = sent_at(last - messages + seq).as_millis();
            let people = (sender.to_bytes(), recipient.to_bytes());
            self.execute(INSERT_MESSAGE, params![id, sql(seq), people.0, people.1, CONTENT, at, format!("client-{seq}")]);
        }
        chat
    }

    /// Puts everything into the file.
    pub fn finish(self) {
        self.0.execute_batch("COMMIT").expect("committed");
    }

    fn execute(&self, statement: &str, values: impl rusqlite::Params) {
        self.0.prepare_cached(statement).expect("a statement").execute(values).expect("a row");
    }
}

/// When the message of this number was sent, of a chat whose last message and last millisecond have one number.
pub fn sent_at(number: u64) -> Timestamp {
    Timestamp::from_millis(BEGUN_AT + sql(number))
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).expect("a number that SQLite has")
}
