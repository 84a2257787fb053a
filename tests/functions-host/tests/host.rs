//! What the host does to requests, answers and the handler's process, shown on a real handler.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use functions_host::{FunctionsHost, HostOptions, Level};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An application in a folder of its own, and its host.
struct Site {
    folder: TempDir,
    host: FunctionsHost,
    client: Client,
}

fn function(folder: &Path, name: &str, route: &str, methods: &[&str]) {
    std::fs::create_dir_all(folder.join(name)).expect("a folder");
    let trigger = json!({ "type": "httpTrigger", "direction": "in", "name": "request", "authLevel": "anonymous", "route": route, "methods": methods });
    let bindings = json!({ "bindings": [trigger, { "type": "http", "direction": "out", "name": "response" }] });
    std::fs::write(folder.join(name).join("function.json"), bindings.to_string()).expect("written");
}

fn application() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let host = json!({
        "version": "2.0",
        "functionTimeout": "00:00:02",
        "extensions": { "http": { "customHeaders": { "X-Custom": "the host's", "X-Host": "yes" } } },
        "customHandler": {
            "description": { "defaultExecutablePath": env!("CARGO_BIN_EXE_echo-handler") },
            "enableForwardingHttpRequest": true,
            "enableProxyingHttpRequest": true,
        },
    });
    std::fs::write(folder.path().join("host.json"), host.to_string()).expect("written");
    let settings = json!({ "IsEncrypted": false, "Values": { "FROM_LOCAL_SETTINGS": "yes" } });
    std::fs::write(folder.path().join("local.settings.json"), settings.to_string()).expect("written");
    function(folder.path(), "echo", "echo", &["get", "post"]);
    function(folder.path(), "misbehave", "misbehave/{what}", &["get", "head"]);
    function(folder.path(), "zz-rest", "{*path}", &["get", "put", "delete", "head", "options"]);
    folder
}

impl Site {
    async fn start() -> Self {
        let folder = application();
        let host = FunctionsHost::start(HostOptions::new(folder.path())).await.expect("a host");
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { folder, host, client }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.host.url()))
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    /// What the handler saw.
    async fn seen(&self, request: RequestBuilder) -> Value {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.expect("what was seen")
    }

    async fn connect(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.host.url().trim_start_matches("http://")).await.expect("a connection")
    }

    /// Everything that comes until the host closes the connection.
    async fn raw(&self, text: &str) -> String {
        let mut connection = self.connect().await;
        connection.write_all(text.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // A reset after the answer is an end too.
        let _end = connection.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn misbehave(&self, how: &str) -> StatusCode {
        let answer = self.get(&format!("/api/misbehave/{how}")).await;
        let status = answer.status();
        let _body = answer.bytes().await.expect("a body");
        status
    }

    async fn is_empty_500(&self, request: RequestBuilder) {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.bytes().await.expect("a body").is_empty());
    }
}

/// Waits for something that happens by itself.
async fn eventually(what: &str, happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_mins(1), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The value of a header that the handler saw, all lines of it.
fn header(seen: &Value, name: &str) -> Vec<String> {
    let headers = seen["headers"].as_array().expect("headers").iter();
    headers.filter(|header| header[0] == name).map(|header| header[1].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn the_handler_is_told_its_port_and_the_settings_and_works_in_the_app_root() {
    let site = Site::start().await;
    let seen = site.seen(site.request(Method::GET, "/api/echo")).await;
    let environment = &seen["environment"];
    assert_eq!(environment["FROM_LOCAL_SETTINGS"], "yes");
    assert_eq!(environment["FUNCTIONS_CUSTOMHANDLER_PORT"], environment["FUNCTIONS_HTTPWORKER_PORT"]);
    assert_eq!(environment["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"], environment["FUNCTIONS_HTTPWORKER_ID"]);
    let root = site.folder.path().canonicalize().expect("a path");
    assert_eq!(seen["directory"], root.to_str().expect("UTF-8"));
    assert_eq!(environment["FUNCTIONS_APP_ROOT_PATH"], root.to_str().expect("UTF-8"));
    assert_eq!(site.host.handler_starts(), 1);
    assert_eq!(site.host.handler_pid().map(u64::from), seen["pid"].as_u64());
}

#[tokio::test]
async fn methods_paths_queries_and_bodies_arrive_as_the_host_rewrites_them() {
    let site = Site::start().await;
    let body = "{\"a\": 1}";
    let request = site.request(Method::POST, "/API/Echo/?q=a+b&Q=2&flag").header("Content-Type", "application/json").body(body);
    let seen = site.seen(request).await;
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["path"], "/API/Echo/");
    assert_eq!(seen["query"], "q=a%20b,2&flag=");
    assert_eq!(seen["body"], body);
    let seen = site.seen(site.request(Method::DELETE, "/api/any//thing%2F%25").body("in a DELETE")).await;
    assert_eq!((seen["path"].as_str(), seen["body"].as_str()), (Some("/api/any//thing%2F%25"), Some("in a DELETE")));
}

#[tokio::test]
async fn header_lines_are_joined_content_headers_dropped_and_the_hosts_own_appended() {
    let site = Site::start().await;
    let request = site.request(Method::POST, "/api/echo").body("text");
    let request = request.header("X-A", "1").header("X-A", "2").header("Cookie", "a=1").header("Cookie", "b=2");
    let request = request.header("Content-Encoding", "gzip").header("Content-Language", "de").header("User-Agent", "test/1");
    let seen = site.seen(request.header("X-Azure-Functions-InvocationId", "mine").header("Content-Type", "text/plain")).await;
    assert_eq!(header(&seen, "x-a"), ["1, 2"]);
    assert_eq!(header(&seen, "cookie"), ["a=1; b=2"]);
    assert_eq!(header(&seen, "content-type"), ["text/plain"]);
    assert!(header(&seen, "content-encoding").is_empty() && header(&seen, "content-language").is_empty());
    assert!(header(&seen, "user-agent")[0].starts_with("test/1 Azure-Functions-Host/"));
    assert!(header(&seen, "x-azure-functions-invocationid")[0].starts_with("mine, "));
    assert_eq!(header(&seen, "host"), [site.host.url().trim_start_matches("http://")]);
}

#[tokio::test]
async fn requests_that_dotnet_cannot_send_never_reach_the_handler() {
    let site = Site::start().await;
    site.get("/api/echo").await;
    for kind in ["nonsense;;=", "application/json;"] {
        site.is_empty_500(site.request(Method::POST, "/api/echo").header("Content-Type", kind).body("text")).await;
    }
    site.is_empty_500(site.request(Method::GET, "/api/echo").header("X-A", "café")).await;
    let no_utf8 = site.request(Method::GET, "/api/echo").header("X-A", b"caf\xe9".as_slice()).send().await.expect("an answer");
    assert_eq!((no_utf8.status(), no_utf8.content_length()), (StatusCode::BAD_REQUEST, Some(0)));
    for framing in [
        "Transfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4;extension=1\r\ntext\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\ntext\r\n0\r\n\r\n",
    ] {
        let answer = site.raw(&format!("POST /api/echo HTTP/1.1\r\nHost: x\r\n{framing}GET /api/echo HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("\r\n\r\n"), "the only answer, to {framing:?}: {answer}");
    }
}

#[tokio::test]
async fn the_handler_is_not_told_that_a_caller_has_gone() {
    let site = Site::start().await;
    site.get("/api/echo").await;
    let mut caller = site.connect().await;
    caller.write_all(b"GET /api/misbehave/slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    // Long enough for the host to have passed it on, and less than the handler takes.
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(caller);
    eventually("the handler's end", || site.host.handler_log().iter().any(|line| line.text == "slow, and at its end")).await;
}

#[tokio::test]
async fn answers_come_back_buffered_with_their_headers() {
    let site = Site::start().await;
    let chunked = site.get("/api/misbehave/chunked").await;
    assert_eq!(chunked.headers()["content-length"], "7");
    assert_eq!(chunked.text().await.expect("a body"), "one two");
    assert_eq!(site.get("/api/misbehave/redirect").await.status(), StatusCode::FOUND);
    let answer = site.get("/api/misbehave/headers").await;
    let all = |name: &str| answer.headers().get_all(name).iter().map(|value| value.to_str().expect("ASCII")).collect::<Vec<_>>();
    assert_eq!(all("allow"), ["GET", "POST"]);
    assert_eq!(all("vary"), ["Origin", "Accept"]);
    assert_eq!(all("server"), ["Kestrel"]);
    assert_eq!(all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((all("x-custom"), all("x-host")), (vec!["the handler's"], vec!["yes"]));
    let head = site.request(Method::HEAD, "/api/misbehave/slow").send().await.expect("an answer");
    assert_eq!(head.headers()["content-length"], "13");
}

#[tokio::test]
async fn the_host_answers_some_requests_by_itself() {
    let site = Site::start().await;
    let home = site.get("/").await;
    assert_eq!((home.status(), home.headers()["content-type"].to_str().ok()), (StatusCode::OK, Some("text/html")));
    for (method, path, status) in [
        (Method::GET, "/elsewhere", StatusCode::NOT_FOUND),
        (Method::POST, "/api/nothing", StatusCode::NOT_FOUND),
        (Method::GET, "/admin/host/status", StatusCode::UNAUTHORIZED),
        (Method::GET, "/api/a%00b", StatusCode::BAD_REQUEST),
    ] {
        let answer = site.request(method, path).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.bytes().await.expect("a body").is_empty(), "{path}");
    }
    // A method that the folder lacks goes to the one that takes everything.
    assert_eq!(site.seen(site.request(Method::PUT, "/api/echo")).await["method"], "PUT");
}

#[tokio::test]
async fn a_crash_ends_requests_in_flight_and_the_next_is_held_for_the_new_process() {
    let site = Site::start().await;
    let before = site.seen(site.request(Method::GET, "/api/echo")).await;
    let in_flight = site.is_empty_500(site.request(Method::GET, "/api/misbehave/slow"));
    let crash = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        site.host.kill_handler();
    };
    tokio::join!(in_flight, crash);
    let after = site.seen(site.request(Method::GET, "/api/echo")).await;
    let port = |seen: &Value| seen["environment"]["FUNCTIONS_CUSTOMHANDLER_PORT"].clone();
    let worker = |seen: &Value| seen["environment"]["FUNCTIONS_HTTPWORKER_ID"].clone();
    assert_eq!(port(&before), port(&after));
    assert_ne!(worker(&before), worker(&after));
    assert_eq!(site.host.handler_starts(), 2);
}

#[tokio::test]
async fn the_third_crash_stops_the_host_and_asked_for_restarts_do_not_count() {
    let site = Site::start().await;
    for (starts, how) in ["exit-200", "exit-3", "exit-200", "exit-3", "exit-3"].into_iter().enumerate() {
        // A request that meets the old process just as it dies would not reach the new one.
        eventually("a new process", || site.host.handler_starts() == starts + 1).await;
        assert_eq!(site.misbehave(how).await, StatusCode::INTERNAL_SERVER_ERROR, "{how}");
    }
    eventually("the host gives up", || site.host.is_stopped()).await;
    let address = site.host.url().trim_start_matches("http://").to_owned();
    eventually("nobody listens any more", || std::net::TcpStream::connect(&address).is_err()).await;
    assert_eq!(site.host.handler_starts(), 5);
}

#[tokio::test]
async fn a_handler_that_exits_with_0_is_not_started_again() {
    let site = Site::start().await;
    assert_eq!(site.misbehave("exit-0").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.get("/api/echo").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.host.handler_starts(), 1);
    assert!(!site.host.is_stopped());
}

#[tokio::test]
async fn an_invocation_over_its_time_costs_the_handler_its_life() {
    let site = Site::start().await;
    site.is_empty_500(site.request(Method::GET, "/api/misbehave/hang")).await;
    site.seen(site.request(Method::GET, "/api/echo")).await;
    assert_eq!(site.host.handler_starts(), 2);
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_finish_and_kills_the_handler() {
    let site = Site::start().await;
    site.seen(site.request(Method::GET, "/api/echo")).await;
    let pid = site.host.handler_pid().expect("a process");
    let slow = tokio::spawn(site.request(Method::GET, "/api/misbehave/slow").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    site.host.stop().await;
    assert_eq!(slow.await.expect("no panic").expect("an answer").text().await.expect("a body"), "slow but sure");
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the handler is gone");
}

#[tokio::test]
async fn lines_have_the_level_of_their_stream() {
    let site = Site::start().await;
    assert_eq!(site.misbehave("lines").await, StatusCode::OK);
    let expected =
        [("to standard output", Level::Information), ("to standard error", Level::Error), ("a Warning to standard error", Level::Warning)];
    for (text, level) in expected {
        eventually(text, || site.host.handler_log().iter().any(|line| line.text == text && line.level == level)).await;
    }
}

#[tokio::test]
async fn keys_are_asked_for_only_when_enforced() {
    let folder = application();
    let guarded = folder.path().join("echo/function.json");
    let text = std::fs::read_to_string(&guarded).expect("a file").replace("anonymous", "function");
    std::fs::write(&guarded, text).expect("written");
    for (enforce_keys, status) in [(false, StatusCode::OK), (true, StatusCode::UNAUTHORIZED)] {
        let options = HostOptions { enforce_keys, ..HostOptions::new(folder.path()) };
        let host = FunctionsHost::start(options).await.expect("a host");
        let answer = reqwest::get(format!("{}/api/echo", host.url())).await.expect("an answer");
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn applications_that_the_host_would_refuse_are_refused() {
    for (name, route) in [("echo2", "echo"), ("2echo", "other"), ("host", "other"), ("other", "admin/x"), ("other", "users/{id:int}")] {
        let folder = application();
        function(folder.path(), name, route, &["get"]);
        assert!(FunctionsHost::start(HostOptions::new(folder.path())).await.is_err(), "{name} {route}");
    }
}
