//! The mail server is away, and the process dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Client, PASSWORD, Person};
use crate::support::smtp::{Condition, Options, SmtpServer};
use crate::{Context, Site, tests};

tests!(Context: what_was_ordered_is_sent_though_the_process_was_killed_and_the_mail_server_away);

/// How long mail may take after the mail server is back: longer than the lease of a mail that was being sent at the kill.
const PATIENCE: Duration = Duration::from_mins(3);

async fn what_was_ordered_is_sent_though_the_process_was_killed_and_the_mail_server_away(context: Arc<Context>) {
    let smtp = SmtpServer::start(Options::default()).await;
    smtp.set(Condition::Away).await;
    let site = context.site();
    let site = Site { environment: site.environment.clone().with("MAIL_URL", smtp.url()), ..site };
    let server = site.start_ready().await;
    let client = Client::new(server.url());
    let people = [Person::register(&client).await, Person::register(&client).await];
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "maple-anchor-violin" });
    people[0].put("/api/auth/password", &change).await.ok();
    client.post("/api/auth/password-reset", &json!({ "email": "nobody@example.com" })).await.expect(StatusCode::ACCEPTED);
    server.kill();
    let server = site.start_ready().await;
    smtp.set(Condition::Up).await;
    for (person, about) in [(&people[0], "Confirm"), (&people[1], "Confirm"), (&people[0], "password at")] {
        smtp.wait_for(|mail| mail.is_to(&person.email) && mail.subject().contains(about), PATIENCE).await;
    }
    let token = smtp.mails().into_iter().find(|mail| mail.is_to(&people[1].email)).and_then(|mail| mail.token()).expect("a link");
    let client = Client::new(server.url());
    client.put("/api/auth/email", &json!({ "token": token })).await.ok();
    assert_eq!(smtp.mails().len(), 3, "each was sent once");
    server.kill();
    site.clear().await;
}
