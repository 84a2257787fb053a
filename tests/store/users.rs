//! Profiles and friends.

use std::sync::Arc;

use chat_functions::domain::{Email, SessionKey, UserId, Username};
use chat_functions::store::{FriendAddition, MessagesFrom, Peer, ProfileChange, ProfileUpdate};

use crate::people::{NOW, Person, new_account, new_session, to_email};
use crate::{Context, tests};

tests!(Context:
    a_profile_changes_in_the_fields_given_and_in_no_other,
    a_taken_name_or_address_changes_nothing,
    ones_own_name_and_address_are_not_taken,
    a_name_given_up_is_free_for_others,
    text_that_looks_like_an_expression_is_text,
    nobody_is_updated_when_there_is_nobody,
    friends_are_listed_in_the_order_of_adding,
    adding_twice_changes_nothing_and_removing_twice_is_told,
    a_peer_is_seen_as_they_relate_to_the_caller,
    an_absent_peer_is_told_apart_from_an_ended_session,
);

fn name_change(name: &Username) -> ProfileChange {
    ProfileChange { username: Some(name.clone()), ..ProfileChange::default() }
}

fn email_change(email: &Email) -> ProfileChange {
    ProfileChange { email: Some(to_email(email)), ..ProfileChange::default() }
}

async fn a_profile_changes_in_the_fields_given_and_in_no_other(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let mut expected = person.account.user.clone();
    let free = new_account().user;
    let choice = ProfileChange { messages_from: Some(MessagesFrom::Friends), ..ProfileChange::default() };
    let steps = [name_change(&free.username), email_change(&free.email), choice];
    for change in steps {
        expected.username = change.username.clone().unwrap_or(expected.username);
        expected.email = change.email.clone().map_or(expected.email, |email| email.address);
        expected.messages_from = change.messages_from.unwrap_or(expected.messages_from);
        let updated = context.store.update_profile(&person.key(), &change, NOW).await.expect("an answer");
        assert_eq!(updated, ProfileUpdate::Updated(expected.clone()));
        assert_eq!(person.profile(&*context.store).await, expected);
    }
    let found = context.store.find_credentials(&free.email.key()).await.expect("an answer").expect("credentials");
    assert_eq!(found.user, person.id(), "the new address logs in");
    let old = context.store.find_credentials(&person.account.user.email.key()).await.expect("an answer");
    assert!(old.is_none(), "the old one does not");
}

async fn a_taken_name_or_address_changes_nothing(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let (taken, free) = (&bob.account.user, new_account().user);
    let attempts = [
        (Some(&taken.username), Some(&free.email), ProfileUpdate::UsernameTaken),
        (Some(&free.username), Some(&taken.email), ProfileUpdate::EmailTaken),
        (Some(&taken.username), Some(&taken.email), ProfileUpdate::UsernameTaken),
        (None, Some(&taken.email), ProfileUpdate::EmailTaken),
    ];
    for (username, email, expected) in attempts {
        let change = ProfileChange {
            username: username.cloned(),
            email: email.map(to_email),
            messages_from: Some(MessagesFrom::Friends),
            checked: None,
        };
        assert_eq!(context.store.update_profile(&ann.key(), &change, NOW).await.expect("an answer"), expected);
        assert_eq!(ann.profile(&*context.store).await, ann.account.user);
    }
}

async fn ones_own_name_and_address_are_not_taken(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let own = &person.account.user;
    let louder = Username::parse(&own.username.as_str().to_uppercase()).expect("a name");
    let change = ProfileChange { username: Some(louder.clone()), email: Some(to_email(&own.email)), ..ProfileChange::default() };
    let updated = context.store.update_profile(&person.key(), &change, NOW).await.expect("an answer");
    assert!(matches!(updated, ProfileUpdate::Updated(user) if user.username == louder));
}

async fn a_name_given_up_is_free_for_others(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let given_up = ann.account.user.username.clone();
    let change = name_change(&new_account().user.username);
    assert!(matches!(context.store.update_profile(&ann.key(), &change, NOW).await, Ok(ProfileUpdate::Updated(_))));
    let taken_over = context.store.update_profile(&bob.key(), &name_change(&given_up), NOW).await;
    assert!(matches!(taken_over, Ok(ProfileUpdate::Updated(_))));
}

async fn text_that_looks_like_an_expression_is_text(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let email = Email::parse(&format!("$email+{}@example.com", person.id())).expect("an address");
    let updated = context.store.update_profile(&person.key(), &email_change(&email), NOW).await;
    assert!(matches!(updated, Ok(ProfileUpdate::Updated(_))));
    assert_eq!(person.profile(&*context.store).await.email, email);
}

async fn nobody_is_updated_when_there_is_nobody(context: Arc<Context>) {
    let change = name_change(&new_account().user.username);
    assert_eq!(
        context
            .store
            .update_profile(&SessionKey { user: UserId::generate(), session: new_session(NOW).hash }, &change, NOW)
            .await
            .expect("an answer"),
        ProfileUpdate::NotFound
    );
}

async fn friends_are_listed_in_the_order_of_adding(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let mut friends: Vec<UserId> = (0..5).map(|_| UserId::generate()).collect();
    friends.reverse();
    for friend in &friends {
        assert_eq!(context.store.add_friend(person.id(), *friend, NOW).await.expect("an answer"), FriendAddition::Added);
    }
    assert_eq!(person.profile(&*context.store).await.friends, friends);
}

async fn adding_twice_changes_nothing_and_removing_twice_is_told(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let add = async || context.store.add_friend(ann.id(), bob.id(), NOW).await.expect("an answer");
    let remove = async || context.store.remove_friend(ann.id(), bob.id()).await.expect("an answer");
    assert_eq!(add().await, FriendAddition::Added);
    assert_eq!(add().await, FriendAddition::AlreadyFriend);
    assert_eq!(ann.profile(&*context.store).await.friends, [bob.id()]);
    assert!(bob.profile(&*context.store).await.friends.is_empty(), "it is one-sided");
    assert!(remove().await);
    assert!(!remove().await);
    assert!(ann.profile(&*context.store).await.friends.is_empty());
}

async fn a_peer_is_seen_as_they_relate_to_the_caller(context: Arc<Context>) {
    let (ann, bob) = (Person::create(&*context.store).await, Person::create(&*context.store).await);
    let seen = async |caller: &Person, peer: &Person| {
        context.store.find_peer(&caller.key(), peer.id()).await.expect("an answer").expect("a session").record.expect("a peer")
    };
    let stranger = Peer { messages_from: MessagesFrom::Everyone, has_added_caller: false, has_blocked_caller: false };
    assert_eq!(seen(&ann, &bob).await, stranger);
    assert_eq!(context.store.add_friend(bob.id(), ann.id(), NOW).await.expect("an answer"), FriendAddition::Added);
    let choice = ProfileChange { messages_from: Some(MessagesFrom::Friends), ..ProfileChange::default() };
    assert!(matches!(context.store.update_profile(&bob.key(), &choice, NOW).await, Ok(ProfileUpdate::Updated(_))));
    let friend = Peer { messages_from: MessagesFrom::Friends, has_added_caller: true, has_blocked_caller: false };
    assert_eq!(seen(&ann, &bob).await, friend);
    assert_eq!(seen(&bob, &ann).await, stranger, "the other direction is another matter");
    assert_eq!(seen(&ann, &ann).await, stranger, "oneself is a peer too");
}

async fn an_absent_peer_is_told_apart_from_an_ended_session(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let found = context.store.find_peer(&person.key(), UserId::generate()).await.expect("an answer").expect("a session");
    assert_eq!(found.session, person.account.session);
    assert_eq!(found.record, None);
}
