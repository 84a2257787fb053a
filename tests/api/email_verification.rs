//! `/api/auth/email`: showing that an address is one's own, and what changes with an address.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, PASSWORD, Person, new_name};
use crate::context::Context;
use crate::tests;

tests!(Context:
    the_link_of_a_registration_verifies_its_address,
    opening_the_link_verifies_nothing,
    of_30_uses_at_once_one_succeeds,
    the_mail_is_sent_again_and_voids_the_older,
    a_verified_address_gets_no_further_mail,
    a_verified_account_moves_by_the_link_and_its_session_or_its_password,
    another_case_of_the_address_changes_nothing_of_this,
    a_token_is_for_its_address_only,
    a_token_is_no_bearer_token_and_the_reverse,
    the_pages_carry_their_own_policy,
);

const ROUTE: &str = "/api/auth/email";

async fn verify(context: &Context, token: &str) -> Answer {
    context.anonymous().put(ROUTE, &json!({ "token": token })).await
}

async fn is_verified(person: &Person) -> bool {
    person.profile().await["isEmailVerified"] == true
}

async fn change_address(person: &Person, email: &str) {
    person.put("/api/users/profile", &json!({ "email": email })).await.ok();
}

async fn the_link_of_a_registration_verifies_its_address(context: Arc<Context>) {
    let ann = context.person().await;
    let mail = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0);
    assert!(!is_verified(&ann).await);
    assert_eq!(verify(&context, &mail.token().expect("a link")).await.ok(), json!({ "message": "Email verified" }));
    assert!(is_verified(&ann).await);
    verify(&context, &mail.token().expect("a link")).await.fails(422, "invalid_mail_token");
}

async fn opening_the_link_verifies_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    for _ in 0..3 {
        let page = context.anonymous().get(&format!("{ROUTE}?token={token}")).await;
        assert_eq!(page.status, 200);
        assert!(!String::from_utf8_lossy(&page.body).contains(&token));
    }
    assert!(!is_verified(&ann).await);
    verify(&context, &token).await.ok();
}

async fn of_30_uses_at_once_one_succeeds(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    let answers = join_all((0..30).map(|_| verify(&context, &token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 422).count(), 29, "{answers:?}");
}

async fn the_mail_is_sent_again_and_voids_the_older(context: Arc<Context>) {
    let ann = context.person().await;
    let older = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    let answer = Answer::of(ann.request(reqwest::Method::POST, ROUTE)).await;
    answer.expect(202.try_into().expect("a status"));
    let newer = context.mail_to(&ann.email, "Confirm your", 2).await.remove(1).token().expect("a link");
    verify(&context, &older).await.fails(422, "invalid_mail_token");
    verify(&context, &newer).await.ok();
}

async fn a_verified_address_gets_no_further_mail(context: Arc<Context>) {
    let ann = context.person().await;
    verify(&context, &context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link")).await.ok();
    let answer = Answer::of(ann.request(reqwest::Method::POST, ROUTE)).await;
    answer.expect(202.try_into().expect("a status"));
    // A mail that is ordered after it is sent after it.
    context.anonymous().post("/api/auth/password-reset", &json!({ "email": ann.email })).await.expect(202.try_into().expect("a status"));
    context.mail_to(&ann.email, "new password", 1).await;
    assert_eq!(context.mail_to(&ann.email, "Confirm your", 1).await.len(), 1);
}

async fn a_verified_account_moves_by_the_link_and_its_session_or_its_password(context: Arc<Context>) {
    for by_password in [false, true] {
        let (ann, bob) = futures_util::join!(context.verified_person(), context.person());
        let address = format!("{}@example.com", new_name());
        change_address(&ann, &address).await;
        let profile = ann.profile().await;
        assert_eq!((&profile["email"], &profile["isEmailVerified"]), (&json!(ann.email), &json!(true)));
        assert_eq!(profile["pendingEmail"], address.as_str());
        let told = context.mail_to(&ann.email, "Another address was asked for", 1).await.remove(0);
        assert!(!told.text().contains(&address) && !told.text().contains("#token="), "no secret: {}", told.text());
        let mail = context.mail_to(&address, "Confirm your new", 1).await.remove(0);
        assert!(mail.text().contains(&ann.username), "it names the account: {}", mail.text());
        let link = json!({ "token": mail.token().expect("a link") });
        // Somebody who reads that mail presses the button, logged in to an account of their own perhaps.
        for answer in [context.anonymous().put(ROUTE, &link).await, bob.put(ROUTE, &link).await] {
            let body = answer.fails(403, "password_required");
            assert!(body["message"].as_str().is_some_and(|message| message.contains(&ann.username)), "{body}");
        }
        let with = |password: &str| json!({ "token": link["token"], "password": password });
        for person in [&ann, &bob] {
            person.put(ROUTE, &with("maple-anchor-violin")).await.fails(403, "wrong_password");
        }
        let moved = if by_password { context.anonymous().put(ROUTE, &with(PASSWORD)).await } else { ann.put(ROUTE, &link).await };
        moved.ok();
        let profile = ann.profile().await;
        assert_eq!((&profile["email"], &profile["isEmailVerified"]), (&json!(address), &json!(true)));
        assert_eq!(profile["pendingEmail"], json!(null));
        context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
        context.anonymous().log_in(&address, PASSWORD).await.ok();
        let told = context.mail_to(&ann.email, "Your address at", 1).await.remove(0);
        assert!(told.token().is_some(), "it brings a way back: {}", told.text());
        verify(&context, &mail.token().expect("a link")).await.fails(422, "invalid_mail_token");
    }
}

async fn another_case_of_the_address_changes_nothing_of_this(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    change_address(&ann, &ann.email.to_uppercase()).await;
    verify(&context, &token).await.ok();
    change_address(&ann, &ann.email).await;
    assert!(is_verified(&ann).await);
}

async fn a_token_is_for_its_address_only(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    let address = format!("{}@example.com", new_name());
    change_address(&ann, &address).await;
    verify(&context, &token).await.fails(422, "invalid_mail_token");
    assert!(!is_verified(&ann).await);
}

async fn a_token_is_no_bearer_token_and_the_reverse(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    Person { token, ..ann.clone() }.get("/api/users/profile").await.fails(401, "unauthorized");
    for text in [ann.token.as_str(), "", "x", &"A".repeat(43)] {
        verify(&context, text).await.fails(422, "invalid_mail_token");
    }
    context.anonymous().put(ROUTE, &json!({})).await.fails_in(&["token"]);
    assert!(!is_verified(&ann).await);
}

async fn the_pages_carry_their_own_policy(context: Arc<Context>) {
    for path in [ROUTE, "/api/auth/password-reset"] {
        let page = context.anonymous().get(path).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy").to_owned();
        for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
        let html = String::from_utf8(page.body).expect("UTF-8");
        assert!(html.contains("<button>") && !html.contains("http"), "{html}");
    }
}
