//! Which passwords may be set, and that a password is exactly what was typed.

use std::sync::Arc;

use reqwest::StatusCode;

use crate::client::new_name;
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_password_is_the_same_however_its_accents_were_typed,
    a_password_is_neither_cut_nor_trimmed_nor_folded,
    passwords_outside_their_rules_are_refused,
    guessable_passwords_are_refused,
);

/// Registers somebody; gives their address.
async fn set(context: &Context, password: &str) -> String {
    let name = new_name();
    let email = format!("{name}@example.com");
    context.anonymous().register(&name, &email, password).await.expect(StatusCode::CREATED);
    email
}

async fn a_password_is_the_same_however_its_accents_were_typed(context: Arc<Context>) {
    let (composed, decomposed) = ("caf\u{e9}-gravel-tulip", "cafe\u{301}-gravel-tulip");
    for (first, second) in [(composed, decomposed), (decomposed, composed)] {
        let email = set(&context, first).await;
        context.anonymous().log_in(&email, second).await.ok();
    }
}

async fn a_password_is_neither_cut_nor_trimmed_nor_folded(context: Arc<Context>) {
    let long = format!("{:\u{b7}<127}x", "tulip gravel onion");
    let cases = [
        (long.clone(), format!("{}y", &long[..long.len() - 1])),
        (" tulip-gravel-onion".to_owned(), "tulip-gravel-onion".to_owned()),
        ("Tulip-gravel-onion".to_owned(), "tulip-gravel-onion".to_owned()),
        ("\u{fb01}sh-gravel-onion".to_owned(), "fish-gravel-onion".to_owned()),
    ];
    for (right, wrong) in cases {
        assert!(right.chars().count() <= 128);
        let email = set(&context, &right).await;
        context.anonymous().log_in(&email, &wrong).await.fails(401, "invalid_credentials");
        context.anonymous().log_in(&email, &right).await.ok();
    }
}

async fn passwords_outside_their_rules_are_refused(context: Arc<Context>) {
    let mut tulips = "tulip gravel onion ".repeat(8);
    tulips.truncate(129);
    for bad in ["", "x7#Qm2v", &tulips, &"\u{1f600}".repeat(129), &"\u{1f337}".repeat(200), "tulip-gravel\u{7}onion", "tulip\ngravel-onion"]
    {
        let answer = context.anonymous().register(&new_name(), "free@example.com", bad).await;
        assert!(bad.is_empty() || !String::from_utf8_lossy(&answer.body).contains(bad));
        answer.fails_in(&["password"]);
    }
}

async fn guessable_passwords_are_refused(context: Arc<Context>) {
    let name = new_name();
    let own = format!("{name}2026!");
    for bad in ["password", "Password123!", "qwertyuiop", "abababababab", "12345678901234567890", "chat-functions", &own] {
        let body = context.anonymous().register(&name, "free@example.com", bad).await.fails(422, "password_too_common");
        assert!(body["fields"]["password"].is_string(), "{body}");
    }
}
