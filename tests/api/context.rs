//! What a test gets: a server to talk to, and the means to start another one like it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use functions_host::FunctionsHost;
use serde_json::json;
use tempfile::TempDir;

use crate::client::{Client, Person};
use crate::database::Database;
use crate::support::hosted;
use crate::support::mongodb::TestDatabase;
use crate::support::server::{Environment, Server};
use crate::support::smtp::{self, ReceivedMail, SmtpServer};

/// The ways in which a test talks to the program itself.
pub const ALONE: &[&str] = &["sqlite", "mongodb"];

/// How long a mail may be on its way, on a machine that does much else.
const MAIL_PATIENCE: Duration = Duration::from_mins(1);

/// What the tests talk to.
enum Target {
    Program(Server),
    Instances(Box<[Server; 2]>),
    Host(FunctionsHost),
}

/// One way to run the tests.
pub struct Context {
    target: Target,
    client: Client,
    environment: Environment,
    folder: TempDir,
    database: Option<TestDatabase>,
    mail: SmtpServer,
}

impl Context {
    /// The program alone, with the embedded store.
    pub async fn on_sqlite() -> Result<Self, String> {
        let mail = SmtpServer::start(smtp::Options::default()).await;
        Self::start(Environment::new().with("MAIL_URL", mail.url()), None, mail).await
    }

    /// The program alone, with a database of its own on the MongoDB server of the test run.
    pub async fn on_mongodb() -> Result<Self, String> {
        let (database, mail) = (TestDatabase::new()?, SmtpServer::start(smtp::Options::default()).await);
        let environment = Environment::new().with("MAIL_URL", mail.url()).with("MONGODB_URI", database.uri());
        Self::start(environment, Some(database), mail).await
    }

    /// Two instances of the program on one database; each request goes to the other one than the request before.
    pub async fn on_two_instances() -> Result<Self, String> {
        let (database, mail) = (TestDatabase::new()?, SmtpServer::start(smtp::Options::default()).await);
        // Whichever of them sends a mail, its links lead to the one place where people reach both.
        let environment = Environment::new().with("PUBLIC_BASE_URL", "http://chat.example.com");
        let environment = environment.with("MAIL_URL", mail.url()).with("MONGODB_URI", database.uri());
        let first = Self::start(environment, Some(database), mail).await?;
        let second = first.start_in(&first.environment, first.folder.path()).await;
        let Target::Program(server) = first.target else { return Err("the first instance is one program".to_owned()) };
        let client = Client::of_instances(vec![server.url().to_owned(), second.url().to_owned()]);
        Ok(Self { target: Target::Instances(Box::new([server, second])), client, ..first })
    }

    async fn start(environment: Environment, database: Option<TestDatabase>, mail: SmtpServer) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::start(&environment, folder.path())?;
        server.ready().await?;
        Ok(Self { client: Client::new(server.url()), target: Target::Program(server), environment, folder, database, mail })
    }

    /// The program behind the Functions host stand-in, as `func start` runs it: the repository's own host.json, function
    /// folders and local settings, with the embedded store.
    pub async fn behind_the_host() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mail = SmtpServer::start(smtp::Options::default()).await;
        let environment = Environment::new().with("MAIL_URL", mail.url());
        let host = hosted::start(&environment, &folder.path().join("data")).await?;
        Ok(Self { client: Client::new(&host.url()), target: Target::Host(host), environment, folder, database: None, mail })
    }

    /// Somebody without an account.
    pub fn anonymous(&self) -> &Client {
        &self.client
    }

    /// Somebody new with an account.
    pub async fn person(&self) -> Person {
        Person::register(&self.client).await
    }

    /// Somebody new whose address is verified.
    pub async fn verified_person(&self) -> Person {
        let person = self.person().await;
        self.verify_by_mail(&person.email).await;
        person
    }

    /// Uses the first link that verifies an address.
    pub async fn verify_by_mail(&self, email: &str) {
        let token = self.mail_to(email, "Confirm your", 1).await.remove(0).token().expect("a link");
        self.client.put("/api/auth/email", &json!({ "token": token })).await.ok();
    }

    /// Two people.
    pub async fn pair(&self) -> (Person, Person) {
        futures_util::join!(self.person(), self.person())
    }

    /// Whether nothing stands between the client and the program.
    pub fn is_alone(&self) -> bool {
        !matches!(self.target, Target::Host(_))
    }

    /// Whether the server keeps its data in MongoDB.
    pub fn has_mongodb(&self) -> bool {
        self.database.is_some()
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        match &self.target {
            Target::Program(server) => server.url().to_owned(),
            Target::Instances(servers) => servers[0].url().to_owned(),
            Target::Host(host) => host.url(),
        }
    }

    /// Where two people find the server: each an instance of their own, where there are two.
    pub fn two_urls(&self) -> [String; 2] {
        match &self.target {
            Target::Instances(servers) => [servers[0].url().to_owned(), servers[1].url().to_owned()],
            Target::Program(_) | Target::Host(_) => [self.url(), self.url()],
        }
    }

    /// Clients of two instances of their own each; of the one server where there is one.
    pub fn two_ways_in(&self) -> [Client; 2] {
        match &self.target {
            Target::Instances(_) => self.two_urls().map(|url| Client::new(&url)),
            Target::Program(_) | Target::Host(_) => [self.client.clone(), self.client.clone()],
        }
    }

    /// What the server keeps, past the program.
    pub async fn database(&self) -> Database {
        match &self.database {
            Some(database) => Database::MongoDb(database.open().await),
            None => Database::Sqlite(self.folder.path().join("data/chat.db")),
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> Vec<String> {
        match &self.target {
            Target::Program(server) => server.log(),
            Target::Instances(servers) => servers.iter().flat_map(Server::log).collect(),
            Target::Host(host) => host.handler_log().into_iter().map(|line| line.text).collect(),
        }
    }

    /// The settings of the server, for one of the test's own that differs in some. With MongoDB the two share the database,
    /// as two instances do; the embedded store is another one in another folder.
    pub fn environment(&self) -> Environment {
        self.environment.clone()
    }

    /// The mails to an address with this in their subject, in the order of their arrival, once there are as many.
    pub async fn mail_to(&self, address: &str, subject: &str, count: usize) -> Vec<ReceivedMail> {
        let is_wanted = |mail: &ReceivedMail| mail.is_to(address) && mail.subject().contains(subject);
        let begun = Instant::now();
        loop {
            let mails: Vec<_> = self.mail.mails().into_iter().filter(is_wanted).collect();
            if mails.len() >= count {
                return mails;
            }
            let subjects: Vec<_> = self.mail.mails().iter().filter(|mail| mail.is_to(address)).map(ReceivedMail::subject).collect();
            assert!(begun.elapsed() < MAIL_PATIENCE, "no mail about {subject:?} has come to {address}, only {subjects:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A further process with the same settings; with MongoDB it shares the database, as two instances do.
    pub async fn another_instance(&self) -> (TempDir, Server) {
        self.instance_with(self.environment()).await
    }

    /// A further process in a folder of its own, whose store answers.
    pub async fn instance_with(&self, environment: Environment) -> (TempDir, Server) {
        let folder = tempfile::tempdir().expect("a folder");
        let server = self.start_in(&environment, folder.path()).await;
        (folder, server)
    }

    /// A further process in a folder, whose store answers.
    pub async fn start_in(&self, environment: &Environment, folder: &Path) -> Server {
        let server = Server::start(environment, folder).expect("a server");
        server.ready().await.expect("a store");
        server
    }

    pub async fn tear_down(self: Arc<Self>) {
        match &self.target {
            Target::Program(server) => server.kill(),
            Target::Instances(servers) => servers.iter().for_each(Server::kill),
            Target::Host(_) => {}
        }
        if let Some(database) = &self.database {
            database.drop_database().await;
        }
    }
}
