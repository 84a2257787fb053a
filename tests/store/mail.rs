//! The outbox. Its tests have a store each, since whatever is due is everybody's.

use std::sync::Arc;

use chat_functions::domain::{Email, MailKind, Timestamp, UserId};
use chat_functions::store::{Creation, DueMail, MAX_MAIL_PER_ACCOUNT, Store};

use crate::people::{NOW, Person, hash, louder, new_account, new_mail, new_registration, note, register, registration_end};
use crate::{Context, tests};

tests!(Context:
    mail_ordered_with_an_account_is_due_at_once,
    a_refused_creation_orders_no_mail,
    the_mail_that_is_due_for_longest_comes_first,
    a_taken_mail_is_due_again_when_its_taker_did_not_finish_it,
    a_postponed_mail_is_due_later_with_one_attempt_more,
    a_finished_mail_takes_older_ones_like_it_along,
    an_account_has_at_most_8_mails_waiting,
    nobody_and_a_registration_order_no_mail_by_themselves,
    mail_of_a_registration_is_due_until_the_registration_expires,
    mail_of_a_deleted_account_is_gone,
);

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
    for (person, millis) in [(&ann, 3_000), (&bob, 1_000), (&ann, 2_000), (&bob, 9_000)] {
        order(store, person, MailKind::PasswordReset, &person.account.user.email, after(millis)).await;
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
        store.postpone_mail(&mail, begun.plus_millis(50_000)).await.expect("postponed");
        assert_eq!(take(store, begun.plus_millis(49_999)).await, None);
    }
    let last = take(store, after(150_000)).await.expect("a mail");
    store.finish_mail(&last).await.expect("finished");
    store.postpone_mail(&last, after(150_000)).await.expect("nothing to do");
    assert_eq!(store.count_mail().await.expect("a number"), 0, "what is finished does not come back");
    alone.tear_down().await;
}

async fn a_finished_mail_takes_older_ones_like_it_along(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (ann, bob) = (Person::create(store).await, Person::create(store).await);
    let (address, elsewhere) = (&ann.account.user.email, &bob.account.user.email);
    order(store, &ann, MailKind::PasswordReset, address, after(0)).await;
    order(store, &ann, MailKind::PasswordReset, &louder(address), after(1)).await;
    order(store, &ann, MailKind::PasswordReset, address, after(1)).await;
    let finished = take(store, after(0)).await.expect("the first");
    let of_same_time = take(store, after(1)).await.expect("the second");
    for (person, kind, to, millis) in [
        (&ann, MailKind::PasswordReset, address, 2),
        (&ann, MailKind::PasswordChanged, address, 0),
        (&ann, MailKind::PasswordReset, elsewhere, 0),
        (&bob, MailKind::PasswordReset, address, 0),
    ] {
        order(store, person, kind, to, after(millis)).await;
    }
    store.finish_mail(&finished).await.expect("finished");
    assert_eq!(store.count_mail().await.expect("a number"), 6, "none that was ordered later");
    store.finish_mail(&of_same_time).await.expect("finished");
    store.finish_mail(&of_same_time).await.expect("nothing left to do");
    let mut left = take_all(store, after(10)).await;
    left.sort_by_key(|(kind, address)| (kind.as_str(), address.clone()));
    let mut expected = vec![
        (MailKind::PasswordChanged, address.as_str().to_owned()),
        (MailKind::PasswordReset, address.as_str().to_owned()),
        (MailKind::PasswordReset, address.as_str().to_owned()),
        (MailKind::PasswordReset, elsewhere.as_str().to_owned()),
    ];
    expected.sort_by_key(|(kind, address)| (kind.as_str(), address.clone()));
    assert_eq!(left, expected);
    alone.tear_down().await;
}

async fn an_account_has_at_most_8_mails_waiting(context: Arc<Context>) {
    let alone = context.alone().await;
    let store = &*alone.store;
    let (ann, bob) = (Person::create(store).await, Person::create(store).await);
    for number in 0..20 {
        order(store, &ann, MailKind::PasswordReset, &ann.account.user.email, after(number)).await;
    }
    order(store, &bob, MailKind::PasswordReset, &bob.account.user.email, after(20)).await;
    assert_eq!(store.count_mail().await.expect("a number"), MAX_MAIL_PER_ACCOUNT as u64 + 1);
    let first = take(store, after(20)).await.expect("a mail");
    assert_eq!(first.ordered_at, NOW, "it is the further ones that are not taken");
    let notice = new_mail(MailKind::PasswordChanged, &ann.account.user.email, after(30));
    let changed = store.change_password(&ann.key(), &hash(), &hash(), Some(&notice)).await.expect("an answer");
    assert!(changed, "the change succeeds without its mail");
    assert_eq!(store.count_mail().await.expect("a number"), MAX_MAIL_PER_ACCOUNT as u64 + 1);
    store.finish_mail(&first).await.expect("finished");
    order(store, &ann, MailKind::PasswordReset, &ann.account.user.email, after(40)).await;
    assert_eq!(store.count_mail().await.expect("a number"), MAX_MAIL_PER_ACCOUNT as u64 + 1, "there is a place again");
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
