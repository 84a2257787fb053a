//! What is ended on one instance is ended on every other when it is answered.

use std::sync::Arc;

use serde_json::json;

use crate::client::{PASSWORD, Person};
use crate::context::Context;
use crate::tests;

tests!(Context: nothing_that_was_ended_on_one_instance_passes_on_the_other in &["instances"]);

/// Each request goes to the other instance than the one before, so what ends and what is refused are on two.
const TRIALS: usize = 30;
const NEW: &str = "maple-anchor-violin";

async fn nothing_that_was_ended_on_one_instance_passes_on_the_other(context: Arc<Context>) {
    for trial in 0..TRIALS {
        let (ann, bob) = context.pair().await;
        // Now and then one request more, so that each instance has each part.
        if trial % 2 == 1 {
            bob.profile().await;
        }
        match trial % 6 {
            0 => ended_by_log_out(&ann).await,
            1 => ended_by_the_list(&ann).await,
            2 => ended_with_all_others(&ann).await,
            3 => ended_by_a_new_password(&ann).await,
            4 => ended_with_the_account(&ann, &bob).await,
            _ => ended_by_a_block(&ann, &bob).await,
        }
    }
}

async fn is_refused(person: &Person) {
    person.get("/api/users/profile").await.fails(401, "unauthorized");
}

async fn ended_by_log_out(ann: &Person) {
    ann.log_out().await.ok();
    is_refused(ann).await;
}

async fn ended_by_the_list(ann: &Person) {
    let phone = ann.log_in_again().await;
    let sessions = ann.get("/api/auth/sessions").await.ok();
    let other = sessions["sessions"].as_array().expect("a list").iter().find(|session| session["current"] == false).expect("the phone");
    ann.delete("/api/auth/sessions", &json!({ "sessionId": other["id"] })).await.ok();
    is_refused(&phone).await;
}

async fn ended_with_all_others(ann: &Person) {
    let phone = ann.log_in_again().await;
    ann.delete("/api/auth/sessions", &json!({ "all": true })).await.ok();
    is_refused(&phone).await;
}

async fn ended_by_a_new_password(ann: &Person) {
    let phone = ann.log_in_again().await;
    ann.put("/api/auth/password", &json!({ "currentPassword": PASSWORD, "newPassword": NEW })).await.ok();
    is_refused(&phone).await;
    ann.profile().await;
}

async fn ended_with_the_account(ann: &Person, bob: &Person) {
    ann.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    bob.send(ann, "hello").await.fails(404, "user_not_found");
    is_refused(ann).await;
}

async fn ended_by_a_block(ann: &Person, bob: &Person) {
    bob.send(ann, "before").await.ok();
    ann.post("/api/users/blocks", &json!({ "userId": bob.id })).await.ok();
    bob.send(ann, "after").await.fails(403, "not_accepted");
    assert_eq!(ann.messages("").await.len(), 1);
}
