//! Claims to addresses while their owner gets the account back, and what becomes of ways back on a server that sends no mail any more.

use std::sync::Arc;

use futures_util::join;
use serde_json::json;
use tempfile::TempDir;

use crate::client::{Answer, Client, PASSWORD, Person, names, new_name, text};
use crate::context::{ALONE, Context};
use crate::support::server::Server;
use crate::support::smtp::ReceivedMail;
use crate::tests;

tests!(Context:
    where_registering_tells_nobody_of_an_address_a_move_does_not_either in ALONE,
    a_claim_that_is_set_while_a_reset_lands_ends_with_it in ALONE,
    nobody_gets_an_address_while_its_owner_goes_back_to_it in ALONE,
    of_a_reset_and_a_change_at_once_one_is_made in ALONE,
    a_way_back_is_good_on_a_server_that_sends_no_mail_any_more in ALONE,
);

const OWNERS: &str = "maple-anchor-violin";
const RESET: &str = "/api/auth/password-reset";
const EMAIL: &str = "/api/auth/email";
const PROFILE: &str = "/api/users/profile";
const POLICIES: [&str; 2] = ["open", "verified"];
/// Trials of each race.
const TRIALS: usize = 3;

fn new_address() -> String {
    format!("{}@example.com", new_name())
}

async fn move_to(person: &Person, email: &str) -> Answer {
    person.put(PROFILE, &json!({ "email": email })).await
}

/// Servers of the test's own, two where they can share the data, and the mail that they send.
struct Site<'a> {
    context: &'a Context,
    client: Client,
    _servers: Vec<(TempDir, Server)>,
}

impl<'a> Site<'a> {
    async fn start(context: &'a Context, policy: &str) -> Self {
        let mut servers = Vec::new();
        for _ in 0..if context.has_mongodb() { 2 } else { 1 } {
            servers.push(context.instance_with(context.environment().with("REGISTRATION", policy)).await);
        }
        let client = Client::of_instances(servers.iter().map(|(_folder, server)| server.url().to_owned()).collect());
        Self { context, client, _servers: servers }
    }

    async fn link(&self, address: &str, subject: &str) -> String {
        self.context.mail_to(address, subject, 1).await.pop().expect("a mail").token().expect("a link")
    }

    async fn register(&self, email: &str) -> Answer {
        self.client.register(&new_name(), email, PASSWORD).await
    }

    /// Somebody whose address is verified, by the mail that registering brings.
    async fn verified(&self) -> Person {
        let (client, username, email) = (self.client.clone(), new_name(), new_address());
        assert!(client.register(&username, &email, PASSWORD).await.status.is_success());
        client.put(EMAIL, &json!({ "token": self.link(&email, "Confirm your").await })).await.ok();
        let body = client.log_in(&email, PASSWORD).await.ok();
        Person { client, id: text(&body["user"]["id"]), username, email, token: text(&body["token"]) }
    }

    /// Moves somebody by the link; gives the way back that the notice of it brings.
    async fn way_back(&self, person: &Person, to: &str) -> String {
        move_to(person, to).await.ok();
        person.put(EMAIL, &json!({ "token": self.link(to, "Confirm your new").await })).await.ok();
        self.link(&person.email, "Your address at").await
    }

    async fn ask_for_reset(&self, email: &str) -> String {
        self.client.post(RESET, &json!({ "email": email })).await.expect(202.try_into().expect("a status"));
        self.link(email, "new password").await
    }

    async fn redeem(&self, token: &str) -> Answer {
        self.client.put(RESET, &json!({ "token": token, "newPassword": OWNERS })).await
    }

    /// The account is its owner's, at this address, and nobody else is in it.
    async fn is_the_owners(&self, owner: &Person, thief: &Person) {
        let user = self.client.log_in(&owner.email, OWNERS).await.ok()["user"].clone();
        assert_eq!((&user["id"], &user["isEmailVerified"], &user["pendingEmail"]), (&json!(owner.id), &json!(true), &json!(null)));
        thief.get(PROFILE).await.fails(401, "unauthorized");
        self.client.log_in(&owner.email, PASSWORD).await.fails(401, "invalid_credentials");
    }
}

async fn where_registering_tells_nobody_of_an_address_a_move_does_not_either(context: Arc<Context>) {
    for policy in POLICIES {
        let site = Site::start(&context, policy).await;
        let (ann, owner) = join!(site.verified(), site.verified());
        let free = move_to(&ann, &new_address()).await.ok();
        let taken = move_to(&ann, &owner.email.to_uppercase()).await;
        if policy == "open" {
            taken.fails(409, "email_taken");
            continue;
        }
        let taken = taken.ok();
        assert_eq!(names(&taken["user"]), names(&free["user"]));
        assert_eq!(taken["user"]["pendingEmail"], owner.email.to_uppercase());
        let told = context.mail_to(&owner.email, "You have an account", 1).await.remove(0);
        assert_eq!(told.token(), None, "{}", told.text());
        let pressed = context.mail_to(&owner.email, "Confirm your new", 0).await;
        assert!(pressed.is_empty(), "{pressed:?}");
    }
}

async fn a_claim_that_is_set_while_a_reset_lands_ends_with_it(context: Arc<Context>) {
    for policy in POLICIES {
        let site = Site::start(&context, policy).await;
        for _ in 0..TRIALS {
            let owner = site.verified().await;
            let (thief, wanted) = (owner.log_in_again().await, new_address());
            let link = site.ask_for_reset(&owner.email).await;
            let (reset, claim) = join!(site.redeem(&link), move_to(&thief, &wanted));
            reset.ok();
            assert!([200, 401].contains(&claim.status.as_u16()), "{claim:?}");
            site.is_the_owners(&owner, &thief).await;
            // The link that may have left by then.
            for link in context.mail_to(&wanted, "Confirm", 0).await.iter().filter_map(ReceivedMail::token) {
                site.client.put(EMAIL, &json!({ "token": link, "password": OWNERS })).await.fails(422, "invalid_mail_token");
            }
        }
    }
}

async fn nobody_gets_an_address_while_its_owner_goes_back_to_it(context: Arc<Context>) {
    for policy in POLICIES {
        let site = Site::start(&context, policy).await;
        let stranger = site.verified().await;
        for _ in 0..TRIALS {
            let (owner, moved) = (site.verified().await, new_address());
            let thief = owner.log_in_again().await;
            let link = site.way_back(&thief, &moved).await;
            let (reset, registered, claimed, given_up) =
                join!(site.redeem(&link), site.register(&owner.email), move_to(&stranger, &owner.email), site.register(&moved));
            reset.ok();
            for refused in [registered, claimed] {
                match policy {
                    "open" => drop(refused.fails(409, "email_taken")),
                    // That it is taken is told by mail alone.
                    _ => assert!(refused.status.is_success(), "{refused:?}"),
                }
            }
            assert!(given_up.status.is_success() || given_up.status == 409, "{given_up:?}");
            site.is_the_owners(&owner, &thief).await;
            assert_eq!(stranger.profile().await["email"], stranger.email.as_str());
            assert!(context.mail_to(&owner.email, "Confirm your new", 0).await.is_empty());
        }
    }
}

/// Without a verified address the one who comes first has it.
async fn of_a_reset_and_a_change_at_once_one_is_made(context: Arc<Context>) {
    let site = Site::start(&context, "open").await;
    for _ in 0..TRIALS {
        let (owner, wanted) = (Person::register(&site.client).await, new_address());
        let thief = owner.log_in_again().await;
        let link = site.ask_for_reset(&owner.email).await;
        let (reset, change) = join!(site.redeem(&link), move_to(&thief, &wanted));
        if reset.status == 200 {
            change.fails(401, "unauthorized");
            site.is_the_owners(&owner, &thief).await;
        } else {
            reset.fails(422, "invalid_mail_token");
            change.ok();
            site.client.log_in(&owner.email, OWNERS).await.fails(401, "invalid_credentials");
            site.client.log_in(&wanted, PASSWORD).await.ok();
        }
    }
}

async fn a_way_back_is_good_on_a_server_that_sends_no_mail_any_more(context: Arc<Context>) {
    let (folder, server) = context.another_instance().await;
    let site = Site { context: &context, client: Client::new(server.url()), _servers: Vec::new() };
    let (owner, settled) = join!(site.verified(), site.verified());
    let (thief, moved, taken) = (owner.log_in_again().await, new_address(), new_address());
    let link = site.way_back(&thief, &moved).await;
    server.stop().await;

    let server = context.start_in(&context.environment().with("MAIL_URL", "none"), folder.path()).await;
    let site = Site { client: Client::new(server.url()), ..site };
    let [owner, thief, settled] = [&owner, &thief, &settled].map(|person| person.at(&site.client));
    site.client.post(RESET, &json!({ "email": owner.email })).await.fails(503, "mail_unavailable");
    // A change counts at once and leaves no way back, but those that there are it leaves alone.
    let user = move_to(&thief, &taken).await.ok()["user"].clone();
    assert_eq!((&user["email"], &user["isEmailVerified"], &user["pendingEmail"]), (&json!(taken), &json!(false), &json!(null)));
    move_to(&thief, &owner.email).await.fails(409, "own_recovery_address");
    site.register(&owner.email).await.fails(409, "email_taken");
    site.redeem(&link).await.ok();
    site.is_the_owners(&owner, &thief).await;
    // What was given up is free. Compatible servers may refuse the insertion of a value that an update has freed.
    for given_up in [&moved, &taken] {
        move_to(&settled, given_up).await.ok();
    }
    let stranger = Person::register(&site.client).await;
    move_to(&stranger, &settled.email).await.ok();
}
