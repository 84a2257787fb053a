//! The tables, how they came to be, and the settings of a connection.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::OpenError;

/// Statements of one connection that stay prepared.
const PREPARED_STATEMENTS: usize = 128;

/// Each step brings the file from the format of its index to the next one. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// The format that the last step leads to.
#[expect(clippy::cast_possible_wrap, reason = "there are few")]
const NEWEST_FORMAT: i64 = MIGRATIONS.len() as i64;

/// The settings that durability and integrity depend on: name, value to set, value to read back.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("journal_mode", "PRAGMA journal_mode = WAL", "wal"),
    ("synchronous", "PRAGMA synchronous = FULL", "2"),
    ("foreign_keys", "PRAGMA foreign_keys = ON", "1"),
    ("busy_timeout", "PRAGMA busy_timeout = 5000", "5000"),
];

/// What serves a connection that writes: pages as they were before a change of a batch are kept in memory and not in a temporary file,
/// and the log is folded into the file when it has so many pages, 16 MiB, by when most of them are there several times.
const FOR_WRITING: &str = "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4096";

/// A connection that may write.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let connection = open(path)?;
    connection.execute_batch(FOR_WRITING)?;
    Ok(connection)
}

/// Folds the log into the file as far as no reader needs it, and waits for none.
pub(super) fn fold_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
}

/// A connection that cannot write.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, OpenError> {
    let connection = open(path)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    check_format(&connection, path)?;
    configure(&connection)?;
    Ok(connection)
}

/// Refuses a file that is none of this program's, or of a newer version of it, before anything of it is changed.
fn check_format(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = match format(connection) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => return Err(OpenError::Foreign(path.to_owned())),
        found => found?,
    };
    if found > NEWEST_FORMAT {
        return Err(OpenError::TooNew { path: path.to_owned(), found, known: NEWEST_FORMAT });
    }
    if found == 0 && connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))? {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    Ok(())
}

/// The format of a file; an empty one has 0.
fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn configure(connection: &Connection) -> Result<(), OpenError> {
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    keep_plans(connection)?;
    for (name, set, expected) in SETTINGS {
        // Some settings answer with their value and some do not.
        connection.prepare(set)?.query([])?.next()?;
        let actual: String = connection.pragma_query_value(None, name, |row| setting_text(row.get_ref(0)?))?;
        if actual != expected {
            return Err(OpenError::Setting(name));
        }
    }
    Ok(())
}

/// Has a prepared statement keep its plan. Otherwise many a one is prepared anew for each value that is bound, in case another plan
/// suits that value better. No other one does, and to prepare a look-up takes several times as long as to run it.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// The value of a setting, which SQLite gives as a text or a number.
fn setting_text(value: ValueRef<'_>) -> rusqlite::Result<String> {
    match value {
        ValueRef::Integer(number) => Ok(number.to_string()),
        other => Ok(other.as_str()?.to_owned()),
    }
}

/// Brings the schema up to date, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let found = format(connection)?;
    for (step, version) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// An empty database of the newest format, gone when it is closed.
#[cfg(test)]
pub(super) fn in_memory() -> Connection {
    let mut connection = Connection::open_in_memory().expect("a database");
    connection.execute_batch("PRAGMA foreign_keys = ON").expect("set");
    keep_plans(&connection).expect("set");
    migrate(&mut connection).expect("migrated");
    connection
}

/// Checks that SQLite comes upon rows in the ways given and in no other, and sorts nothing.
#[cfg(test)]
#[track_caller]
pub(super) fn assert_plan(query: &str, walks: &[&str]) {
    let connection = in_memory();
    let mut explained = connection.prepare(&["EXPLAIN QUERY PLAN ", query].concat()).expect("a plan");
    let steps = explained.raw_query().mapped(|row| row.get::<_, String>("detail"));
    let steps = steps.collect::<Result<Vec<_>, _>>().expect("steps");
    // The other steps only group those below them.
    let is_walk = |step: &&str| ["SEARCH", "SCAN", "USE TEMP"].iter().any(|kind| step.starts_with(kind));
    let actual: Vec<_> = steps.iter().map(String::as_str).filter(is_walk).collect();
    assert_eq!(actual, walks, "{query}\n{steps:#?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = super::super::file::create(folder.path()).expect("a file");
        (folder, path)
    }

    #[test]
    fn an_empty_file_is_brought_up_to_date_and_stays_so() {
        let (_folder, path) = file();
        let mut connection = connect(&path).expect("a connection");
        migrate(&mut connection).expect("migrated");
        migrate(&mut connection).expect("nothing to do");
        assert_eq!(format(&connection).expect("a format"), NEWEST_FORMAT);
    }

    /// What a file of format 1 holds of two people who know each other.
    const OF_FORMAT_1: &str = "
        INSERT INTO users VALUES (zeroblob(16), 'Ann', 'ann', 'Ann@example.com', 'ann@example.com', 'hash', 1, 'friends', 5, 6, 4);
        INSERT INTO users VALUES (randomblob(16), 'Bob', 'bob', 'bob@example.com', 'bob@example.com', 'hash', 0, 'everyone', NULL, NULL, 4);
        INSERT INTO sessions VALUES (zeroblob(16), zeroblob(32), 5, 6, 7, 'tests');
        INSERT INTO friends (user, friend, added_at) SELECT zeroblob(16), id, 8 FROM users WHERE username = 'Bob';
        INSERT INTO blocks VALUES (zeroblob(16), x'02020202020202020202020202020202', 9);
        INSERT INTO blocks VALUES (zeroblob(16), x'01010101010101010101010101010101', 10);
        PRAGMA user_version = 1;";

    #[tokio::test]
    async fn a_file_of_format_1_keeps_what_it_holds() {
        use crate::domain::{SessionHash, SessionKey, UserId};
        use crate::store::{FriendAddition, UserStore as _};

        let (folder, path) = file();
        let connection = connect(&path).expect("a connection");
        connection.execute_batch(MIGRATIONS[0]).expect("format 1");
        connection.execute_batch(OF_FORMAT_1).expect("stored");
        connection.close().expect("closed");

        let store = super::super::SqliteStore::open(folder.path()).expect("a store");
        let ann = UserId::from_bytes([0; 16]);
        let key = SessionKey { user: ann, session: SessionHash::from_bytes([0; 32]) };
        let at = crate::domain::Timestamp::from_millis(6);
        let data = store.find_account_data(&key).await.expect("an answer").expect("a session").record;
        assert_eq!((data.user.username.as_str(), data.user.email.as_str()), ("Ann", "Ann@example.com"));
        assert!(data.user.is_email_verified && data.recovery.is_empty());
        assert_eq!((data.sessions.len(), data.friends.len()), (1, 1));
        assert_eq!(data.blocks, [UserId::from_bytes([2; 16]), UserId::from_bytes([1; 16])], "in the order of blocking");
        let friends = store.list_friends(&key, at).await.expect("an answer").expect("a session").record;
        assert_eq!(friends.iter().map(|friend| friend.person.username.as_str()).collect::<Vec<_>>(), ["Bob"]);
        assert_eq!(store.add_friend(ann, UserId::from_bytes([1; 16]), at).await.expect("an answer"), FriendAddition::Blocked);
        assert_eq!(store.add_friend(ann, UserId::generate(), at).await.expect("an answer"), FriendAddition::Added);
    }

    /// What a file of format 3 holds of people who gave addresses up: Bob the one that Ann has, Cid later than Ann the one that she had.
    const OF_FORMAT_3: &str = "
        INSERT INTO users (id, username, username_key, email, email_key, password_hash, is_email_verified, messages_from, created_at,
                           previous_email, previous_email_key, previous_email_until, held_until)
        VALUES (zeroblob(16), 'Ann', 'ann', 'Ann@example.com', 'ann@example.com', 'hash', 1, 'everyone', 4, 'Old@example.com', 'old@example.com', 5, NULL),
               (x'01010101010101010101010101010101', 'Bob', 'bob', 'bob@example.com', 'bob@example.com', 'hash', 1, 'everyone', 4, 'ann@example.com', 'ann@example.com', 5, NULL),
               (x'02020202020202020202020202020202', 'Cid', 'cid', 'cid@example.com', 'cid@example.com', 'hash', 0, 'everyone', 4, 'old@example.com', 'old@example.com', 6, NULL),
               (x'03030303030303030303030303030303', 'Dan', 'dan', '', 'lost:03', 'hash', 0, 'everyone', 4, NULL, NULL, NULL, NULL),
               (x'04040404040404040404040404040404', 'Eve', 'eve', 'eve@example.com', 'pending:04', 'hash', 0, 'everyone', 4, NULL, NULL, NULL, 9);
        INSERT INTO mail_tokens VALUES (zeroblob(16), 'password_reset', zeroblob(32), 'Old@example.com', 5);
        PRAGMA user_version = 3;";

    #[test]
    fn addresses_given_up_in_format_3_are_ways_back_unless_they_are_somebodys() {
        let (_folder, path) = file();
        let mut connection = connect(&path).expect("a connection");
        for step in &MIGRATIONS[..3] {
            connection.execute_batch(step).expect("an older format");
        }
        connection.execute_batch(OF_FORMAT_3).expect("stored");
        migrate(&mut connection).expect("migrated");
        let mut all = connection
            .prepare("SELECT username || ' ' || key || ' ' || ifnull(place, '-') || ' ' || ifnull(recovery_until, '-') FROM addresses JOIN users ON id = user ORDER BY 1")
            .expect("a query");
        let all: Vec<String> = all.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("rows");
        let expected = ["Ann ann@example.com - 5", "Ann old@example.com 1 5", "Bob bob@example.com - -", "Cid cid@example.com - -"];
        assert_eq!(all, expected);
        let token = "SELECT 1 FROM mail_tokens WHERE purpose = 'password_reset' AND address_key = 'old@example.com' AND expires_at = 5";
        assert!(connection.prepare(token).expect("a query").exists([]).expect("an answer"), "links that are out stay good");
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_untouched() {
        let (_folder, path) = file();
        let connection = connect(&path).expect("a connection");
        connection.pragma_update(None, "user_version", 99).expect("set");
        connection.close().expect("closed");
        assert_refused_untouched(&path, |error| matches!(error, OpenError::TooNew { found: 99, known: NEWEST_FORMAT, .. }));
    }

    #[test]
    fn a_file_of_something_else_is_refused_untouched() {
        let (_folder, path) = file();
        let other = Connection::open(&path).expect("a database");
        other.execute_batch("CREATE TABLE users (name)").expect("made");
        other.close().expect("closed");
        assert_refused_untouched(&path, |error| matches!(error, OpenError::Foreign(_)));

        std::fs::write(&path, "a text in a file that happens to have the name of ours; ".repeat(10)).expect("written");
        assert_refused_untouched(&path, |error| matches!(error, OpenError::Foreign(_)));
    }

    #[track_caller]
    fn assert_refused_untouched(path: &Path, is_expected: impl Fn(&OpenError) -> bool) {
        let before = std::fs::read(path).expect("read");
        let refused = connect(path).expect_err("refused");
        assert!(is_expected(&refused) && refused.to_string().starts_with(&path.display().to_string()), "{refused}");
        assert!(std::fs::read(path).expect("read") == before, "the file was changed");
    }

    #[test]
    fn a_statement_stays_prepared_whatever_is_bound() {
        let (_folder, path) = file();
        let mut connection = connect(&path).expect("a connection");
        migrate(&mut connection).expect("migrated");
        let query = "SELECT seq FROM messages WHERE chat = ?1 ORDER BY seq DESC LIMIT 1";
        for chat in 0..3 {
            let mut cached = connection.prepare_cached(query).expect("a statement");
            assert!(!cached.exists([[chat; 32]]).expect("an answer"));
            assert_eq!(cached.get_status(rusqlite::StatementStatus::RePrepare), 0);
        }
    }

    #[test]
    fn a_reading_connection_cannot_write() {
        let (_folder, path) = file();
        migrate(&mut connect(&path).expect("a connection")).expect("migrated");
        let reader = connect_to_read(&path).expect("a connection");
        assert!(reader.execute("DELETE FROM users", []).is_err());
    }
}
