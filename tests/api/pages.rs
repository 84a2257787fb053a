//! The pages that links in mails open, in a real browser.

use std::sync::Arc;

use serde_json::json;

use crate::client::{PASSWORD, new_name};
use crate::context::Context;
use crate::support::browser::Browser;
use crate::tests;

tests!(Context:
    a_button_verifies_an_address,
    the_button_of_a_new_address_asks_for_the_password_of_the_account,
    a_form_sets_a_new_password,
    a_link_without_its_end_is_mended_by_paste,
);

const STATUS: &str = "[role=status]";
const BUTTON: &str = "button";
const CODE: &str = "input[id=code]";
const PASSWORD_FIELD: &str = "input[name=password]";
const FIELD: &str = "input[name=newPassword]";

async fn a_button_verifies_an_address(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    let link = format!("{}/api/auth/email#token={token}", context.url());
    browser.open(&link).await;
    assert!(!browser.url().await.contains(&token), "nobody reads the token off the address bar");
    assert_eq!(ann.profile().await["isEmailVerified"], false, "opening the page is not pressing its button");
    browser.press(BUTTON).await;
    browser.wait_for_text(STATUS, "Email verified").await;
    assert_eq!(ann.profile().await["isEmailVerified"], true);
    assert!(!browser.shows(BUTTON).await, "there is nothing left to press");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.open(&link).await;
    browser.press(BUTTON).await;
    browser.wait_for_text(STATUS, "ask for a new mail").await;
}

async fn the_button_of_a_new_address_asks_for_the_password_of_the_account(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.verified_person().await;
    let address = format!("{}@example.com", new_name());
    ann.put("/api/users/profile", &json!({ "email": address })).await.ok();
    let token = context.mail_to(&address, "Confirm your new", 1).await.remove(0).token().expect("a link");
    browser.open(&format!("{}/api/auth/email#token={token}", context.url())).await;
    assert!(!browser.shows(PASSWORD_FIELD).await);
    browser.press(BUTTON).await;
    browser.wait_for_text(STATUS, &ann.username).await;
    for (password, told) in [("maple-anchor-violin", "password"), (PASSWORD, "Email verified")] {
        browser.type_into(PASSWORD_FIELD, password).await;
        browser.press(BUTTON).await;
        browser.wait_for_text(STATUS, told).await;
    }
    assert_eq!(ann.profile().await["email"], address.as_str());
}

async fn a_form_sets_a_new_password(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.person().await;
    context.anonymous().post("/api/auth/password-reset", &json!({ "email": ann.email })).await.expect(202.try_into().expect("a status"));
    let token = context.mail_to(&ann.email, "new password", 1).await.remove(0).token().expect("a link");
    // As some mail programs rewrite links.
    browser.open(&format!("{}/api/auth/password-reset?token={token}", context.url())).await;
    assert!(!browser.url().await.contains(&token));
    for (password, told) in
        [("short", "at least 8 characters"), ("password123!", "easy to guess"), ("maple-anchor-violin", "reset successfully")]
    {
        browser.type_into(FIELD, password).await;
        browser.press(BUTTON).await;
        browser.wait_for_text(STATUS, told).await;
    }
    context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    context.anonymous().log_in(&ann.email, "maple-anchor-violin").await.ok();
}

async fn a_link_without_its_end_is_mended_by_paste(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    for spelling in
        ["{token}", " {token} ", "{url}/api/auth/email#token={token}", "https://safe.example/?url=chat%2Femail%23token%3D{token}&data=05"]
    {
        let ann = context.person().await;
        let mail = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0);
        let token = mail.token().expect("a link");
        assert!(mail.text().lines().any(|line| line == token), "the code has a line of its own: {}", mail.text());
        browser.open(&format!("{}/api/auth/email", context.url())).await;
        browser.wait_for_text(STATUS, "incomplete").await;
        browser.type_into(CODE, &spelling.replace("{url}", &context.url()).replace("{token}", &token)).await;
        browser.press(BUTTON).await;
        browser.wait_for_text(STATUS, "Email verified").await;
    }
    let ann = context.person().await;
    context.anonymous().post("/api/auth/password-reset", &json!({ "email": ann.email })).await.expect(202.try_into().expect("a status"));
    let token = context.mail_to(&ann.email, "new password", 1).await.remove(0).token().expect("a link");
    browser.open(&format!("{}/api/auth/password-reset", context.url())).await;
    browser.type_into(CODE, &token).await;
    browser.type_into(FIELD, "maple-anchor-violin").await;
    browser.press(BUTTON).await;
    browser.wait_for_text(STATUS, "reset successfully").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
