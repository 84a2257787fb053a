//! People with accounts, made in the store itself: a registration would hash a password for each.

use chat_functions::domain::{Clock, PasswordHash, SessionKey, UserId};
use chat_functions::store::{Creation, Store};
use futures_util::StreamExt as _;

use crate::accounts::{new_account, token};

/// Accounts made at once.
const AT_ONCE: usize = 64;

/// Somebody who is logged in.
#[derive(Clone)]
pub struct Person {
    pub id: UserId,
    pub email: String,
    pub token: String,
    pub session: SessionKey,
}

/// So many people whose tokens the servers of the tests accept, and who have no password.
pub async fn create(store: &dyn Store, count: usize) -> Vec<Person> {
    create_with(store, count, &PasswordHash::new("nobody logs in by it".to_owned())).await
}

/// The same with a password, of which this is the hash.
pub async fn create_with(store: &dyn Store, count: usize, password: &PasswordHash) -> Vec<Person> {
    let people = (0..count).map(|_| create_one(store, password.clone()));
    futures_util::stream::iter(people).buffer_unordered(AT_ONCE).collect().await
}

/// A user name that nobody has.
pub fn new_name() -> String {
    format!("p{}", &UserId::generate().to_string()[8..])
}

async fn create_one(store: &dyn Store, password: PasswordHash) -> Person {
    let (account, secret) = new_account(&new_name(), password, Clock::default().now());
    let created = store.create_account(&account).await.expect("an answer");
    assert_eq!(created, Creation::Created);
    let (id, session) = (account.user.id, &account.session);
    let email = account.user.email.as_str().to_owned();
    Person { id, email, token: token(id, &secret, session), session: SessionKey { user: id, session: session.hash } }
}
