//! What a test needs: a store, a mail server, a clock, and people.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chat_functions::check::check;
use chat_functions::domain::{Clock, Email, MailKind, PasswordHash, Session, SessionId, Timestamp, UserId, Username};
use chat_functions::identity::MailTokens;
use chat_functions::mail::{self, Letters, Mailer, SmtpSetting, SmtpTls, Transport, TransportSetting, Worker};
use chat_functions::settings::{MailSetting, Settings};
use chat_functions::store::mongo::MongoStore;
use chat_functions::store::sqlite::SqliteStore;
use chat_functions::store::{Creation, MessagesFrom, NewAccount, NewMail, Registration, RegistrationOutcome, Store, User};

use crate::support::clock_proxy;
use crate::support::mongodb::TestDatabase;
use crate::support::smtp::{Options, PATIENCE, ReceivedMail, Security, SmtpServer};
use crate::{Context, log};

/// Where people reach the API.
pub const BASE_URL: &str = "https://chat.example.com";
/// Who mail comes from.
pub const SENDER: &str = "no-reply@chat.example.com";
/// The moves of a clock that passes time, and the pace of them.
const STEP_MILLIS: i64 = 5_000;
const PACE: Duration = Duration::from_millis(50);

const SECRET: &str = "a secret of every instance";

static COUNT: AtomicU32 = AtomicU32::new(0);

pub struct Setup {
    pub store: Arc<dyn Store>,
    /// A second instance on the same data, or the same one where only one may be.
    pub other: Arc<dyn Store>,
    pub server: SmtpServer,
    pub clock: Clock,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Database(TestDatabase),
}

impl Setup {
    /// A store of one's own, and a mail server that everybody may use in clear.
    pub async fn new(context: &Context) -> Self {
        Self::with(context, Options::default()).await
    }

    pub async fn with(context: &Context, options: Options) -> Self {
        let server = SmtpServer::start(options).await;
        let clock = Clock::default();
        match context {
            Context::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path()).expect("a store"));
                Self { other: Arc::clone(&store), store, server, clock, place: Place::Folder(folder) }
            }
            Context::Mongodb => {
                let database = TestDatabase::new().expect("a server");
                let (store, other) = (connect(&database.uri()).await, connect(&database.uri()).await);
                Self { store, other, server, clock, place: Place::Database(database) }
            }
        }
    }

    /// How this test's mail server is told of by settings.
    pub fn setting(&self) -> MailSetting {
        let folder = tempfile::tempdir().expect("a folder");
        let authorities = folder.path().join("ca.pem");
        std::fs::write(&authorities, self.server.authority()).expect("written");
        self.load(&authorities, None).mail
    }

    fn load(&self, authorities: &Path, database: Option<&TestDatabase>) -> Settings {
        let loaded = Settings::load(|name| match name {
            "APP_ENV" => Some("development".to_owned()),
            "MAIL_URL" => Some(self.server.url()),
            "MAIL_FROM" => Some(format!("Chat <{SENDER}>")),
            "MAIL_CA_FILE" => Some(authorities.display().to_string()),
            "MONGODB_URI" => database.map(TestDatabase::uri),
            _ => None,
        });
        loaded.expect("valid settings")
    }

    /// What `--check` says of the mail; nothing where only one process may use the store.
    pub async fn checked_mail(&self) -> Option<String> {
        let Place::Database(database) = &self.place else { return None };
        let folder = tempfile::tempdir().expect("a folder");
        let authorities = folder.path().join("ca.pem");
        std::fs::write(&authorities, self.server.authority()).expect("written");
        let findings = check(&self.load(&authorities, Some(database)), &[]).await;
        findings.iter().map(ToString::to_string).find(|finding| finding.contains(" mail: "))
    }

    /// The same with more to be changed.
    pub fn smtp(&self, change: impl FnOnce(&mut SmtpSetting)) -> TransportSetting {
        let TransportSetting::Smtp(mut smtp) = self.setting().transport else { panic!("not a mail server") };
        change(&mut smtp);
        TransportSetting::Smtp(smtp)
    }

    /// How a server elsewhere would be spoken to, which must encrypt.
    pub fn strict(&self) -> TransportSetting {
        let security = self.server.security();
        self.smtp(|smtp| smtp.tls = if security == Security::FromTheBeginning { SmtpTls::Immediate } else { SmtpTls::Required })
    }

    /// Starts to send, as the program does.
    pub fn start(&self) -> (Mailer, Worker) {
        self.start_with(&self.setting().transport, &self.store)
    }

    pub fn start_with(&self, transport: &TransportSetting, store: &Arc<dyn Store>) -> (Mailer, Worker) {
        self.start_by_secret(transport, store, SECRET)
    }

    pub fn start_by_secret(&self, transport: &TransportSetting, store: &Arc<dyn Store>, secret: &str) -> (Mailer, Worker) {
        self.run(transport, store, secret, &self.clock)
    }

    /// The same on a machine with another clock.
    pub fn start_by_clock(&self, store: &Arc<dyn Store>, clock: &Clock) -> (Mailer, Worker) {
        self.run(&self.setting().transport, store, SECRET, clock)
    }

    fn run(&self, transport: &TransportSetting, store: &Arc<dyn Store>, secret: &str, clock: &Clock) -> (Mailer, Worker) {
        let transport = Transport::open(transport, BASE_URL).expect("a transport");
        let (letters, tokens) = (Letters::new(BASE_URL, self.setting().from), MailTokens::new(&secret.into()));
        mail::start(transport, letters, tokens, Arc::clone(store), clock.clone())
    }

    /// A further instance on the same data, on a machine whose clock is ahead, by which its server's is behind.
    pub async fn instance_ahead(&self, millis: i64) -> (Arc<dyn Store>, Clock) {
        let Place::Database(database) = &self.place else { panic!("the data is of one process") };
        let port = clock_proxy::start(database.address(), -millis).await;
        let clock = Clock::default();
        clock.advance_millis(millis);
        (connect(&database.uri_through(port)).await, clock)
    }

    /// An account, and the mail that is ordered with it.
    pub async fn account(&self, mail: impl FnOnce(&Email) -> Option<NewMail>) -> User {
        let (username, email) = new_person();
        let user = User {
            id: UserId::generate(),
            username,
            email,
            is_email_verified: false,
            pending_email: None,
            friends: Vec::new(),
            messages_from: MessagesFrom::Everyone,
            last_login: None,
            created_at: self.clock.now(),
        };
        let session = Session::begin(&SessionId::generate().expect("random bytes"), self.clock.now(), None);
        let account = NewAccount { mail: mail(&user.email), user, password_hash: password_hash(), session };
        assert_eq!(self.store.create_account(&account).await.expect("an answer"), Creation::Created);
        account.user
    }

    /// An account with the mail that asks to verify its address.
    pub async fn ordering_account(&self) -> User {
        let now = self.clock.now();
        self.account(|email| Some(NewMail { kind: MailKind::Verification, address: email.clone(), at: now })).await
    }

    /// A registration that waits for its address to be verified.
    pub async fn registration(&self, email: &Email) -> UserId {
        let now = self.clock.now();
        let mail = NewMail { kind: MailKind::Verification, address: email.clone(), at: now };
        let (id, username) = (UserId::generate(), new_person().0);
        let registration = Registration { id, username, email: email.clone(), password_hash: password_hash(), created_at: now, mail };
        let outcome = self.store.create_registration(&registration).await.expect("an answer");
        assert!(matches!(outcome, RegistrationOutcome::Noted));
        id
    }

    pub async fn order(&self, user: &User, kind: MailKind) {
        self.order_at(&self.store, &self.clock, user, kind).await;
    }

    /// The same by an instance with another clock.
    pub async fn order_at(&self, store: &Arc<dyn Store>, clock: &Clock, user: &User, kind: MailKind) {
        let mail = NewMail { kind, address: user.email.clone(), at: clock.now() };
        store.order_mail(user.id, &mail).await.expect("an answer");
    }

    /// Waits until nothing waits to be sent.
    pub async fn wait_until_empty(&self) {
        self.wait_until_left(0).await;
    }

    /// Waits until so many wait to be sent.
    pub async fn wait_until_left(&self, count: u64) {
        let begun = Instant::now();
        while self.waiting().await > count {
            assert!(begun.elapsed() < PATIENCE, "mail still waits");
            tokio::time::sleep(PACE).await;
        }
    }

    pub async fn waiting(&self) -> u64 {
        self.store.count_mail().await.expect("a number")
    }

    /// Has the clock pass a time, in steps so that all that happens by it can.
    pub async fn pass(&self, millis: i64) {
        let end = self.clock.now().plus_millis(millis);
        self.pass_until(|| self.clock.now() >= end).await;
    }

    /// Has the clock pass time until something is so. It stands still while a mail is being handed in, which on a busy
    /// machine would outlast its lease.
    pub async fn pass_until(&self, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "it is not so yet");
            if self.server.is_idle() {
                self.clock.advance_millis(STEP_MILLIS);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// All that the store keeps, as it keeps it.
    pub async fn contents(&self) -> Vec<u8> {
        match &self.place {
            Place::Folder(folder) => {
                let files = std::fs::read_dir(folder.path()).expect("a folder");
                let paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file()).collect();
                paths.iter().flat_map(|path| std::fs::read(path).expect("readable")).collect()
            }
            Place::Database(database) => all_documents(&database.open().await).await,
        }
    }

    /// Ends the test, and looks through the log for what has no place there.
    pub async fn tear_down(self) {
        let mails = [self.server.mails(), self.server.refused_mails()].concat();
        let tokens: Vec<String> = mails.iter().filter_map(ReceivedMail::token).collect();
        for line in log::lines() {
            let secret = ["@mail.example.org", "s3cret", "gue55"].iter().any(|part| line.contains(part));
            assert!(!secret && !tokens.iter().any(|token| line.contains(token)), "{line}");
        }
        self.store.close().await;
        self.other.close().await;
        if let Place::Database(database) = &self.place {
            database.drop_database().await;
        }
    }
}

async fn connect(uri: &str) -> Arc<dyn Store> {
    let store = MongoStore::connect(uri).expect("a store");
    let begun = Instant::now();
    while let Err(error) = store.check().await {
        assert!(begun.elapsed() < PATIENCE, "the MongoDB server does not answer: {error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Arc::new(store)
}

async fn all_documents(database: &mongodb::Database) -> Vec<u8> {
    let mut all = Vec::new();
    for name in database.list_collection_names().await.expect("names") {
        let mut documents =
            database.collection::<mongodb::bson::RawDocumentBuf>(&name).find(mongodb::bson::doc! {}).await.expect("documents");
        while documents.advance().await.expect("an answer") {
            all.extend_from_slice(documents.current().as_bytes());
        }
    }
    all
}

/// A name and an address that nobody has.
fn new_person() -> (Username, Email) {
    let name = format!("person{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let email = Email::parse(&format!("{name}@mail.example.org")).expect("an address");
    (Username::parse(&name).expect("a name"), email)
}

pub fn password_hash() -> PasswordHash {
    PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA".to_owned())
}

/// A minute and a day of the clock.
pub const MINUTE: i64 = Timestamp::MINUTE_MILLIS;
pub const DAY: i64 = Timestamp::DAY_MILLIS;
