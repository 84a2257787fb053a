//! The MongoDB server of a test run, and databases of our own on it.

use mongodb::Client;

/// Whether the server is too slow for all tests; `scripts/with-mongodb` says so of the one that it takes for want of another.
#[allow(dead_code, reason = "only the harness asks")]
pub fn is_slow() -> bool {
    std::env::var_os("TEST_MONGODB_IS_SLOW").is_some()
}

/// A database that nothing else uses; drop it by [`TestDatabase::drop_database`] when the tests are done.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// A new name on the server of the test run.
    pub fn new() -> Result<Self, String> {
        let server = std::env::var("TEST_MONGODB_URI").map_err(|_| "no MongoDB server; use ./test, which finds or starts one")?;
        Ok(Self { server, name: format!("chat_test_{}", uuid::Uuid::new_v4().simple()) })
    }

    /// Whether the server is MongoDB's own, for which one that was running before is taken.
    #[allow(dead_code, reason = "only measurements tell what stands in for it")]
    pub fn is_on_mongod() -> bool {
        std::env::var("TEST_MONGODB_SERVER").map_or(true, |path| path.ends_with("mongod"))
    }

    /// The connection string with the database in it.
    pub fn uri(&self) -> String {
        let (base, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        format!("{}/{}?{options}", base.trim_end_matches('/'), self.name)
    }

    /// The same through another port of this machine, such as that of a proxy.
    #[allow(dead_code, reason = "not every test program puts something in between")]
    pub fn uri_through(&self, port: u16) -> String {
        format!("mongodb://127.0.0.1:{port}/{}?directConnection=true", self.name)
    }

    /// The server's address, of a connection string with one host and no password.
    #[allow(dead_code, reason = "not every test program puts something in between")]
    pub fn address(&self) -> String {
        let rest = self.server.trim_start_matches("mongodb://");
        let hosts = rest.split(['/', '?']).next().unwrap_or(rest);
        hosts.rsplit('@').next().unwrap_or(hosts).to_owned()
    }

    /// The database by the driver, to look at what is stored or to break it.
    #[allow(dead_code, reason = "not every test program looks inside")]
    pub async fn open(&self) -> mongodb::Database {
        let client = Client::with_uri_str(&self.server).await.expect("a client");
        client.database(&self.name)
    }

    pub async fn drop_database(&self) {
        let client = Client::with_uri_str(&self.server).await.expect("a client");
        client.database(&self.name).drop().await.expect("dropped");
    }
}
