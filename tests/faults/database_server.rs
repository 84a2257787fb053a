//! The database server is killed and comes back on the same data.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Client;
use crate::ledger::Ledger;
use crate::support::database_server::{DatabaseServer, Kind};
use crate::{Context, MONGODB, eventually, tests};

tests!(Context: a_database_server_killed_three_times_loses_nothing in MONGODB);

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
        tokio::time::sleep(Duration::from_millis(400)).await;
        database.kill();
        database.start_again();
        eventually("the database is ready again", is_ready).await;
    }
    let messages = ledger.close().await;
    assert!(messages > 5, "only {messages} messages were sent: nothing was at stake");
}
