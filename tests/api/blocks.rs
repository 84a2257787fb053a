//! `/api/users/blocks`: whom somebody wants to hear nothing from.

use std::sync::Arc;

use serde_json::json;

use crate::client::{Answer, Person, names, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    blocking_and_unblocking_answer_and_are_listed,
    a_blocked_person_can_neither_write_nor_add,
    a_block_cannot_be_told_from_friends_only,
    a_block_undoes_friendship_on_both_sides,
    a_block_hides_presence_and_person,
    a_blocked_person_cannot_be_added,
    blocking_twice_changes_nothing,
    oneself_and_nobody_cannot_be_blocked,
    after_unblocking_all_is_open_again_and_friendship_is_not_back,
    a_block_on_another_instance_holds_at_once in &["mongodb"],
    a_list_of_1000_blocks_is_full,
);

const ROUTE: &str = "/api/users/blocks";
const NOBODY: &str = "01a20e6900007000800000000000dead";

async fn block(person: &Person, other: &Person) -> Answer {
    person.post(ROUTE, &json!({ "userId": other.id })).await
}

async fn blocks_of(person: &Person) -> Vec<String> {
    let body = person.get(ROUTE).await.ok();
    body["blocks"].as_array().expect("a list").iter().map(|user| text(&user["id"])).collect()
}

async fn blocking_and_unblocking_answer_and_are_listed(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    assert_eq!(block(&ann, &bob).await.ok()["message"], "User blocked successfully");
    block(&ann, &cid).await.ok();
    let listed = ann.get(ROUTE).await.ok();
    assert_eq!(names(&listed["blocks"][0]), ["id", "lastSeen", "online_status", "username"]);
    assert_eq!(blocks_of(&ann).await, [bob.id.clone(), cid.id.clone()]);
    let body = ann.delete(ROUTE, &json!({ "userId": bob.id })).await.ok();
    assert_eq!(body["message"], "User unblocked successfully");
    assert_eq!(blocks_of(&ann).await, [cid.id]);
    ann.delete(ROUTE, &json!({ "userId": bob.id })).await.fails(404, "not_blocked");
}

async fn a_blocked_person_can_neither_write_nor_add(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    bob.send(&ann, "before").await.ok();
    block(&ann, &bob).await.ok();
    bob.send(&ann, "after").await.fails(403, "not_accepted");
    bob.befriend(&ann).await.fails(403, "blocked");
    assert_eq!(ann.messages("").await.len(), 1);
}

async fn a_block_cannot_be_told_from_friends_only(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    block(&ann, &bob).await.ok();
    cid.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    let (of_blocker, of_other) = (bob.send(&ann, "hello").await, bob.send(&cid, "hello").await);
    assert_eq!(of_blocker.shape(), of_other.shape());
    of_blocker.fails(403, "not_accepted");
}

async fn a_block_undoes_friendship_on_both_sides(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    bob.befriend(&ann).await.ok();
    block(&ann, &bob).await.ok();
    for person in [&ann, &bob] {
        assert_eq!(person.profile().await["friends"], json!([]));
        assert_eq!(person.get("/api/users/friends").await.ok()["friends"], json!([]));
    }
}

async fn a_block_hides_presence_and_person(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    let seen = async || bob.get(&format!("/api/users/search?ids={}", ann.id)).await.ok()["users"].clone();
    assert_eq!(seen().await[0]["online_status"], "online");
    block(&ann, &bob).await.ok();
    assert_eq!(seen().await, json!([]));
    assert_eq!(bob.get(&format!("/api/users/search?username={}", ann.username)).await.ok()["users"], json!([]));
    assert_eq!(ann.get(&format!("/api/users/search?ids={}", bob.id)).await.ok()["users"][0]["id"], bob.id.as_str());
}

async fn a_blocked_person_cannot_be_added(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    block(&ann, &bob).await.ok();
    ann.befriend(&bob).await.fails(403, "blocked");
    assert_eq!(ann.profile().await["friends"], json!([]));
}

async fn blocking_twice_changes_nothing(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for answer in futures_util::future::join_all((0..10).map(|_| block(&ann, &bob))).await {
        answer.ok();
    }
    assert_eq!(blocks_of(&ann).await, [bob.id]);
}

async fn oneself_and_nobody_cannot_be_blocked(context: Arc<Context>) {
    let ann = context.person().await;
    block(&ann, &ann).await.fails_in(&["userId"]);
    ann.post(ROUTE, &json!({ "userId": NOBODY })).await.fails(404, "user_not_found");
    ann.post(ROUTE, &json!({ "userId": "x" })).await.fails_in(&["userId"]);
    ann.post(ROUTE, &json!({ "friendId": NOBODY })).await.fails(400, "invalid_json");
    assert_eq!(blocks_of(&ann).await, Vec::<String>::new());
}

async fn after_unblocking_all_is_open_again_and_friendship_is_not_back(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    block(&ann, &bob).await.ok();
    ann.delete(ROUTE, &json!({ "userId": bob.id })).await.ok();
    bob.send(&ann, "again").await.ok();
    bob.befriend(&ann).await.ok();
    assert_eq!(ann.profile().await["friends"], json!([]));
}

async fn a_block_on_another_instance_holds_at_once(context: Arc<Context>) {
    let (_folder, other) = context.another_instance().await;
    let there = crate::client::Client::new(other.url());
    for _ in 0..10 {
        let (ann, bob) = context.pair().await;
        bob.send(&ann, "before").await.ok();
        block(&ann.at(&there), &bob).await.ok();
        bob.send(&ann, "after").await.fails(403, "not_accepted");
    }
}

async fn a_list_of_1000_blocks_is_full(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    context.database().await.db_fill_blocks(&ann, 999).await;
    block(&ann, &bob).await.ok();
    block(&ann, &cid).await.fails(409, "block_limit");
    block(&ann, &bob).await.ok();
    cid.send(&ann, "not blocked").await.ok();
}
