//! The list of sessions, and the ways in which sessions end.

use std::sync::Arc;

use chat_functions::domain::{Session, SessionHash, Timestamp};

use crate::people::{NOW, Person};
use crate::{Context, tests};

tests!(Context:
    sessions_are_listed_the_most_recently_used_first,
    sessions_that_have_expired_are_listed_too,
    an_ended_session_lists_nothing,
    all_sessions_but_one_can_be_ended,
    the_end_of_a_session_is_when_its_owner_was_last_seen,
);

async fn list(context: &Context, person: &Person) -> Vec<SessionHash> {
    let found = context.store.list_sessions(&person.key()).await.expect("an answer").expect("a session");
    assert_eq!(found.session.hash, person.account.session.hash, "the one that the request carries");
    found.record.iter().map(|session| session.hash).collect()
}

async fn sessions_are_listed_the_most_recently_used_first(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    bob.log_in(&*context.store, NOW).await;
    let middle = ann.log_in(&*context.store, NOW.plus_millis(50_000)).await;
    let late = ann.log_in(&*context.store, NOW.plus_millis(90_000)).await;
    assert_eq!(list(&context, &ann).await, [late.hash, middle.hash, ann.account.session.hash]);
    context.store.touch_session(&ann.key(), NOW.plus_millis(100_000)).await.expect("touched");
    assert_eq!(list(&context, &ann).await, [ann.account.session.hash, late.hash, middle.hash]);
    let found = context.store.list_sessions(&ann.key_of(&late)).await.expect("an answer").expect("a session");
    let first = Session { last_used_at: NOW.plus_millis(100_000), ..ann.account.session.clone() };
    assert_eq!((found.session, found.record), (late.clone(), vec![first, late, middle]), "with all that is kept of them");
}

async fn sessions_that_have_expired_are_listed_too(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let late = person.log_in(&*context.store, NOW.plus_millis(100 * Timestamp::DAY_MILLIS)).await;
    assert_eq!(list(&context, &person).await, [late.hash, person.account.session.hash]);
}

async fn an_ended_session_lists_nothing(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    person.log_in(&*context.store, NOW).await;
    assert!(context.store.end_session(&person.key(), NOW).await.expect("an answer"));
    assert!(context.store.list_sessions(&person.key()).await.expect("an answer").is_none());
}

async fn all_sessions_but_one_can_be_ended(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let kept = ann.log_in(&*context.store, NOW).await;
    ann.log_in(&*context.store, NOW).await;
    context.store.end_other_sessions(&ann.key_of(&kept)).await.expect("ended");
    context.store.end_other_sessions(&ann.key_of(&kept)).await.expect("nothing left to end");
    let found = context.other.list_sessions(&ann.key_of(&kept)).await.expect("an answer").expect("a session");
    assert_eq!(found.record, [kept]);
    assert!(context.store.find_session(&ann.key()).await.expect("an answer").is_none());
    assert!(context.store.find_session(&bob.key()).await.expect("an answer").is_some(), "other people's stay");
}

async fn the_end_of_a_session_is_when_its_owner_was_last_seen(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let last_seen = async || person.data(&*context.store).await.last_seen;
    let (first, second) = (person.log_in(&*context.store, NOW).await, person.log_in(&*context.store, NOW).await);
    assert_eq!(last_seen().await, Some(NOW));
    let end = async |session: &Session, at| context.store.end_session(&person.key_of(session), at).await.expect("an answer");
    assert!(end(&first, NOW.plus_millis(30_000)).await);
    assert_eq!(last_seen().await, Some(NOW.plus_millis(30_000)));
    assert!(!end(&first, NOW.plus_millis(90_000)).await);
    assert_eq!(last_seen().await, Some(NOW.plus_millis(30_000)), "a session that was none shows nothing");
    assert!(end(&second, NOW.plus_millis(20_000)).await);
    assert_eq!(last_seen().await, Some(NOW.plus_millis(30_000)), "never backwards");
}
