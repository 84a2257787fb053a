//! What the driver's errors mean to the caller.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::StoreError;

/// A unique index has refused a document.
const DUPLICATE_KEY: i32 = 11_000;
/// Codes of a server that is stopping, stepping down or out of time (`error_codes.yml` of MongoDB): the operation may have
/// been applied.
const TRANSIENT_CODES: [i32; 10] = [6, 7, 50, 89, 91, 189, 10_107, 11_600, 11_602, 13_435];
/// The code of a full disk.
const OUT_OF_DISK_SPACE: i32 = 14_031;

/// A failure of an operation that changes nothing.
pub(super) fn classify_read(error: Error) -> StoreError {
    match classify_write(error) {
        StoreError::OutcomeUnknown(cause) => StoreError::Unavailable(cause),
        other => other,
    }
}

/// A failure of a change: only what certainly was not applied is "unavailable".
pub(super) fn classify_write(error: Error) -> StoreError {
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Shutdown => StoreError::unavailable(error),
        // A pool is also cleared under operations that wait for their answer.
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
            StoreError::outcome_unknown(error)
        }
        _ => match code(&error) {
            Some(OUT_OF_DISK_SPACE) => StoreError::Full(error.into()),
            Some(code) if TRANSIENT_CODES.contains(&code) => StoreError::outcome_unknown(error),
            _ => StoreError::broken(error),
        },
    }
}

/// `None` where a unique index refused the document, so that the caller can decide what that means.
pub(super) fn unless_duplicate<T>(result: mongodb::error::Result<T>) -> mongodb::error::Result<Option<T>> {
    match result {
        Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(None),
        other => other.map(Some),
    }
}

fn code(error: &Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}
