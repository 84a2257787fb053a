//! Texts that become value types: what is one once stays the same one when it is read again.

use chat_functions::domain::{ClientId, Email, MailToken, MessageText, Password, PublicSessionId, UserId, Username, UsernamePrefix};
use chat_functions::http::{Query, decode_cursor, is_decodable};

/// A text as each of the value types.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(email) = Email::parse(text) {
        let again = Email::parse(email.as_str()).expect("an address is an address");
        assert_eq!((again.as_str(), again.key().as_str()), (email.as_str(), email.key().as_str()));
        // Its key is an address too, and has itself for a key.
        let key = Email::parse(email.key().as_str()).expect("a key is an address");
        assert_eq!(key.key().as_str(), email.key().as_str());
        assert!(!email.as_str().contains(['\r', '\n', ' ']), "it could end a line of a mail");
    }
    if let Ok(name) = Username::parse(text) {
        let again = Username::parse(name.as_str()).expect("a name is a name");
        assert_eq!((again.as_str(), again.key().as_str()), (name.as_str(), name.key().as_str()));
    }
    if let Ok(prefix) = UsernamePrefix::parse(text) {
        assert!(prefix.first() < prefix.end().as_str());
    }
    if let Ok(message) = MessageText::parse(text.to_owned()) {
        assert_eq!(message.as_str(), text);
    }
    if let Ok(password) = Password::parse(text) {
        assert_eq!(Password::parse(password.expose()).expect("a password is a password").expose(), password.expose());
    }
    if let Ok(id) = ClientId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
    if let Some(id) = UserId::parse(text) {
        assert_eq!(UserId::parse(&id.to_string()), Some(id));
    }
    if let Some(token) = MailToken::parse(text) {
        assert_eq!(token.expose(), text);
    }
    let _none_or_one = PublicSessionId::parse(text);
}

/// A text as a cursor, a query and a path.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _none_or_one = decode_cursor(text);
    let _decodable = is_decodable(text);
    if let Ok(mut query) = Query::parse(text, &["with", "limit", "before"]) {
        let _found = query.take("with");
    }
}
