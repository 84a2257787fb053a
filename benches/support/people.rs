//! People with accounts, made in the store itself: a registration would hash a password for each.

use chat_functions::domain::{Clock, Email, PasswordHash, Session, SessionId, UserId, Username};
use chat_functions::identity::Tokens;
use chat_functions::store::{Creation, MessagesFrom, NewAccount, Store, User};
use futures_util::StreamExt as _;

use crate::server::JWT_SECRET;

/// Accounts made at once.
const AT_ONCE: usize = 64;

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Person {
    pub id: UserId,
    pub token: String,
}

/// So many people whose tokens the servers of the tests accept.
pub async fn create(store: &dyn Store, count: usize) -> Vec<Person> {
    let tokens = Tokens::new(&JWT_SECRET.into());
    let people = (0..count).map(|_| create_one(store, &tokens));
    futures_util::stream::iter(people).buffer_unordered(AT_ONCE).collect().await
}

async fn create_one(store: &dyn Store, tokens: &Tokens) -> Person {
    let (id, now, session) = (UserId::generate(), Clock::default().now(), SessionId::generate().expect("random bytes"));
    let name = format!("p{}", &id.to_string()[8..]);
    let user = User {
        id,
        username: Username::parse(&name).expect("a name"),
        email: Email::parse(&format!("{name}@example.com")).expect("an address"),
        is_email_verified: true,
        friends: Vec::new(),
        messages_from: MessagesFrom::Everyone,
        last_login: Some(now),
        created_at: now,
    };
    let password_hash = PasswordHash::new("nobody logs in by it".to_owned());
    let account = NewAccount { user, password_hash, session: Session::begin(&session, now, None), mail: None };
    let created = store.create_account(&account).await.expect("an answer");
    assert_eq!(created, Creation::Created);
    let token = tokens.issue(id, &session, now, account.session.expires_at).expect("a token");
    Person { id, token }
}
