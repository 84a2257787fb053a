//! How long a session lasts, and when its use is noted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::auth::RegistrationPolicy;
use chat_functions::domain::{Session, Timestamp};
use chat_functions::identity::Tokens;
use serde_json::json;

use crate::client::{PASSWORD, Person, new_name, text};
use crate::support::server::JWT_SECRET;
use crate::{Context, people, tests};

tests!(Context:
    a_session_ends_after_14_days_without_use,
    a_used_session_ends_after_30_days,
    use_is_noted_once_a_minute_and_behind_the_answer,
    a_new_address_needs_the_password_once_a_session_is_ten_minutes_old_or_began_ahead_of_the_clock,
);

const DAY: i64 = Timestamp::DAY_MILLIS;

async fn a_session_ends_after_14_days_without_use(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ann = Person::register(&context.client).await;
    context.clock.advance_millis(14 * DAY - 10_000);
    let other = ann.log_in_again().await;
    context.clock.advance_millis(10_000);
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
    other.profile().await;
    context.clear().await;
}

async fn a_new_address_needs_the_password_once_a_session_is_ten_minutes_old_or_began_ahead_of_the_clock(context: Arc<Context>) {
    let without_mail = context.fresh_without_mail().await;
    let ann = Person::register(&without_mail.client).await;
    needs_the_password_for_a_new_address(&without_mail, &ann).await;
    without_mail.clear().await;
    for policy in [RegistrationPolicy::Open, RegistrationPolicy::Verified] {
        let context = context.fresh_with(policy).await;
        needs_the_password_for_a_new_address(&context, &people::verified(&context).await).await;
        context.clear().await;
    }
}

async fn needs_the_password_for_a_new_address(context: &Context, ann: &Person) {
    let change = async |person: &Person, password: Option<&str>| {
        let email = format!("{}@example.com", new_name());
        person.put("/api/users/profile", &json!({ "email": email, "currentPassword": password })).await
    };
    context.clock.advance_millis(10 * Timestamp::MINUTE_MILLIS - 30_000);
    change(ann, None).await.ok();
    let before = ann.profile().await;
    context.clock.advance_millis(30_000);
    change(ann, None).await.fails(403, "password_required");
    change(ann, Some("maple-anchor-violin")).await.fails(403, "wrong_password");
    let after = ann.profile().await;
    assert_eq!((&after["email"], &after["pendingEmail"]), (&before["email"], &before["pendingEmail"]));
    ann.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    change(ann, Some(PASSWORD)).await.ok();
    let email = text(&ann.profile().await["email"]);
    ann.put("/api/users/profile", &json!({ "email": email })).await.ok();
    let of_clock_ahead = context.another_instance(DAY).log_in(&email, PASSWORD).await.ok();
    let ahead = Person { token: text(&of_clock_ahead["token"]), ..ann.clone() };
    change(&ahead, None).await.fails(403, "password_required");
    change(&ahead, Some(PASSWORD)).await.ok();
}

async fn a_used_session_ends_after_30_days(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ann = Person::register(&context.client).await;
    for _ in 0..5 {
        context.clock.advance_millis(6 * DAY - 60_000);
        use_and_wait_for_the_note(&context, &ann).await;
    }
    context.clock.advance_millis(5 * 60_000);
    ann.get("/api/users/profile").await.fails(401, "unauthorized");
    context.clear().await;
}

/// A request, and the wait until it is noted, which its answer does not wait for.
async fn use_and_wait_for_the_note(context: &Context, person: &Person) {
    let used_at = context.clock.now();
    person.profile().await;
    let key = Tokens::new(&JWT_SECRET.into()).verify(&person.token, used_at).expect("a token of ours");
    let begun = Instant::now();
    while context.store.find_session(&key).await.expect("an answer").expect("a session").session.last_used_at < used_at {
        assert!(begun.elapsed() < Duration::from_mins(1), "the use was not noted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn use_is_noted_once_a_minute_and_behind_the_answer(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ann = Person::register(&context.client).await;
    context.costs("a request within the minute", 2, ann.get("/api/users/profile")).await.ok();
    context.clock.advance_millis(Session::TOUCH_AFTER_MILLIS);
    use_and_wait_for_the_note(&context, &ann).await;
    for _ in 0..5 {
        context.costs("a request within the next minute", 2, ann.get("/api/users/profile")).await.ok();
    }
    context.clear().await;
}
