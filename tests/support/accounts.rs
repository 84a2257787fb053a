//! Accounts for a store, past the application, so that no password is hashed for each of them.

use chat_functions::domain::{Email, PasswordHash, Session, SessionId, Timestamp, UserId, Username};
use chat_functions::identity::Tokens;
use chat_functions::store::{MessagesFrom, NewAccount, User};

use super::server::JWT_SECRET;

/// Somebody of this name who has just come and is logged in, and the secret of their session.
pub fn new_account(name: &str, password_hash: PasswordHash, now: Timestamp) -> (NewAccount, SessionId) {
    let user = User {
        id: UserId::generate(),
        username: Username::parse(name).expect("a name"),
        email: Email::parse(&format!("{name}@example.com")).expect("an address"),
        is_email_verified: false,
        pending_email: None,
        friends: Vec::new(),
        messages_from: MessagesFrom::Everyone,
        last_login: Some(now),
        created_at: now,
    };
    let secret = SessionId::generate().expect("random bytes");
    (NewAccount { user, password_hash, session: Session::begin(&secret, now, None), mail: None }, secret)
}

/// The token of a session that has just begun, as the servers of the tests would issue it.
pub fn token(user: UserId, secret: &SessionId, session: &Session) -> String {
    Tokens::new(&JWT_SECRET.into()).issue(user, secret, session.created_at, session.expires_at).expect("a token")
}
