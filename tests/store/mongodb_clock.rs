//! Instances whose clocks differ count by the server's.

use std::sync::Arc;

use chat_functions::domain::{MailKind, MailPurpose, UserId};
use chat_functions::store::{Creation, NewMailToken, Quota, Registration, RegistrationOutcome, Store, ThrottleKey};

use crate::addresses::{move_by_link, verified};
use crate::mail::take_all;
use crate::mongodb_only::MONGODB;
use crate::people::{NOW, hash, may_put, new_account, new_mail, new_registration, new_token, other_hash};
use crate::support::clock_proxy;
use crate::support::mongodb::TestDatabase;
use crate::throttles::new_key;
use crate::{Context, connect, connect_through, connect_to, tests};

const MINUTE_MILLIS: i64 = 60_000;
/// What was measured is off by the time that the answer took at most.
const TOLERANCE_MILLIS: i64 = 10_000;

tests!(Context:
    clocks_that_differ_by_minutes_count_by_one_clock in MONGODB,
    whatever_orders_mail_by_a_clock_ahead_it_is_due_at_once in MONGODB,
    mail_is_leased_by_one_clock in MONGODB,
    a_server_that_tells_its_time_as_a_number_serves in MONGODB,
);

/// Makes that date a number, as the open-source engine of Azure DocumentDB tells it.
fn tell_time_as_a_number(answer: &mut [u8]) {
    const DATE: &[u8] = b"\x09localTime\0";
    if let Some(start) = answer.windows(DATE.len()).position(|part| part == DATE) {
        answer[start] = 0x12;
    }
}

async fn clocks_that_differ_by_minutes_count_by_one_clock(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let quota = Quota { count: 1, window_millis: 2 * MINUTE_MILLIS };
    for ahead in [-7 * MINUTE_MILLIS, 7 * MINUTE_MILLIS] {
        let other = ahead_of(&database, ahead).await;
        let wait = async |key: &ThrottleKey, after: i64| {
            let taking = other.take(key, quota, NOW.plus_millis(after + ahead)).await.expect("an answer");
            taking.outcome.err()
        };
        let key = new_key();
        assert!(store.take(&key, quota, NOW).await.expect("an answer").outcome.is_ok());
        let told = wait(&key, MINUTE_MILLIS).await.expect("the window is the same for both");
        assert!((told - MINUTE_MILLIS).abs() < TOLERANCE_MILLIS, "{told}");
        assert_eq!(wait(&key, 3 * MINUTE_MILLIS).await, None, "the window ends for both");
        other.close().await;
    }
    database.drop_database().await;
}

/// A process whose clock is ahead, by which the server's is behind.
async fn ahead_of(database: &TestDatabase, millis: i64) -> Arc<dyn Store> {
    let port = clock_proxy::start(database.address(), -millis).await;
    connect_through(database, port).await.expect("a store")
}

async fn whatever_orders_mail_by_a_clock_ahead_it_is_due_at_once(_: Arc<Context>) {
    let (database, ahead) = (TestDatabase::new().expect("a server"), 60 * MINUTE_MILLIS);
    let store = connect(&database).await.expect("a store");
    let other = ahead_of(&database, ahead).await;
    let there = NOW.plus_millis(ahead);
    let (mover, loser) = (verified(&*store).await, verified(&*store).await);
    let reset = new_token(MailPurpose::PasswordReset, loser.email());
    let reset = NewMailToken { expires_at: there.plus_millis(MINUTE_MILLIS), ..reset };
    assert!(may_put(&*store, loser.id(), &reset).await);
    // What is left of the preparations.
    take_all(&*store, NOW).await;
    let due = async || {
        let mut kinds: Vec<_> = take_all(&*store, NOW.plus_millis(TOLERANCE_MILLIS)).await.into_iter().map(|(kind, _)| kind).collect();
        kinds.sort_by_key(|kind| kind.as_str());
        kinds
    };
    let mut account = new_account();
    account.mail = Some(new_mail(MailKind::Verification, &account.user.email, there));
    assert_eq!(other.create_account(&account).await.expect("an answer"), Creation::Created);
    assert_eq!(due().await, [MailKind::Verification]);
    let mut registration = new_registration(&new_account().user.email);
    registration.mail.at = there;
    assert!(matches!(other.create_registration(&registration).await.expect("an answer"), RegistrationOutcome::Noted));
    assert_eq!(due().await, [MailKind::Verification]);
    let of_same_name = Registration { id: UserId::generate(), ..registration.clone() };
    let again = other.create_registration(&of_same_name).await.expect("an answer");
    let RegistrationOutcome::Pending(pending) = again else { panic!("it waits") };
    assert!(other.repeat_registration(&pending, &registration.mail).await.expect("an answer"));
    assert_eq!(due().await, [MailKind::Verification]);
    other.order_mail(loser.id(), &new_mail(MailKind::PasswordReset, loser.email(), there)).await.expect("ordered");
    assert_eq!(due().await, [MailKind::PasswordReset]);
    assert_eq!(other.reset_password(&reset.hash, &other_hash(), there, true).await.expect("an answer"), Some(loser.id()));
    assert_eq!(due().await, [MailKind::PasswordChanged]);
    assert!(other.change_password(&mover.key(), &hash(), &hash(), Some(there)).await.expect("an answer"));
    assert_eq!(due().await, [MailKind::PasswordChanged]);
    move_by_link(&*other, &mover, &new_account().user.email, there).await;
    assert_eq!(due().await, [MailKind::AddressChangeAsked, MailKind::AddressChanged]);
    other.close().await;
    database.drop_database().await;
}

async fn mail_is_leased_by_one_clock(_: Arc<Context>) {
    let (database, ahead) = (TestDatabase::new().expect("a server"), 60 * MINUTE_MILLIS);
    let store = connect(&database).await.expect("a store");
    let other = ahead_of(&database, ahead).await;
    let person = verified(&*store).await;
    let sides = [(&store, NOW), (&other, NOW.plus_millis(ahead))];
    for [(holder, here), (looker, there)] in [sides, [sides[1], sides[0]]] {
        holder.order_mail(person.id(), &new_mail(MailKind::PasswordReset, person.email(), here)).await.expect("ordered");
        let (begun, lease) = (here.plus_millis(TOLERANCE_MILLIS), here.plus_millis(TOLERANCE_MILLIS + 2 * MINUTE_MILLIS));
        let held = holder.take_due_mail(begun, lease).await.expect("an answer").expect("a mail");
        assert!((held.ordered_at.as_millis() - here.as_millis()).abs() <= TOLERANCE_MILLIS, "{:?}", held.ordered_at);
        let look = async |after| {
            let at = there.plus_millis(after);
            looker.take_due_mail(at, at.plus_millis(MINUTE_MILLIS)).await.expect("an answer")
        };
        assert_eq!(look(MINUTE_MILLIS).await, None);
        let found = look(3 * MINUTE_MILLIS).await.expect("what its taker did not finish");
        assert!((found.ordered_at.as_millis() - there.as_millis()).abs() <= TOLERANCE_MILLIS, "{:?}", found.ordered_at);
        looker.finish_mail(&found).await.expect("finished");
    }
    other.close().await;
    database.drop_database().await;
}

async fn a_server_that_tells_its_time_as_a_number_serves(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let port = clock_proxy::start_changing(database.address(), tell_time_as_a_number).await;
    let store = connect_to(&database.uri_through(port)).await.expect("a store");
    let (key, quota) = (new_key(), Quota { count: 1, window_millis: MINUTE_MILLIS });
    assert!(store.take(&key, quota, NOW).await.expect("an answer").outcome.is_ok());
    store.close().await;
    database.drop_database().await;
}
