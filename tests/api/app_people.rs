//! The page to chat on, in a real browser: entering it, one's account, and the people one knows.

use std::sync::Arc;

use serde_json::json;

use crate::client::{PASSWORD, new_name};
use crate::context::Context;
use crate::support::browser::Browser;
use crate::tests;
use crate::window::Window;

tests!(Context:
    friends_are_found_added_blocked_and_removed,
    an_account_is_looked_after,
    a_name_and_an_address_are_changed_and_kept,
    a_registration_tells_what_is_wrong_where_it_is_wrong in PAGE,
    a_session_that_was_ended_asks_for_a_log_in in PAGE,
);

/// The ways for what is the page's own and no store's.
const PAGE: &[&str] = &["sqlite", "host"];
const NEW_PASSWORD: &str = "maple-anchor-violin";

async fn friends_are_found_added_blocked_and_removed(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = context.pair().await;
    bob.befriend(&ann).await.ok();
    let window = Window::log_in(&browser, &context.url(), &ann).await;
    window.fill("#search", "nobody-has-this-name").await;
    window.sees("#search-status", "Nobody is found.").await;
    window.search(&bob.username).await;
    window.press("#found button").await;
    window.sees("#found .note", "Friend").await;
    assert_eq!(ann.profile().await["friends"], json!([bob.id]));
    window.press("#found a").await;
    window.sees("#peer-presence", "online").await;
    window.press("#choose-friends").await;
    window.sees("#friend-list .preview", "online").await;
    window.press("#peer-menu summary").await;
    window.press("#peer-block").await;
    window.press("#question-yes").await;
    window.sees("#no-composer", "You have blocked").await;
    window.sees("#blocked-list .name", &bob.username).await;
    window.counts("#friend-list li", 0).await;
    bob.send(&ann, "hello").await.fails(403, "not_accepted");
    window.press("#blocked-list button").await;
    window.counts("#blocked-list li", 0).await;
    bob.send(&ann, "hello").await.ok();
    window.sees("#messages .other", "hello").await;
    window.press("#peer-menu summary").await;
    window.press("#peer-friend").await;
    window.press("#friend-list button").await;
    window.counts("#friend-list li", 0).await;
    assert_eq!(ann.profile().await["friends"], json!([]));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

async fn an_account_is_looked_after(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.person().await;
    let phone = ann.log_in_again().await;
    let window = Window::log_in(&browser, &context.url(), &ann).await;
    window.open_account().await;
    window.sees("#verified", "Not verified yet").await;
    window.press("#verify").await;
    window.sees("#verify-status", "a mail is on its way").await;
    let token = context.mail_to(&ann.email, "Confirm your", 2).await.pop().and_then(|mail| mail.token()).expect("a link");
    context.anonymous().put("/api/auth/email", &json!({ "token": token })).await.ok();
    window.there().await.reload().await;
    window.sees("#verified", "Verified").await;
    window.counts("#verify[hidden]", 1).await;
    window.counts("#session-list li", 3).await;
    window.press("#session-list li:nth-child(2) button").await;
    window.counts("#session-list li", 2).await;
    window.press("#friends-only").await;
    window.sees("#announcer", "Only friends").await;
    window.fill("#current-password", NEW_PASSWORD).await;
    window.fill("#new-password", NEW_PASSWORD).await;
    window.press("#password-form [type=submit]").await;
    window.sees("#current-password-mistake", "The current password is wrong").await;
    window.fill("#current-password", PASSWORD).await;
    window.fill("#new-password", NEW_PASSWORD).await;
    window.press("#password-form [type=submit]").await;
    window.sees("#password-form [role=status]", "Your password is changed").await;
    window.counts("#session-list li", 1).await;
    for ended in [&ann, &phone] {
        ended.get("/api/users/profile").await.fails(401, "unauthorized");
    }
    window.press("#delete-account summary").await;
    window.fill("#delete-password", PASSWORD).await;
    window.press("#delete-form [type=submit]").await;
    window.sees("#delete-password-mistake", "The current password is wrong").await;
    window.fill("#delete-password", NEW_PASSWORD).await;
    window.press("#delete-form [type=submit]").await;
    window.sees("#notice", "Your account is deleted.").await;
    window.enter(&ann.email, NEW_PASSWORD).await;
    window.sees("#log-in [role=status]", "Email or password is wrong.").await;
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
}

async fn a_name_and_an_address_are_changed_and_kept(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = (context.person().await, context.person().await);
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    context.anonymous().put("/api/auth/email", &json!({ "token": token })).await.ok();
    let window = Window::log_in(&browser, &context.url(), &ann).await;
    window.open_account().await;
    window.press("#edit-profile summary").await;
    window.press("#profile-form [type=submit]").await;
    window.sees("#profile-form [role=status]", "Nothing is different.").await;
    window.fill("#profile-username", &bob.username).await;
    window.press("#profile-form [type=submit]").await;
    window.sees("#profile-username-mistake", "This username is taken.").await;
    let (name, address) = (new_name(), format!("{}@example.com", new_name()));
    window.fill("#profile-username", &name).await;
    window.fill("#profile-email", &address).await;
    window.fill("#profile-password", NEW_PASSWORD).await;
    window.press("#profile-form [type=submit]").await;
    window.sees("#profile-password-mistake", "The current password is wrong").await;
    window.fill("#profile-password", PASSWORD).await;
    window.press("#profile-form [type=submit]").await;
    window.sees("#profile-form [role=status]", &format!("A mail with a link is on its way to {address}.")).await;
    window.sees("#profile-title", &name).await;
    window.sees("#own-email", &ann.email).await;
    window.sees("#pending-email", &address).await;
    window.press("#keep-address").await;
    window.sees("#verify-status", "You keep your address.").await;
    window.counts("#pending-address[hidden]", 1).await;
    assert_eq!(ann.profile().await["pendingEmail"], json!(null));
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
}

async fn a_registration_tells_what_is_wrong_where_it_is_wrong(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let ann = context.person().await;
    let window = Window::open(&browser, &context.url()).await;
    window.press("#log-in [data-choose=register]").await;
    window.fill_registration("a", "b", "c").await;
    window.sees("#register-username-mistake", "User name must be 3 to 32 characters.").await;
    window.sees("#register-email-mistake", "Email must be an e-mail address").await;
    window.sees("#register-password-mistake", "Password must be at least 8 characters.").await;
    window.fill_registration(&ann.username, &format!("{}@example.com", new_name()), PASSWORD).await;
    window.sees("#register-username-mistake", "This username is taken.").await;
    window.counts(".mistake", 1).await;
    window.press("#register [data-choose=log-in]").await;
    window.press("#log-in [data-choose=forgotten]").await;
    window.fill("#forgotten-email", &ann.email).await;
    window.press("#forgotten [type=submit]").await;
    window.sees("#forgotten [role=status]", "a mail is on its way").await;
    context.mail_to(&ann.email, "new password", 1).await;
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
}

async fn a_session_that_was_ended_asks_for_a_log_in(context: Arc<Context>) {
    let Some(browser) = Browser::start().await else { return };
    let (ann, bob) = context.pair().await;
    let window = Window::log_in(&browser, &context.url(), &ann).await;
    window.talk_to(&bob.username).await;
    ann.delete("/api/auth/sessions", &json!({ "all": true })).await.ok();
    window.sees("#notice", "Your session has ended. Please log in again.").await;
    window.enter(&ann.email, PASSWORD).await;
    window.sees("nav .own-name", &ann.username).await;
    assert_eq!(browser.complaints_but_of(&["network"]).await, Vec::<String>::new());
}
