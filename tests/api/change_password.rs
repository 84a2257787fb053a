//! `PUT /api/auth/password`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person, new_name};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_change_keeps_this_session_and_ends_the_others,
    the_current_password_is_needed,
    a_new_password_keeps_the_rules,
    a_form_with_other_code_points_is_the_same_password,
    of_two_changes_at_once_one_is_made,
    a_change_whose_session_ends_meanwhile_fails_by_the_session,
    a_login_that_overlaps_a_change_does_not_outlive_it,
    a_change_ends_the_wish_for_another_address_and_is_told_by_mail,
    bodies_of_another_shape_are_refused,
);

const ROUTE: &str = "/api/auth/password";
const NEW: &str = "maple-anchor-violin";

async fn change(person: &Person, current: &str, new: &str) -> Answer {
    person.put(ROUTE, &json!({ "currentPassword": current, "newPassword": new })).await
}

async fn a_change_keeps_this_session_and_ends_the_others(context: Arc<Context>) {
    let ann = context.person().await;
    let phone = ann.log_in_again().await;
    assert_eq!(change(&ann, PASSWORD, NEW).await.ok()["message"], "Password changed successfully");
    ann.profile().await;
    phone.get("/api/users/profile").await.fails(401, "unauthorized");
    context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    context.anonymous().log_in(&ann.email, NEW).await.ok();
}

async fn the_current_password_is_needed(context: Arc<Context>) {
    let ann = context.person().await;
    let phone = ann.log_in_again().await;
    for wrong in [NEW, "", "x", &"x".repeat(129), "bell\u{7}inside"] {
        change(&ann, wrong, NEW).await.fails(403, "wrong_password");
    }
    phone.profile().await;
    context.anonymous().log_in(&ann.email, PASSWORD).await.ok();
}

async fn a_new_password_keeps_the_rules(context: Arc<Context>) {
    let ann = context.person().await;
    for bad in ["short", &"x".repeat(129), "bell\u{7}inside-it"] {
        change(&ann, PASSWORD, bad).await.fails_in(&["newPassword"]);
    }
    for guessable in ["password123!", &format!("{}2026!", ann.username)] {
        let body = change(&ann, PASSWORD, guessable).await.fails(422, "password_too_common");
        assert!(body["fields"]["newPassword"].is_string(), "{body}");
    }
    context.anonymous().log_in(&ann.email, PASSWORD).await.ok();
}

async fn a_form_with_other_code_points_is_the_same_password(context: Arc<Context>) {
    let ann = context.person().await;
    change(&ann, PASSWORD, "cafe\u{301} gravel onion").await.ok();
    context.anonymous().log_in(&ann.email, "caf\u{e9} gravel onion").await.ok();
    change(&ann, "caf\u{e9} gravel onion", NEW).await.ok();
}

async fn of_two_changes_at_once_one_is_made(context: Arc<Context>) {
    for _ in 0..3 {
        let ann = context.person().await;
        let phone = ann.log_in_again().await;
        let (one, other) = ("first-anchor-violin", "other-anchor-violin");
        let answers = <[Answer; 2]>::from(futures_util::join!(change(&ann, PASSWORD, one), change(&phone, PASSWORD, other)));
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| [200, 401].contains(&answer.status.as_u16())), "what failed was the session: {answers:?}");
        let (winner, loser, password) = if answers[0].status == 200 { (&ann, &phone, one) } else { (&phone, &ann, other) };
        winner.profile().await;
        loser.get("/api/users/profile").await.fails(401, "unauthorized");
        context.anonymous().log_in(&ann.email, password).await.ok();
    }
}

/// The log-out comes while the passwords are hashed; elsewhere the 21st log-in or another session may end it as well.
async fn a_change_whose_session_ends_meanwhile_fails_by_the_session(context: Arc<Context>) {
    for _ in 0..5 {
        let ann = context.person().await;
        let (changed, log_out) = futures_util::join!(change(&ann, PASSWORD, NEW), ann.log_out());
        log_out.ok();
        let password = if changed.status == 200 {
            NEW
        } else {
            changed.fails(401, "unauthorized");
            PASSWORD
        };
        context.anonymous().log_in(&ann.email, password).await.ok();
    }
}

async fn a_login_that_overlaps_a_change_does_not_outlive_it(context: Arc<Context>) {
    for _ in 0..3 {
        let ann = context.person().await;
        let login = async { context.anonymous().log_in(&ann.email, PASSWORD).await };
        let logins = futures_util::future::join_all([login]);
        let (changed, logins) = futures_util::join!(change(&ann, PASSWORD, NEW), logins);
        changed.ok();
        for login in logins {
            if login.status == 200 {
                let token = login.json()["token"].as_str().expect("a token").to_owned();
                let late = Person { token, ..ann.clone() };
                late.get("/api/users/profile").await.fails(401, "unauthorized");
            } else {
                login.fails(401, "invalid_credentials");
            }
        }
    }
}

async fn a_change_ends_the_wish_for_another_address_and_is_told_by_mail(context: Arc<Context>) {
    let ann = context.verified_person().await;
    let address = format!("{}@example.com", new_name());
    ann.put("/api/users/profile", &json!({ "email": address })).await.ok();
    let link = context.mail_to(&address, "Confirm your", 1).await.remove(0).token().expect("a link");
    change(&ann, PASSWORD, NEW).await.ok();
    assert_eq!(ann.profile().await["pendingEmail"], json!(null));
    ann.put("/api/auth/email", &json!({ "token": link })).await.fails(422, "invalid_mail_token");
    let told = context.mail_to(&ann.email, "password at", 1).await;
    assert!(told[0].text().contains(&ann.username), "{}", told[0].text());
}

async fn bodies_of_another_shape_are_refused(context: Arc<Context>) {
    let ann = context.person().await;
    for (body, missing) in [
        (json!({}), vec!["currentPassword", "newPassword"]),
        (json!({ "currentPassword": PASSWORD }), vec!["newPassword"]),
        (json!({ "newPassword": NEW, "currentPassword": null }), vec!["currentPassword"]),
    ] {
        ann.put(ROUTE, &body).await.fails_in(&missing);
    }
    let extra: Value = json!({ "currentPassword": PASSWORD, "newPassword": NEW, "userId": ann.id });
    ann.put(ROUTE, &extra).await.fails(400, "invalid_json");
}
