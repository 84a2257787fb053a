//! Whose an account is after somebody else has had hold of it: the oldest verified owner can get in, and the thief cannot.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Answer, Client, PASSWORD, Person, new_name, text};
use crate::context::{ALONE, Context};
use crate::support::server::Server;
use crate::support::smtp::ReceivedMail;
use crate::tests;

tests!(Context:
    whatever_a_thief_does_the_oldest_owner_gets_the_account_back in &["sqlite", "mongodb", "instances"],
    whatever_a_thief_does_the_oldest_owner_gets_a_verified_registration_back in ALONE,
    a_decoy_with_the_address_of_somebody_is_theirs,
    an_address_that_is_a_way_back_is_nobody_elses,
);

const OWNERS: &str = "maple-anchor-violin";
const THIEFS: &str = "copper-lantern-mosaic";
const RESET: &str = "/api/auth/password-reset";
const EMAIL: &str = "/api/auth/email";
const PROFILE: &str = "/api/users/profile";

/// What happens while the thief, who knows the password and has a session, is in.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// The thief moves the account to an address of theirs.
    Move,
    /// The thief asks for such a move, and keeps its link for later.
    Want,
    /// The thief sets another password by a mail to their latest address.
    Reset,
    /// Somebody asks for a new password with the owner's address.
    Ask,
    /// The owner answers by a move to another address of theirs.
    OwnerMoves,
}

use Act::{Ask, Move, OwnerMoves, Reset, Want};

const ACTS: [&[Act]; 11] = [
    &[Move],
    &[Want],
    &[Move, Move],
    &[Move, Want],
    &[Move, Move, Move],
    &[Move, Reset],
    &[Move, Reset, Move],
    &[Move, Reset, Want],
    &[Move, Ask, Ask],
    &[Move, OwnerMoves],
    &[OwnerMoves, Move],
];

/// A server, and the mail that it sends.
struct Site<'a> {
    context: &'a Context,
    client: Client,
}

struct Thief {
    person: Person,
    password: &'static str,
    addresses: Vec<String>,
}

fn new_address() -> String {
    format!("{}@example.com", new_name())
}

impl Site<'_> {
    async fn link(&self, address: &str, subject: &str, count: usize) -> String {
        self.context.mail_to(address, subject, count).await.pop().expect("a mail").token().expect("a link")
    }

    async fn log_in(&self, owner: &Person, email: &str, password: &str) -> Person {
        let body = self.client.log_in(email, password).await.ok();
        Person { token: text(&body["token"]), email: email.to_owned(), ..owner.clone() }
    }

    async fn redeem(&self, token: &str, password: &str) -> Answer {
        self.client.put(RESET, &json!({ "token": token, "newPassword": password })).await
    }

    /// Asks for a move; gives the address and its link.
    async fn ask_for_move(&self, person: &Person, password: &str) -> (String, String) {
        let address = new_address();
        person.put(PROFILE, &json!({ "email": address, "currentPassword": password })).await.ok();
        let link = self.link(&address, "Confirm your new", 1).await;
        (address, link)
    }

    async fn move_to_another(&self, person: &Person, password: &str) -> String {
        let (address, link) = self.ask_for_move(person, password).await;
        self.client.put(EMAIL, &json!({ "token": link, "password": password })).await.ok();
        address
    }

    async fn act(&self, act: Act, owner: &Person, thief: &mut Thief) {
        match act {
            Move => thief.addresses.push(self.move_to_another(&thief.person, thief.password).await),
            Want => thief.addresses.push(self.ask_for_move(&thief.person, thief.password).await.0),
            Reset => {
                let address = thief.addresses.last().expect("an address of theirs").clone();
                self.client.post(RESET, &json!({ "email": address })).await.expect(StatusCode::ACCEPTED);
                self.redeem(&self.link(&address, "new password", 1).await, THIEFS).await.ok();
                thief.password = THIEFS;
                thief.person = self.log_in(owner, &address, THIEFS).await;
            }
            Ask => drop(self.client.post(RESET, &json!({ "email": owner.email })).await.expect(StatusCode::ACCEPTED)),
            OwnerMoves => drop(self.move_to_another(owner, PASSWORD).await),
        }
    }

    /// The owner uses the first link that came to their address, whatever has happened since.
    async fn is_the_owners_after(&self, acts: &[Act], owner: &Person) {
        let person = self.log_in(owner, &owner.email, PASSWORD).await;
        let mut thief = Thief { person, password: PASSWORD, addresses: Vec::new() };
        for act in acts {
            self.act(*act, owner, &mut thief).await;
        }
        let link = if acts.iter().any(|act| matches!(act, Move | OwnerMoves)) {
            self.context.mail_to(&owner.email, "Your address at", 1).await.remove(0).token().expect("a link")
        } else {
            self.client.post(RESET, &json!({ "email": owner.email })).await.expect(StatusCode::ACCEPTED);
            self.link(&owner.email, "new password", 1).await
        };
        self.redeem(&link, OWNERS).await.ok();
        let profile = self.log_in(owner, &owner.email, OWNERS).await.profile().await;
        assert_eq!((&profile["id"], &profile["email"]), (&json!(owner.id), &json!(owner.email)), "{acts:?}");
        assert_eq!((&profile["isEmailVerified"], &profile["pendingEmail"]), (&json!(true), &json!(null)), "{acts:?}");
        self.is_out(acts, &thief).await;
        self.redeem(&link, THIEFS).await.fails(422, "invalid_mail_token");
        self.log_in(owner, &owner.email, OWNERS).await;
    }

    async fn is_out(&self, acts: &[Act], thief: &Thief) {
        thief.person.get(PROFILE).await.fails(401, "unauthorized");
        for address in &thief.addresses {
            for password in [PASSWORD, THIEFS, OWNERS] {
                self.client.log_in(address, password).await.fails(401, "invalid_credentials");
            }
            for link in self.context.mail_to(address, "", 1).await.iter().filter_map(ReceivedMail::token) {
                self.redeem(&link, THIEFS).await.fails(422, "invalid_mail_token");
                let moved = self.client.put(EMAIL, &json!({ "token": link, "password": OWNERS })).await;
                assert_eq!(moved.status, 422, "{acts:?}");
            }
        }
    }
}

async fn whatever_a_thief_does_the_oldest_owner_gets_the_account_back(context: Arc<Context>) {
    let site = Site { context: &context, client: context.anonymous().clone() };
    for acts in ACTS {
        site.is_the_owners_after(acts, &context.verified_person().await).await;
    }
}

/// The same where nobody is anybody before their address is verified.
async fn whatever_a_thief_does_the_oldest_owner_gets_a_verified_registration_back(context: Arc<Context>) {
    let environment = context.environment().with("REGISTRATION", "verified");
    let (_folder, server): (_, Server) = context.instance_with(environment).await;
    let site = Site { context: &context, client: Client::new(server.url()) };
    for acts in ACTS {
        let (username, email) = (new_name(), new_address());
        site.client.register(&username, &email, PASSWORD).await.expect(StatusCode::ACCEPTED);
        let link = site.link(&email, "Confirm your", 1).await;
        site.client.put(EMAIL, &json!({ "token": link })).await.ok();
        let body = site.client.log_in(&email, PASSWORD).await.ok();
        let (id, token) = (text(&body["user"]["id"]), text(&body["token"]));
        site.is_the_owners_after(acts, &Person { client: site.client.clone(), id, username, email, token }).await;
    }
}

/// The thief registers with the owner's address before them. Whoever has the mail has the account, and all that was planted in it ends.
async fn a_decoy_with_the_address_of_somebody_is_theirs(context: Arc<Context>) {
    for does_owner_press_first in [false, true] {
        let decoy = context.person().await;
        let site = Site { context: &context, client: context.anonymous().clone() };
        let mut thief = Thief { person: decoy.log_in_again().await, password: PASSWORD, addresses: Vec::new() };
        if does_owner_press_first {
            context.verify_by_mail(&decoy.email).await;
            thief.addresses.push(site.ask_for_move(&thief.person, PASSWORD).await.0);
        }
        site.client.post(RESET, &json!({ "email": decoy.email })).await.expect(StatusCode::ACCEPTED);
        site.redeem(&site.link(&decoy.email, "new password", 1).await, OWNERS).await.ok();
        site.is_out(&[], &thief).await;
        assert_eq!(site.log_in(&decoy, &decoy.email, OWNERS).await.profile().await["pendingEmail"], json!(null));
    }
}

async fn an_address_that_is_a_way_back_is_nobody_elses(context: Arc<Context>) {
    let (owner, other) = futures_util::join!(context.verified_person(), context.verified_person());
    let site = Site { context: &context, client: context.anonymous().clone() };
    let moved = site.move_to_another(&owner, PASSWORD).await;
    site.client.register(&new_name(), &owner.email, PASSWORD).await.fails(409, "email_taken");
    for email in [&owner.email, &moved] {
        other.put(PROFILE, &json!({ "email": email.to_uppercase() })).await.fails(409, "email_taken");
    }
    owner.put(PROFILE, &json!({ "email": owner.email })).await.fails(409, "own_recovery_address");
    for _ in 0..2 {
        site.move_to_another(&owner, PASSWORD).await;
    }
    owner.put(PROFILE, &json!({ "email": new_address() })).await.fails(409, "too_many_changes");
    // Of two who want the same address the one whose link is used first has it.
    let wanted = new_address();
    let third = context.verified_person().await;
    for person in [&other, &third] {
        person.put(PROFILE, &json!({ "email": wanted })).await.ok();
    }
    let links = context.mail_to(&wanted, "Confirm your new", 2).await;
    let link_of =
        |person: &Person| links.iter().find(|mail| mail.text().contains(&person.username)).and_then(ReceivedMail::token).expect("a link");
    third.put(EMAIL, &json!({ "token": link_of(&third) })).await.ok();
    other.put(EMAIL, &json!({ "token": link_of(&other) })).await.fails(409, "email_taken");
    assert_eq!(other.profile().await["pendingEmail"], json!(null));
}
