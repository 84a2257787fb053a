//! The tables, how they came to be, and the settings of a connection.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::OpenError;

/// Statements of one connection that stay prepared.
const PREPARED_STATEMENTS: usize = 64;

/// Each step brings the file from the format of its index to the next one. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The settings that durability and integrity depend on: name, value to set, value to read back.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("journal_mode", "PRAGMA journal_mode = WAL", "wal"),
    ("synchronous", "PRAGMA synchronous = FULL", "2"),
    ("foreign_keys", "PRAGMA foreign_keys = ON", "1"),
    ("busy_timeout", "PRAGMA busy_timeout = 5000", "5000"),
];

/// A connection that may write.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&connection)?;
    Ok(connection)
}

/// A connection that cannot write.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), OpenError> {
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
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

/// The value of a setting, which SQLite gives as a text or a number.
fn setting_text(value: ValueRef<'_>) -> rusqlite::Result<String> {
    match value {
        ValueRef::Integer(number) => Ok(number.to_string()),
        other => Ok(other.as_str()?.to_owned()),
    }
}

/// Brings the schema up to date, each step in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(OpenError::TooNew { found, known });
    }
    for (step, version) in MIGRATIONS.iter().zip(1_i64..).filter(|(_, version)| *version > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
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
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a version");
        assert_eq!(version, i64::try_from(MIGRATIONS.len()).expect("few"));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_untouched() {
        let (_folder, path) = file();
        let mut connection = connect(&path).expect("a connection");
        connection.pragma_update(None, "user_version", 99).expect("set");
        assert!(matches!(migrate(&mut connection), Err(OpenError::TooNew { found: 99, .. })));
    }

    #[test]
    fn a_reading_connection_cannot_write() {
        let (_folder, path) = file();
        migrate(&mut connect(&path).expect("a connection")).expect("migrated");
        let reader = connect_to_read(&path).expect("a connection");
        assert!(reader.execute("DELETE FROM users", []).is_err());
    }
}
