//! Which passwords may be set, and that exactly the one that was set logs in.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, Client, names, new_name, once};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    short_and_long_passwords_are_accepted,
    a_password_outside_the_limits_is_refused,
    the_shortest_length_may_be_raised in &["sqlite"],
    length_is_counted_in_characters_of_the_normal_form,
    an_endless_password_takes_no_place_in_the_queue_for_hashes in ALONE,
    control_characters_are_refused,
    a_password_set_decomposed_logs_in_composed_and_the_reverse,
    letters_that_only_look_alike_make_another_password,
    spaces_count_and_nothing_is_trimmed,
    a_password_is_never_cut,
    no_composition_of_characters_is_asked_for,
    common_repeated_and_padded_passwords_are_refused,
    the_own_name_and_address_are_no_passwords,
);

/// A registration with a password; the address that it would be of.
async fn register(client: &Client, password: &str) -> (String, Answer) {
    let name = new_name();
    let email = format!("{name}@example.com");
    let answer = client.register(&name, &email, password).await;
    (email, answer)
}

/// Somebody new whose password this is; their address.
async fn with_password(context: &Context, password: &str) -> String {
    let (email, answer) = register(context.anonymous(), password).await;
    assert_eq!(answer.status, 201, "{password:?}: {answer:?}");
    email
}

/// Characters of which no two are alike and no run is one of the alphabet.
fn varied(chars: usize, first: u32) -> String {
    (0..chars).filter_map(|index| char::from_u32(first + u32::try_from(index * 53 % 131).expect("small"))).collect()
}

async fn refused_as_wrong(context: &Context, email: &str, password: &str) {
    context.anonymous().log_in(email, password).await.fails(401, "invalid_credentials");
}

async fn short_and_long_passwords_are_accepted(context: Arc<Context>) {
    // Shorter ones are allowed by their length, but none of them is hard enough to guess.
    let short = "ж7#Qю2яЫ-";
    let (longest, widest) = (varied(128, 0x400), varied(128, 0x1F300));
    assert_eq!((short.chars().count(), longest.chars().count(), widest.len()), (9, 128, 512), "the limits");
    for password in [short, &longest, &widest] {
        let email = with_password(&context, password).await;
        context.anonymous().log_in(&email, password).await.ok();
    }
}

async fn a_password_outside_the_limits_is_refused(context: Arc<Context>) {
    let long = varied(129, 0x400);
    let (wide, huge) = (varied(129, 0x1F300), varied(100, 0x400).repeat(50));
    for password in ["", "x", "x7#Qm2v", "жжжжжжж", "😀😀😀😀😀😀😀", &long, &wide, &huge] {
        let (_, answer) = register(context.anonymous(), password).await;
        answer.fails_in(&["password"]);
    }
}

async fn the_shortest_length_may_be_raised(context: Arc<Context>) {
    let (_folder, server) = context.instance_with(context.environment().with("PASSWORD_MIN_CHARS", "15")).await;
    let client = Client::new(server.url());
    register(&client, "tulip-gravel-x").await.1.fails_in(&["password"]);
    assert_eq!(register(&client, "tulip-gravel-xy").await.1.status, 201);
}

/// Many more at once than the queue has places, all of which would be refused by 503 if they needed one.
async fn an_endless_password_takes_no_place_in_the_queue_for_hashes(context: Arc<Context>) {
    let (client, endless) = (context.anonymous(), "x".repeat(10_000));
    let email = with_password(&context, "tulip-gravel-onion").await;
    let log_ins = join_all((0..100).map(|_| client.log_in(&email, &endless)));
    let registrations = join_all((0..100).map(|_| register(client, &endless)));
    let (log_ins, registrations) = once(async { futures_util::join!(log_ins, registrations) }).await;
    for answer in log_ins {
        answer.fails(401, "invalid_credentials");
    }
    for (_, answer) in registrations {
        answer.fails_in(&["password"]);
    }
}

async fn length_is_counted_in_characters_of_the_normal_form(context: Arc<Context>) {
    // 130 characters as they are sent and 128 of them composed; 7 composed out of 14.
    let decomposed = format!("{}e\u{301}e\u{300}", varied(126, 0x430));
    assert_eq!(decomposed.chars().count(), 130);
    with_password(&context, &decomposed).await;
    let (_, answer) = register(context.anonymous(), &"e\u{301}".repeat(7)).await;
    answer.fails_in(&["password"]);
    // Some characters become several: 43 of these make 129.
    let (_, answer) = register(context.anonymous(), &"\u{1d160}".repeat(43)).await;
    answer.fails_in(&["password"]);
}

async fn control_characters_are_refused(context: Arc<Context>) {
    for control in ["\0", "\u{7}", "\t", "\n", "\r", "\u{1b}", "\u{7f}", "\u{85}", "\u{9f}"] {
        let (_, answer) = register(context.anonymous(), &format!("tulip-gravel{control}onion")).await;
        answer.fails_in(&["password"]);
    }
}

async fn a_password_set_decomposed_logs_in_composed_and_the_reverse(context: Arc<Context>) {
    let (decomposed, composed) = ("cafe\u{301}-gravel-onion", "caf\u{e9}-gravel-onion");
    for (set, typed) in [(decomposed, composed), (composed, decomposed)] {
        let email = with_password(&context, set).await;
        context.anonymous().log_in(&email, typed).await.ok();
    }
}

async fn letters_that_only_look_alike_make_another_password(context: Arc<Context>) {
    let email = with_password(&context, "\u{fb01}sh-Gravel-onion").await;
    for typed in ["fish-Gravel-onion", "\u{fb01}sh-gravel-onion", "\u{fb01}sh\u{2010}Gravel\u{2010}onion"] {
        refused_as_wrong(&context, &email, typed).await;
    }
}

async fn spaces_count_and_nothing_is_trimmed(context: Arc<Context>) {
    let password = "  tulip gravel onion ";
    let email = with_password(&context, password).await;
    for typed in
        ["tulip gravel onion", "  tulip gravel onion", " tulip gravel onion ", "  tulip  gravel onion ", "  tulip gravel onion\u{a0}"]
    {
        refused_as_wrong(&context, &email, typed).await;
    }
    context.anonymous().log_in(&email, password).await.ok();
}

async fn a_password_is_never_cut(context: Arc<Context>) {
    let start = varied(127, 0x400);
    let email = with_password(&context, &format!("{start}x")).await;
    for typed in [format!("{start}y"), start.clone(), format!("{start}xx")] {
        refused_as_wrong(&context, &email, &typed).await;
    }
    context.anonymous().log_in(&email, &format!("{start}x")).await.ok();
}

async fn no_composition_of_characters_is_asked_for(context: Arc<Context>) {
    with_password(&context, "tulipgravelonion").await;
    with_password(&context, "8402759136604718").await;
}

/// Refused for being easy to guess, without coming back.
async fn refused_as_common(context: &Context, username: &str, email: &str, password: &str) {
    let answer = context.anonymous().register(username, email, password).await;
    assert_eq!(answer.status, 422, "{password:?}: {answer:?}");
    let failure = answer.fails(422, "password_too_common");
    assert_eq!(names(&failure["fields"]), ["password"]);
    assert!(!failure.to_string().contains(json!(password).to_string().trim_matches('"')), "{password:?} is in {failure}");
}

async fn common_repeated_and_padded_passwords_are_refused(context: Arc<Context>) {
    let common = [
        "Password1",
        "P@ssw0rd",
        "password123!!",
        "!!!!dragon!!!!",
        "99999dragon99999",
        "dragondragondragon",
        "iloveyou2026!#%",
        "ncc1701!!8402##%4",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "xyz1xyz1xyz1xyz1",
        "qwertyuiop",
        "1qaz2wsx3edc4rfv",
        "12345678901234567890",
        "abcdefghijklmnop",
        "!@#$%^&*()",
        "chat-functions",
        "ChatFunctions99!!",
    ];
    let name = new_name();
    for password in common {
        refused_as_common(&context, &name, &format!("{name}@example.com"), password).await;
    }
}

async fn the_own_name_and_address_are_no_passwords(context: Arc<Context>) {
    let (name, local) = (format!("Annabelle.{}", &new_name()[..9]), format!("lee-{}", new_name()));
    let email = format!("{local}@example.com");
    let padded = [format!("{name}2026!!"), format!("..{local}99")];
    let cases = [name.clone(), name.to_lowercase(), name.to_uppercase(), local.clone(), local.to_uppercase()];
    for password in cases.iter().chain(&padded) {
        refused_as_common(&context, &name, &email, password).await;
    }
}
