//! The deletion of accounts.

use std::sync::Arc;

use chat_functions::domain::{MailPurpose, PasswordHash, Timestamp, UsernamePrefix};
use chat_functions::store::{
    BlockAddition, Creation, FriendAddition, HOLD_DELETED_NAME_MILLIS, MessagesFrom, ProfileChange, ProfileUpdate, Window,
};

use crate::people::{
    NOW, Pair, Person, account_named, hash, is_good, new_account, new_registration, new_session, note, other_hash, put_token, send,
    to_email,
};
use crate::{Context, tests};

tests!(Context:
    whose_account_is_gone_has_no_full_list,
    an_account_is_deleted_only_with_the_hash_that_was_checked,
    a_deleted_account_is_nobody,
    a_deleted_account_cannot_be_used_again,
    the_address_of_a_deleted_account_is_free,
    the_name_of_a_deleted_account_is_held_for_90_days,
    others_no_longer_list_a_deleted_account,
    messages_of_a_deleted_account_stay,
);

async fn an_account_is_deleted_only_with_the_hash_that_was_checked(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    let token = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    assert!(!store.delete_account(person.id(), &other_hash(), NOW).await.expect("an answer"));
    assert_eq!(person.profile(store).await, person.account.user);
    assert!(is_good(store, &token).await);
    assert!(!store.delete_account(new_account().user.id, &hash(), NOW).await.expect("an answer"));
}

async fn a_deleted_account_is_nobody(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.log_in(store, NOW).await;
    let token = put_token(store, ann.id(), MailPurpose::PasswordReset, ann.email()).await;
    let present = ann.move_to_new_address(store, NOW).await;
    let second = put_token(store, ann.id(), MailPurpose::PasswordReset, &present).await;
    ann.delete(store).await;
    assert!(context.other.find_session(&ann.key()).await.expect("an answer").is_none());
    assert!(store.find_profile(&ann.key()).await.expect("an answer").is_none());
    assert!(store.find_account_data(&ann.key()).await.expect("an answer").is_none());
    assert!(store.find_credentials(&ann.email().key()).await.expect("an answer").is_none());
    assert!(store.find_address_owner(&ann.email().key(), NOW).await.expect("an answer").is_none());
    assert!(!is_good(store, &token).await && !is_good(store, &second).await);
    assert_eq!(store.reset_password(&second.hash, &hash(), NOW, true).await.expect("an answer"), None);
    assert_eq!(store.find_peer(&bob.key(), ann.id()).await.expect("an answer").expect("a session").record, None);
    assert!(store.find_people(bob.id(), &[ann.id()], NOW).await.expect("people").is_empty());
    let prefix = UsernamePrefix::parse(ann.account.user.username.as_str()).expect("a prefix");
    assert!(store.search_people(bob.id(), &prefix, 10, NOW).await.expect("people").is_empty());
}

async fn a_deleted_account_cannot_be_used_again(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    person.delete(store).await;
    for checked in [hash(), PasswordHash::new(String::new())] {
        assert!(store.start_session(person.id(), &checked, None, &new_session(NOW)).await.expect("an answer").is_none());
        assert!(!store.delete_account(person.id(), &checked, NOW).await.expect("an answer"));
        assert!(!store.change_password(&person.key(), &checked, &hash(), None).await.expect("an answer"));
    }
    let change = ProfileChange { messages_from: Some(MessagesFrom::Friends), ..ProfileChange::default() };
    assert_eq!(store.update_profile(&person.key(), &change, NOW).await.expect("an answer"), ProfileUpdate::NotFound);
}

async fn the_address_of_a_deleted_account_is_free(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    ann.delete(store).await;
    let change = ProfileChange { email: Some(to_email(ann.email())), ..ProfileChange::default() };
    let updated = store.update_profile(&bob.key(), &change, NOW).await.expect("an answer");
    assert!(matches!(updated, ProfileUpdate::Updated(user) if user.email == *ann.email()));
    let credentials = store.find_credentials(&ann.email().key()).await.expect("an answer").expect("credentials");
    assert_eq!(credentials.user, bob.id());
}

async fn the_name_of_a_deleted_account_is_held_for_90_days(context: Arc<Context>) {
    // Whatever has expired by then may be tidied away, and other tests still need theirs.
    let alone = context.alone().await;
    let store = &*alone.store;
    assert_eq!(HOLD_DELETED_NAME_MILLIS, 90 * Timestamp::DAY_MILLIS);
    let end = NOW.plus_millis(HOLD_DELETED_NAME_MILLIS);
    for (at, is_free) in [(NOW, false), (end.plus_millis(-1), false), (end, true)] {
        let mut names = Vec::new();
        for _ in 0..3 {
            let person = Person::create(store).await;
            person.delete(store).await;
            names.push(person.account.user.username.clone());
        }
        let mut account = account_named(&names[0].as_str().to_ascii_uppercase(), new_account().user.email.as_str());
        account.user.created_at = at;
        let expected = if is_free { Creation::Created } else { Creation::UsernameTaken };
        assert_eq!(store.create_account(&account).await.expect("an answer"), expected);

        let mut registration = new_registration(&new_account().user.email);
        (registration.username, registration.created_at) = (names[1].clone(), at);
        assert_eq!(note(store, &registration).await, is_free);

        let other = Person::create(store).await;
        let change = ProfileChange { username: Some(names[2].clone()), ..ProfileChange::default() };
        let updated = store.update_profile(&other.key(), &change, at).await.expect("an answer");
        assert_eq!(matches!(updated, ProfileUpdate::Updated(_)), is_free, "{updated:?}");
    }
    alone.tear_down().await;
}

async fn others_no_longer_list_a_deleted_account(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    let carl = Person::create(store).await;
    bob.add(store, &ann).await;
    bob.add(store, &carl).await;
    carl.block(store, &ann).await;
    ann.delete(store).await;
    assert_eq!(bob.profile(store).await.friends, [carl.id()]);
    let friends = store.list_friends(&bob.key(), NOW).await.expect("an answer").expect("a session").record;
    assert_eq!(friends.iter().map(|friend| friend.person.id).collect::<Vec<_>>(), [carl.id()]);
    assert!(store.list_blocks(&carl.key(), NOW).await.expect("an answer").expect("a session").record.is_empty());
}

async fn messages_of_a_deleted_account_stay(context: Arc<Context>) {
    let store = &*context.store;
    let pair = Pair::create(store).await;
    let sent = send(store, &pair.message(&pair.ann, "still here")).await;
    pair.ann.delete(store).await;
    assert_eq!(store.list_chat_messages(pair.chat, Window::Newest, 10).await.expect("a page"), std::slice::from_ref(&sent));
    assert_eq!(store.list_messages(pair.bob.id(), None, 10).await.expect("a page"), [sent]);
    assert_eq!(store.list_chat_ids(pair.bob.id(), 10).await.expect("a list"), [pair.chat]);
}

async fn whose_account_is_gone_has_no_full_list(context: Arc<Context>) {
    let (store, ann, bob) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    assert!(store.delete_account(ann.id(), &hash(), NOW).await.expect("an answer"));
    assert_eq!(store.add_friend(ann.id(), bob.id(), NOW).await.expect("an answer"), FriendAddition::NoAccount);
    assert_eq!(store.block(ann.id(), bob.id(), NOW).await.expect("an answer"), BlockAddition::NoAccount);
}
