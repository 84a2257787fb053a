//! The check from outside: it is content with a server that is as it should be, and with no other.

use std::process::Command;

use tempfile::TempDir;

use crate::front::tls_before;
use crate::support::hosted;
use crate::support::server::{Environment, Server};
use crate::{environment, script};

/// What the check has found.
pub struct Report {
    /// Whether its exit code says that all is well.
    pub is_good: bool,
    /// Everything that it has written.
    pub text: String,
}

impl Report {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the script runs");
        let text = [output.stdout, output.stderr].concat();
        Self { is_good: output.status.success(), text: String::from_utf8(text).expect("UTF-8") }
    }

    /// The names of the checks that have failed.
    fn failed(&self) -> Vec<&str> {
        let names = self.text.lines().filter_map(|line| line.strip_prefix("FAILED  "));
        names.map(|line| line.split(": ").next().unwrap_or(line)).collect()
    }
}

/// Checks what is at a URL.
pub fn check_deployment(url: &str) -> Report {
    Report::of(script("check-deployment").arg(url))
}

fn start(environment: &Environment) -> (TempDir, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(environment, folder.path()).expect("a server");
    (folder, server)
}

#[track_caller]
fn assert_good(report: &Report) {
    assert!(report.is_good && report.failed().is_empty(), "{}", report.text);
    assert_eq!(report.text.lines().filter(|line| line.starts_with("ok      ")).count(), 8, "{}", report.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_alone_is_found_good() {
    let (_folder, server) = start(&environment());
    server.ready().await.expect("a store");
    assert_good(&check_deployment(server.url()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_the_functions_host_is_found_good() {
    let data = tempfile::tempdir().expect("a folder");
    let host = hosted::start(&environment(), data.path()).await.expect("a host");
    assert_good(&check_deployment(&host.url()));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_tls_is_found_good_by_whoever_trusts_its_certificate() {
    let (folder, server) = start(&environment().with("PUBLIC_BASE_URL", "https://chat.example.com"));
    server.ready().await.expect("a store");
    let address = server.url().trim_start_matches("http://").parse().expect("an address");
    let (url, authority) = tls_before(address).await;
    let certificate = folder.path().join("authority.pem");
    std::fs::write(&certificate, authority).expect("written");
    assert_good(&Report::of(script("check-deployment").arg(&url).env("SSL_CERT_FILE", &certificate)));
    let of_strangers = check_deployment(&url);
    assert!(!of_strangers.is_good && of_strangers.failed().contains(&"TLS"), "{}", of_strangers.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found() {
    let cases = [
        (environment().with("CLIENT_IP", "xff:1"), "forged address"),
        (environment().with("CLIENT_IP", "header:client-ip"), "forged address"),
        (environment().with("LIMITS", "off"), "forged address"),
        (environment().with("CORS_ORIGINS", "https://foreign.example"), "foreign origin"),
        (environment().with("SERVICES", "auth,users"), "conversation"),
        (environment().with("LIMIT_REGISTER", "1/1h"), "conversation"),
    ];
    for (environment, expected) in cases {
        let (_folder, server) = start(&environment);
        server.ready().await.expect("a store");
        let report = check_deployment(server.url());
        assert!(!report.is_good, "{}", report.text);
        assert_eq!(report.failed(), [expected], "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_is_found_and_no_url_is_refused() {
    let (_folder, server) = start(&environment());
    server.kill();
    let report = check_deployment(server.url());
    assert!(!report.is_good && report.failed().contains(&"health"), "{}", report.text);
    for wrong in ["chat.example.com", "ftp://chat.example.com", "https://chat.example.com/api"] {
        assert_eq!(script("check-deployment").arg(wrong).output().expect("the script runs").status.code(), Some(64), "{wrong}");
    }
}
