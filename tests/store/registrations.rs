//! Registrations that wait for their address to be verified, and the verification of addresses.

use std::sync::Arc;

use chat_functions::domain::{Email, MailKind, MailPurpose, SessionKey, Timestamp, Username, UsernamePrefix};
use chat_functions::store::{
    Creation, MessagesFrom, PendingRegistration, ProfileChange, ProfileUpdate, Registration, RegistrationOutcome, Store, User,
};

use crate::mail::take_all;
use crate::people::{
    NOW, Person, account_named, hash, is_good, louder, may_put, new_account, new_mail, new_registration, new_session, new_token, note,
    other_hash, put_token, register, registration_end, to_email,
};
use crate::{Context, tests};

tests!(Context:
    a_registration_is_nobody,
    the_name_of_a_registration_is_taken,
    a_registration_under_a_taken_name_is_refused,
    the_address_of_a_registration_is_not_taken,
    a_registration_may_have_the_address_of_an_account,
    a_verified_registration_is_an_account,
    a_registration_expires,
    an_expired_registration_gives_its_name_to_another_one,
    a_repetition_replaces_the_address_the_link_and_the_mail,
    a_repetition_counts_only_while_the_registration_waits_with_the_hash_that_was_checked,
    a_name_is_held_for_3_days_however_often_its_registration_is_repeated,
    other_registrations_for_a_verified_address_come_to_nothing_and_hold_their_names,
    a_registration_whose_address_an_account_has_stays_one,
    the_address_of_an_account_is_verified_once,
    a_token_verifies_nothing_after_its_time_or_for_another_purpose,
);

const DAY: i64 = Timestamp::DAY_MILLIS;

/// Verifies the address of a registration by a token of its own.
async fn activate(store: &dyn Store, registration: &Registration) -> bool {
    let token = put_token(store, registration.id, MailPurpose::Verification, &registration.email).await;
    let verified = store.verify_email(&token.hash, NOW).await.expect("an answer");
    assert!(verified.is_none_or(|user| user == registration.id));
    verified.is_some()
}

async fn is_name_free(store: &dyn Store, name: &Username) -> bool {
    let account = account_named(&name.as_str().to_ascii_uppercase(), new_account().user.email.as_str());
    store.create_account(&account).await.expect("an answer") == Creation::Created
}

async fn a_registration_is_nobody(context: Arc<Context>) {
    let (store, ann) = (&*context.store, Person::create(&*context.store).await);
    let registration = register(store, &new_account().user.email).await;
    let id = registration.id;
    assert!(store.find_credentials(&registration.email.key()).await.expect("an answer").is_none());
    assert!(store.find_address_owner(&registration.email.key(), NOW).await.expect("an answer").is_none());
    let session = new_session(NOW);
    assert!(store.start_session(id, &hash(), None, &session).await.expect("an answer").is_none());
    let key = SessionKey { user: id, session: session.hash };
    assert!(store.find_session(&key).await.expect("an answer").is_none());
    assert_eq!(store.find_peer(&ann.key(), id).await.expect("an answer").expect("a session").record, None);
    assert!(store.find_people(ann.id(), &[id], NOW).await.expect("people").is_empty());
    let prefix = UsernamePrefix::parse(registration.username.as_str()).expect("a prefix");
    assert!(store.search_people(ann.id(), &prefix, 10, NOW).await.expect("people").is_empty());
    let change = ProfileChange { messages_from: Some(MessagesFrom::Friends), ..ProfileChange::default() };
    assert_eq!(store.update_profile(&key, &change, NOW).await.expect("an answer"), ProfileUpdate::NotFound);
    assert!(!store.delete_account(id, &hash(), NOW).await.expect("an answer"));
}

async fn the_name_of_a_registration_is_taken(context: Arc<Context>) {
    let store = &*context.store;
    let registration = register(store, &new_account().user.email).await;
    assert!(!is_name_free(store, &registration.username).await);
    let person = Person::create(store).await;
    let change = ProfileChange { username: Some(registration.username.clone()), ..ProfileChange::default() };
    assert_eq!(store.update_profile(&person.key(), &change, NOW).await.expect("an answer"), ProfileUpdate::UsernameTaken);
}

async fn a_registration_under_a_taken_name_is_refused(context: Arc<Context>) {
    let store = &*context.store;
    let (person, email) = (Person::create(store).await, new_account().user.email);
    let first = register(store, &email).await;
    for taken in [&person.account.user.username, &first.username] {
        let mut second = new_registration(&email);
        second.username = Username::parse(&taken.as_str().to_ascii_uppercase()).expect("a name");
        assert!(!note(store, &second).await);
        let token = new_token(MailPurpose::Verification, &email);
        assert!(!may_put(store, second.id, &token).await, "nothing was noted");
    }
    assert!(activate(store, &first).await, "the first one is as it was");
}

async fn the_address_of_a_registration_is_not_taken(context: Arc<Context>) {
    let store = &*context.store;
    let (first, second) = (register(store, &new_account().user.email).await, register(store, &new_account().user.email).await);
    let account = account_named(new_account().user.username.as_str(), first.email.as_str());
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    let change = ProfileChange { email: Some(to_email(&second.email)), ..ProfileChange::default() };
    let updated =
        store.update_profile(&SessionKey { user: account.user.id, session: account.session.hash }, &change, NOW).await.expect("an answer");
    assert!(matches!(updated, ProfileUpdate::Updated(_)));
}

async fn a_registration_may_have_the_address_of_an_account(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    let registration = new_registration(&louder(person.email()));
    assert!(note(store, &registration).await);
    let credentials = store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
    assert_eq!(credentials.user, person.id());
    assert!(!activate(store, &registration).await);
}

async fn a_verified_registration_is_an_account(context: Arc<Context>) {
    let store = &*context.store;
    let registration = register(store, &new_account().user.email).await;
    let token = put_token(store, registration.id, MailPurpose::Verification, &registration.email).await;
    let owner = store.find_mail_token(&token.hash, MailPurpose::Verification, NOW).await.expect("an answer").expect("an owner");
    assert_eq!((owner.user, owner.username, owner.address), (registration.id, registration.username.clone(), registration.email.clone()));
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(registration.id));
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), None, "a token is good for one use");

    let credentials = context.other.find_credentials(&registration.email.key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.is_email_verified), (registration.id, true));
    assert_eq!(credentials.password_hash.expose(), registration.password_hash.expose());
    let login = NOW.plus_millis(1_000);
    let user = store.start_session(registration.id, &hash(), None, &new_session(login)).await.expect("an answer").expect("a person");
    let expected = User {
        id: registration.id,
        username: registration.username,
        email: registration.email,
        is_email_verified: true,
        pending_email: None,
        friends: Vec::new(),
        messages_from: MessagesFrom::Everyone,
        last_login: Some(login),
        created_at: registration.created_at,
    };
    assert_eq!(user, expected);
    let later = NOW.plus_millis(100 * DAY);
    let peer = store.find_people(registration.id, &[registration.id], later).await.expect("people");
    assert_eq!(peer.len(), 1, "an account does not expire");
    assert!(!is_name_free(store, &user.username).await);
}

async fn a_registration_expires(context: Arc<Context>) {
    let store = &*context.store;
    let registration = register(store, &new_account().user.email).await;
    let mut token = new_token(MailPurpose::Verification, &registration.email);
    token.expires_at = token.expires_at.plus_millis(1_000);
    assert!(may_put(store, registration.id, &token).await);
    let find = async |at| store.find_mail_token(&token.hash, MailPurpose::Verification, at).await.expect("an answer");
    assert!(find(registration_end().plus_millis(-1)).await.is_some());
    assert!(find(registration_end()).await.is_none());
    assert_eq!(store.verify_email(&token.hash, registration_end()).await.expect("an answer"), None);

    let mut account = account_named(registration.username.as_str(), registration.email.as_str());
    account.user.created_at = registration_end().plus_millis(-1);
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::UsernameTaken);
    account.user.created_at = registration_end();
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    assert!(find(NOW).await.is_none(), "nothing of the registration is left");
}

async fn an_expired_registration_gives_its_name_to_another_one(context: Arc<Context>) {
    // Whatever has expired by then may be tidied away, and other tests still need theirs.
    let alone = context.alone().await;
    let store = &*alone.store;
    let (first, other) = (register(store, &new_account().user.email).await, register(store, &new_account().user.email).await);
    let mut second = new_registration(&first.email);
    second.username = first.username.clone();
    second.created_at = registration_end().plus_millis(-1);
    assert!(!note(store, &second).await);
    second.created_at = registration_end();
    assert!(note(store, &second).await);
    let person = Person::create(store).await;
    let change = ProfileChange { username: Some(other.username.clone()), ..ProfileChange::default() };
    let renamed = store.update_profile(&person.key(), &change, registration_end()).await.expect("an answer");
    assert!(matches!(renamed, ProfileUpdate::Updated(user) if user.username == other.username));
    alone.tear_down().await;
}

/// The registration that waits under the name of another one.
async fn pending_under_name_of(store: &dyn Store, registration: &Registration) -> PendingRegistration {
    let mut second = new_registration(&new_account().user.email);
    second.username = Username::parse(&registration.username.as_str().to_ascii_uppercase()).expect("a name");
    match store.create_registration(&second).await.expect("an answer") {
        RegistrationOutcome::Pending(pending) => pending,
        other => panic!("none waits: {other:?}"),
    }
}

async fn repeat(store: &dyn Store, pending: &PendingRegistration, email: &Email, at: Timestamp) -> bool {
    store.repeat_registration(pending, &new_mail(MailKind::Verification, email, at)).await.expect("an answer")
}

async fn a_repetition_replaces_the_address_the_link_and_the_mail(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, owner) = (&*alone.store, Person::create(&*alone.store).await);
    let first = register(store, &new_account().user.email).await;
    let link = put_token(store, first.id, MailPurpose::Verification, &first.email).await;
    let pending = pending_under_name_of(store, &first).await;
    let is_the_first = (pending.id, pending.password_hash.expose(), pending.created_at);
    assert_eq!(is_the_first, (first.id, first.password_hash.expose(), first.created_at));
    // Whether the address is somebody's makes no difference; the same one again is as good as another.
    for address in [owner.email().clone(), first.email.clone(), new_account().user.email] {
        assert!(repeat(store, &pending, &address, NOW).await);
        assert!(!is_good(store, &link).await);
        assert_eq!(take_all(&*alone.other, NOW).await, [(MailKind::Verification, address.as_str().to_owned())]);
    }
    assert_eq!(store.verify_email(&link.hash, NOW).await.expect("an answer"), None);
    let to_first = new_token(MailPurpose::Verification, &first.email);
    assert!(!may_put(store, first.id, &to_first).await, "no link goes to a former address");
    let correct = new_account().user.email;
    assert!(repeat(store, &pending, &correct, NOW).await);
    let link = put_token(store, first.id, MailPurpose::Verification, &correct).await;
    assert_eq!(store.verify_email(&link.hash, NOW).await.expect("an answer"), Some(first.id));
    let credentials = store.find_credentials(&correct.key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.password_hash.expose()), (first.id, first.password_hash.expose()));
    let user = store.start_session(first.id, &hash(), None, &new_session(NOW)).await.expect("an answer").expect("a person");
    assert_eq!((user.email, user.username, user.created_at), (correct, first.username, first.created_at));
    alone.tear_down().await;
}

async fn a_repetition_counts_only_while_the_registration_waits_with_the_hash_that_was_checked(context: Arc<Context>) {
    let store = &*context.store;
    let first = register(store, &new_account().user.email).await;
    let link = put_token(store, first.id, MailPurpose::Verification, &first.email).await;
    let pending = pending_under_name_of(store, &first).await;
    let (elsewhere, person) = (new_account().user.email, Person::create(store).await);
    let wrong = PendingRegistration { password_hash: other_hash(), ..pending.clone() };
    let nobody = PendingRegistration { id: new_account().user.id, ..pending.clone() };
    let account = PendingRegistration { id: person.id(), password_hash: hash(), created_at: NOW };
    for (pending, at) in [(&wrong, NOW), (&nobody, NOW), (&account, NOW), (&pending, registration_end())] {
        assert!(!repeat(store, pending, &elsewhere, at).await, "{pending:?}");
    }
    assert_eq!(person.profile(store).await, person.account.user);
    assert!(is_good(store, &link).await);
    assert_eq!(store.verify_email(&link.hash, NOW).await.expect("an answer"), Some(first.id));
    assert!(!repeat(store, &pending, &elsewhere, NOW).await, "it is an account by now");
    assert!(store.find_credentials(&elsewhere.key()).await.expect("an answer").is_none());
}

async fn a_name_is_held_for_3_days_however_often_its_registration_is_repeated(context: Arc<Context>) {
    // Whatever has expired by then may be tidied away, and other tests still need theirs.
    let alone = context.alone().await;
    let store = &*alone.store;
    let after = |hours: i64| NOW.plus_millis(hours * DAY / 24);
    for (repeated_at, free_at) in [(vec![], 24), (vec![1], 25), (vec![23, 1], 47), (vec![23, 46], 70), (vec![23, 46, 69, 71], 72)] {
        let registration = register(store, &new_account().user.email).await;
        let pending = pending_under_name_of(store, &registration).await;
        for hours in &repeated_at {
            assert!(repeat(store, &pending, &new_account().user.email, after(*hours)).await);
        }
        let mut account = account_named(registration.username.as_str(), new_account().user.email.as_str());
        account.user.created_at = after(free_at).plus_millis(-1);
        assert_eq!(
            store.create_account(&account).await.expect("an answer"),
            Creation::UsernameTaken,
            "repeated after {repeated_at:?} hours"
        );
        account.user.created_at = after(free_at);
        assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created, "repeated after {repeated_at:?} hours");
    }
    alone.tear_down().await;
}

async fn other_registrations_for_a_verified_address_come_to_nothing_and_hold_their_names(context: Arc<Context>) {
    let (store, email) = (&*context.store, new_account().user.email);
    let (first, second) = (register(store, &email).await, register(store, &louder(&email)).await);
    let elsewhere = register(store, &new_account().user.email).await;
    let rival = put_token(store, first.id, MailPurpose::Verification, &email).await;
    assert!(activate(store, &second).await);
    assert_eq!(store.verify_email(&rival.hash, NOW).await.expect("an answer"), None);
    assert!(!activate(store, &first).await);
    assert!(!is_name_free(store, &first.username).await, "a free name would tell that the address is somebody's by now");
    assert!(activate(store, &elsewhere).await);
}

async fn a_registration_whose_address_an_account_has_stays_one(context: Arc<Context>) {
    let store = &*context.store;
    let registration = register(store, &new_account().user.email).await;
    let token = put_token(store, registration.id, MailPurpose::Verification, &registration.email).await;
    let mut account = new_account();
    account.user.email = louder(&registration.email);
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), None);
    assert!(is_good(store, &token).await, "nothing was changed");
    assert!(!is_name_free(store, &registration.username).await);
    let credentials = store.find_credentials(&registration.email.key()).await.expect("an answer").expect("credentials");
    assert_eq!((credentials.user, credentials.is_email_verified), (account.user.id, false));
}

async fn the_address_of_an_account_is_verified_once(context: Arc<Context>) {
    let store = &*context.store;
    for purpose in [MailPurpose::Verification, MailPurpose::NewAddress] {
        let person = Person::create(store).await;
        assert!(!person.profile(store).await.is_email_verified);
        let token = put_token(store, person.id(), purpose, person.email()).await;
        let reset = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
        assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), Some(person.id()));
        assert_eq!(store.verify_email(&token.hash, NOW).await.expect("an answer"), None);
        let credentials = store.find_credentials(&person.email().key()).await.expect("an answer").expect("credentials");
        let own = store.find_own_credentials(&person.key()).await.expect("an answer").expect("a session").record;
        let user = User { is_email_verified: true, ..person.account.user.clone() };
        assert!(credentials.is_email_verified && own.is_email_verified);
        assert_eq!(person.profile(store).await, user, "and nothing else has changed");
        assert!(is_good(store, &reset).await);
    }
}

async fn a_token_verifies_nothing_after_its_time_or_for_another_purpose(context: Arc<Context>) {
    let store = &*context.store;
    let person = Person::create(store).await;
    let token = put_token(store, person.id(), MailPurpose::Verification, person.email()).await;
    let reset = put_token(store, person.id(), MailPurpose::PasswordReset, person.email()).await;
    for (hash, at) in [(token.hash, token.expires_at), (reset.hash, NOW), (new_token(token.purpose, person.email()).hash, NOW)] {
        assert_eq!(store.verify_email(&hash, at).await.expect("an answer"), None);
    }
    assert!(is_good(store, &token).await && is_good(store, &reset).await);
    assert!(!person.profile(store).await.is_email_verified);
    let last_moment = token.expires_at.plus_millis(-1);
    assert_eq!(store.verify_email(&token.hash, last_moment).await.expect("an answer"), Some(person.id()));
}
