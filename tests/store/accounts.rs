//! Accounts and sessions.

use std::sync::Arc;

use chat_functions::domain::{Email, PasswordHash, Session, Timestamp, UserId};
use chat_functions::store::Creation;

use crate::people::{HASH, NOW, Person, account_named, hash, new_account, new_session};
use crate::{Context, tests};

tests!(Context:
    a_created_account_has_its_first_session_and_its_password,
    a_taken_name_or_address_is_told_without_regard_to_case,
    a_refused_creation_leaves_nothing_behind,
    an_unknown_address_has_no_credentials,
    a_session_starts_only_with_the_hash_that_was_checked,
    a_session_start_renews_hash_and_last_login,
    the_21st_session_ends_the_least_recently_used,
    a_new_session_survives_others_that_were_used_later,
    an_ended_session_is_gone_and_the_others_stay,
    a_session_belongs_to_one_person,
    use_of_a_session_is_noted_once_a_minute,
);

async fn a_created_account_has_its_first_session_and_its_password(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    assert_eq!(person.profile(&*context.store).await, person.account.user);
    let found = context.store.find_session(&person.key()).await.expect("an answer").expect("a session");
    assert_eq!(found.session, person.account.session);
    let credentials = context.store.find_credentials(&person.account.user.email.key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.password_hash.expose()), (person.id(), HASH));
}

async fn a_taken_name_or_address_is_told_without_regard_to_case(context: Arc<Context>) {
    let first = Person::create(&*context.store).await.account.user;
    let (name, email) = (first.username.as_str().to_uppercase(), first.email.as_str().to_uppercase());
    let free = new_account().user;
    let attempts = [
        (account_named(&name, free.email.as_str()), Creation::UsernameTaken),
        (account_named(free.username.as_str(), &email), Creation::EmailTaken),
        (account_named(&name, &email), Creation::UsernameTaken),
    ];
    for (account, expected) in attempts {
        assert_eq!(context.store.create_account(&account).await.expect("an answer"), expected);
    }
}

async fn a_refused_creation_leaves_nothing_behind(context: Arc<Context>) {
    let first = Person::create(&*context.store).await.account.user;
    let free = new_account().user;
    let refused = Person { account: account_named(first.username.as_str(), free.email.as_str()) };
    assert_ne!(context.store.create_account(&refused.account).await.expect("an answer"), Creation::Created);
    assert!(context.store.find_session(&refused.key()).await.expect("an answer").is_none());
    assert!(context.store.find_credentials(&free.email.key()).await.expect("an answer").is_none());
    let second = account_named(free.username.as_str(), free.email.as_str());
    assert_eq!(context.store.create_account(&second).await.expect("an answer"), Creation::Created);
}

async fn an_unknown_address_has_no_credentials(context: Arc<Context>) {
    let unknown = Email::parse("nobody@example.org").expect("an address");
    assert!(context.store.find_credentials(&unknown.key()).await.expect("an answer").is_none());
}

async fn a_session_starts_only_with_the_hash_that_was_checked(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let session = new_session(NOW);
    let stale = PasswordHash::new("another hash".to_owned());
    assert!(context.store.start_session(person.id(), &stale, None, &session).await.expect("an answer").is_none());
    assert!(context.store.start_session(UserId::generate(), &hash(), None, &session).await.expect("an answer").is_none());
    assert!(context.store.find_session(&person.key_of(&session)).await.expect("an answer").is_none());
}

async fn a_session_start_renews_hash_and_last_login(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let (later, renewed) = (NOW.plus_millis(5_000), PasswordHash::new("renewed".to_owned()));
    let session = new_session(later);
    let user = context.store.start_session(person.id(), &hash(), Some(&renewed), &session).await.expect("an answer").expect("a person");
    assert_eq!(user.last_login, Some(later));
    assert_eq!(user, context.store.find_profile(&person.key_of(&session)).await.expect("an answer").expect("a person").record);
    let credentials = context.store.find_credentials(&user.email.key()).await.expect("an answer").expect("credentials");
    assert_eq!(credentials.password_hash.expose(), "renewed");
    let again = context.store.start_session(person.id(), &hash(), None, &new_session(later)).await.expect("an answer");
    assert!(again.is_none(), "the old hash starts nothing any more");
}

/// Starts a session used at each of the given times, in seconds after now.
async fn start_sessions(context: &Context, person: &Person, seconds: impl Iterator<Item = i64>) -> Vec<Session> {
    let mut sessions = Vec::new();
    for second in seconds {
        let session = new_session(NOW.plus_millis(second * 1_000));
        context.store.start_session(person.id(), &hash(), None, &session).await.expect("an answer").expect("a person");
        sessions.push(session);
    }
    sessions
}

async fn exists(context: &Context, person: &Person, session: &Session) -> bool {
    context.store.find_session(&person.key_of(session)).await.expect("an answer").is_some()
}

async fn the_21st_session_ends_the_least_recently_used(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let sessions = start_sessions(&context, &person, 1..=19).await;
    context.store.touch_session(&person.key(), NOW.plus_millis(90_000)).await.expect("touched");
    let newest = start_sessions(&context, &person, 100..=100).await;
    assert!(exists(&context, &person, &person.account.session).await, "used again, so not the least recently used");
    assert!(!exists(&context, &person, &sessions[0]).await);
    assert!(exists(&context, &person, &sessions[1]).await);
    assert!(exists(&context, &person, &newest[0]).await);
}

async fn a_new_session_survives_others_that_were_used_later(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    start_sessions(&context, &person, 100..=120).await;
    let early = start_sessions(&context, &person, 0..=0).await;
    assert!(exists(&context, &person, &early[0]).await);
}

async fn an_ended_session_is_gone_and_the_others_stay(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let second = start_sessions(&context, &person, 1..=1).await.remove(0);
    assert!(context.store.end_session(&person.key(), NOW).await.expect("an answer"));
    assert!(!context.store.end_session(&person.key(), NOW).await.expect("an answer"), "there is nothing left to end");
    for store in [&context.store, &context.other] {
        assert!(store.find_session(&person.key()).await.expect("an answer").is_none());
        assert!(store.find_profile(&person.key()).await.expect("an answer").is_none());
        assert!(store.find_peer(&person.key(), person.id()).await.expect("an answer").is_none());
    }
    assert!(exists(&context, &person, &second).await);
}

async fn a_session_belongs_to_one_person(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let mixed = bob.key_of(&ann.account.session);
    assert!(context.store.find_session(&mixed).await.expect("an answer").is_none());
    assert!(context.store.find_profile(&mixed).await.expect("an answer").is_none());
    assert!(context.store.find_peer(&mixed, ann.id()).await.expect("an answer").is_none());
    assert!(!context.store.end_session(&mixed, NOW).await.expect("an answer"));
}

async fn use_of_a_session_is_noted_once_a_minute(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let last_used = async || context.store.find_session(&person.key()).await.expect("an answer").expect("a session").session.last_used_at;
    let touch = async |at: Timestamp| context.store.touch_session(&person.key(), at).await.expect("touched");
    touch(NOW.plus_millis(59_999)).await;
    assert_eq!(last_used().await, NOW);
    touch(NOW.plus_millis(60_000)).await;
    assert_eq!(last_used().await, NOW.plus_millis(60_000));
    touch(NOW).await;
    assert_eq!(last_used().await, NOW.plus_millis(60_000), "never backwards");
    context.store.end_session(&person.key(), NOW).await.expect("ended");
    touch(NOW.plus_millis(999_999)).await;
    assert!(!exists(&context, &person, &person.account.session).await, "an ended session stays ended");
}
