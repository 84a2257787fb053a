//! What the driver's errors mean to the caller.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use super::reason::Reason;
use crate::store::StoreError;
use crate::store::error::Cause;

/// A unique index has refused a document.
pub(super) const DUPLICATE_KEY: i32 = 11_000;
/// Codes of a server that is stopping, elected or deposed, cut off from others, or out of time, by the categories that
/// `error_codes.yml` of MongoDB gives them (not primary, shutdown, network, interruption, retriable, exceeded time limit, stale
/// shard version), and 64, a majority that did not answer in time: the operation may have been applied.
const TRANSIENT_CODES: [i32; 33] = [
    6, 7, 24, 43, 46, 50, 64, 89, 91, 133, 134, 150, 175, 189, 202, 216, 234, 237, 249, 262, 279, 290, 317, 342, 343, 355, 384, 407, 9_001,
    10_058, 10_107, 11_600, 11_602,
];
/// Those that say that a server is not the primary, or does not know yet, when it is asked.
const NOT_PRIMARY_CODES: [i32; 3] = [13_388, 13_435, 13_436];
/// Codes of a server that refuses what it has no room for at present: too many requests for what was paid (16500, on Azure), a
/// full queue, a limit of rate, memory or write conflicts. Nothing was changed.
const THROTTLING_CODES: [i32; 9] = [112, 146, 261, 365, 402, 433, 449, 450, 16_500];
/// The code of a full disk, also on Azure DocumentDB, which stops writes before it is full; that of writes that are blocked, as other
/// services do then.
const FULL_CODES: [i32; 2] = [14_031, 371];
/// Codes of what services refuse by rules of their own, and what the text says when it is for a quota: Atlas, Cosmos DB by request units.
const QUOTA_TEXTS: [(i32, &str); 2] = [(8_000, "space quota"), (13, "Storage quota")];

/// A failure of an operation that changes nothing.
pub(super) fn classify_read(error: Error) -> StoreError {
    match classify_write(error) {
        StoreError::OutcomeUnknown(cause) => StoreError::Unavailable(cause),
        other => other,
    }
}

/// A failure of a change: only what certainly was not applied is "unavailable".
#[allow(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
pub(super) fn classify_write(error: Error) -> StoreError {
    let reason = Reason::from(&error);
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Shutdown => StoreError::unavailable(reason),
        // A pool is also cleared under operations that wait for their answer.
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
            StoreError::outcome_unknown(reason)
        }
        _ => match code(&error) {
            Some((code, text)) => classify_code(code, text)(reason.into()),
            None => StoreError::broken(reason),
        },
    }
}

/// What a code of the server means.
fn classify_code(code: i32, text: &str) -> fn(Cause) -> StoreError {
    let is_of_quota = |(of_quota, words): &(i32, &str)| code == *of_quota && text.contains(words);
    if FULL_CODES.contains(&code) || QUOTA_TEXTS.iter().any(is_of_quota) {
        StoreError::Full
    } else if THROTTLING_CODES.contains(&code) {
        |_cause| StoreError::Overloaded
    } else if TRANSIENT_CODES.contains(&code) || NOT_PRIMARY_CODES.contains(&code) {
        StoreError::OutcomeUnknown
    } else {
        StoreError::Broken
    }
}

/// Whether a change failed for want of room.
pub(super) fn is_of_room(error: &Error) -> bool {
    code(error).is_some_and(|(code, text)| matches!(classify_code(code, text)("".into()), StoreError::Full(_)))
}

/// `None` where a unique index refused the document, so that the caller can decide what that means.
pub(super) fn unless_duplicate<T>(result: mongodb::error::Result<T>) -> mongodb::error::Result<Option<T>> {
    match result {
        Err(error) if code(&error).is_some_and(|(code, _)| code == DUPLICATE_KEY) => Ok(None),
        other => other.map(Some),
    }
}

fn code(error: &Error) -> Option<(i32, &str)> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some((command.code, &command.message)),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some((write.code, &write.message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_code_of_the_server_means_is_told_by_what_may_have_been_changed() {
        let quota = "you are over your space quota, using 513 MB of 512 MB";
        let of_collection = "Response status code: Forbidden (403); Reason: (Errors: Storage quota for 'Collection' exceeded.)";
        let kind = |code, text| classify_code(code, text)("a cause".into()).kind();
        // Elections, shutdown, time: as the driver specifications and error_codes.yml of MongoDB have them.
        for code in [6, 7, 50, 89, 91, 134, 189, 262, 9_001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436] {
            assert_eq!(kind(code, ""), "outcome_unknown", "{code}");
        }
        for code in [16_500, 112, 365, 433, 449] {
            assert_eq!(kind(code, ""), "overloaded", "{code}");
        }
        for (code, text) in [(14_031, "The database disk is full"), (371, ""), (8_000, quota), (13, of_collection)] {
            assert_eq!(kind(code, text), "full", "{code}");
        }
        for (code, text) in [(8_000, "unsupported"), (2, quota), (13, ""), (121, "")] {
            assert_eq!(kind(code, text), "broken", "{code}");
        }
    }
}
