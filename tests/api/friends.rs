//! `/api/users/friends`: the address book.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Answer, PASSWORD, Person, names, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    adding_and_removing_answer_as_the_original_design_says,
    friends_are_listed_in_the_order_of_adding,
    a_friendship_is_one_sided,
    adding_twice_changes_nothing,
    adding_one_friend_at_once_from_everywhere_lists_them_once,
    somebody_who_is_no_friend_cannot_be_removed,
    oneself_is_no_friend,
    an_unknown_person_cannot_be_added,
    an_id_must_be_in_its_exact_form,
    bodies_of_another_shape_are_refused,
    ids_may_stand_in_the_query_of_a_removal_and_a_password_may_not,
    a_friend_may_write_to_somebody_who_takes_messages_from_friends,
    a_list_of_1000_friends_is_full,
);

const ROUTE: &str = "/api/users/friends";
/// The id of nobody, in the form that ids have.
const NOBODY: &str = "01a20e6900007000800000000000dead";

fn friend(id: &str) -> Value {
    json!({ "friendId": id })
}

async fn remove(person: &Person, friend_id: &str) -> Answer {
    person.delete(ROUTE, &friend(friend_id)).await
}

async fn friends_of(person: &Person) -> Value {
    person.profile().await["friends"].clone()
}

async fn adding_and_removing_answer_as_the_original_design_says(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let added = ann.befriend(&bob).await.ok();
    assert_eq!((names(&added), &added["message"]), (vec!["message"], &json!("Friend added successfully")));
    assert_eq!(friends_of(&ann).await, json!([bob.id]));
    let removed = remove(&ann, &bob.id).await.ok();
    assert_eq!((names(&removed), &removed["message"]), (vec!["message"], &json!("Friend removed successfully")));
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn friends_are_listed_in_the_order_of_adding(context: Arc<Context>) {
    let ((ann, bob), (cid, dee)) = futures_util::join!(context.pair(), context.pair());
    for friend in [&dee, &bob, &cid] {
        ann.befriend(friend).await.ok();
    }
    assert_eq!(friends_of(&ann).await, json!([dee.id, bob.id, cid.id]));
    remove(&ann, &dee.id).await.ok();
    ann.befriend(&dee).await.ok();
    assert_eq!(friends_of(&ann).await, json!([bob.id, cid.id, dee.id]), "added again, so added last");
}

async fn a_friendship_is_one_sided(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    assert_eq!(friends_of(&bob).await, json!([]));
    remove(&bob, &ann.id).await.fails(404, "not_a_friend");
    bob.befriend(&ann).await.ok();
    remove(&bob, &ann.id).await.ok();
    assert_eq!(friends_of(&ann).await, json!([bob.id]));
}

async fn adding_twice_changes_nothing(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let cid = context.person().await;
    for friend in [&bob, &cid, &bob] {
        assert_eq!(ann.befriend(friend).await.ok()["message"], "Friend added successfully");
    }
    assert_eq!(friends_of(&ann).await, json!([bob.id, cid.id]));
}

async fn adding_one_friend_at_once_from_everywhere_lists_them_once(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    for answer in futures_util::future::join_all((0..20).map(|_| ann.befriend(&bob))).await {
        answer.ok();
    }
    assert_eq!(friends_of(&ann).await, json!([bob.id]));
    let removals = futures_util::future::join_all((0..20).map(|_| remove(&ann, &bob.id))).await;
    assert_eq!(removals.iter().filter(|answer| answer.status == 200).count(), 1, "{removals:?}");
    assert_eq!(removals.iter().filter(|answer| answer.status == 404).count(), 19, "{removals:?}");
}

async fn somebody_who_is_no_friend_cannot_be_removed(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.befriend(&bob).await.ok();
    remove(&ann, &bob.id).await.ok();
    for id in [&bob.id, NOBODY, &ann.id] {
        remove(&ann, id).await.fails(404, "not_a_friend");
    }
}

async fn oneself_is_no_friend(context: Arc<Context>) {
    let ann = context.person().await;
    ann.befriend(&ann).await.fails_in(&["friendId"]);
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn an_unknown_person_cannot_be_added(context: Arc<Context>) {
    let ann = context.person().await;
    ann.post(ROUTE, &friend(NOBODY)).await.fails(404, "user_not_found");
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn an_id_must_be_in_its_exact_form(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let hyphened = uuid::Uuid::parse_str(&bob.id).expect("an id").to_string();
    let bad = [
        "",
        "x",
        &bob.id[1..],
        &format!("{}0", bob.id),
        &format!(" {}", bob.id),
        &bob.id.to_uppercase(),
        &hyphened,
        &format!("{{{hyphened}}}"),
        &format!("g{}", &bob.id[1..]),
        &bob.username,
        &bob.email,
        &"٠".repeat(16),
    ];
    for id in bad {
        ann.post(ROUTE, &friend(id)).await.fails_in(&["friendId"]);
        remove(&ann, id).await.fails_in(&["friendId"]);
    }
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn bodies_of_another_shape_are_refused(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let bad = [
        json!({ "friendId": 1 }),
        json!({ "friendId": [bob.id] }),
        json!({ "friendId": { "$ne": null } }),
        json!({ "friendId": bob.id, "friend_id": bob.id }),
        json!({ "friendId": bob.id, "userId": ann.id }),
        json!({ "friendid": bob.id }),
        json!([bob.id]),
        json!(bob.id),
    ];
    for body in bad {
        ann.post(ROUTE, &body).await.fails(400, "invalid_json");
        ann.delete(ROUTE, &body).await.fails(400, "invalid_json");
    }
    for body in [json!({}), json!({ "friendId": null })] {
        ann.post(ROUTE, &body).await.fails_in(&["friendId"]);
        ann.delete(ROUTE, &body).await.fails_in(&["friendId"]);
    }
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn ids_may_stand_in_the_query_of_a_removal_and_a_password_may_not(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let (cid, other) = (context.person().await, ann.log_in_again().await);
    let sessions = ann.get("/api/auth/sessions").await.ok();
    let session = sessions["sessions"].as_array().expect("sessions").iter().find(|session| session["current"] == false).expect("another");
    ann.befriend(&bob).await.ok();
    ann.post("/api/users/blocks", &json!({ "userId": cid.id })).await.ok();
    for (path, name, id) in
        [(ROUTE, "friendId", &bob.id), ("/api/users/blocks", "userId", &cid.id), ("/api/auth/sessions", "sessionId", &text(&session["id"]))]
    {
        let query = format!("{path}?{name}={id}");
        Answer::of(ann.request(Method::DELETE, path)).await.fails(400, "invalid_json");
        Answer::of(ann.request(Method::DELETE, &format!("{path}?{name}="))).await.fails_in(&[name]);
        Answer::of(ann.request(Method::DELETE, &format!("{query}&other=1"))).await.fails(400, "invalid_query");
        ann.delete(&query, &json!({ name: ann.id })).await.fails_in(&[name]);
        Answer::of(ann.request(Method::DELETE, &query).header("Content-Type", "text/plain").body("x"))
            .await
            .fails(415, "unsupported_media_type");
        Answer::of(ann.request(Method::DELETE, &query)).await.ok();
        // With both alike it is the same question, for what is no longer there.
        let again = ann.delete(&query, &json!({ name: id })).await;
        assert_eq!(again.status, 404, "{again:?}");
    }
    other.get("/api/users/profile").await.fails(401, "unauthorized");
    ann.delete(&format!("/api/auth/sessions?sessionId={}", "0".repeat(32)), &json!({ "all": true })).await.fails_in(&["sessionId"]);
    Answer::of(ann.request(Method::DELETE, &format!("/api/users/profile?password={PASSWORD}"))).await.fails(400, "invalid_json");
    assert_eq!(friends_of(&ann).await, json!([]));
}

async fn a_friend_may_write_to_somebody_who_takes_messages_from_friends(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.put("/api/users/profile", &json!({ "messagesFrom": "friends" })).await.ok();
    bob.befriend(&ann).await.ok();
    bob.send(&ann, "may I?").await.fails(403, "not_accepted");
    ann.befriend(&bob).await.ok();
    assert!(!text(&bob.send(&ann, "thank you").await.ok()["id"]).is_empty());
    remove(&ann, &bob.id).await.ok();
    bob.send(&ann, "still?").await.fails(403, "not_accepted");
}

async fn a_list_of_1000_friends_is_full(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let cid = context.person().await;
    context.database().await.db_fill_friends(&ann, 999).await;
    ann.befriend(&bob).await.ok();
    ann.befriend(&cid).await.fails(409, "friend_limit");
    ann.befriend(&bob).await.ok();
    let friends = friends_of(&ann).await;
    assert_eq!(friends.as_array().map(Vec::len), Some(1_000));
    remove(&ann, &bob.id).await.ok();
    ann.befriend(&cid).await.ok();
    assert_eq!(friends_of(&ann).await[999], cid.id.as_str());
}
