//! How a process is told what to do, and how it refuses what it is told.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::settings::VARIABLES;
use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Client, Person};
use crate::context::Context;
use crate::support::server::{EXECUTABLE, Environment, JWT_SECRET, Server, free_port, run_to_end};
use crate::tests;

/// Settings do not depend on the store of the way.
pub const ONCE: &[&str] = &["sqlite"];

tests!(Context:
    mistakes_are_told_all_at_once_without_their_values in ONCE,
    production_refuses_to_start_with_what_is_missing in ONCE,
    a_dot_env_file_fills_what_the_environment_lacks in ONCE,
    a_dot_env_file_with_a_mistake_is_told_and_not_quoted in ONCE,
    a_secret_is_the_same_however_it_is_written_and_has_no_quotes in ONCE,
    what_is_no_text_is_refused_by_name in ONCE,
    what_makes_a_laptop_production_is_told in ONCE,
    help_lists_every_setting in ONCE,
    whoever_reads_the_help_may_stop in ONCE,
    a_running_server_is_asked_for_its_health in ONCE,
    the_data_belongs_to_its_owner_only in ONCE,
    a_made_key_is_kept_and_not_shown in ONCE,
    a_taken_address_is_told in ONCE,
    a_laptop_needs_no_settings in ONCE,
    without_mail_what_needs_it_says_so in ONCE,
    passwords_of_other_servers_are_in_no_log_line in ONCE,
    a_misspelt_variable_is_a_warning in ONCE,
);

/// Runs the program to its end in a folder of its own: its code, its output, its errors.
pub fn run(environment: &Environment, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    run_to_end(environment, folder.path(), arguments)
}

/// The variables that an error output names, a line each.
fn named(errors: &str) -> Vec<&str> {
    let mut names: Vec<_> = errors.lines().map(|line| line.split(':').next().expect("a name")).collect();
    names.sort_unstable();
    names
}

async fn mistakes_are_told_all_at_once_without_their_values(_: Arc<Context>) {
    let wrong = [
        ("JWT_SECRET", "oops"),
        ("MONGODB_URI", "oops://oops"),
        ("LISTEN", "oops"),
        ("PUBLIC_BASE_URL", "oops"),
        ("SERVICES", "auth,oops"),
        ("PASSWORD_MIN_CHARS", "7"),
        ("ARGON2_MEMORY_KIB", "19455"),
        ("ARGON2_PASSES", "oops"),
        ("CORS_ORIGINS", "*"),
        ("CLIENT_IP", "oops"),
        ("TRUSTED_PROXIES", "oops"),
        ("LIMITS", "oops"),
        ("LIMIT_LOGIN_ACCOUNT_NET", "0/15m"),
        ("LIMIT_SEND", "oops"),
        ("LOG_FORMAT", "oops"),
    ];
    let environment = wrong.iter().fold(Environment::new(), |environment, (name, value)| environment.with(name, *value));
    let (code, output, errors) = run(&environment, &[]);
    assert_eq!((code, output.as_str()), (Some(78), ""), "{errors}");
    let mut names = wrong.map(|(name, _)| name);
    names.sort_unstable();
    assert_eq!(named(&errors), names);
    assert!(!errors.contains("oops"), "{errors}");
}

async fn production_refuses_to_start_with_what_is_missing(_: Arc<Context>) {
    let bare = Environment::new().without("APP_ENV").without("JWT_SECRET").without("LIMITS");
    let in_azure = Environment::new().without("LIMITS").with("WEBSITE_INSTANCE_ID", "x").with("DATA_DIR", "data");
    let cases = [
        (bare.clone().with("APP_ENV", "production"), vec!["JWT_SECRET", "MONGODB_URI", "PUBLIC_BASE_URL"]),
        (bare.clone().with("LISTEN", "0.0.0.0:0"), vec!["JWT_SECRET", "MONGODB_URI", "PUBLIC_BASE_URL"]),
        (bare.clone().with("FUNCTIONS_CUSTOMHANDLER_PORT", "0"), vec!["JWT_SECRET", "MONGODB_URI", "PUBLIC_BASE_URL"]),
        (in_azure, vec!["APP_ENV", "MONGODB_URI", "PUBLIC_BASE_URL"]),
    ];
    for (environment, expected) in cases {
        let (code, _, errors) = run(&environment, &[]);
        assert_eq!((code, named(&errors)), (Some(78), expected), "{errors}");
    }
}

async fn a_dot_env_file_fills_what_the_environment_lacks(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(".env"), "SERVICES=auth\nLOG_FORMAT=text\n# a comment\n").expect("written");
    let server = Server::start(&Environment::new(), folder.path()).expect("the environment's LOG_FORMAT wins");
    let ann = Person::register(&Client::new(server.url())).await;
    ann.get("/api/users/profile").await.fails(404, "not_found");
}

async fn a_dot_env_file_with_a_mistake_is_told_and_not_quoted(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    let errors = || {
        let (code, _, errors) = run_to_end(&Environment::default(), folder.path(), &[]);
        assert_eq!(code, Some(78), "{errors}");
        errors
    };
    std::fs::write(&file, "JWT_SECRET=\"oops").expect("written");
    let told = errors();
    assert!(told.starts_with("JWT_SECRET: begins with a quote") && !told.contains("oops"), "{told}");
    std::fs::write(&file, "SERVICES=auth\noops").expect("written");
    assert_eq!(errors(), ".env: line 2 is not NAME=value\n");
    std::fs::remove_file(&file).and_then(|()| std::fs::create_dir(&file)).expect("a folder in its place");
    assert!(errors().starts_with(".env: cannot be read: "));
}

async fn a_secret_is_the_same_however_it_is_written_and_has_no_quotes(_: Arc<Context>) {
    let secret = "Zk3$HOMEq8vN$wm1x\\n${HOME}`id`#4Tz8";
    let data = tempfile::tempdir().expect("a folder");
    let environment = Environment::new().with("HOME", "/root").without("JWT_SECRET");
    let serve = |environment: &Environment, file: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(".env"), file).expect("written");
        let server = Server::start(&environment.clone().with("DATA_DIR", data.path().display().to_string()), folder.path());
        (folder, server.expect("a server"))
    };
    let (_folder, first) = serve(&environment.clone().with("JWT_SECRET", secret), "");
    let ann = Person::register(&Client::new(first.url())).await;
    first.kill();
    for file in ["JWT_SECRET=#", "JWT_SECRET=\"#\"", "export JWT_SECRET = '#' \r\n"].map(|form| form.replacen('#', secret, 1)) {
        let (_folder, server) = serve(&environment, &file);
        ann.at(&Client::new(server.url())).profile().await;
        server.kill();
    }
    for quoted in [format!("\"{secret}\""), format!("'{secret}'")] {
        let (code, _, errors) = run(&environment.clone().with("JWT_SECRET", quoted), &[]);
        assert_eq!((code, errors.lines().count()), (Some(78), 1), "{errors}");
        assert!(errors.starts_with("JWT_SECRET: stands in quotes, which are part of a value") && !errors.contains(secret), "{errors}");
    }
}

async fn what_is_no_text_is_refused_by_name(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let value = OsStr::from_bytes(b"mongodb://canary\xff/chat");
    let command = || {
        let mut command = Command::new(EXECUTABLE);
        command.env_clear().current_dir(folder.path());
        command
    };
    for name in ["MONGODB_URI", "JWT_SECRET", "RUST_LOG", "NO_COLOR", "WEBSITE_SITE_NAME", "FUNCTIONS_CUSTOMHANDLER_PORT"] {
        for (argument, status, start) in [(None, 78, ""), (Some("--health"), 78, ""), (Some("--check"), 1, "to do   ")] {
            let output = command().env(name, value).args(argument).output().expect("the program runs");
            let told = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
            assert_eq!(output.status.code(), Some(status), "{told}");
            assert!(told.contains(&format!("{start}{name}: is not UTF-8 text\n")) && !told.contains("canary"), "{told}");
        }
    }
    std::fs::write(folder.path().join(".env"), b"MONGODB_URI=mongodb://canary\xff/chat").expect("written");
    let output = command().output().expect("the program runs");
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), told.as_str()), (Some(78), "MONGODB_URI: is not UTF-8 text in line 1 of .env\n"));
    let output = command().arg(value).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(64), "an argument that is no text");
}

async fn what_makes_a_laptop_production_is_told(_: Arc<Context>) {
    for (name, value, told) in [
        ("MONGODB_URI", "mongodb://localhost/chat", "MONGODB_URI makes this production: on a laptop set APP_ENV=development"),
        ("LISTEN", "0.0.0.0:0", "LISTEN, which is beyond this machine, makes this production: on a laptop set LISTEN=127.0.0.1:8080"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "7072", "FUNCTIONS_CUSTOMHANDLER_PORT makes this production: on a laptop set APP_ENV=development"),
        ("WEBSITE_SITE_NAME", "chat", "in Azure this is production"),
    ] {
        let laptop = Environment::default().with(name, value).with("LIMITS", "off").with("MAIL_URL", "log:");
        let (code, _, errors) = run(&laptop, &[]);
        assert_eq!(code, Some(78), "{errors}");
        let required: Vec<_> = errors.lines().filter(|line| line.contains("production")).collect();
        assert!(required.len() >= 4 && required.iter().all(|line| line.contains(told) || line.contains("in Azure")), "{errors}");
    }
    let (_, _, errors) = run(&Environment::default().with("APP_ENV", "production"), &[]);
    assert!(!errors.contains("makes this"), "whoever says so knows: {errors}");
}

async fn help_lists_every_setting(_: Arc<Context>) {
    let (code, output, _) = run(&Environment::default(), &["--help"]);
    assert_eq!(code, Some(0));
    for variable in VARIABLES {
        assert!(output.contains(variable.name) && output.contains(variable.meaning), "{}", variable.name);
    }
    let (code, output, _) = run(&Environment::default(), &["--version"]);
    assert_eq!((code, output.trim()), (Some(0), concat!("chat-functions ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(&Environment::default(), &["--oops"]).0, Some(64));
}

async fn whoever_reads_the_help_may_stop(_: Arc<Context>) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(EXECUTABLE).arg("--help").stdout(writer).output().expect("the program runs");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

async fn a_running_server_is_asked_for_its_health(context: Arc<Context>) {
    let (_folder, server) = context.another_instance().await;
    let listen = server.url().trim_start_matches("http://").to_owned();
    let ask = |listen: &str| run(&Environment::new().with("LISTEN", listen), &["--health"]);
    assert_eq!(ask(&listen), (Some(0), String::new(), String::new()));
    server.kill();
    let (code, _, errors) = ask(&listen);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.starts_with(&format!("the server on {listen} does not answer: ")), "{errors}");
    assert_eq!(ask("nowhere").0, Some(78));
}

async fn the_data_belongs_to_its_owner_only(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&Environment::new().without("JWT_SECRET"), folder.path()).expect("a server");
    Person::register(&Client::new(server.url())).await;
    let data = folder.path().join("data");
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> = std::fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), if file.is_dir() { 0o700 } else { 0o600 }, "{}", file.display());
    }
}

async fn a_made_key_is_kept_and_not_shown(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = Environment::new().without("JWT_SECRET");
    let first = Server::start(&environment, folder.path()).expect("a server");
    let ann = Person::register(&Client::new(first.url())).await;
    let log = first.log().join("\n");
    first.kill();
    let second = Server::start(&environment, folder.path()).expect("a server");
    ann.at(&Client::new(second.url())).profile().await;
    let entries = std::fs::read_dir(folder.path().join("data")).expect("a folder");
    let contents = entries.filter_map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).ok());
    for key in contents.filter(|content| content.len() >= 32) {
        assert!(!log.contains(key.trim()), "the key stands in the log");
    }
}

async fn a_taken_address_is_told(context: Arc<Context>) {
    let taken = context.url().trim_start_matches("http://").to_owned();
    let (code, output, _) = run(&Environment::new().with("LISTEN", taken.as_str()), &[]);
    assert_eq!(code, Some(1));
    assert!(output.contains(&format!("cannot listen on {taken}")), "{output}");
}

async fn a_laptop_needs_no_settings(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    // The format and the port are the test's means to find it.
    let environment = Environment::default().with("LISTEN", "127.0.0.1:0").with("LOG_FORMAT", "json");
    let server = Server::start(&environment, folder.path()).expect("a server");
    Person::register(&Client::new(server.url())).await.profile().await;
    let log = server.log().join("\n");
    assert!(log.contains("\"mode\":\"development\""), "{log}");
    assert!(log.contains(&format!("open {}/api/app to chat", server.url())), "{log}");
    assert!(!log.contains(JWT_SECRET));
}

async fn without_mail_what_needs_it_says_so(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&Environment::new().with("MAIL_URL", "none"), folder.path()).expect("a server");
    let ann = Person::register(&Client::new(server.url())).await;
    ann.client.post("/api/auth/password-reset", &json!({ "email": ann.email })).await.fails(503, "mail_unavailable");
    Answer::of(ann.request(Method::POST, "/api/auth/email")).await.fails(503, "mail_unavailable");
    ann.log_in_again().await.profile().await;
    assert!(server.log().iter().any(|line| line.contains("no mail is sent")), "{:?}", server.log());
}

async fn passwords_of_other_servers_are_in_no_log_line(_: Arc<Context>) {
    let (folder, password) = (tempfile::tempdir().expect("a folder"), "canary-0f3a");
    let nobody = format!("127.0.0.1:{}", free_port());
    let environment = Environment::new()
        .with("RUST_LOG", "trace")
        .with("MONGODB_URI", format!("mongodb://chat:{password}@{nobody}/chat"))
        .with("MAIL_URL", format!("smtp://chat:{password}@{nobody}"));
    let server = Server::start(&environment, folder.path()).expect("a server");
    let begun = Instant::now();
    while !server.log().iter().any(|line| line.contains("store_unreachable")) {
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    crate::canary::Canaries::default().with(password).are_absent_from(&server.log().join("\n"), "the log");
}

async fn a_misspelt_variable_is_a_warning(_: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(".env"), "LIMIT_REEGISTER=5/1h\n").expect("written");
    let server = Server::start(&Environment::new().with("LIMIT_SNED", "canary"), folder.path()).expect("a server");
    let log = server.log().join("\n");
    for (wrong, nearest) in [("LIMIT_SNED", "LIMIT_SEND"), ("LIMIT_REEGISTER", "LIMIT_REGISTER")] {
        assert!(log.contains(&format!("{wrong} is no setting and is not read; the nearest one is {nearest}")), "{log}");
    }
    assert!(!log.contains("canary"), "{log}");
}
