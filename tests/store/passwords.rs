//! Changes of the password, by the present one and by mail, and the tokens that mail carries.

use std::sync::Arc;

use chat_functions::domain::{Email, MailKind, MailPurpose};
use chat_functions::store::{DueMail, MailTokenOwner, NewMailToken, Store};

use crate::mail::{take, take_all};
use crate::people::{
    NOW, PURPOSES, Person, hash, is_good, louder, may_put, new_account, new_session, new_token, other_hash, put_token, register,
};
use crate::{Context, tests};

tests!(Context:
    ones_own_credentials_come_with_the_session,
    a_password_changes_only_with_the_hash_that_was_checked_and_a_session,
    a_changed_password_ends_other_sessions_and_the_wish_for_another_address,
    a_login_that_checked_the_old_password_starts_no_session,
    a_present_address_may_ask_for_a_new_password,
    a_token_is_found_by_its_purpose_until_its_time,
    a_newer_token_voids_the_older_one_for_its_purpose,
    a_token_goes_only_to_an_address_of_its_account,
    a_reset_sets_the_password_and_ends_everything_else,
    a_reset_without_notice_orders_no_mail,
    a_token_resets_nothing_after_its_time_or_for_another_purpose,
    a_registration_has_no_password_to_reset,
);

async fn stored_hash(store: &dyn Store, person: &Person) -> String {
    let found = store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
    found.password_hash.expose().to_owned()
}

async fn put_all_tokens(store: &dyn Store, person: &Person) -> Vec<NewMailToken> {
    let mut tokens = Vec::new();
    for purpose in PURPOSES {
        tokens.push(put_token(store, person.id(), purpose, person.email()).await);
    }
    tokens
}

async fn good_tokens(store: &dyn Store, tokens: &[NewMailToken]) -> usize {
    let mut good = 0;
    for token in tokens {
        good += usize::from(is_good(store, token).await);
    }
    good
}

async fn ones_own_credentials_come_with_the_session(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    let found = context.store.find_own_credentials(&person.key()).await.expect("an answer").expect("a session");
    assert_eq!(found.session, person.account.session);
    let (own, user) = (found.record, &person.account.user);
    assert_eq!((&own.username, &own.email, own.is_email_verified), (&user.username, &user.email, false));
    assert_eq!(own.password_hash.expose(), hash().expose());
    assert!(context.store.end_session(&person.key(), NOW).await.expect("an answer"));
    assert!(context.store.find_own_credentials(&person.key()).await.expect("an answer").is_none());
}

async fn a_password_changes_only_with_the_hash_that_was_checked_and_a_session(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let (ended, other) = (person.log_in(store, NOW).await, person.log_in(store, NOW).await);
    assert!(store.end_session(&person.key_of(&ended), NOW).await.expect("an answer"));
    let tokens = put_all_tokens(store, &person).await;
    for (key, checked) in [(person.key(), other_hash()), (person.key_of(&ended), hash())] {
        assert!(!store.change_password(&key, &checked, &other_hash(), Some(NOW)).await.expect("an answer"));
    }
    assert_eq!(stored_hash(store, &person).await, hash().expose());
    assert!(store.find_session(&person.key_of(&other)).await.expect("an answer").is_some());
    assert_eq!(good_tokens(store, &tokens).await, 3);
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn a_changed_password_ends_other_sessions_and_the_wish_for_another_address(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (person, bystander) = (Person::create(store).await, Person::create(store).await);
    person.log_in(store, NOW).await;
    let tokens = put_all_tokens(store, &person).await;
    let of_bystander = put_all_tokens(store, &bystander).await;
    assert!(store.change_password(&person.key(), &hash(), &other_hash(), Some(NOW)).await.expect("an answer"));
    assert_eq!(stored_hash(store, &person).await, other_hash().expose());
    let sessions = alone.other.list_sessions(&person.key()).await.expect("an answer").expect("a session").record;
    assert_eq!(sessions, std::slice::from_ref(&person.account.session), "the caller's stays");
    for token in &tokens {
        assert_eq!(is_good(store, token).await, token.purpose != MailPurpose::NewAddress, "only the wish for another address ends");
    }
    assert_eq!(take_all(store, NOW).await, [(MailKind::PasswordChanged, person.email().as_str().to_owned())]);
    assert_eq!(good_tokens(store, &of_bystander).await, 3);
    assert!(store.find_session(&bystander.key()).await.expect("an answer").is_some());
    assert!(store.change_password(&person.key(), &other_hash(), &hash(), None).await.expect("an answer"));
    assert_eq!(store.count_mail().await.expect("a number"), 1, "no notice, no mail");
    alone.tear_down().await;
}

async fn a_login_that_checked_the_old_password_starts_no_session(context: Arc<Context>) {
    let person = Person::create(&*context.store).await;
    assert!(context.store.change_password(&person.key(), &hash(), &other_hash(), None).await.expect("an answer"));
    let session = new_session(NOW);
    for renewed in [None, Some(hash())] {
        let started = context.other.start_session(person.id(), &hash(), renewed.as_ref(), &session).await.expect("an answer");
        assert!(started.is_none());
    }
    assert_eq!(stored_hash(&*context.store, &person).await, other_hash().expose(), "renewing a hash undoes no change");
    assert!(context.store.find_session(&person.key_of(&session)).await.expect("an answer").is_none());
}

async fn a_present_address_may_ask_for_a_new_password(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    let find = async |email: &Email| store.find_address_owner(&email.key(), NOW).await.expect("an answer");
    let expected = Some((person.id(), person.email().clone()));
    assert_eq!(find(&louder(person.email())).await, expected, "as it is stored");
    assert_eq!(find(&new_account().user.email).await, None);
}

async fn a_token_is_found_by_its_purpose_until_its_time(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    for purpose in PURPOSES {
        let token = put_token(store, person.id(), purpose, &louder(person.email())).await;
        let owner = MailTokenOwner { user: person.id(), username: person.account.user.username.clone(), address: louder(person.email()) };
        let last_moment = token.expires_at.plus_millis(-1);
        assert_eq!(store.find_mail_token(&token.hash, purpose, last_moment).await.expect("an answer"), Some(owner));
        assert_eq!(store.find_mail_token(&token.hash, purpose, token.expires_at).await.expect("an answer"), None);
        for other in PURPOSES.into_iter().filter(|other| *other != purpose) {
            assert_eq!(store.find_mail_token(&token.hash, other, NOW).await.expect("an answer"), None);
        }
    }
}

async fn a_newer_token_voids_the_older_one_for_its_purpose(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    let older = put_all_tokens(store, &person).await;
    let newer = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    for token in older {
        assert_eq!(is_good(store, &token).await, token.purpose != MailPurpose::PasswordReset);
    }
    assert!(is_good(store, &newer).await);
}

async fn a_token_goes_only_to_an_address_of_its_account(context: Arc<Context>) {
    let (store, person, other) = (&*context.store, Person::create(&*context.store).await, Person::create(&*context.store).await);
    person.move_to_new_address(store, NOW).await;
    let registration = register(store, person.email()).await;
    let present = person.profile(store).await.email;
    let put = async |user, purpose, address: &Email| may_put(store, user, &new_token(purpose, address)).await;
    for purpose in PURPOSES {
        assert!(put(person.id(), purpose, &present).await && put(person.id(), purpose, &louder(&present)).await);
        assert!(!put(person.id(), purpose, &louder(person.email())).await, "one that it has no more");
        assert!(!put(person.id(), purpose, other.email()).await);
        assert!(!put(registration.id, purpose, &present).await);
    }
    assert!(put(registration.id, MailPurpose::Verification, &registration.email).await);

    let kept = put_token(store, other.id(), MailPurpose::PasswordReset, other.email()).await;
    assert!(!put(other.id(), MailPurpose::PasswordReset, &present).await);
    assert!(is_good(store, &kept).await, "a refused token voids none");
    other.delete(store).await;
    assert!(!put(other.id(), MailPurpose::PasswordReset, other.email()).await);
}

async fn a_reset_sets_the_password_and_ends_everything_else(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let session = person.log_in(store, NOW).await;
    let tokens = put_all_tokens(store, &person).await;
    let token = tokens.iter().find(|token| token.purpose == MailPurpose::PasswordReset).expect("one of them");
    let at = NOW.plus_millis(1_000);
    assert_eq!(store.reset_password(&token.hash, &other_hash(), at, true).await.expect("an answer"), Some(person.id()));
    assert_eq!(store.reset_password(&token.hash, &hash(), at, true).await.expect("an answer"), None, "a token is good for one use");
    assert_eq!(stored_hash(store, &person).await, other_hash().expose());
    for session in [&person.account.session, &session] {
        assert!(alone.other.find_session(&person.key_of(session)).await.expect("an answer").is_none());
    }
    assert_eq!(good_tokens(store, &tokens).await, 0);
    let notice = take(store, at).await.expect("a mail");
    let expected = DueMail {
        id: notice.id,
        user: person.id(),
        username: person.account.user.username.clone(),
        is_pending: false,
        kind: MailKind::PasswordChanged,
        address: person.email().clone(),
        ordered_at: at,
        attempts: 0,
        begun: None,
        unsettled: 0,
        recovery: None,
    };
    assert_eq!(notice, expected);
    assert_eq!(store.count_mail().await.expect("a number"), 1);
    let user = store.start_session(person.id(), &other_hash(), None, &new_session(at)).await.expect("an answer").expect("a person");
    assert!(user.is_email_verified, "who has the mail has the address");
    alone.tear_down().await;
}

async fn a_reset_without_notice_orders_no_mail(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let token = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    assert_eq!(store.reset_password(&token.hash, &other_hash(), NOW, false).await.expect("an answer"), Some(person.id()));
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn a_token_resets_nothing_after_its_time_or_for_another_purpose(context: Arc<Context>) {
    let (store, person) = (&*context.store, Person::create(&*context.store).await);
    let tokens = put_all_tokens(store, &person).await;
    for token in &tokens {
        let at = if token.purpose == MailPurpose::PasswordReset { token.expires_at } else { NOW };
        assert_eq!(store.reset_password(&token.hash, &other_hash(), at, true).await.expect("an answer"), None);
    }
    let unknown = new_token(MailPurpose::PasswordReset, person.email());
    assert_eq!(store.reset_password(&unknown.hash, &other_hash(), NOW, true).await.expect("an answer"), None);
    assert_eq!(stored_hash(store, &person).await, hash().expose());
    assert_eq!(good_tokens(store, &tokens).await, 3);
    assert!(store.find_session(&person.key()).await.expect("an answer").is_some());
}

async fn a_registration_has_no_password_to_reset(context: Arc<Context>) {
    let store = &*context.store;
    let registration = register(store, &new_account().user.email).await;
    let token = new_token(MailPurpose::PasswordReset, &registration.email);
    may_put(store, registration.id, &token).await;
    assert_eq!(store.reset_password(&token.hash, &other_hash(), NOW, true).await.expect("an answer"), None);
    assert!(store.find_credentials(&registration.email.key()).await.expect("an answer").is_none());
}
