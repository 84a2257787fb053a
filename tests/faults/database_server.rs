//! The database server is killed and comes back on the same data.

use std::sync::Arc;

use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::client::{Client, PASSWORD, Person};
use crate::ledger::Ledger;
use crate::support::database_server::{DatabaseServer, Kind};
use crate::{Context, MONGODB, eventually, tests};

tests!(Context:
    a_database_server_killed_three_times_loses_nothing in MONGODB,
    a_user_who_may_read_and_write_one_database_is_enough in MONGODB,
);

async fn a_database_server_killed_three_times_loses_nothing(context: Arc<Context>) {
    let Some(mut database) = DatabaseServer::start(Kind::AsInThisRun).await else { return };
    let mut site = context.site();
    site.environment = site.environment.with("MONGODB_URI", database.uri());
    let server = site.start();
    let client = Client::new(server.url());
    let is_ready = || async { client.get("/api/health").await.status == 200 };
    eventually("the database is ready", is_ready).await;
    let ledger = Ledger::open(server.url()).await;
    ledger.begin();
    for _ in 0..3 {
        ledger.goes_on().await;
        database.kill();
        database.start_again();
        eventually("the database is ready again", is_ready).await;
    }
    let messages = ledger.close().await;
    assert!(messages > 5, "only {messages} messages were sent: nothing was at stake");
}

/// At its start the program tries every kind of command that it uses, but for the change stream, of which the log tells.
async fn a_user_who_may_read_and_write_one_database_is_enough(context: Arc<Context>) {
    let Some(mut database) = DatabaseServer::start(Kind::AsInThisRun).await else { return };
    let uri = database.let_in_one_user().await;
    let user = mongodb::Client::with_uri_str(&uri).await.expect("a client");
    let elsewhere = user.database("elsewhere").collection::<Document>("users").insert_one(doc! {}).await;
    elsewhere.expect_err("the server lets the user write its own database only");
    let mut site = context.site();
    site.environment = site.environment.with("MONGODB_URI", uri);
    let server = site.start_ready().await;
    let (client, other) = (Client::new(server.url()), site.start_ready().await);
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    ann.befriend(&bob).await.ok();
    ann.send(&bob, "hello").await.ok();
    assert_eq!(bob.at(&Client::new(other.url())).conversations("").await.len(), 1);
    ann.post("/api/users/blocks", &json!({ "userId": bob.id })).await.ok();
    bob.delete("/api/users/profile", &json!({ "password": PASSWORD })).await.ok();
    let by_stream = || async { server.log().iter().any(|line| line.contains("changes_by_stream")) };
    if database.has_change_streams() {
        eventually("the user may watch the database", by_stream).await;
    }
}
