//! People who are made past the application, so that no password is hashed for each of them.

use chat_functions::domain::{Email, Net, Password, PasswordHash, Session, SessionId, Timestamp, UserId, Username};
use chat_functions::identity::{PasswordCost, PasswordHasher, Tokens};
use chat_functions::store::{Creation, MessagesFrom, NewAccount, User};

use crate::Context;
use crate::client::{PASSWORD, Person};
use crate::support::server::JWT_SECRET;

/// The hash of everybody's password.
pub async fn password() -> PasswordHash {
    let hasher = PasswordHasher::new(PasswordCost::LOWEST, 8, usize::MAX).expect("a hasher");
    hasher.hash(Password::parse(PASSWORD).expect("a password"), Vec::new(), Net::Unknown).await.expect("a hash")
}

/// Somebody with an account and a session.
pub async fn create(context: &Context, name: &str, password: &PasswordHash) -> Person {
    let (now, session) = (context.clock.now(), SessionId::generate().expect("random bytes"));
    let user = User {
        id: UserId::generate(),
        username: Username::parse(name).expect("a name"),
        email: Email::parse(&format!("{name}@example.com")).expect("an address"),
        is_email_verified: false,
        friends: Vec::new(),
        messages_from: MessagesFrom::Everyone,
        last_login: Some(now),
        created_at: now,
    };
    let begun = Session::begin(&session, now, None);
    let person = Person {
        client: context.client.clone(),
        id: user.id.to_string(),
        username: name.to_owned(),
        email: user.email.as_str().to_owned(),
        token: token(user.id, &session, now, begun.expires_at),
    };
    let account = NewAccount { user, password_hash: password.clone(), session: begun, mail: None };
    assert_eq!(context.store.create_account(&account).await.expect("an answer"), Creation::Created);
    person
}

/// The token of a session, as the application would issue it.
pub fn token(user: UserId, session: &SessionId, now: Timestamp, expires_at: Timestamp) -> String {
    Tokens::new(&JWT_SECRET.into()).issue(user, session, now, expires_at).expect("a token")
}
