//! `/api/users/friends`: the caller's own list.

use std::sync::Arc;

use serde_json::json;

use crate::context::Context;
use crate::tests;

tests!(Context:
    friends_are_added_in_order_and_removed,
    adding_twice_changes_nothing_and_removing_twice_is_told,
    friendship_is_one_sided,
    nobody_befriends_themselves_or_nobody,
    the_body_names_one_friend,
);

const PATH: &str = "/api/users/friends";

async fn friends_are_added_in_order_and_removed(context: Arc<Context>) {
    let ((ann, bob), carl) = (context.pair().await, context.person().await);
    assert_eq!(ann.befriend(&carl).await.ok(), json!({ "message": "Friend added successfully" }));
    ann.befriend(&bob).await.ok();
    assert_eq!(ann.profile().await["friends"], json!([carl.id, bob.id]));
    let removed = ann.delete(PATH, &json!({ "friendId": carl.id })).await.ok();
    assert_eq!(removed, json!({ "message": "Friend removed successfully" }));
    assert_eq!(ann.profile().await["friends"], json!([bob.id]));
}

async fn adding_twice_changes_nothing_and_removing_twice_is_told(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for _ in 0..2 {
        ann.befriend(&bob).await.ok();
    }
    assert_eq!(ann.profile().await["friends"], json!([bob.id]));
    ann.delete(PATH, &json!({ "friendId": bob.id })).await.ok();
    ann.delete(PATH, &json!({ "friendId": bob.id })).await.fails(404, "not_a_friend");
}

async fn friendship_is_one_sided(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    assert_eq!(bob.profile().await["friends"], json!([]));
    bob.delete(PATH, &json!({ "friendId": ann.id })).await.fails(404, "not_a_friend");
}

async fn nobody_befriends_themselves_or_nobody(context: Arc<Context>) {
    let ann = context.person().await;
    ann.befriend(&ann).await.fails_in(&["friendId"]);
    let nobody = uuid::Uuid::now_v7().simple().to_string();
    ann.post(PATH, &json!({ "friendId": nobody })).await.fails(404, "user_not_found");
    ann.delete(PATH, &json!({ "friendId": nobody })).await.fails(404, "not_a_friend");
}

async fn the_body_names_one_friend(context: Arc<Context>) {
    let ann = context.person().await;
    for bad in [json!({}), json!({ "friendId": null }), json!({ "friendId": "x" }), json!({ "friendId": ann.id.to_uppercase() })] {
        ann.post(PATH, &bad).await.fails_in(&["friendId"]);
        ann.delete(PATH, &bad).await.fails_in(&["friendId"]);
    }
    for bad in [json!({ "friendId": 7 }), json!({ "friendId": [ann.id] }), json!({ "friendId": ann.id, "note": "x" })] {
        ann.post(PATH, &bad).await.fails(400, "invalid_json");
    }
}
