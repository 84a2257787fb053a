//! What ends with time: links in mails, held names, registrations nobody confirmed, presence.

use std::sync::Arc;

use chat_functions::auth::RegistrationPolicy;
use chat_functions::domain::Timestamp;
use serde_json::{Value, json};

use crate::client::{PASSWORD, Person, new_name};
use crate::people::verified;
use crate::support::smtp::ReceivedMail;
use crate::{Context, tests};

tests!(Context:
    the_link_of_a_registration_is_good_for_a_day,
    the_link_to_a_new_address_and_the_wish_for_it_are_good_for_a_day,
    the_link_to_a_new_password_is_good_for_half_an_hour,
    a_former_address_is_a_way_back_for_seven_days_after_the_latest_change,
    the_name_of_a_deleted_account_is_held_for_90_days,
    a_registration_that_nobody_confirms_vanishes_after_a_day,
    a_friend_is_online_for_two_minutes,
);

const MINUTE: i64 = Timestamp::MINUTE_MILLIS;
const DAY: i64 = Timestamp::DAY_MILLIS;
const NEW: &str = "maple-anchor-violin";
/// Longer than a mail takes from its order to its arrival.
const SECOND_OR_SO: i64 = 30_000;

async fn verify(context: &Context, token: &str) -> u16 {
    context.client.put("/api/auth/email", &json!({ "token": token })).await.status.as_u16()
}

async fn reset(context: &Context, token: &str) -> u16 {
    context.client.put("/api/auth/password-reset", &json!({ "token": token, "newPassword": NEW })).await.status.as_u16()
}

async fn ask_for_reset(context: &Context, email: &str) {
    context.client.post("/api/auth/password-reset", &json!({ "email": email })).await.expect(202.try_into().expect("a status"));
}

async fn the_link_of_a_registration_is_good_for_a_day(context: Arc<Context>) {
    for (later, status) in [(DAY - SECOND_OR_SO, 200), (DAY, 422)] {
        let context = context.fresh().await;
        let ann = Person::register(&context.client).await;
        let token = context.mail_to(&ann.email, "Confirm your").await.token().expect("a link");
        context.clock.advance_millis(later);
        assert_eq!(verify(&context, &token).await, status);
        context.clear().await;
    }
}

/// Asks for a new address; gives its link.
async fn ask_for_move(context: &Context, ann: &Person) -> String {
    let address = format!("{}@example.com", new_name());
    ann.put("/api/users/profile", &json!({ "email": address, "currentPassword": PASSWORD })).await.ok();
    context.mail_to(&address, "Confirm your").await.token().expect("a link")
}

async fn the_link_to_a_new_address_and_the_wish_for_it_are_good_for_a_day(context: Arc<Context>) {
    for (later, status) in [(DAY - SECOND_OR_SO, 200), (DAY, 422)] {
        let context = context.fresh().await;
        let ann = verified(&context).await;
        let token = ask_for_move(&context, &ann).await;
        context.clock.advance_millis(later);
        assert_eq!(ann.profile().await["pendingEmail"].is_null(), status != 200);
        assert_eq!(ann.put("/api/auth/email", &json!({ "token": token })).await.status, status);
        context.clear().await;
    }
}

async fn the_link_to_a_new_password_is_good_for_half_an_hour(context: Arc<Context>) {
    for (later, status) in [(30 * MINUTE - SECOND_OR_SO, 200), (30 * MINUTE, 422)] {
        let context = context.fresh().await;
        let ann = Person::register(&context.client).await;
        ask_for_reset(&context, &ann.email).await;
        let token = context.mail_to(&ann.email, "new password").await.token().expect("a link");
        context.clock.advance_millis(later);
        assert_eq!(reset(&context, &token).await, status);
        context.clear().await;
    }
}

async fn a_former_address_is_a_way_back_for_seven_days_after_the_latest_change(context: Arc<Context>) {
    for (later, status) in [(7 * DAY - SECOND_OR_SO, 200), (7 * DAY, 422)] {
        let context = context.fresh().await;
        let (ann, bob) = (verified(&context).await, Person::register(&context.client).await);
        for change in ["the first", "the latest"] {
            let token = ask_for_move(&context, &ann).await;
            ann.put("/api/auth/email", &json!({ "token": token })).await.ok();
            context.mail_to(&ann.email, "Your address at").await;
            if change == "the first" {
                context.clock.advance_millis(6 * DAY);
            }
        }
        let links: Vec<_> = context.mails_to(&ann.email, "Your address at", 2).await.iter().map(ReceivedMail::token).collect();
        assert!(links[0] == links[1] && links[0].is_some(), "the same link in every mail");
        context.clock.advance_millis(later);
        // Asked for again it is the same link, as long as there is one.
        ask_for_reset(&context, &ann.email).await;
        ask_for_reset(&context, &bob.email).await;
        context.mail_to(&bob.email, "new password").await;
        let again = context.mails_to(&ann.email, "new password", usize::from(status == 200)).await;
        assert_eq!(again.iter().map(ReceivedMail::token).collect::<Vec<_>>(), if status == 200 { vec![links[0].clone()] } else { vec![] });
        assert_eq!(reset(&context, links[0].as_deref().expect("a link")).await, status);
        let login = context.client.log_in(&ann.email, NEW).await.status;
        assert_eq!(login.as_u16() == 200, status == 200);
        // Past its time it is anybody's. Compatible servers may refuse the insertion of a value that an update has freed.
        let to_it = json!({ "email": ann.email, "currentPassword": PASSWORD });
        let taken = bob.put("/api/users/profile", &to_it).await.status.as_u16();
        assert_eq!(taken, if status == 200 { 409 } else { 200 });
        context.clear().await;
    }
}

async fn the_name_of_a_deleted_account_is_held_for_90_days(context: Arc<Context>) {
    let context = context.fresh().await;
    let ann = Person::register(&context.client).await;
    ann.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    let register = async || context.client.register(&ann.username, &format!("{}@example.com", new_name()), PASSWORD).await;
    context.clock.advance_millis(90 * DAY - SECOND_OR_SO);
    register().await.fails(409, "username_taken");
    context.clock.advance_millis(SECOND_OR_SO);
    let body = register().await.expect(201.try_into().expect("a status"));
    assert_ne!(body["user"]["id"], ann.id.as_str());
    context.clear().await;
}

/// A stranger, who has another password, gets the name when its time is over.
async fn a_registration_that_nobody_confirms_vanishes_after_a_day(context: Arc<Context>) {
    for repetitions in [0, 1, 2, 3] {
        let context = context.fresh_with(RegistrationPolicy::Verified).await;
        let name = new_name();
        let register = async |password| context.client.register(&name, &format!("{}@example.com", new_name()), password).await;
        register(PASSWORD).await.expect(202.try_into().expect("a status"));
        for _ in 0..repetitions {
            context.clock.advance_millis(DAY - SECOND_OR_SO);
            register(NEW).await.fails(409, "username_taken");
            register(PASSWORD).await.expect(202.try_into().expect("a status"));
        }
        // The third day is the last, however often it was repeated.
        context.clock.advance_millis(if repetitions < 3 { DAY } else { 3 * SECOND_OR_SO });
        register(NEW).await.expect(202.try_into().expect("a status"));
        context.clear().await;
    }
}

async fn a_friend_is_online_for_two_minutes(context: Arc<Context>) {
    let context = context.fresh().await;
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    ann.post("/api/users/friends", &json!({ "friendId": bob.id })).await.ok();
    bob.post("/api/users/friends", &json!({ "friendId": ann.id })).await.ok();
    let status = async || -> Value { ann.get("/api/users/friends").await.ok()["friends"][0]["online_status"].clone() };
    assert_eq!(status().await, "online");
    context.clock.advance_millis(2 * MINUTE);
    assert_eq!(status().await, "offline");
    bob.profile().await;
    let begun = std::time::Instant::now();
    while status().await != "online" {
        assert!(begun.elapsed() < std::time::Duration::from_mins(1), "a use is noted behind its answer");
    }
    context.clear().await;
}
