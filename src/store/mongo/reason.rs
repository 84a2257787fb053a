//! Why the server or the driver failed, in one plain sentence.
//!
//! What the driver says itself is a dump: of the whole set of servers, and of the bytes of an answer. Messages of servers may quote
//! what is stored. So of any message no more is told than its first words, up to where it begins to quote.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use super::failure::DUPLICATE_KEY;

/// Longest part of a message that is told.
const MAX_CHARS: usize = 160;
/// Codes of a server that is not the primary, no more or not yet, or is stopping.
const NO_PRIMARY: [i32; 8] = [91, 189, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436];

/// What a failure of the driver becomes; it has no further cause.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Reason(String);

impl From<&Error> for Reason {
    fn from(error: &Error) -> Self {
        Self(sentence(error))
    }
}

fn sentence(error: &Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Authentication { message, .. } => refused_user(message),
        ErrorKind::Command(error) => of_code(error.code, &error.code_name, &error.message),
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            of_code(error.code, error.code_name.as_deref().unwrap_or_default(), &error.message)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            with("the servers did not confirm a write", &format!("code {} {}", error.code, error.code_name))
        }
        ErrorKind::DnsResolve { message, .. } => with("the host name of MONGODB_URI cannot be resolved", message),
        ErrorKind::Io(error) => of_connection(&error.to_string()),
        ErrorKind::ServerSelection { message, .. } => of_topology(message),
        ErrorKind::InvalidTlsConfig { message, .. } => with("TLS cannot be set up as MONGODB_URI asks for it", message),
        ErrorKind::InvalidArgument { message, .. } => with("MONGODB_URI asks for what cannot be", message),
        ErrorKind::IncompatibleServer { message, .. } => with("the server is of a version that cannot be used", message),
        ErrorKind::ConnectionPoolCleared { .. } => "the connection broke under another operation".to_owned(),
        ErrorKind::Bson(_) | ErrorKind::BsonDeserialization(_) | ErrorKind::InvalidResponse { .. } => {
            "an answer of the server, or what is stored, does not decode".to_owned()
        }
        ErrorKind::Shutdown => "the connection is closed".to_owned(),
        _ => "the driver failed".to_owned(),
    }
}

/// A sentence, and what a message adds to it.
fn with(sentence: &str, message: &str) -> String {
    let detail = first_words(message);
    if detail.is_empty() { sentence.to_owned() } else { format!("{sentence} ({detail})") }
}

/// The words of a message before the first that quotes something: a value, a document, an address.
fn first_words(message: &str) -> String {
    let is_plain = |word: &&str| !word.contains(['"', '\'', '`', '{', '[', '@', '\\']) && !word.contains(char::is_control);
    let words: Vec<&str> = message.split_whitespace().take_while(is_plain).collect();
    let text: String = words.join(" ").chars().take(MAX_CHARS).collect();
    text.trim_end_matches([':', ',', '.', ';', ' ']).to_owned()
}

fn refused_user(message: &str) -> String {
    with("the server refused the user name or password of MONGODB_URI", message)
}

fn of_code(code: i32, name: &str, message: &str) -> String {
    let is_about_users = message.to_ascii_lowercase().contains("auth");
    match code {
        18 => refused_user(message),
        // What MongoDB Atlas and Azure answer with instead.
        8_000 if is_about_users => refused_user(message),
        13 => with("the server asks for a user name and a password, or does not let this user do what the program does", message),
        DUPLICATE_KEY => with("a unique index refused what is there already", message),
        50 => "the server did not finish in time".to_owned(),
        code if NO_PRIMARY.contains(&code) => format!("the server is not the primary, or is stopping (code {code})"),
        code => with("the server refused a command", &format!("code {code} {name}: {message}")),
    }
}

/// What a failed connection means, by what the system or TLS says of it.
fn of_connection(message: &str) -> String {
    let text = message.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let sentence = if has(&["certificate"]) {
        "the certificate of the server is not accepted"
    } else if has(&["lookup address", "dns", "name or service not known"]) {
        "the host name of MONGODB_URI cannot be resolved"
    } else if has(&["corrupt message", "handshake", "tls", "alert"]) {
        "no TLS connection comes about; is what listens there a server with TLS?"
    } else if has(&["refused"]) {
        "nothing listens there"
    } else if has(&["timed out", "timeout", "deadline"]) {
        "the server did not answer in time; is it up and reachable from here?"
    } else if has(&["end of file", "eof", "reset", "broken pipe", "aborted"]) {
        "the connection was cut off; does the server ask for TLS (tls=true)?"
    } else {
        "the connection failed"
    };
    with(sentence, message)
}

/// What the description of all servers says of the one that failed, or that there is no primary.
fn of_topology(description: &str) -> String {
    if let Some((_, problem)) = description.split_once("ompatibility Error: ").or_else(|| description.split_once("ompatiblity Error: ")) {
        return with("the server is of a version that cannot be used", problem);
    }
    // Members of a set that have answered are of such a type, whatever became of the others.
    if description.contains(", Type: Rs") {
        return "servers answer, and none of them is the primary".to_owned();
    }
    let Some((_, failure)) = description.split_once("Error: Kind: ") else {
        return "no server answers that belongs to what MONGODB_URI names".to_owned();
    };
    let failure = failure.split_once(", labels: ").map_or(failure, |(kind, _)| kind);
    if failure.contains("failure: ") && failure.contains("SCRAM") { refused_user(failure) } else { of_connection(failure) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_a_connection_lacks_is_one_plain_sentence() {
        for (message, told) in [
            ("Connection refused (os error 111)", "nothing listens there (Connection refused (os error 111))"),
            (
                "invalid peer certificate: UnknownIssuer",
                "the certificate of the server is not accepted (invalid peer certificate: UnknownIssuer)",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"db.example\"",
                "the certificate of the server is not accepted (invalid peer certificate: certificate not valid for name)",
            ),
            (
                "failed to lookup address information: Name or service not known",
                "the host name of MONGODB_URI cannot be resolved (failed to lookup address information: Name or service not known)",
            ),
            ("tls handshake eof", "no TLS connection comes about; is what listens there a server with TLS? (tls handshake eof)"),
            ("unexpected end of file", "the connection was cut off; does the server ask for TLS (tls=true)? (unexpected end of file)"),
            ("timed out", "the server did not answer in time; is it up and reachable from here? (timed out)"),
            ("\u{1}\u{2}", "the connection failed"),
        ] {
            assert_eq!(Reason::from(&Error::from(io::Error::other(message))).to_string(), told);
        }
    }

    #[test]
    fn of_the_description_of_all_servers_the_failure_is_told() {
        let servers =
            |of_one: &str| format!("Server selection timeout: No available servers. Topology: {{ Type: Unknown, Servers: [ {of_one} ] }}");
        let failed = "{ Address: db.example:27017, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {}, \
                      source: None, server response: None }";
        assert_eq!(of_topology(&servers(failed)), "nothing listens there (I/O error: Connection refused (os error 111))");
        let secondary = servers("{ Address: db.example:27017, Type: RsSecondary, Max Wire Version: 21 }");
        assert_eq!(of_topology(&secondary), "servers answer, and none of them is the primary");
        assert_eq!(of_topology(&servers("")), "no server answers that belongs to what MONGODB_URI names");
    }

    #[test]
    fn of_what_a_server_says_nothing_is_told_that_it_quotes() {
        let duplicate = "E11000 duplicate key error collection: chat.users index: email dup key: { emailKey: \"ann@example.com\" }";
        for (code, message, told) in [
            (18, "Authentication failed.", "the server refused the user name or password of MONGODB_URI (Authentication failed)"),
            (
                8_000,
                "bad auth : authentication failed",
                "the server refused the user name or password of MONGODB_URI (bad auth : authentication failed)",
            ),
            (
                13,
                "command createIndexes requires authentication",
                "the server asks for a user name and a password, or does not let this user do what the program does \
                 (command createIndexes requires authentication)",
            ),
            (
                11_000,
                duplicate,
                "a unique index refused what is there already (E11000 duplicate key error collection: chat.users index: email dup key)",
            ),
            (10_107, "not primary", "the server is not the primary, or is stopping (code 10107)"),
            (2, "cannot compare ann@example.com to a date", "the server refused a command (code 2 Name: cannot compare)"),
            (59, "no such command: \\x00\\xff", "the server refused a command (code 59 Name: no such command)"),
        ] {
            assert_eq!(of_code(code, "Name", message), told);
        }
    }
}
