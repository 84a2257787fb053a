//! The outbox. Its tests have a store each, since whatever is due is everybody's.

use std::sync::Arc;

use chat_functions::domain::{Email, MailKind, MailPurpose, Timestamp, UserId};
use chat_functions::store::{Creation, DueMail, Link, MAX_MAIL_PER_ACCOUNT, NewMailToken, Store};

use crate::people::{
    NOW, PURPOSES, Person, hash, louder, new_account, new_mail, new_registration, new_token, note, register, registration_end,
};
use crate::{Context, tests};

tests!(Context:
    mail_ordered_with_an_account_is_due_at_once,
    a_refused_creation_orders_no_mail,
    the_mail_that_is_due_for_longest_comes_first,
    a_taken_mail_is_due_again_when_its_taker_did_not_finish_it,
    a_postponed_mail_is_due_later_with_one_attempt_more,
    a_mail_that_is_being_sent_does_not_take_a_newer_one_along,
    of_one_kind_the_newest_waits_for_an_address_and_there_is_room_for_all,
    a_used_link_does_not_come_back,
    a_link_is_good_from_the_first_attempt_that_may_have_delivered_it,
    a_link_that_was_certainly_not_delivered_is_taken_back,
    who_has_lost_a_mail_to_another_changes_nothing_of_it,
    nobody_and_a_registration_order_no_mail_by_themselves,
    mail_of_a_registration_is_due_until_the_registration_expires,
    mail_of_a_deleted_account_is_gone,
);

/// How long these tests take a mail for.
const LEASE: i64 = 60_000;

/// So many milliseconds from now.
fn after(millis: i64) -> Timestamp {
    NOW.plus_millis(millis)
}

/// Takes what is due at a time, for so long that no test sees it again by itself.
pub async fn take(store: &dyn Store, at: Timestamp) -> Option<DueMail> {
    store.take_due_mail(at, at.plus_millis(1_000_000)).await.expect("an answer")
}

/// Takes all mail that is due: what it is about and where it goes.
pub async fn take_all(store: &dyn Store, at: Timestamp) -> Vec<(MailKind, String)> {
    let mut all = Vec::new();
    while let Some(mail) = take(store, at).await {
        all.push((mail.kind, mail.address.as_str().to_owned()));
    }
    all
}

async fn order(store: &dyn Store, person: &Person, kind: MailKind, address: &Email, at: Timestamp) {
    store.order_mail(person.id(), &new_mail(kind, address, at)).await.expect("an answer");
}

async fn mail_ordered_with_an_account_is_due_at_once(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, mut account) = (&*alone.store, new_account());
    account.mail = Some(new_mail(MailKind::Verification, &account.user.email, NOW));
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    assert_eq!(store.count_mail().await.expect("a number"), 1);
    assert_eq!(take(store, after(-1)).await, None, "not before its time");
    let mail = take(store, NOW).await.expect("a mail");
    let expected = DueMail {
        id: mail.id,
        user: account.user.id,
        username: account.user.username.clone(),
        is_pending: false,
        kind: MailKind::Verification,
        address: account.user.email.clone(),
        ordered_at: NOW,
        attempts: 0,
        begun: None,
        unsettled: 0,
        recovery: None,
    };
    assert_eq!(mail, expected);
    alone.tear_down().await;
}

async fn a_refused_creation_orders_no_mail(context: Arc<Context>) {
    let alone = context.alone().await;
    let (store, first) = (&*alone.store, new_account());
    assert_eq!(store.create_account(&first).await.expect("an answer"), Creation::Created);
    let mut second = new_account();
    second.user.email = first.user.email.clone();
    second.mail = Some(new_mail(MailKind::Verification, &second.user.email, NOW));
    assert_eq!(store.create_account(&second).await.expect("an answer"), Creation::EmailTaken);
    let mut registration = new_registration(&new_account().user.email);
    registration.username = first.user.username.clone();
    assert!(!note(store, &registration).await);
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn the_mail_that_is_due_for_longest_comes_first(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (ann, bob) = (Person::create(store).await, Person::create(store).await);
    let (reset, changed) = (MailKind::PasswordReset, MailKind::PasswordChanged);
    for (person, kind, millis) in [(&ann, reset, 3_000), (&bob, reset, 1_000), (&ann, changed, 2_000), (&bob, changed, 9_000)] {
        order(store, person, kind, &person.account.user.email, after(millis)).await;
    }
    let mut taken = Vec::new();
    while let Some(mail) = take(store, after(5_000)).await {
        taken.push((mail.user, mail.ordered_at));
    }
    assert_eq!(taken, [(bob.id(), after(1_000)), (ann.id(), after(2_000)), (ann.id(), after(3_000))]);
    assert_eq!(store.count_mail().await.expect("a number"), 4, "taken mail waits on");
    alone.tear_down().await;
}

async fn a_taken_mail_is_due_again_when_its_taker_did_not_finish_it(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    order(store, &person, MailKind::PasswordReset, &person.account.user.email, NOW).await;
    let first = store.take_due_mail(NOW, after(60_000)).await.expect("an answer").expect("a mail");
    assert_eq!(take(store, after(59_999)).await, None);
    let again = take(store, after(60_000)).await;
    assert_eq!(again, Some(first), "nothing counted as an attempt");
    alone.tear_down().await;
}

async fn a_postponed_mail_is_due_later_with_one_attempt_more(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    order(store, &person, MailKind::PasswordReset, &person.account.user.email, NOW).await;
    for attempts in 0..3 {
        let begun = after(i64::from(attempts) * 50_000);
        let mail = take(store, begun).await.expect("a mail");
        assert_eq!((mail.attempts, mail.ordered_at), (attempts, NOW));
        let tried = DueMail { attempts: attempts + 1, ..mail };
        store.postpone_mail(&tried, begun.plus_millis(50_000), Link::Stays).await.expect("postponed");
        assert_eq!(take(store, begun.plus_millis(49_999)).await, None);
    }
    let last = take(store, after(150_000)).await.expect("a mail");
    store.finish_mail(&last).await.expect("finished");
    store.postpone_mail(&last, after(150_000), Link::Stays).await.expect("nothing to do");
    assert_eq!(store.count_mail().await.expect("a number"), 0, "what is finished does not come back");
    alone.tear_down().await;
}

async fn a_mail_that_is_being_sent_does_not_take_a_newer_one_along(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (ann, bob) = (Person::create(store).await, Person::create(store).await);
    let (address, elsewhere) = (ann.email(), bob.email());
    order(store, &ann, MailKind::PasswordReset, address, after(0)).await;
    let sent = take(store, after(0)).await.expect("the first");
    for (person, kind, to) in [
        (&ann, MailKind::PasswordReset, &louder(address)),
        (&ann, MailKind::PasswordChanged, address),
        (&ann, MailKind::PasswordReset, elsewhere),
        (&bob, MailKind::PasswordReset, address),
    ] {
        order(store, person, kind, to, after(2)).await;
    }
    store.finish_mail(&sent).await.expect("nothing left to do");
    assert_eq!(store.count_mail().await.expect("a number"), 4, "none that was ordered later");
    let newer = take(store, after(2)).await.expect("a mail");
    store.finish_mail(&newer).await.expect("finished");
    store.finish_mail(&newer).await.expect("nothing left to do");
    assert_eq!(store.count_mail().await.expect("a number"), 3);
    alone.tear_down().await;
}

async fn of_one_kind_the_newest_waits_for_an_address_and_there_is_room_for_all(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let ann = Person::create(store).await;
    for number in 0..20 {
        let address = if number % 2 == 0 { ann.email().clone() } else { louder(ann.email()) };
        order(store, &ann, MailKind::PasswordReset, &address, after(number)).await;
    }
    assert_eq!(store.count_mail().await.expect("a number"), 1);
    assert_eq!(take(store, after(20)).await.expect("a mail").ordered_at, after(19), "the newest");
    for number in 0..30 {
        order(store, &ann, MailKind::AddressChanged, &new_account().user.email, after(100 + number)).await;
    }
    assert_eq!(store.count_mail().await.expect("a number"), MAX_MAIL_PER_ACCOUNT as u64);
    assert!(store.change_password(&ann.key(), &hash(), &hash(), Some(after(200))).await.expect("an answer"));
    let waiting = take_all(store, after(300)).await;
    assert_eq!(waiting.len(), MAX_MAIL_PER_ACCOUNT);
    assert!(waiting.iter().any(|(kind, _)| *kind == MailKind::PasswordChanged), "what is oldest makes room: {waiting:?}");
    alone.tear_down().await;
}

/// A mail that is due now, and a token for it.
async fn due_with_token(store: &dyn Store, person: &Person, purpose: MailPurpose) -> (DueMail, NewMailToken) {
    let kind = MailKind::parse(purpose.as_str()).expect("the kind of that purpose");
    order(store, person, kind, person.email(), NOW).await;
    (store.take_due_mail(NOW, after(LEASE)).await.expect("an answer").expect("a mail"), new_token(purpose, person.email()))
}

async fn put(store: &dyn Store, mail: &DueMail, token: &NewMailToken, at: Timestamp) -> bool {
    store.put_mail_token(mail, token, at).await.expect("an answer")
}

async fn is_good_at(store: &dyn Store, token: &NewMailToken, at: Timestamp) -> bool {
    store.find_mail_token(&token.hash, token.purpose, at).await.expect("an answer").is_some()
}

/// The process has died between the mail and the store.
async fn a_used_link_does_not_come_back(context: Arc<Context>) {
    for purpose in PURPOSES {
        let alone = context.alone().await;
        let store = &*alone.store;
        let person = Person::create(store).await;
        let (mail, token) = due_with_token(store, &person, purpose).await;
        assert!(put(store, &mail, &token, NOW).await && is_good_at(store, &token, NOW).await);
        let is_reset = purpose == MailPurpose::PasswordReset;
        let used = if is_reset {
            store.reset_password(&token.hash, &hash(), NOW, false).await.expect("an answer")
        } else {
            store.verify_email(&token.hash, NOW).await.expect("an answer")
        };
        assert!(used.is_some());
        let again = take(&*alone.other, after(LEASE)).await;
        assert_eq!(again, (!is_reset).then(|| mail.begun_with(token.hash)), "a reset takes the mail along");
        let again = again.unwrap_or_else(|| mail.begun_with(token.hash));
        assert!(!put(&*alone.other, &again, &token, after(LEASE)).await, "{purpose:?}");
        assert!(!is_good_at(store, &token, after(LEASE)).await);
        store.finish_mail(&again).await.expect("removed unsent");
        assert_eq!(store.count_mail().await.expect("a number"), 0);
        alone.tear_down().await;
    }
}

async fn a_link_is_good_from_the_first_attempt_that_may_have_delivered_it(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let (mail, first) = due_with_token(store, &person, MailPurpose::PasswordReset).await;
    assert!(put(store, &mail, &first, NOW).await);
    let last = first.expires_at.plus_millis(-1);
    let mail = take(store, after(LEASE)).await.expect("it is due again");
    let later = NewMailToken { expires_at: first.expires_at.plus_millis(LEASE), ..first.clone() };
    assert!(put(store, &mail, &later, after(LEASE)).await);
    assert!(is_good_at(store, &first, last).await && !is_good_at(store, &first, first.expires_at).await);
    // As with another secret.
    let mail = mail.begun_with(first.hash);
    let other = NewMailToken { expires_at: later.expires_at, ..new_token(MailPurpose::PasswordReset, person.email()) };
    assert!(put(store, &mail, &other, last).await);
    assert!(!is_good_at(store, &first, NOW).await, "a link is replaced");
    assert!(is_good_at(store, &other, last).await && !is_good_at(store, &other, first.expires_at).await);
    let mail = mail.begun_with(other.hash);
    assert!(!put(store, &mail, &other, first.expires_at).await, "a link that is over is not sent");
    alone.tear_down().await;
}

async fn a_link_that_was_certainly_not_delivered_is_taken_back(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let (mail, token) = due_with_token(store, &person, MailPurpose::PasswordReset).await;
    assert!(put(store, &mail, &token, NOW).await);
    store.postpone_mail(&mail.begun_with(token.hash), after(10), Link::TakenBack).await.expect("postponed");
    assert!(!is_good_at(store, &token, NOW).await);
    assert_eq!(take(store, after(10)).await, Some(mail.clone()), "as if nothing had been tried");
    // The time of the link begins anew, and with what may have been delivered it stays.
    let later = NewMailToken { expires_at: token.expires_at.plus_millis(10), ..token.clone() };
    assert!(put(store, &mail, &later, after(10)).await && is_good_at(store, &token, token.expires_at).await);
    let mail = mail.begun_with(token.hash);
    assert!(put(store, &mail, &later, after(20)).await);
    store.postpone_mail(&mail.begun_with(token.hash), after(20), Link::TakenBack).await.expect("postponed");
    assert!(is_good_at(store, &token, token.expires_at).await);
    store.postpone_mail(&mail, after(30), Link::Stays).await.expect("postponed");
    let last = store.take_due_mail(after(1_000_020), after(1_000_021)).await.expect("an answer");
    assert_eq!(last, Some(mail));
    alone.tear_down().await;
}

async fn who_has_lost_a_mail_to_another_changes_nothing_of_it(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let (slow, token) = due_with_token(store, &person, MailPurpose::PasswordReset).await;
    let fast = take(&*alone.other, after(LEASE)).await.expect("it is due again");
    assert!(put(&*alone.other, &fast, &token, after(LEASE)).await);
    assert!(!put(store, &slow, &token, after(LEASE)).await);
    store.finish_mail(&slow).await.expect("nothing to do");
    for link in [Link::Stays, Link::TakenBack] {
        store.postpone_mail(&slow, NOW, link).await.expect("nothing to do");
    }
    assert_eq!((take(store, after(LEASE)).await, store.count_mail().await.expect("a number")), (None, 1));
    assert!(is_good_at(store, &token, NOW).await);
    store.finish_mail(&fast.begun_with(token.hash)).await.expect("finished");
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}

async fn nobody_and_a_registration_order_no_mail_by_themselves(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let mail = new_mail(MailKind::PasswordReset, &new_account().user.email, NOW);
    store.order_mail(UserId::generate(), &mail).await.expect("nothing to do");
    let registration = register(store, &mail.address).await;
    store.order_mail(registration.id, &mail).await.expect("nothing to do");
    assert_eq!(take_all(store, NOW).await, [(MailKind::Verification, mail.address.as_str().to_owned())], "but the one it came with");
    alone.tear_down().await;
}

async fn mail_of_a_registration_is_due_until_the_registration_expires(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let registration = register(store, &new_account().user.email).await;
    let mail = store.take_due_mail(NOW, registration_end().plus_millis(-1)).await.expect("an answer").expect("a mail");
    assert!(mail.is_pending);
    assert_eq!((mail.user, &mail.username, &mail.address), (registration.id, &registration.username, &registration.email));
    let again = store.take_due_mail(registration_end().plus_millis(-1), registration_end()).await.expect("an answer");
    assert_eq!(again, Some(mail));
    for _ in 0..40 {
        register(store, &new_account().user.email).await;
    }
    assert_eq!(take(store, registration_end()).await, None, "however many have expired");
    alone.tear_down().await;
}

async fn mail_of_a_deleted_account_is_gone(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let person = Person::create(store).await;
    let address = &person.account.user.email;
    order(store, &person, MailKind::PasswordReset, address, NOW).await;
    assert!(store.delete_account(person.id(), &hash(), NOW).await.expect("an answer"));
    order(store, &person, MailKind::PasswordReset, address, NOW).await;
    assert_eq!(take(store, NOW).await, None);
    assert_eq!(store.count_mail().await.expect("a number"), 0);
    alone.tear_down().await;
}
