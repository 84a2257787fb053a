//! `--check`: what works, what there is to do, and why a database cannot be used.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use crate::context::{ALONE, Context};
use crate::settings::{ONCE, run};
use crate::support::mongodb::TestDatabase;
use crate::support::server::{Environment, Server, free_port};
use crate::support::wire::{self, refusal};
use crate::tests;

tests!(Context:
    a_check_says_what_works_and_what_there_is_to_do in ALONE,
    a_check_tells_wrong_settings_and_what_cannot_be_reached in ONCE,
    what_the_database_refuses_is_told_in_a_plain_sentence in &["mongodb"],
    a_database_that_cannot_be_reached_is_told_in_a_plain_sentence in ONCE,
);

async fn a_check_says_what_works_and_what_there_is_to_do(context: Arc<Context>) {
    let (code, output, _) = run(&context.environment(), &["--check"]);
    let lines: Vec<_> = output.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 3), "{output}");
    for (line, what) in lines.iter().zip(["settings", "store", "mail"]) {
        assert!(line.starts_with(&format!("ok      {what}: ")), "{output}");
    }
}

async fn a_check_tells_wrong_settings_and_what_cannot_be_reached(context: Arc<Context>) {
    let (code, output, _) = run(&context.environment().with("LISTEN", "nowhere").with("LOG_FORMAT", "xml"), &["--check"]);
    let starts: Vec<_> = output.lines().map(|line| line.split(':').next().expect("a beginning")).collect();
    // What the mistakes are not about is tried all the same.
    assert_eq!((code, starts), (Some(1), vec!["to do   LISTEN", "to do   LOG_FORMAT", "ok      store", "ok      mail"]), "{output}");
    let nobody = format!("127.0.0.1:{}", free_port());
    let environment =
        context.environment().with("MONGODB_URI", format!("mongodb://{nobody}/chat")).with("MAIL_URL", format!("smtp://{nobody}"));
    let (code, output, _) = run(&environment, &["--check"]);
    assert_eq!(code, Some(1), "{output}");
    let to_do: Vec<_> = output.lines().filter(|line| line.starts_with("to do   ")).collect();
    assert!(to_do.len() == 2 && to_do[0].contains("MONGODB_URI") && to_do[1].contains("MAIL_URL"), "{output}");
    let (code, output, _) = run(&environment.with("JWT_SECRET", "short"), &["--check"]);
    let to_do: Vec<_> = output.lines().filter_map(|line| line.strip_prefix("to do   ")).collect();
    assert_eq!((code, to_do.len()), (Some(1), 3), "{output}");
    assert!(to_do[0].starts_with("JWT_SECRET: ") && to_do[1].starts_with("store: ") && to_do[2].starts_with("mail: "), "{output}");
}

/// A database that a user has to log in to, and of which the one that the settings name does not get in.
fn refuse_logins(command: &Document) -> Option<Document> {
    command.contains_key("saslStart").then(|| refusal(18, "AuthenticationFailed", "Authentication failed."))
}

/// The same for those who do not try.
fn ask_for_logins(command: &Document) -> Option<Document> {
    let message = "command createIndexes requires authentication";
    command.contains_key("createIndexes").then(|| refusal(13, "Unauthorized", message))
}

/// A server that is no primary.
fn be_a_secondary(command: &Document) -> Option<Document> {
    let of_state =
        doc! { "ok": 1.0, "ismaster": false, "isWritablePrimary": false, "secondary": true, "setName": "rs", "hosts": ["127.0.0.1:1"] };
    let of_version = doc! { "maxWireVersion": 21, "minWireVersion": 0, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000 };
    ["hello", "isMaster", "ismaster"]
        .iter()
        .any(|name| command.contains_key(*name))
        .then(|| of_state.into_iter().chain(of_version).collect())
}

/// A server that lacks an operator.
fn know_no_current_date(command: &Document) -> Option<Document> {
    command.to_string().contains("$currentDate").then(|| refusal(9, "FailedToParse", "Unknown modifier: $currentDate"))
}

/// What the driver makes of a failure, which nobody should have to read.
fn assert_plain(line: &str) {
    for dump in ["Kind:", "labels", "Topology", "RawDocument", "\\x", "server response", "canary"] {
        assert!(!line.contains(dump), "{line}");
    }
}

async fn what_the_database_refuses_is_told_in_a_plain_sentence(_: Arc<Context>) {
    let cases: [(Refusing, &str, &str); 4] = [
        (
            refuse_logins,
            "mongodb://ann:canary@HERE/chat?directConnection=true",
            "the server refused the user name or password of MONGODB_URI",
        ),
        (
            ask_for_logins,
            "mongodb://HERE/chat?directConnection=true",
            "the server asks for a user name and a password, or does not let this user do what the program does",
        ),
        (be_a_secondary, "mongodb://HERE/chat", "servers answer, and none of them is the primary"),
        (
            know_no_current_date,
            "mongodb://HERE/chat?directConnection=true",
            "the server lacks what the program needs: update with $currentDate (code 9: Unknown modifier: $currentDate)",
        ),
    ];
    futures_util::future::join_all(cases.map(|(refusing, uri, told)| assert_told(refusing, uri, told))).await;
}

type Refusing = fn(&Document) -> Option<Document>;

/// What is refused is told by the check, and in the log of a server that starts.
async fn assert_told(refusing: Refusing, uri: &str, told: &str) {
    let database = TestDatabase::new().expect("a server");
    let port = wire::start(database.address(), refusing).await;
    let environment = Environment::new().with("MONGODB_URI", uri.replace("HERE", &format!("127.0.0.1:{port}")));
    assert_checked(environment.clone(), told).await;
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&environment, folder.path()).expect("a server");
    let line = logged(&server, "store_unreachable").await;
    assert!(line.contains(told), "{line}");
    assert_plain(&line);
}

async fn assert_checked(environment: Environment, told: &str) {
    let (code, output, _) = tokio::task::spawn_blocking(move || run(&environment, &["--check"])).await.expect("run");
    let line = output.lines().find(|line| line.starts_with("to do   store: ")).unwrap_or_else(|| panic!("{output}"));
    assert!(code == Some(1) && line.contains(told), "{told}: {output}");
    assert_plain(line);
}

/// The first line of an event.
async fn logged(server: &Server, event: &str) -> String {
    let begun = Instant::now();
    loop {
        if let Some(line) = server.log().into_iter().find(|line| line.contains(&format!("\"{event}\""))) {
            return line;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_database_that_cannot_be_reached_is_told_in_a_plain_sentence(_: Arc<Context>) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("an address");
    let closing = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closes = closing.local_addr().expect("an address");
    // It takes in what it is sent: who closes with that unread resets the connection, and then nobody can tell TLS from anything else.
    std::thread::spawn(move || {
        for mut connection in closing.incoming().map_while(Result::ok) {
            let _size = connection.read(&mut [0; 16 * 1024]);
        }
    });
    let cases = [
        (format!("mongodb://127.0.0.1:{}/chat", free_port()), "nothing listens there"),
        ("mongodb://nobody.invalid/chat".to_owned(), "the host name of MONGODB_URI cannot be resolved"),
        ("mongodb+srv://ann:canary@nobody.invalid/chat".to_owned(), "the host name of MONGODB_URI cannot be resolved"),
        (format!("mongodb://{closes}/chat"), "the connection was cut off"),
        (format!("mongodb://{closes}/chat?tls=true"), "no TLS connection comes about"),
        (format!("mongodb://{silent}/chat?connectTimeoutMS=100"), "the server did not answer in time"),
    ];
    let checks = cases.into_iter().map(|(uri, told)| assert_checked(Environment::new().with("MONGODB_URI", uri), told));
    futures_util::future::join_all(checks).await;
}
