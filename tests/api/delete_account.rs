//! `DELETE /api/users/profile`: the end of an account.

use std::sync::Arc;

use serde_json::json;

use crate::client::{Answer, PASSWORD, Person, new_name};
use crate::context::Context;
use crate::tests;

tests!(Context:
    a_deleted_account_is_gone_at_once,
    its_messages_stay_with_their_readers,
    nobody_lists_it_any_more,
    the_password_is_needed,
    its_name_is_held_and_its_address_is_free,
    // The stand-in for MongoDB that tests run on refuses an insert under a unique key that an update has freed.
    its_address_can_be_registered_again in &["sqlite", "host"],
    the_links_that_are_out_do_nothing,
    of_two_deletions_at_once_none_fails_otherwise,
);

const ROUTE: &str = "/api/users/profile";

async fn delete(person: &Person, password: &str) -> Answer {
    person.delete(ROUTE, &json!({ "password": password })).await
}

async fn a_deleted_account_is_gone_at_once(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let phone = ann.log_in_again().await;
    assert_eq!(delete(&ann, PASSWORD).await.ok()["message"], "Account deleted successfully");
    for person in [&ann, &phone] {
        person.get(ROUTE).await.fails(401, "unauthorized");
    }
    context.anonymous().log_in(&ann.email, PASSWORD).await.fails(401, "invalid_credentials");
    bob.send(&ann, "hello").await.fails(404, "user_not_found");
    bob.befriend(&ann).await.fails(404, "user_not_found");
    bob.post("/api/users/blocks", &json!({ "userId": ann.id })).await.fails(404, "user_not_found");
    for query in [format!("ids={}", ann.id), format!("username={}", ann.username)] {
        assert_eq!(bob.get(&format!("/api/users/search?{query}")).await.ok()["users"], json!([]));
    }
}

async fn its_messages_stay_with_their_readers(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send(&bob, "remember me").await.ok();
    delete(&ann, PASSWORD).await.ok();
    let messages = bob.messages(&format!("?with={}", ann.id)).await;
    assert_eq!((messages.len(), &messages[0]["content"]), (1, &json!("remember me")));
    assert_eq!(bob.messages("").await.len(), 1);
}

async fn nobody_lists_it_any_more(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    bob.befriend(&ann).await.ok();
    delete(&ann, PASSWORD).await.ok();
    assert_eq!(bob.get("/api/users/friends").await.ok()["friends"], json!([]));
    assert_eq!(bob.profile().await["friends"], json!([]));
}

async fn the_password_is_needed(context: Arc<Context>) {
    let ann = context.person().await;
    for wrong in ["", "maple-anchor-violin", &"x".repeat(129)] {
        delete(&ann, wrong).await.fails(403, "wrong_password");
    }
    ann.delete(ROUTE, &json!({})).await.fails_in(&["password"]);
    ann.profile().await;
}

async fn its_name_is_held_and_its_address_is_free(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    delete(&ann, PASSWORD).await.ok();
    let client = context.anonymous();
    client.register(&ann.username.to_uppercase(), &format!("{}@example.com", new_name()), PASSWORD).await.fails(409, "username_taken");
    bob.put(ROUTE, &json!({ "username": ann.username })).await.fails(409, "username_taken");
    bob.put(ROUTE, &json!({ "email": ann.email })).await.ok();
}

async fn its_address_can_be_registered_again(context: Arc<Context>) {
    let ann = context.person().await;
    delete(&ann, PASSWORD).await.ok();
    let body = context.anonymous().register(&new_name(), &ann.email, PASSWORD).await.expect(201.try_into().expect("a status"));
    assert_ne!(body["user"]["id"], ann.id.as_str());
}

async fn the_links_that_are_out_do_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let token = context.mail_to(&ann.email, "Confirm your", 1).await.remove(0).token().expect("a link");
    delete(&ann, PASSWORD).await.ok();
    context.anonymous().put("/api/auth/email", &json!({ "token": token })).await.fails(422, "invalid_mail_token");
}

async fn of_two_deletions_at_once_none_fails_otherwise(context: Arc<Context>) {
    let ann = context.person().await;
    let phone = ann.log_in_again().await;
    let answers = <[Answer; 2]>::from(futures_util::join!(delete(&ann, PASSWORD), delete(&phone, PASSWORD)));
    assert!(answers.iter().any(|answer| answer.status == 200), "{answers:?}");
    assert!(answers.iter().all(|answer| [200, 401].contains(&answer.status.as_u16())), "{answers:?}");
    ann.get(ROUTE).await.fails(401, "unauthorized");
}
