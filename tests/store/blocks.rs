//! Blocks.

use std::sync::Arc;

use chat_functions::domain::UserId;
use chat_functions::store::{BlockAddition, FriendAddition, Peer, Person as SeenPerson};

use crate::people::{NOW, Person, new_account, register};
use crate::{Context, tests};

tests!(Context:
    a_block_ends_the_friendship_of_both,
    somebody_blocked_cannot_be_added_and_sees_the_block,
    a_repeated_block_changes_nothing,
    a_block_that_ended_brings_no_friendship_back,
    blocks_are_listed_in_the_order_of_blocking,
    those_who_blocked_each_other_list_each_other_and_tell_nothing,
    a_block_is_one_sided,
);

async fn list(context: &Context, person: &Person) -> Vec<SeenPerson> {
    let found = context.store.list_blocks(&person.key(), NOW).await.expect("an answer").expect("a session");
    assert_eq!(found.session, person.account.session);
    found.record
}

async fn peer(context: &Context, caller: &Person, peer: &Person) -> Peer {
    context.other.find_peer(&caller.key(), peer.id()).await.expect("an answer").expect("a session").record.expect("a peer")
}

async fn a_block_ends_the_friendship_of_both(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    let carl = Person::create(store).await;
    for (person, friend) in [(&ann, &bob), (&ann, &carl), (&bob, &ann), (&bob, &carl)] {
        person.add(store, friend).await;
    }
    ann.block(store, &bob).await;
    for person in [&ann, &bob] {
        assert_eq!(person.profile(store).await.friends, [carl.id()], "and no other");
    }
}

async fn somebody_blocked_cannot_be_added_and_sees_the_block(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.block(store, &bob).await;
    assert_eq!(store.add_friend(ann.id(), bob.id(), NOW).await.expect("an answer"), FriendAddition::Blocked);
    assert!(ann.profile(store).await.friends.is_empty());
    assert!(peer(&context, &bob, &ann).await.has_blocked_caller);
    assert!(!peer(&context, &ann, &bob).await.has_blocked_caller);
}

async fn a_repeated_block_changes_nothing(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    let carl = Person::create(store).await;
    ann.block(store, &bob).await;
    ann.block(store, &carl).await;
    ann.block(store, &bob).await;
    assert_eq!(ann.data(store).await.blocks, [bob.id(), carl.id()]);
    bob.add(store, &ann).await;
    ann.block(store, &bob).await;
    assert!(bob.profile(store).await.friends.is_empty(), "repeating it ends what has come between");
}

async fn a_block_that_ended_brings_no_friendship_back(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.add(store, &bob).await;
    ann.block(store, &bob).await;
    assert!(store.unblock(ann.id(), bob.id()).await.expect("an answer"));
    assert!(!store.unblock(ann.id(), bob.id()).await.expect("an answer"), "there is none left to end");
    assert!(!store.unblock(bob.id(), ann.id()).await.expect("an answer"), "and none the other way");
    assert!(!peer(&context, &bob, &ann).await.has_blocked_caller);
    assert!(ann.profile(store).await.friends.is_empty() && list(&context, &ann).await.is_empty());
    ann.add(store, &bob).await;
}

async fn blocks_are_listed_in_the_order_of_blocking(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    let registration = register(store, &new_account().user.email).await;
    let mut people = Vec::new();
    for _ in 0..5 {
        people.push(Person::create(store).await);
    }
    people.reverse();
    people[2].add(store, &ann).await;
    for (person, millis) in people.iter().zip(0..) {
        // Earlier and earlier: it is the order that counts and not the time.
        let blocked = store.block(ann.id(), person.id(), NOW.plus_millis(-millis)).await.expect("an answer");
        assert_eq!(blocked, BlockAddition::Blocked);
    }
    for nobody in [UserId::generate(), registration.id] {
        assert_eq!(store.block(ann.id(), nobody, NOW).await.expect("an answer"), BlockAddition::Blocked);
    }
    let expected: Vec<_> = people
        .iter()
        .map(|person| SeenPerson {
            id: person.id(),
            username: person.account.user.username.clone(),
            has_added_caller: false,
            last_active: Some(NOW),
            last_seen: Some(NOW),
        })
        .collect();
    assert_eq!(list(&context, &ann).await, expected);
    people[2].add(store, &ann).await;
    assert!(list(&context, &ann).await[2].has_added_caller, "those blocked may add the caller, who is none the wiser");
}

async fn those_who_blocked_each_other_list_each_other_and_tell_nothing(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    bob.add(store, &ann).await;
    ann.block(store, &bob).await;
    bob.block(store, &ann).await;
    for (person, other) in [(&ann, &bob), (&bob, &ann)] {
        let listed = list(&context, person).await;
        assert_eq!(listed.iter().map(|seen| (seen.id, seen.has_added_caller)).collect::<Vec<_>>(), [(other.id(), false)]);
    }
}

async fn a_block_is_one_sided(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.block(store, &bob).await;
    assert!(list(&context, &bob).await.is_empty());
    assert_eq!(store.find_people(ann.id(), &[bob.id()], NOW).await.expect("people").len(), 1, "the blocker still sees the other");
    assert!(store.find_people(bob.id(), &[ann.id()], NOW).await.expect("people").is_empty());
    bob.add(store, &ann).await;
    let friends = store.list_friends(&bob.key(), NOW).await.expect("an answer").expect("a session").record;
    assert!(friends.is_empty(), "the other does not see the blocker");
}
