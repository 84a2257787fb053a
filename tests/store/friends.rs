//! The list of friends, what it tells of them, and all that is kept of a person.

use std::sync::Arc;

use chat_functions::domain::{MailPurpose, Timestamp, UserId};
use chat_functions::store::{AccountData, Friend, FriendAddition, Person as SeenPerson, User};

use crate::people::{NOW, Person, new_account, new_session, put_token, register};
use crate::{Context, tests};

tests!(Context:
    the_list_of_friends_tells_who_they_are_in_the_order_of_adding,
    an_ended_session_lists_no_friends,
    friends_that_are_nobody_or_block_the_caller_are_not_listed,
    a_friend_is_active_by_the_latest_use_of_a_session_that_was_not_ended,
    all_that_is_kept_of_a_person_is_told_to_them,
);

async fn list(context: &Context, person: &Person, at: Timestamp) -> Vec<Friend> {
    let found = context.store.list_friends(&person.key(), at).await.expect("an answer").expect("a session");
    assert_eq!(found.session, person.account.session);
    found.record
}

async fn the_list_of_friends_tells_who_they_are_in_the_order_of_adding(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    let mut expected = Vec::new();
    for number in 0..5 {
        let friend = Person::create(store).await;
        if number % 2 == 0 {
            friend.add(store, &ann).await;
        }
        // Earlier and earlier: it is the order that counts and not the time.
        let added_at = NOW.plus_millis(-number);
        assert_eq!(store.add_friend(ann.id(), friend.id(), added_at).await.expect("an answer"), FriendAddition::Added);
        let person = SeenPerson {
            id: friend.id(),
            username: friend.account.user.username.clone(),
            has_added_caller: number % 2 == 0,
            last_active: Some(NOW),
            last_seen: Some(NOW),
        };
        expected.push(Friend { person, added_at });
    }
    assert_eq!(list(&context, &ann, NOW).await, expected);
    assert!(store.remove_friend(ann.id(), expected.remove(1).person.id).await.expect("an answer"));
    assert_eq!(list(&context, &ann, NOW).await, expected);
}

async fn an_ended_session_lists_no_friends(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    assert!(list(&context, &ann, NOW).await.is_empty());
    assert!(store.end_session(&ann.key(), NOW).await.expect("an answer"));
    assert!(store.list_friends(&ann.key(), NOW).await.expect("an answer").is_none());
    assert!(store.list_blocks(&ann.key(), NOW).await.expect("an answer").is_none());
    assert!(store.find_account_data(&ann.key()).await.expect("an answer").is_none());
}

async fn friends_that_are_nobody_or_block_the_caller_are_not_listed(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    let (friend, blocker) = (Person::create(store).await, Person::create(store).await);
    let registration = register(store, &new_account().user.email).await;
    blocker.block(store, &ann).await;
    for id in [UserId::generate(), registration.id, blocker.id(), friend.id()] {
        assert_eq!(store.add_friend(ann.id(), id, NOW).await.expect("an answer"), FriendAddition::Added);
    }
    let listed = list(&context, &ann, NOW).await;
    assert_eq!(listed.iter().map(|friend| friend.person.id).collect::<Vec<_>>(), [friend.id()]);
    assert!(store.unblock(blocker.id(), ann.id()).await.expect("an answer"));
    assert_eq!(list(&context, &ann, NOW).await.len(), 2);
}

async fn a_friend_is_active_by_the_latest_use_of_a_session_that_was_not_ended(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.add(store, &bob).await;
    let seen = async |at| list(&context, &ann, at).await.remove(0).person;
    let last_active = async |at| seen(at).await.last_active;
    let second = bob.log_in(store, NOW.plus_millis(50_000)).await;
    assert_eq!(last_active(NOW.plus_millis(50_000)).await, Some(NOW.plus_millis(50_000)));
    assert!(store.end_session(&bob.key_of(&second), NOW.plus_millis(55_000)).await.expect("an answer"));
    assert_eq!(last_active(NOW.plus_millis(60_000)).await, Some(NOW), "of the one that is left");
    store.touch_session(&bob.key(), NOW.plus_millis(60_000)).await.expect("touched");
    let after = seen(NOW.plus_millis(100_000)).await;
    assert_eq!((after.last_active, after.last_seen), (Some(NOW.plus_millis(60_000)), Some(NOW.plus_millis(60_000))));
}

async fn all_that_is_kept_of_a_person_is_told_to_them(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    let (friends, blocked) = ([UserId::generate(), UserId::generate()], [UserId::generate(), UserId::generate()]);
    for (id, millis) in friends.into_iter().zip(1..) {
        assert_eq!(store.add_friend(ann.id(), id, NOW.plus_millis(millis)).await.expect("an answer"), FriendAddition::Added);
    }
    for id in blocked {
        let _blocked = store.block(ann.id(), id, NOW).await.expect("an answer");
    }
    let present = ann.move_to_new_address(store, NOW).await;
    let token = put_token(store, ann.id(), MailPurpose::NewAddress, &present).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(ann.id()));
    let second = ann.log_in(store, NOW.plus_millis(5_000)).await;
    let expected = AccountData {
        user: User {
            email: present,
            is_email_verified: true,
            friends: friends.to_vec(),
            last_login: Some(NOW.plus_millis(5_000)),
            ..ann.account.user.clone()
        },
        last_seen: Some(NOW.plus_millis(5_000)),
        recovery: Vec::new(),
        recovery_until: None,
        sessions: vec![second, ann.account.session.clone()],
        friends: vec![(friends[0], NOW.plus_millis(1)), (friends[1], NOW.plus_millis(2))],
        blocks: blocked.to_vec(),
    };
    let found = store.find_account_data(&ann.key()).await.expect("an answer").expect("a session");
    assert_eq!((found.session, found.record), (ann.account.session.clone(), expected));
    let unknown = ann.key_of(&new_session(NOW));
    assert!(store.find_account_data(&unknown).await.expect("an answer").is_none());
}
