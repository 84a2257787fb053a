//! Friends and chats by plain SQL on the file, while no process serves it.

use std::fs::File;
use std::path::{Path, PathBuf};

use chat_functions::domain::UserId;
use rusqlite::{Connection, params};

use super::{Chat, client_id, sent_at};

/// Nothing here survives a crash, and nothing has to. What a row refers to is there.
const SETTINGS: &str = "
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA cache_size = -262144; BEGIN";

const INSERT_FRIEND: &str = "INSERT INTO friends (user, friend, added_at) VALUES (?1, ?2, ?3)";
const INSERT_CHAT: &str = "INSERT INTO chats (id, last_seq, last_sent_at) VALUES (?1, ?2, ?3)";
const INSERT_MEMBER: &str = "INSERT INTO chat_members (user, chat, last_sent_at, read_seq) VALUES (?1, ?2, ?3, ?4)";
const INSERT_MESSAGE: &str = "
    INSERT INTO messages (chat, seq, sender, recipient, content, sent_at, client_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The file of a store that was opened before, and so has its tables.
pub struct Loader {
    connection: Connection,
    path: PathBuf,
}

impl Loader {
    pub fn open(folder: &Path) -> Self {
        let path = folder.join("chat.db");
        let connection = Connection::open(&path).expect("the file");
        connection.execute_batch(SETTINGS).expect("set");
        Self { connection, path }
    }

    pub fn add_friends(&self, person: UserId, friends: &[UserId]) {
        for friend in friends {
            self.execute(INSERT_FRIEND, params![person.to_bytes(), friend.to_bytes(), sent_at(0).as_millis()]);
        }
    }

    pub fn add(&self, chat: &Chat) {
        let (id, last_seq, last_sent_at) = (chat.id.to_bytes(), sql(chat.messages), chat.last_message().sent_at.as_millis());
        self.execute(INSERT_CHAT, params![id, last_seq, last_sent_at]);
        for member in chat.id.members() {
            self.execute(INSERT_MEMBER, params![member.to_bytes(), id, last_sent_at, sql(chat.read_seq())]);
        }
        for message in chat.messages() {
            let people = (message.sender.to_bytes(), message.recipient().to_bytes());
            let (seq, sent_at) = (sql(message.seq), message.sent_at.as_millis());
            self.execute(INSERT_MESSAGE, params![id, seq, people.0, people.1, message.content, sent_at, client_id(message.seq)]);
        }
    }

    pub fn finish(self) {
        self.connection.execute_batch("COMMIT").expect("committed");
        self.connection.close().expect("closed");
        File::open(self.path).and_then(|file| file.sync_all()).expect("on the disk");
    }

    fn execute(&self, statement: &str, values: impl rusqlite::Params) {
        self.connection.prepare_cached(statement).expect("a statement").execute(values).expect("a row");
    }
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).expect("a number that SQLite has")
}
