//! Mails to a way back of which nobody knows whether they arrived: the reply was lost, or the process has died between mail and store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::auth::RegistrationPolicy;
use serde_json::json;

use crate::client::{Answer, PASSWORD, new_name};
use crate::support::smtp::Condition;
use crate::{Context, people, tests};

tests!(Context: a_repeated_mail_brings_the_same_way_back_until_it_was_used);

const NEW: &str = "maple-anchor-violin";
const NOTICE: &str = "Your address at";
/// The moves of a clock by which mail that was put off is due again, and how long all may take on a machine that does much else.
const STEP: i64 = 5_000;
const PATIENCE: Duration = Duration::from_mins(1);

impl Context {
    async fn set_mail_server(&self, condition: Condition) {
        self.mail.as_ref().expect("a mail server").server.set(condition).await;
    }

    /// Waits until no mail waits. With a clock that moves also what is put off has its turn; it stands still while a mail is being
    /// handed in, which on a busy machine would outlast its lease.
    async fn send_all_mail(&self, step: i64) {
        let (begun, server) = (Instant::now(), &self.mail.as_ref().expect("a mail server").server);
        while self.store.count_mail().await.expect("a number") > 0 {
            assert!(begun.elapsed() < PATIENCE, "mail still waits");
            if server.is_idle() {
                self.clock.advance_millis(step);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn reset(&self, token: &str) -> Answer {
        self.client.put("/api/auth/password-reset", &json!({ "token": token, "newPassword": NEW })).await
    }
}

async fn a_repeated_mail_brings_the_same_way_back_until_it_was_used(context: Arc<Context>) {
    use RegistrationPolicy::{Open, Verified};
    for (policy, dies, is_used) in [(Open, false, true), (Open, true, false), (Verified, true, true), (Verified, false, false)] {
        let mut context = context.fresh_with(policy).await;
        let owner = people::verified(&context).await;
        let moved = format!("{}@example.com", new_name());
        owner.put("/api/users/profile", &json!({ "email": moved })).await.ok();
        let link = context.mail_to(&moved, "Confirm your new").await.token().expect("a link");
        context.send_all_mail(0).await;
        context.set_mail_server(Condition::LosesReply).await;
        owner.put("/api/auth/email", &json!({ "token": link })).await.ok();
        let way_back = context.mail_to(&owner.email, NOTICE).await.token().expect("a way back");
        if dies {
            context.restart_mail();
        }
        context.set_mail_server(Condition::Up).await;
        if is_used {
            context.reset(&way_back).await.ok();
        }
        context.send_all_mail(STEP).await;
        let repeated = context.mails_to(&owner.email, NOTICE, 2).await.pop().and_then(|mail| mail.token());
        // A used link does not come back, though the notice does.
        assert_eq!(repeated, (!is_used).then(|| way_back.clone()));
        if !is_used {
            context.reset(&way_back).await.ok();
        }
        context.reset(&way_back).await.fails(422, "invalid_mail_token");
        let user = context.client.log_in(&owner.email, NEW).await.ok()["user"].clone();
        assert_eq!((&user["id"], &user["isEmailVerified"]), (&json!(owner.id), &json!(true)));
        context.client.log_in(&moved, PASSWORD).await.fails(401, "invalid_credentials");
        context.clear().await;
    }
}
