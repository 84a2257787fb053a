//! `REGISTRATION=verified`: nobody is anybody before their address is verified.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, Client, PASSWORD, new_name};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    a_registration_becomes_an_account_by_its_mail in ALONE,
    a_taken_address_answers_the_same_and_its_owner_is_told_once in ALONE,
    a_taken_name_is_told_whatever_the_address in ALONE,
    the_mail_activates_the_registration_that_caused_it in ALONE,
    of_two_registrations_of_one_address_one_becomes_an_account in ALONE,
    an_address_that_is_not_verified_opens_nothing in ALONE,
    who_registers_again_with_the_same_password_corrects_the_address in ALONE,
    who_registers_again_with_another_password_changes_nothing in ALONE,
    a_link_and_a_repetition_at_once_leave_one_way_in in &["sqlite", "instances"],
);

const OTHER: &str = "maple-anchor-violin";

/// A server of the test's own, with its client.
struct Verified<'a> {
    context: &'a Context,
    client: Client,
    _server: crate::support::server::Server,
    _folder: tempfile::TempDir,
}

impl<'a> Verified<'a> {
    async fn start(context: &'a Context) -> Self {
        let (folder, server) = context.instance_with(context.environment().with("REGISTRATION", "verified")).await;
        Self { context, client: Client::new(server.url()), _server: server, _folder: folder }
    }

    async fn register(&self, name: &str, email: &str, password: &str) -> Answer {
        self.client.register(name, email, password).await
    }

    async fn token(&self, email: &str, count: usize) -> String {
        self.context.mail_to(email, "Confirm your", count).await.pop().expect("a mail").token().expect("a link")
    }

    async fn verify(&self, token: &str) -> Answer {
        self.client.put("/api/auth/email", &json!({ "token": token })).await
    }
}

fn accepted() -> reqwest::StatusCode {
    reqwest::StatusCode::ACCEPTED
}

fn new_address() -> (String, String) {
    let name = new_name();
    let email = format!("{name}@example.com");
    (name, email)
}

async fn a_registration_becomes_an_account_by_its_mail(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    let body = server.register(&name, &email, PASSWORD).await.expect(accepted());
    assert_eq!(crate::client::names(&body), ["message"], "no token and no user");
    server.client.log_in(&email, PASSWORD).await.fails(401, "invalid_credentials");
    server.verify(&server.token(&email, 1).await).await.ok();
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    assert_eq!((&body["user"]["username"], &body["user"]["isEmailVerified"]), (&json!(name), &json!(true)));
}

async fn a_taken_address_answers_the_same_and_its_owner_is_told_once(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    let free = server.register(&name, &email, PASSWORD).await;
    server.verify(&server.token(&email, 1).await).await.ok();
    let taken = server.register(&new_name(), &email.to_uppercase(), OTHER).await;
    assert_eq!(free.shape(), taken.shape());
    context.mail_to(&email, "You have an account", 1).await;
    // A further one is not told of on the same day; a mail to another person comes after it.
    server.register(&new_name(), &email, OTHER).await.expect(accepted());
    let (other_name, other_email) = new_address();
    server.register(&other_name, &other_email, PASSWORD).await.expect(accepted());
    server.token(&other_email, 1).await;
    assert_eq!(context.mail_to(&email, "You have an account", 1).await.len(), 1);
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
    server.client.log_in(&email, PASSWORD).await.ok();
}

async fn a_taken_name_is_told_whatever_the_address(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    server.register(&name, &email, PASSWORD).await.expect(accepted());
    let (_, other) = new_address();
    for address in [&email, &other] {
        server.register(&name.to_uppercase(), address, OTHER).await.fails(409, "username_taken");
    }
}

async fn the_mail_activates_the_registration_that_caused_it(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let ((thief, email), (owner, _)) = (new_address(), new_address());
    server.register(&thief, &email, OTHER).await.expect(accepted());
    let of_thief = server.token(&email, 1).await;
    server.register(&owner, &email, PASSWORD).await.expect(accepted());
    let of_owner = server.token(&email, 2).await;
    server.verify(&of_owner).await.ok();
    server.verify(&of_thief).await.fails(422, "invalid_mail_token");
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    assert_eq!(body["user"]["username"], owner);
    // A name that became free would tell that the address is an account's by now.
    server.register(&thief, &new_address().1, PASSWORD).await.fails(409, "username_taken");
}

async fn of_two_registrations_of_one_address_one_becomes_an_account(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    for (name, count) in [(name.clone(), 1), (format!("{name}-b"), 2)] {
        server.register(&name, &email, PASSWORD).await.expect(accepted());
        server.token(&email, count).await;
    }
    let tokens: Vec<_> = context.mail_to(&email, "Confirm your", 2).await.iter().map(|mail| mail.token().expect("a link")).collect();
    let answers = join_all(tokens.iter().cycle().take(20).map(|token| server.verify(token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 422].contains(&answer.status.as_u16())), "{answers:?}");
}

/// Ann mistypes her address, and has the mail again at the right one, twice.
async fn who_registers_again_with_the_same_password_corrects_the_address(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let ((name, mistyped), (_, right)) = (new_address(), new_address());
    let first = server.register(&name, &mistyped, PASSWORD).await;
    let to_mistyped = server.token(&mistyped, 1).await;
    for (count, name) in [(1, format!(" {}\n", name.to_uppercase())), (2, name.clone())] {
        let again = server.register(&name, &right, PASSWORD).await;
        assert_eq!(again.shape(), first.shape());
        server.token(&right, count).await;
    }
    let links = context.mail_to(&right, "Confirm your", 2).await;
    server.verify(&to_mistyped).await.fails(422, "invalid_mail_token");
    server.verify(&links[0].token().expect("a link")).await.fails(422, "invalid_mail_token");
    server.verify(&links[1].token().expect("a link")).await.ok();
    assert_eq!(server.client.log_in(&right, PASSWORD).await.ok()["user"]["username"], name);
    server.client.log_in(&mistyped, PASSWORD).await.fails(401, "invalid_credentials");
    // An account is no registration that could be repeated.
    server.register(&name, &mistyped, PASSWORD).await.fails(409, "username_taken");
    server.client.log_in(&right, PASSWORD).await.ok();
}

/// The thief wants the name, or the mail of its owner; then the owner the name that a thief waits with.
async fn who_registers_again_with_another_password_changes_nothing(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let ((name, email), (_, of_thief)) = (new_address(), new_address());
    server.register(&name, &email, PASSWORD).await.expect(accepted());
    let link = server.token(&email, 1).await;
    for address in [&of_thief, &email] {
        server.register(&name, address, OTHER).await.fails(409, "username_taken");
    }
    server.verify(&link).await.ok();
    assert_eq!(server.client.log_in(&email, PASSWORD).await.ok()["user"]["username"], name);
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
    server.client.log_in(&of_thief, OTHER).await.fails(401, "invalid_credentials");

    // The thief first: whoever reads the mail to the address is asked, and the owner's own registration is another.
    let ((decoy, email), (own, _)) = (new_address(), new_address());
    server.register(&decoy, &email, OTHER).await.expect(accepted());
    let of_decoy = server.token(&email, 1).await;
    server.register(&decoy, &email, PASSWORD).await.fails(409, "username_taken");
    server.register(&own, &email, PASSWORD).await.expect(accepted());
    let of_own = server.token(&email, 2).await;
    // The thief moves the decoy to an address of theirs before the owner presses anything: the old link is void.
    server.register(&decoy, &of_thief, OTHER).await.expect(accepted());
    server.verify(&of_decoy).await.fails(422, "invalid_mail_token");
    server.verify(&of_own).await.ok();
    assert_eq!(server.client.log_in(&email, PASSWORD).await.ok()["user"]["username"], own);
    server.client.log_in(&email, OTHER).await.fails(401, "invalid_credentials");
}

/// The owner of the mistyped address presses the button while the address is corrected, on another instance perhaps.
async fn a_link_and_a_repetition_at_once_leave_one_way_in(context: Arc<Context>) {
    let (server, other) = (Verified::start(&context).await, Verified::start(&context).await);
    let other = if context.has_mongodb() { &other } else { &server };
    for _ in 0..5 {
        let ((name, mistyped), (_, right)) = (new_address(), new_address());
        server.register(&name, &mistyped, PASSWORD).await.expect(accepted());
        let link = server.token(&mistyped, 1).await;
        let (verified, again) = futures_util::join!(server.verify(&link), other.register(&name, &right, PASSWORD));
        let way_in = if verified.status == 200 {
            again.fails(409, "username_taken");
            &mistyped
        } else {
            verified.fails(422, "invalid_mail_token");
            again.expect(accepted());
            server.verify(&server.token(&right, 1).await).await.ok();
            &right
        };
        for address in [&mistyped, &right] {
            let status = server.client.log_in(address, PASSWORD).await.status;
            assert_eq!(status == 200, address == way_in, "{status}");
        }
    }
}

async fn an_address_that_is_not_verified_opens_nothing(context: Arc<Context>) {
    let server = Verified::start(&context).await;
    let (name, email) = new_address();
    server.register(&name, &email, PASSWORD).await.expect(accepted());
    server.verify(&server.token(&email, 1).await).await.ok();
    let body = server.client.log_in(&email, PASSWORD).await.ok();
    let token = crate::client::text(&body["token"]);
    let (_, other) = new_address();
    let request = server.client.request(reqwest::Method::PUT, "/api/users/profile").bearer_auth(&token).json(&json!({ "email": other }));
    Answer::of(request).await.ok();
    server.client.log_in(&other, PASSWORD).await.fails(401, "invalid_credentials");
    let link = server.token(&other, 1).await;
    server.verify(&link).await.fails(403, "password_required");
    server.client.put("/api/auth/email", &json!({ "token": link, "password": PASSWORD })).await.ok();
    server.client.log_in(&other, PASSWORD).await.ok();
}
