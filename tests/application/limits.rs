//! The limits that protect people, by a clock that moves.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::test::TestRequest;
use actix_web::{FromRequest as _, HttpMessage as _, web};
use chat_functions::domain::{Email, EmailKey, MailPurpose, Net, Timestamp, UserId};
use chat_functions::http::{ApiError, ErrorCode};
use chat_functions::rate_limits::{ClientAddress, ClientLimits, ClientNet, LimitSettings, MailPermission, RateLimits};

use crate::{Context, tests};

tests!(Context:
    no_account_is_locked_for_longer_than_the_window,
    a_net_is_known_to_an_account_for_30_days,
    too_many_mails_to_one_address_are_withheld_without_a_word,
    too_many_mails_from_one_net_are_refused_and_leave_no_trace,
    what_is_given_back_does_not_count,
);

const MINUTE: i64 = Timestamp::MINUTE_MILLIS;
const ANN: &str = "ann@example.com";

/// The limits as they apply to a client in a net.
fn limits_in(context: &Context, net: &str) -> ClientLimits {
    let limits = RateLimits::new(LimitSettings::default(), ClientAddress::default(), Arc::clone(&context.store));
    let request = TestRequest::default().app_data(web::Data::new(limits)).app_data(web::Data::new(context.clock.clone()));
    let request = request.to_http_request();
    request.extensions_mut().insert(ClientNet(Net::of(net.parse::<IpAddr>().expect("an address"))));
    ClientLimits::from_request(&request, &mut Payload::None).into_inner().expect("an application that has all parts")
}

fn key(address: &str) -> EmailKey {
    Email::parse(address).expect("an address").key()
}

/// Asks for a mail with a new password.
async fn ask(limits: &ClientLimits, address: &str) -> Result<MailPermission, ApiError> {
    limits.ask_for_mail(MailPurpose::PasswordReset, &key(address)).await
}

/// How long a refusal tells to wait, in milliseconds.
#[track_caller]
fn wait_of<T>(refused: Result<T, ApiError>) -> i64 {
    let Err(refusal) = refused else { panic!("nothing was refused") };
    assert_eq!(refusal.code, ErrorCode::RateLimited);
    i64::from(refusal.retry_after_seconds().expect("a wait")) * 1_000
}

/// Asks again until the answer is yes: what is given back is given back behind the answer.
async fn eventually<F: Future<Output = bool>>(what: &str, question: impl Fn() -> F) {
    let begun = Instant::now();
    while !question().await {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn no_account_is_locked_for_longer_than_the_window(context: Arc<Context>) {
    let context = context.fresh().await;
    let home = limits_in(&context, "192.0.2.1");
    for _ in 0..5 {
        home.login(ANN).await.expect("an attempt");
    }
    let wait = wait_of(home.login(ANN).await);
    assert!((14 * MINUTE..=15 * MINUTE).contains(&wait), "{wait}");
    context.clock.advance_millis(wait - 5_000);
    assert!(wait_of(home.login(ANN).await) <= 5_000);
    context.clock.advance_millis(5_000);
    home.login(ANN).await.expect("an attempt after the wait");
    context.clear().await;
}

async fn a_net_is_known_to_an_account_for_30_days(context: Arc<Context>) {
    let context = context.fresh().await;
    let home = limits_in(&context, "192.0.2.1");
    let guess_from_everywhere = async || {
        for host in 1..=6 {
            let net = limits_in(&context, &format!("198.51.100.{host}"));
            for _ in 0..5 {
                net.login(ANN).await.expect("an attempt");
            }
        }
        wait_of(limits_in(&context, "198.51.100.7").login(ANN).await);
    };
    home.login(ANN).await.expect("an attempt").succeeded(context.clock.now());
    guess_from_everywhere().await;
    eventually("the owner is known at home", async || home.login(ANN).await.is_ok()).await;
    context.clock.advance_millis(30 * Timestamp::DAY_MILLIS);
    guess_from_everywhere().await;
    wait_of(home.login(ANN).await);
    context.clear().await;
}

async fn too_many_mails_to_one_address_are_withheld_without_a_word(context: Arc<Context>) {
    let context = context.fresh().await;
    for (host, address) in [(1, ANN), (2, "Ann@Example.com"), (3, ANN)] {
        let net = limits_in(&context, &format!("192.0.2.{host}"));
        assert_eq!(ask(&net, address).await.expect("no refusal"), MailPermission::Granted);
    }
    let home = limits_in(&context, "192.0.2.4");
    assert_eq!(ask(&home, ANN).await.expect("no refusal"), MailPermission::Withheld);
    assert_eq!(ask(&home, "bob@example.com").await.expect("no refusal"), MailPermission::Granted);
    for other in [MailPurpose::Verification, MailPurpose::NewAddress] {
        let permission = home.ask_for_mail(other, &key(ANN)).await.expect("no refusal");
        assert_eq!(permission, MailPermission::Granted, "each purpose has its own counter");
    }
    context.clock.advance_millis(60 * MINUTE);
    assert_eq!(ask(&home, ANN).await.expect("no refusal"), MailPermission::Granted);
    context.clear().await;
}

async fn too_many_mails_from_one_net_are_refused_and_leave_no_trace(context: Arc<Context>) {
    let context = context.fresh().await;
    let home = limits_in(&context, "192.0.2.1");
    for number in 0..10 {
        assert_eq!(ask(&home, &format!("person{number}@example.com")).await.expect("no refusal"), MailPermission::Granted);
    }
    for _ in 0..5 {
        assert!(wait_of(ask(&home, ANN).await) > 59 * MINUTE);
    }
    let elsewhere = limits_in(&context, "192.0.2.2");
    assert_eq!(ask(&elsewhere, ANN).await.expect("no refusal"), MailPermission::Granted);
    context.clear().await;
}

async fn what_is_given_back_does_not_count(context: Arc<Context>) {
    let context = context.fresh().await;
    let (home, user) = (limits_in(&context, "192.0.2.1"), UserId::generate());
    for _ in 0..4 {
        home.check_password(user).await.expect("a check");
    }
    home.check_password(user).await.expect("the last check").give_back();
    eventually("the right password is given back", async || home.check_password(user).await.is_ok()).await;
    wait_of(home.check_password(user).await);
    home.check_password(UserId::generate()).await.expect("everybody has their own");
    for _ in 0..19 {
        home.redeem_mail_token().await.expect("a token");
    }
    home.redeem_mail_token().await.expect("the last token").give_back();
    eventually("the good token is given back", async || home.redeem_mail_token().await.is_ok()).await;
    wait_of(home.redeem_mail_token().await);
    limits_in(&context, "192.0.2.2").redeem_mail_token().await.expect("every net has its own");
    context.clear().await;
}
