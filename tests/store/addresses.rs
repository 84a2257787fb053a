//! Changes of the address, and whose it is when several claim it.

use std::sync::Arc;

use chat_functions::domain::{Email, MailKind, MailPurpose, Timestamp};
use chat_functions::store::{AddressMail, KEEP_PREVIOUS_ADDRESS_MILLIS, ProfileChange, ProfileUpdate, Store};

use crate::mail::take_all;
use crate::people::{NOW, Person, is_good, louder, may_put, new_account, new_session, new_token, other_hash, put_token};
use crate::{Context, tests};

tests!(Context:
    a_new_address_is_unverified_and_voids_all_tokens,
    the_address_given_up_is_kept_for_a_day,
    a_second_change_keeps_the_first_previous_address,
    the_addresses_get_the_mail_that_is_wanted,
    an_address_in_other_letters_changes_nothing_else,
    a_refused_change_leaves_tokens_and_orders_no_mail,
    who_has_verified_an_address_comes_before_who_had_it_and_that_one_before_who_has_it,
    of_several_who_had_an_address_each_comes_before_who_has_it_unverified,
    a_reset_takes_the_address_from_who_has_not_verified_it,
    a_reset_leaves_the_address_with_who_has_verified_it,
    a_reset_takes_the_address_from_one_account_as_often_as_it_takes,
    who_has_lost_an_address_can_take_another,
);

/// A person whose address is verified.
async fn verified(store: &dyn Store) -> Person {
    let person = Person::create(store).await;
    verify(store, &person, person.email()).await;
    person
}

async fn verify(store: &dyn Store, person: &Person, email: &Email) {
    let token = put_token(store, person.id(), MailPurpose::Verification, email).await;
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(person.id()));
}

/// Somebody who has given up their address, and somebody who has it instead, in other letters and unverified.
pub async fn owner_and_holder(store: &dyn Store) -> (Person, Person) {
    let (owner, holder) = (Person::create(store).await, Person::create(store).await);
    owner.move_to_new_address(store, NOW).await;
    holder.move_to(store, &louder(owner.email()), NOW).await;
    (owner, holder)
}

/// Resets the password of somebody by the address that they have, or had.
async fn reset(store: &dyn Store, person: &Person, notify: bool) {
    let token = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    assert_eq!(store.reset_password(&token.hash, &other_hash(), NOW, notify).await.expect("an answer"), Some(person.id()));
}

/// The address of somebody after a reset, and whether it is verified.
async fn address_after_reset(store: &dyn Store, person: &Person) -> (Email, bool) {
    let user = store.start_session(person.id(), &other_hash(), None, &new_session(NOW)).await.expect("an answer").expect("a person");
    (user.email, user.is_email_verified)
}

async fn change(store: &dyn Store, person: &Person, email: &Email, at: Timestamp, mail: AddressMail) -> ProfileUpdate {
    let change = ProfileChange { email: Some(email.clone()), ..ProfileChange::default() };
    store.update_profile(person.id(), &change, at, mail).await.expect("an answer")
}

async fn a_new_address_is_unverified_and_voids_all_tokens(context: Arc<Context>) {
    let store = &*context.store;
    let person = verified(store).await;
    let mut tokens = Vec::new();
    for purpose in MailPurpose::ALL {
        tokens.push(put_token(store, person.id(), purpose, person.email()).await);
    }
    let new = new_account().user.email;
    let ProfileUpdate::Updated(user) = change(store, &person, &new, NOW, AddressMail::None).await else { panic!("not updated") };
    assert_eq!((user.email, user.is_email_verified), (new.clone(), false));
    for token in &tokens {
        assert!(!is_good(store, token).await);
    }
    let credentials = store.find_credentials(&new.key()).await.expect("an answer").expect("credentials");
    assert!(!credentials.is_email_verified);
}

async fn the_address_given_up_is_kept_for_a_day(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    assert_eq!(person.data(store).await.previous_email, None);
    person.move_to_new_address(store, NOW).await;
    let until = NOW.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS);
    assert_eq!(person.data(store).await.previous_email, Some((person.email().clone(), until)));
}

async fn a_second_change_keeps_the_first_previous_address(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    let until = NOW.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS);
    person.move_to_new_address(store, NOW).await;
    let third = person.move_to_new_address(store, until.plus_millis(-1)).await;
    assert_eq!(person.data(store).await.previous_email, Some((person.email().clone(), until)));
    person.move_to_new_address(store, until).await;
    let next = until.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS);
    assert_eq!(person.data(store).await.previous_email, Some((third, next)), "once the first one's time is over");
}

async fn the_addresses_get_the_mail_that_is_wanted(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, new) = (Person::create(store).await, new_account().user.email);
    let at = NOW.plus_millis(1_000);
    assert!(matches!(change(store, &person, &new, at, AddressMail::ToBoth).await, ProfileUpdate::Updated(_)));
    assert!(take_all(store, NOW).await.is_empty(), "due when they are ordered");
    let mut mail = take_all(store, at).await;
    mail.sort_by_key(|(kind, _)| kind.as_str());
    let expected = [(MailKind::AddressChanged, person.email().as_str().to_owned()), (MailKind::NewAddress, new.as_str().to_owned())];
    assert_eq!(mail, expected);
    let next = new_account().user.email;
    assert!(matches!(change(store, &person, &next, at, AddressMail::ToPresent).await, ProfileUpdate::Updated(_)));
    assert_eq!(take_all(store, at).await, [(MailKind::AddressChanged, new.as_str().to_owned())]);
    person.move_to_new_address(store, at).await;
    assert_eq!(store.count_mail().await.expect("a number"), 3, "none when none is wanted");
    alone.tear_down().await;
}

async fn an_address_in_other_letters_changes_nothing_else(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = verified(store).await;
    let token = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    let ProfileUpdate::Updated(user) = change(store, &person, &louder(person.email()), NOW, AddressMail::ToBoth).await else {
        panic!("not updated")
    };
    assert_eq!((user.email, user.is_email_verified), (louder(person.email()), true));
    assert!(is_good(store, &token).await);
    assert_eq!(person.data(store).await.previous_email, None);
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn a_refused_change_leaves_tokens_and_orders_no_mail(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, other) = (Person::create(store).await, Person::create(store).await);
    let token = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    assert_eq!(change(store, &person, &louder(other.email()), NOW, AddressMail::ToBoth).await, ProfileUpdate::EmailTaken);
    assert!(is_good(store, &token).await);
    assert_eq!(person.data(store).await.previous_email, None);
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn who_has_verified_an_address_comes_before_who_had_it_and_that_one_before_who_has_it(context: Arc<Context>) {
    let store = &*context.store;
    let (owner, holder) = owner_and_holder(store).await;
    let end = NOW.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS);
    let find = async |at| store.find_reset_address(&owner.email().key(), at).await.expect("an answer");
    let (of_owner, of_holder) = (Some((owner.id(), owner.email().clone())), Some((holder.id(), louder(owner.email()))));
    assert_eq!((find(NOW).await, find(end.plus_millis(-1)).await), (of_owner.clone(), of_owner));
    assert_eq!(find(end).await, of_holder, "when nobody had it within a day");
    verify(store, &holder, owner.email()).await;
    assert_eq!((find(NOW).await, find(end).await), (of_holder.clone(), of_holder));
}

async fn of_several_who_had_an_address_each_comes_before_who_has_it_unverified(context: Arc<Context>) {
    let store = &*context.store;
    let (first, second, holder) = (Person::create(store).await, Person::create(store).await, Person::create(store).await);
    first.move_to_new_address(store, NOW).await;
    // So long ago that its own address is its previous one no more.
    second.move_to(store, first.email(), NOW.plus_millis(-KEEP_PREVIOUS_ADDRESS_MILLIS)).await;
    second.move_to_new_address(store, NOW.plus_millis(1)).await;
    holder.move_to(store, first.email(), NOW.plus_millis(1)).await;
    for (millis, expected) in [(-1, &first), (0, &second), (1, &holder)] {
        let at = NOW.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS + millis);
        let found = store.find_reset_address(&first.email().key(), at).await.expect("an answer");
        assert_eq!(found, Some((expected.id(), first.email().clone())), "{millis} ms after a day");
    }
}

async fn a_reset_takes_the_address_from_who_has_not_verified_it(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (owner, holder) = (Person::create(store).await, Person::create(store).await);
    let bystander = Person::create(store).await;
    let kept = put_token(store, bystander.id(), MailPurpose::PasswordReset, bystander.email()).await;
    owner.move_to_new_address(store, NOW).await;
    assert!(matches!(change(store, &holder, &louder(owner.email()), NOW, AddressMail::ToBoth).await, ProfileUpdate::Updated(_)));
    let mut tokens = Vec::new();
    for purpose in MailPurpose::ALL {
        tokens.push(put_token(store, holder.id(), purpose, owner.email()).await);
    }
    reset(store, &owner, true).await;
    assert_eq!(address_after_reset(store, &owner).await, (owner.email().clone(), true));
    let credentials = store.find_credentials(&owner.email().key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.is_email_verified), (owner.id(), true));

    let data = holder.data(store).await;
    let lost = data.user.email;
    assert_eq!((lost.as_str(), data.user.is_email_verified), ("", false), "it has no address, and its session goes on");
    assert_eq!(data.previous_email.expect("one").0, *holder.email());
    assert!(store.find_credentials(&lost.key()).await.expect("an answer").is_none());
    assert_eq!(store.find_reset_address(&lost.key(), NOW).await.expect("an answer"), None);
    for token in &tokens {
        assert!(!is_good(store, token).await);
        for address in [owner.email(), &lost] {
            let put = may_put(store, holder.id(), &new_token(token.purpose, address)).await;
            assert!(!put, "mail to the address is no more about that account");
        }
    }
    assert!(is_good(store, &kept).await);
    assert_eq!(store.count_mail().await.expect("a number"), 1, "what waited for that account is gone");
    assert_eq!(take_all(store, NOW).await, [(MailKind::PasswordChanged, owner.email().as_str().to_owned())]);
    alone.tear_down().await;
}

async fn a_reset_leaves_the_address_with_who_has_verified_it(context: Arc<Context>) {
    let store = &*context.store;
    let (owner, holder) = (Person::create(store).await, verified(store).await);
    let present = owner.move_to_new_address(store, NOW).await;
    let token = put_token(store, owner.id(), MailPurpose::PasswordReset, owner.email()).await;
    holder.move_to(store, &louder(owner.email()), NOW).await;
    verify(store, &holder, owner.email()).await;
    let of_holder = put_token(store, holder.id(), MailPurpose::PasswordReset, owner.email()).await;
    assert_eq!(store.reset_password(&token.hash, &other_hash(), NOW, false).await.expect("an answer"), Some(owner.id()));
    assert_eq!(address_after_reset(store, &owner).await, (present, false));
    assert!(store.find_session(&owner.key()).await.expect("an answer").is_none());
    let user = holder.profile(store).await;
    assert_eq!((user.email, user.is_email_verified), (louder(owner.email()), true));
    assert!(is_good(store, &of_holder).await);
}

async fn a_reset_takes_the_address_from_one_account_as_often_as_it_takes(context: Arc<Context>) {
    let store = &*context.store;
    let (owner, holder) = owner_and_holder(store).await;
    let (other_owner, other_holder) = owner_and_holder(store).await;
    reset(store, &owner, false).await;
    reset(store, &other_owner, false).await;
    for holder in [&holder, &other_holder] {
        assert!(holder.profile(store).await.email.is_empty(), "none is in another's way");
    }
    let third_owner = Person::create(store).await;
    third_owner.move_to_new_address(store, NOW).await;
    holder.move_to(store, third_owner.email(), NOW).await;
    reset(store, &third_owner, false).await;
    assert_eq!(address_after_reset(store, &third_owner).await, (third_owner.email().clone(), true));
    assert!(holder.profile(store).await.email.is_empty());
}

async fn who_has_lost_an_address_can_take_another(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (owner, holder) = owner_and_holder(store).await;
    reset(store, &owner, false).await;
    assert_eq!(change(store, &holder, owner.email(), NOW, AddressMail::ToBoth).await, ProfileUpdate::EmailTaken);
    let (new, end) = (new_account().user.email, NOW.plus_millis(KEEP_PREVIOUS_ADDRESS_MILLIS));
    // When the previous address that it has is kept no more.
    let ProfileUpdate::Updated(user) = change(store, &holder, &new, end, AddressMail::ToBoth).await else { panic!("not updated") };
    assert_eq!((&user.email, user.is_email_verified), (&new, false));
    assert_eq!(take_all(store, end).await, [(MailKind::NewAddress, new.as_str().to_owned())], "there is no old address to tell");
    let previous = holder.data(store).await.previous_email;
    assert!(previous.is_none_or(|(address, _)| !address.is_empty()), "and none to get the account back by");
    verify(store, &holder, &new).await;
    let credentials = store.find_credentials(&new.key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.is_email_verified), (holder.id(), true));
    alone.tear_down().await;
}
