//! `GET /api/users/search`: finding people.

use std::sync::Arc;

use serde_json::json;

use crate::client::{Person, names, new_name, text};
use crate::context::Context;
use crate::tests;

tests!(Context:
    people_are_found_by_the_beginning_of_their_names,
    marks_and_patterns_mean_themselves,
    at_most_20_are_found_by_name,
    people_are_found_by_ids,
    nobody_is_found_by_address,
    presence_is_for_those_whom_a_person_has_added,
    a_question_that_is_none_is_refused,
);

async fn found(person: &Person, query: &str) -> Vec<String> {
    let body = person.get(&format!("/api/users/search?{query}")).await.ok();
    body["users"].as_array().expect("a list").iter().map(|user| text(&user["username"])).collect()
}

async fn register(context: &Context, username: &str) -> Person {
    let body = context.anonymous().register(username, &format!("{}@example.com", new_name()), crate::client::PASSWORD).await;
    let body = body.expect(201.try_into().expect("a status"));
    Person { username: username.to_owned(), id: text(&body["user"]["id"]), token: text(&body["token"]), ..context.person().await }
}

async fn people_are_found_by_the_beginning_of_their_names(context: Arc<Context>) {
    let stem = new_name();
    let name = |end: &str| format!("{stem}{end}");
    let ann = register(&context, &name("b")).await;
    for end in ["A", "c.d", "c"] {
        register(&context, &name(end)).await;
    }
    assert_eq!(found(&ann, &format!("username={stem}")).await, [name("A"), name("b"), name("c"), name("c.d")], "in the order of names");
    assert_eq!(found(&ann, &format!("username={}C", stem.to_uppercase())).await, [name("c"), name("c.d")], "in any case");
    assert_eq!(found(&ann, &format!("username={stem}x")).await, Vec::<String>::new());
    let user = &ann.get(&format!("/api/users/search?username={}", name("c.d"))).await.ok()["users"][0];
    assert_eq!(names(user), ["id", "lastSeen", "online_status", "username"]);
}

async fn marks_and_patterns_mean_themselves(context: Arc<Context>) {
    let ann = context.person().await;
    for pattern in ["..", ".*", "%25%25", "__", "%25a", "^a", "a|b", "%24ne", "%C3%A4%C3%B6", "a%27--", "%00a"] {
        assert_eq!(found(&ann, &format!("username={pattern}")).await, Vec::<String>::new(), "{pattern}");
    }
}

async fn at_most_20_are_found_by_name(context: Arc<Context>) {
    let stem = new_name();
    let names = (0..22).map(|number| format!("{stem}n{number:02}"));
    let people = futures_util::future::join_all(names.map(|name| {
        let context = Arc::clone(&context);
        async move { register(&context, &name).await }
    }));
    let ann = people.await.remove(0);
    assert_eq!(found(&ann, &format!("username={stem}")).await, (0..20).map(|number| format!("{stem}n{number:02}")).collect::<Vec<_>>());
}

async fn people_are_found_by_ids(context: Arc<Context>) {
    let ((ann, bob), cid) = futures_util::join!(context.pair(), context.person());
    let mut found = found(&ann, &format!("ids={},{},{},{}", bob.id, cid.id, bob.id, "0".repeat(32))).await;
    found.sort();
    let mut expected = vec![bob.username, cid.username];
    expected.sort();
    assert_eq!(found, expected);
}

async fn nobody_is_found_by_address(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    assert_eq!(found(&ann, &format!("username={}", bob.email)).await, Vec::<String>::new());
    ann.get(&format!("/api/users/search?email={}", bob.email)).await.fails(400, "invalid_query");
}

async fn presence_is_for_those_whom_a_person_has_added(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    let seen = async || ann.get(&format!("/api/users/search?ids={}", bob.id)).await.ok()["users"][0].clone();
    ann.befriend(&bob).await.ok();
    let user = seen().await;
    assert_eq!((&user["online_status"], &user["lastSeen"]), (&json!("offline"), &json!(null)), "to have added somebody shows nothing");
    bob.befriend(&ann).await.ok();
    let user = seen().await;
    assert_eq!(user["online_status"], "online");
    crate::client::time(&user["lastSeen"]);
    bob.log_out().await.ok();
    assert_eq!(seen().await["online_status"], "offline", "at once with the last session");
    crate::client::time(&seen().await["lastSeen"]);
}

async fn a_question_that_is_none_is_refused(context: Arc<Context>) {
    let ann = context.person().await;
    let (one, long) = (&ann.id, "a".repeat(65));
    for query in ["", "username=a", &format!("username={long}"), &format!("username=ann&ids={one}")] {
        ann.get(&format!("/api/users/search?{query}")).await.fails_in(&["username"]);
    }
    let ids = |count: usize| vec![one.as_str(); count].join(",");
    for bad in ["", "x", &format!("{one},"), &format!("{one}%20"), &ids(101)] {
        ann.get(&format!("/api/users/search?ids={bad}")).await.fails_in(&["ids"]);
    }
    assert_eq!(found(&ann, &format!("ids={}", ids(100))).await, std::slice::from_ref(&ann.username));
}
