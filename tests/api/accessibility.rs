//! Whether everybody can use the pages: each view by the rules of axe-core, which are those of WCAG 2 that a program can try.

use std::sync::Arc;

use serde_json::json;

use crate::client::PASSWORD;
use crate::context::Context;
use crate::support::browser::Browser;
use crate::support::not_run::not_run;
use crate::tests;
use crate::window::Window;

tests!(Context:
    every_view_keeps_the_rules in SQLITE,
    every_view_keeps_the_rules_in_dark_colours in SQLITE,
);

/// Pages do not depend on the store.
const SQLITE: &[&str] = &["sqlite"];
/// Where `.ci/install-axe` puts the rules.
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.test-tools/axe/node_modules/axe-core/axe.min.js");
/// Tries the rules on what is shown; gives those that are broken, with the places.
const TRY: &str = "return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(', ')}`));";
const OPEN_EVERYTHING: &str = "for (const part of document.querySelectorAll('details')) part.open = true;";

/// The rules, as a script; `None`, loudly, where they are not installed, which fails in continuous integration.
fn rules() -> Option<String> {
    std::fs::read_to_string(RULES)
        .ok()
        .or_else(|| not_run("the rules of accessibility, since there is no axe-core (.ci/install-axe installs it)"))
}

async fn inspect(browser: &Browser, rules: &str, view: &str) {
    let broken = browser.run(&format!("{rules};\n{TRY}")).await;
    assert_eq!(broken, json!([]), "{view}");
}

async fn every_view_keeps_the_rules(context: Arc<Context>) {
    let Some((browser, rules)) = Browser::start().await.zip(rules()) else { return };
    walk(&context, &Window::open(&browser, &context.url()).await, &rules).await;
}

async fn every_view_keeps_the_rules_in_dark_colours(context: Arc<Context>) {
    let Some((browser, rules)) = Browser::start().await.zip(rules()) else { return };
    let window = Window::open(&browser, &context.url()).await;
    window.there().await.prefer_dark_colours().await;
    walk(&context, &window, &rules).await;
}

/// Comes by every view of both pages.
async fn walk(context: &Context, window: &Window<'_>, rules: &str) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    bob.send(&ann, "hello").await.ok();
    let browser = window.there().await;
    inspect(browser, rules, "log-in").await;
    window.press("#log-in [data-choose=register]").await;
    window.fill_registration("a", "b", "c").await;
    window.sees("#register-password-mistake", "at least 8 characters").await;
    inspect(browser, rules, "registration with mistakes").await;
    window.press("#register [data-choose=log-in]").await;
    window.enter(&ann.email, "another-password").await;
    window.sees("#log-in [role=status]", "Email or password is wrong.").await;
    inspect(browser, rules, "refused log-in").await;
    window.enter(&ann.email, PASSWORD).await;
    window.sees("#chat-list .name", &bob.username).await;
    inspect(browser, rules, "chats").await;
    window.search(&bob.username).await;
    inspect(browser, rules, "people who were found").await;
    window.press("#found a").await;
    window.write("hello").await;
    window.counts("#messages .message", 2).await;
    inspect(browser, rules, "chat").await;
    window.press("#peer-menu summary").await;
    inspect(browser, rules, "menu of a chat").await;
    window.press("#choose-friends").await;
    window.sees("#friend-list .name", &bob.username).await;
    inspect(browser, rules, "friends").await;
    window.open_account().await;
    inspect(browser, rules, "account").await;
    browser.open(&format!("{}/api/docs", context.url())).await;
    window.sees("#send_message", "/api/chat/send").await;
    inspect(browser, rules, "routes").await;
    browser.run(OPEN_EVERYTHING).await;
    window.sees("#send_message", "Try it").await;
    browser.run(OPEN_EVERYTHING).await;
    inspect(browser, rules, "routes with everything about them").await;
}
