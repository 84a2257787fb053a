//! How many database operations a request takes: as many as ARCHITECTURE.md promises, however much data there is.
//!
//! On MongoDB the driver's own monitoring counts the commands; the embedded store has a counter.

use std::sync::Arc;

use chat_functions::domain::{MailKind, MailPurpose, MailToken, PasswordHash, UserId};
use chat_functions::store::{Creation, MAX_FRIENDS, NewMail, NewMailToken};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::client::{Answer, PASSWORD, Person, text};
use crate::support::accounts::new_account;
use crate::{Context, tests};

tests!(Context: every_request_keeps_to_its_budget, a_poll_looks_once_and_once_more_for_news, accounts_keep_to_their_budgets, lists_cost_the_same_however_long, what_the_program_knows_by_itself_costs_nothing, known_and_unknown_addresses_cost_the_same, an_open_request_that_is_refused_costs_nothing, plain_traffic_is_counted_without_the_store);

async fn every_request_keeps_to_its_budget(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    let friend = json!({ "friendId": bob.id });
    let keyed = json!({ "recipientId": bob.id, "message": "hello", "clientId": "1" });
    // So that there is something behind what is read.
    for number in 0..30 {
        ann.send(&bob, &format!("message {number}")).await.ok();
    }
    context
        .costs("registration", 1, context.client.register("budget", "budget@example.com", PASSWORD))
        .await
        .expect(201.try_into().expect("a status"));
    let login = context.costs("log-in", 3, context.client.log_in(&ann.email, PASSWORD)).await.ok();
    context.costs("profile", 2, ann.get("/api/users/profile")).await.ok();
    context.costs("change of profile", 3, ann.put("/api/users/profile", &json!({ "messagesFrom": "everyone" }))).await.ok();
    context.costs("new friend", 2, ann.post("/api/users/friends", &friend)).await.ok();
    context.costs("friend removed", 2, ann.delete("/api/users/friends", &friend)).await.ok();
    context.costs("send", 4, ann.send(&bob, "hello")).await.ok();
    context.costs("send with a client id", 4, ann.post("/api/chat/send", &keyed)).await.ok();
    context.costs("messages of one chat", 2, bob.get(&format!("/api/chat/messages?with={}&limit=20", ann.id))).await.ok();
    context.costs("messages of all chats", 3, bob.get("/api/chat/messages?limit=20")).await.ok();
    let chat = text(&bob.messages("?limit=1").await[0]["chatId"]);
    context.costs("conversations", 3, bob.get("/api/chat/conversations?limit=20")).await.ok();
    context.costs("read mark", 2, bob.mark_read(&chat, 5)).await.ok();
    let again = Person { token: text(&login["token"]), ..ann };
    context.costs("log-out", 2, again.log_out()).await.ok();
    context.costs("a token of an ended session", 2, again.get("/api/users/profile")).await.fails(401, "unauthorized");
    context.clear().await;
}

async fn plain_traffic_is_counted_without_the_store(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ann = Person::register(&context.client).await.at(&context.limited_instance());
    let answer = context.costs("profile", 2, ann.get("/api/users/profile")).await;
    assert_ne!(answer.header("ratelimit"), "", "it was counted");
    answer.ok();
    context.clear().await;
}

async fn a_poll_looks_once_and_once_more_for_news(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    ann.send(&bob, "hello").await.ok();
    let tag = bob.conversations_tag().await;
    context.costs("messages that are there", 2, bob.poll_messages(&ann, 0, 25)).await.ok();
    context.costs("messages, until the time is up", 2, bob.poll_messages(&ann, 1, 1)).await.ok();
    let unchanged = context.costs("conversations, until the time is up", 3, bob.poll_conversations(&tag, 1)).await;
    assert_eq!(unchanged.status, 304);
    let (send, poll) = (4, 4);
    let before = (context.operations)();
    let news = async {
        while (context.operations)() < before + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ann.send(&bob, "news").await.ok();
    };
    let (answer, ()) = futures_util::join!(context.costs("messages that come", send + poll, bob.poll_messages(&ann, 1, 25)), news);
    answer.ok();
    assert!((context.watching)() > 0 || context.database.is_none(), "changes of other processes are looked for, and not counted here");
    context.clear().await;
}

/// Mail is sent behind the answers, so these run on a server that sends none; with the counters of the limits off.
async fn accounts_keep_to_their_budgets(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let (ann, bob) = (Person::register(&context.client).await, Person::register(&context.client).await);
    let phone = ann.log_in_again().await;
    let (blocked, new) = (json!({ "userId": bob.id }), "maple-anchor-violin");
    let sessions = context.costs("list of sessions", 1, ann.get("/api/auth/sessions")).await.ok();
    let other = sessions["sessions"].as_array().expect("a list").iter().find(|session| session["current"] == false).expect("a session");
    context.costs("one session ended", 2, ann.delete("/api/auth/sessions", &json!({ "sessionId": other["id"] }))).await.ok();
    context.costs("other sessions ended", 2, ann.delete("/api/auth/sessions", &json!({ "all": true }))).await.ok();
    phone.get("/api/users/profile").await.fails(401, "unauthorized");
    context.costs("block", 3, ann.post("/api/users/blocks", &blocked)).await.ok();
    context.costs("list of blocks", 2, ann.get("/api/users/blocks")).await.ok();
    context.costs("block ended", 2, ann.delete("/api/users/blocks", &blocked)).await.ok();
    context.costs("search by name", 2, ann.get("/api/users/search?username=an")).await.ok();
    context.costs("search by ids", 2, ann.get(&format!("/api/users/search?ids={}", bob.id))).await.ok();
    let export = context.costs("export", 3, ann.get("/api/users/export")).await;
    assert_eq!(export.status, 200);
    let change = json!({ "currentPassword": PASSWORD, "newPassword": new });
    context.costs("change of password", 2, ann.put("/api/auth/password", &change)).await.ok();
    let wrong = json!({ "token": "A".repeat(43), "newPassword": PASSWORD });
    context.costs("a wrong link", 1, context.client.put("/api/auth/password-reset", &wrong)).await.fails(422, "invalid_mail_token");
    context.costs("a wrong link", 1, context.client.put("/api/auth/email", &wrong_token())).await.fails(422, "invalid_mail_token");
    context.costs("deletion", 3, ann.delete("/api/users/profile", &json!({ "password": new }))).await.ok();
    context.clear().await;
}

fn wrong_token() -> serde_json::Value {
    json!({ "token": "A".repeat(43) })
}

/// Whoever could see how much a database has to do would learn nothing from it either.
async fn known_and_unknown_addresses_cost_the_same(context: Arc<Context>) {
    let context = context.fresh_that_keeps_mail().await;
    let (client, store) = (&context.client, &context.store);
    let (account, _) = new_account("known", PasswordHash::new("no hash".to_owned()), context.clock.now());
    let known = account.user.email.clone();
    assert_eq!(store.create_account(&account).await.expect("an answer"), Creation::Created);
    let token = MailToken::generate().expect("random bytes").hash();
    let expires_at = context.clock.now().plus_millis(MailPurpose::Verification.lifetime_millis());
    let put = NewMailToken { purpose: MailPurpose::Verification, hash: token, address: known.clone(), expires_at, link: None };
    let order = NewMail { kind: MailKind::Verification, address: known.clone(), at: context.clock.now() };
    store.order_mail(account.user.id, &order).await.expect("ordered");
    let mail = store.take_due_mail(order.at, expires_at).await.expect("an answer").expect("a mail");
    assert!(store.put_mail_token(&mail, &put, order.at).await.expect("an answer"));
    store.finish_mail(&mail.begun_with(token)).await.expect("finished");
    assert!(store.verify_email(&token, context.clock.now()).await.expect("an answer").is_some());
    let (known, unknown) = (known.as_str(), "unknown@example.com");
    // Upkeep may fall into one round, and not into all.
    let mut spent = [vec![u64::MAX; 4], vec![u64::MAX; 4]];
    for round in 0..3 {
        for (number, address) in [known, unknown].into_iter().enumerate() {
            let name = format!("ann{number}{round}");
            let requests: [(u16, BoxFuture<'_, Answer>); 4] = [
                (401, Box::pin(client.log_in(address, PASSWORD))),
                (202, Box::pin(client.register(&name, address, PASSWORD))),
                (202, Box::pin(client.register(&name, address, PASSWORD))),
                (409, Box::pin(client.register(&name, address, "maple-anchor-violin"))),
            ];
            for (least, (status, request)) in spent[number].iter_mut().zip(requests) {
                let before = (context.operations)();
                assert_eq!(request.await.status, status);
                *least = (*least).min((context.operations)() - before);
            }
        }
    }
    assert_eq!(spent[0], spent[1], "{known} and {unknown}");
    assert!(spent[0].iter().all(|operations| (1..=3).contains(operations)), "{spent:?}");
    context.clear().await;
}

async fn lists_cost_the_same_however_long(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let ann = Person::register(&context.client).await;
    let account = |number| new_account(&format!("friend{number}"), PasswordHash::new("no hash".to_owned()), context.clock.now()).0;
    let accounts: Vec<_> = (0..MAX_FRIENDS).map(account).collect();
    for some in accounts.chunks(8) {
        for created in futures_util::future::join_all(some.iter().map(|account| context.store.create_account(account))).await {
            assert_eq!(created.expect("an answer"), Creation::Created);
        }
    }
    let friends: Vec<UserId> = accounts.iter().map(|account| account.user.id).collect();
    context.fill_friends(UserId::parse(&ann.id).expect("an id"), &friends).await;
    // A session whose use is not due to be noted, however long all this took.
    let ann = ann.log_in_again().await;
    let friends = context.costs("list of 1,000 friends", 2, ann.get("/api/users/friends")).await.ok();
    assert_eq!(friends["friends"].as_array().map(Vec::len), Some(MAX_FRIENDS));
    let found = context.costs("search among 1,000", 2, ann.get("/api/users/search?username=friend")).await.ok();
    assert_eq!(found["users"].as_array().map(Vec::len), Some(20));
    context.clear().await;
}

async fn what_the_program_knows_by_itself_costs_nothing(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let before = (context.operations)();
    for path in ["/", "/api/openapi.json", "/api/docs", "/api/app", "/api/auth/email", "/api/auth/password-reset"] {
        assert_eq!(context.client.get(path).await.status, 200, "{path}");
    }
    assert_eq!((context.operations)(), before);
    context.clear().await;
}

async fn an_open_request_that_is_refused_costs_nothing(context: Arc<Context>) {
    let context = context.fresh_without_mail().await;
    let before = (context.operations)();
    let nobody = Person {
        client: context.client.clone(),
        id: String::new(),
        username: String::new(),
        email: String::new(),
        token: "a.b.c".to_owned(),
    };
    nobody.get("/api/users/profile").await.fails(401, "unauthorized");
    nobody.send(&nobody, "hello").await.fails(401, "unauthorized");
    context.client.register("!", "!", "!").await.fails_in(&["email", "password", "username"]);
    context.client.log_in("ann@example.com", &"long".repeat(200)).await.fails(401, "invalid_credentials");
    context.client.get("/api/nothing").await.fails(404, "not_found");
    assert_eq!((context.operations)(), before);
    context.clear().await;
}
