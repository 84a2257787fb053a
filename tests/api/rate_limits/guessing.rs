//! Guesses of passwords: how many are checked, and whom the limits keep out and whom not.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use super::{ELSEWHERE, HOME, Site, count, is_limited, wait_of};
use crate::client::{Client, PASSWORD, Person};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    of_100_guesses_at_once_5_are_checked in ALONE,
    an_address_without_an_account_is_limited_like_one_with in ALONE,
    a_good_login_does_not_count in ALONE,
    failed_logins_outlive_the_process in ALONE,
    failed_logins_are_counted_by_all_instances_together in &["mongodb"],
    strangers_cannot_shut_the_owner_of_an_account_out in ALONE,
    guesses_at_many_accounts_are_limited_by_their_net in ALONE,
    wrong_current_passwords_are_limited_by_person in ALONE,
    wrong_mail_tokens_are_limited_by_their_net in ALONE,
);

async fn of_100_guesses_at_once_5_are_checked(context: Arc<Context>) {
    let site =
        Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "5/15m"), ("LIMIT_LOGIN_ACCOUNT", "30/1h"), ("LIMIT_LOGIN_NET", "50/15m")]);
    let running = site.start().await;
    let home = running.client(HOME);
    let (ann, bob) = (Person::register(&home).await, Person::register(&home).await);
    let answers = join_all((0..100).map(|_| home.log_in(&ann.email, "a wrong password"))).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (5, 95), "{answers:?}");
    let refused = home.log_in(&ann.email, PASSWORD).await;
    assert!(!refused.header("ratelimit").contains("login"), "others' guesses are nobody's to know: {refused:?}");
    is_limited(refused, 15 * 60);
    home.log_in(&bob.email, PASSWORD).await.ok();
    ann.profile().await;
    running.client(ELSEWHERE).log_in(&ann.email, PASSWORD).await.ok();
    site.clear().await;
}

async fn an_address_without_an_account_is_limited_like_one_with(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "3/15m")]);
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await;
    for address in [ann.email.as_str(), "nobody@example.com", "no address at all"] {
        for spelling in [address.to_owned(), address.to_uppercase(), format!("\u{a0} {address}\t")] {
            home.log_in(&spelling, "a wrong password").await.fails(401, "invalid_credentials");
        }
        for spelling in [address.to_owned(), format!("{address} ")] {
            is_limited(home.log_in(&spelling, "a wrong password").await, 15 * 60);
        }
    }
    site.clear().await;
}

async fn a_good_login_does_not_count(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "5/15m"), ("LIMIT_LOGIN_ACCOUNT", "5/1h"), ("LIMIT_LOGIN_NET", "5/15m")]);
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await;
    let wrong = || home.log_in(&ann.email, "a wrong password");
    for _ in 0..3 {
        wrong().await.fails(401, "invalid_credentials");
    }
    for _ in 0..10 {
        home.log_in(&ann.email, PASSWORD).await.ok();
    }
    for _ in 0..2 {
        wrong().await.fails(401, "invalid_credentials");
    }
    is_limited(home.log_in(&ann.email, PASSWORD).await, 15 * 60);
    site.clear().await;
}

async fn failed_logins_outlive_the_process(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "2/15m")]);
    let running = site.start().await;
    let ann = Person::register(&running.client(HOME)).await;
    for _ in 0..2 {
        running.client(HOME).log_in(&ann.email, "a wrong password").await.fails(401, "invalid_credentials");
    }
    running.server.kill();
    let running = site.start().await;
    is_limited(running.client(HOME).log_in(&ann.email, PASSWORD).await, 15 * 60);
    running.client(ELSEWHERE).log_in(&ann.email, PASSWORD).await.ok();
    site.clear().await;
}

async fn failed_logins_are_counted_by_all_instances_together(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "4/15m")]);
    let instances = [site.start().await, site.start().await];
    let clients = [instances[0].client(HOME), instances[1].client(HOME)];
    let ann = Person::register(&clients[0]).await;
    let answers = join_all((0..40).map(|number| clients[number % 2].log_in(&ann.email, "a wrong password"))).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (4, 36), "{answers:?}");
    for client in &clients {
        is_limited(client.log_in(&ann.email, PASSWORD).await, 15 * 60);
    }
    site.clear().await;
}

async fn strangers_cannot_shut_the_owner_of_an_account_out(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_ACCOUNT_NET", "3/15m"), ("LIMIT_LOGIN_ACCOUNT", "6/1h")]);
    let running = site.start().await;
    let home = running.client(HOME);
    let ann = Person::register(&home).await.log_in_again().await;
    for net in ["198.51.100.1", "198.51.100.2"] {
        for _ in 0..3 {
            running.client(net).log_in(&ann.email, "a wrong password").await.fails(401, "invalid_credentials");
        }
    }
    is_limited(running.client("198.51.100.3").log_in(&ann.email, PASSWORD).await, 60 * 60);
    home.log_in(&ann.email, PASSWORD).await.ok();
    // What protects the account from its owner's own net holds on.
    for _ in 0..3 {
        home.log_in(&ann.email, "a wrong password").await.fails(401, "invalid_credentials");
    }
    is_limited(home.log_in(&ann.email, PASSWORD).await, 15 * 60);
    site.clear().await;
}

async fn guesses_at_many_accounts_are_limited_by_their_net(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_LOGIN_NET", "4/15m"), ("LIMIT_LOGIN_ACCOUNT_NET", "1/1m")]);
    let running = site.start().await;
    let ann = Person::register(&running.client(ELSEWHERE)).await;
    // One household of IPv6, whichever of its addresses it uses.
    let client = |host: u8| running.client(&format!("[2001:db8:1:2::{host:x}]:4711"));
    let addresses = ["one@example.com", "two@example.com", "three@example.com", ann.email.as_str()];
    for (host, address) in (1..).zip(addresses) {
        client(host).log_in(address, "a wrong password").await.fails(401, "invalid_credentials");
    }
    let refused = client(9).log_in(&ann.email, PASSWORD).await;
    assert!(wait_of(&refused) > 60, "of two waits the longer one is told: {refused:?}");
    is_limited(refused, 15 * 60);
    running.client("2001:db8:1:3::1").log_in(&ann.email, PASSWORD).await.ok();
    site.clear().await;
}

async fn wrong_current_passwords_are_limited_by_person(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_PASSWORD_CHECK", "3/15m")]);
    let running = site.start().await;
    let ann = Person::register(&running.client(HOME)).await;
    let elsewhere = ann.log_in_again().await.at(&running.client(ELSEWHERE));
    let change = async |person: &Person, password: &str| {
        person.put("/api/auth/password", &json!({ "currentPassword": password, "newPassword": "maple-anchor-violin" })).await
    };
    let delete = async |person: &Person, password: &str| person.delete("/api/users/profile", &json!({ "password": password })).await;
    change(&ann, "a wrong password").await.fails(403, "wrong_password");
    delete(&ann, "a wrong password").await.fails(403, "wrong_password");
    // Another session and another net are the same person.
    change(&elsewhere, "a wrong password").await.fails(403, "wrong_password");
    for person in [&ann, &elsewhere] {
        is_limited(change(person, PASSWORD).await, 15 * 60);
        is_limited(delete(person, PASSWORD).await, 15 * 60);
        person.profile().await;
    }
    change(&Person::register(&running.client(HOME)).await, PASSWORD).await.ok();
    site.clear().await;
}

async fn wrong_mail_tokens_are_limited_by_their_net(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_MAIL_TOKEN", "3/15m")]);
    let running = site.start().await;
    let token = "A".repeat(43);
    let verify = async |client: &Client| client.put("/api/auth/email", &json!({ "token": token })).await;
    let reset = async |client: &Client| {
        client.put("/api/auth/password-reset", &json!({ "token": token, "newPassword": "maple-anchor-violin" })).await
    };
    let (home, elsewhere) = (running.client(HOME), running.client(ELSEWHERE));
    for answer in [verify(&home).await, reset(&home).await, verify(&home).await] {
        answer.fails(422, "invalid_mail_token");
    }
    is_limited(verify(&home).await, 15 * 60);
    is_limited(reset(&home).await, 15 * 60);
    verify(&elsewhere).await.fails(422, "invalid_mail_token");
    site.clear().await;
}
