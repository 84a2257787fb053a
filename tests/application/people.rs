//! People who are made past the application, so that no password is hashed for each of them.

use chat_functions::domain::{Net, Password, PasswordHash};
use chat_functions::identity::{PasswordCost, PasswordHasher};
use chat_functions::store::Creation;
use serde_json::json;

use crate::Context;
use crate::client::{PASSWORD, Person, new_name, text};
use crate::support::accounts;

/// The hash of everybody's password.
pub async fn password() -> PasswordHash {
    let hasher = PasswordHasher::new(PasswordCost::LOWEST, 8, usize::MAX).expect("a hasher");
    hasher.hash(Password::parse(PASSWORD).expect("a password"), Vec::new(), Net::Unknown).await.expect("a hash")
}

/// Somebody who has registered and verified their address by the mail, whatever comes first.
pub async fn verified(context: &Context) -> Person {
    let (client, username) = (context.client.clone(), new_name());
    let email = format!("{username}@example.com");
    let registered = client.register(&username, &email, PASSWORD).await;
    assert!(registered.status.is_success(), "{registered:?}");
    let link = context.mail_to(&email, "Confirm your").await.token().expect("a link");
    client.put("/api/auth/email", &json!({ "token": link })).await.ok();
    let body = client.log_in(&email, PASSWORD).await.ok();
    Person { client, id: text(&body["user"]["id"]), username, email, token: text(&body["token"]) }
}

/// Somebody with an account and a session.
pub async fn create(context: &Context, name: &str, password: &PasswordHash) -> Person {
    let (account, secret) = accounts::new_account(name, password.clone(), context.clock.now());
    assert_eq!(context.store.create_account(&account).await.expect("an answer"), Creation::Created);
    let user = &account.user;
    Person {
        client: context.client.clone(),
        id: user.id.to_string(),
        username: name.to_owned(),
        email: user.email.as_str().to_owned(),
        token: accounts::token(user.id, &secret, &account.session),
    }
}
