//! What SQLite's failures mean to the caller.

use rusqlite::Error;
use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly};
use rusqlite::ffi::{SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};

use crate::store::StoreError;

/// What a failed statement means. Whoever sees it knows that nothing was changed.
pub(super) fn of_statement(error: Error) -> StoreError {
    match error.sqlite_error_code() {
        _ if takes_no_more(&error) => StoreError::Full(error.into()),
        Some(DatabaseBusy | DatabaseLocked) => StoreError::unavailable(error),
        _ => StoreError::broken(error),
    }
}

/// What a failed beginning or end of a transaction means. After one that did not end for another reason than room, the log may
/// hold the changes though the disk did not confirm them.
pub(super) fn of_transaction(error: &Error, otherwise: fn(String) -> StoreError) -> StoreError {
    if takes_no_more(error) { StoreError::Full(error.to_string().into()) } else { otherwise(error.to_string()) }
}

/// Whether writing failed: no space is left, a quota or the limit of a file's size is reached, or the disk is read-only. SQLite
/// has a code of its own for the first only; for the others the write just fails, and what it was for is undone.
fn takes_no_more(error: &Error) -> bool {
    const FAILED_WRITES: [i32; 4] = [SQLITE_IOERR_WRITE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHMMAP];
    matches!(error.sqlite_error_code(), Some(DiskFull | ReadOnly))
        || error.sqlite_error().is_some_and(|error| FAILED_WRITES.contains(&error.extended_code))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_READ, SQLITE_READONLY};

    use super::*;

    #[test]
    fn a_write_that_fails_is_a_full_disk_whatever_the_reason() {
        let failure = |code| Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_SHMSIZE, SQLITE_READONLY] {
            assert_eq!(of_statement(failure(code)).kind(), "full", "{code}");
            assert_eq!(of_transaction(&failure(code), StoreError::outcome_unknown).kind(), "full", "{code}");
        }
        assert_eq!(of_statement(failure(SQLITE_BUSY)).kind(), "unavailable");
        assert_eq!(of_statement(failure(SQLITE_IOERR_READ)).kind(), "broken");
        assert_eq!(of_transaction(&failure(SQLITE_IOERR_FSYNC), StoreError::outcome_unknown).kind(), "outcome_unknown");
    }
}
