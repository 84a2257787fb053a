//! `GET /api/users/friends`: the address book with who is there.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Person, names, time};
use crate::context::Context;
use crate::tests;

tests!(Context:
    friends_are_listed_with_what_they_let_be_seen,
    a_friend_is_online_until_the_last_session_ends,
    an_empty_list_is_a_list,
);

async fn friends(person: &Person) -> Vec<Value> {
    person.get("/api/users/friends").await.ok()["friends"].as_array().expect("a list").clone()
}

async fn friends_are_listed_with_what_they_let_be_seen(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    ann.befriend(&cid).await.ok();
    ann.befriend(&bob).await.ok();
    bob.befriend(&ann).await.ok();
    let listed = friends(&ann).await;
    assert_eq!(names(&listed[0]), ["addedAt", "id", "lastSeen", "mutual", "online_status", "username"]);
    let seen = |friend: &Value| (friend["id"].clone(), friend["mutual"].clone(), friend["online_status"].clone());
    assert_eq!(seen(&listed[0]), (json!(cid.id), json!(false), json!("offline")), "who has not added ann shows her nothing");
    assert_eq!(listed[0]["lastSeen"], Value::Null);
    assert_eq!(seen(&listed[1]), (json!(bob.id), json!(true), json!("online")));
    assert!(time(&listed[0]["addedAt"]) <= time(&listed[1]["addedAt"]));
}

async fn a_friend_is_online_until_the_last_session_ends(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    bob.befriend(&ann).await.ok();
    let phone = bob.log_in_again().await;
    let before = time(&friends(&ann).await[0]["lastSeen"]);
    for (session, status) in [(&bob, "online"), (&phone, "offline")] {
        session.log_out().await.ok();
        assert_eq!(friends(&ann).await[0]["online_status"], status);
    }
    assert!(time(&friends(&ann).await[0]["lastSeen"]) > before, "a log-out is a sign of life");
}

async fn an_empty_list_is_a_list(context: Arc<Context>) {
    assert_eq!(friends(&context.person().await).await, Vec::<Value>::new());
}
