//! What all routes have in common: the envelope for what is no route, headers, health, CORS, services, request ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_functions::gateway;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::client::{Answer, Client, Person};
use crate::context::{ALONE, Context};
use crate::support::server::Server;
use crate::tests;

tests!(Context:
    the_probe_answers_at_once in ALONE,
    health_names_the_store_and_the_version,
    what_is_no_route_is_not_found,
    another_method_is_told_with_the_ones_there_are,
    head_answers_as_get_without_the_body_and_never_waits,
    a_page_is_found_with_a_slash_at_its_end,
    every_answer_has_the_common_headers,
    a_client_may_name_its_request in ALONE,
    the_hosts_id_of_an_invocation_is_the_last_of_its_list in ALONE,
    path_tricks_reach_nothing,
    headers_that_claim_another_method_or_path_are_ignored,
    a_process_serves_the_services_it_was_told in &["sqlite"],
    configured_origins_may_call_and_no_others in &["sqlite"],
    pages_of_configured_origins_can_read_every_refusal in &["sqlite"],
    https_is_asked_for_where_people_come_by_it in &["sqlite"],
);

async fn the_probe_answers_at_once(context: Arc<Context>) {
    let answer = context.anonymous().get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/plain; charset=utf-8"));
    let is_logged = |line: &String| line.contains("\"route\":\"/\"");
    assert!(!context.log().iter().any(is_logged), "it comes too often to be noted");
}

async fn health_names_the_store_and_the_version(context: Arc<Context>) {
    let health = context.anonymous().get("/api/health").await.ok();
    let store = if context.environment().variables().iter().any(|(name, _)| name == "MONGODB_URI") { "mongodb" } else { "embedded" };
    assert_eq!(health, json!({ "status": "ok", "store": store, "version": env!("CARGO_PKG_VERSION") }));
}

async fn what_is_no_route_is_not_found(context: Arc<Context>) {
    let ann = context.person().await;
    for path in ["/api", "/api/", "/api/nothing", "/api/users", "/api/users/profile/x", "/api/chat/send/", "/api/auth/login.json"] {
        context.anonymous().get(path).await.fails(404, "not_found");
        ann.post(path, &json!({})).await.fails(404, "not_found");
    }
}

async fn another_method_is_told_with_the_ones_there_are(context: Arc<Context>) {
    let mut allowed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (method, path) in gateway::routes().into_iter().filter(|(_, path)| *path != "/") {
        let head = (method == "GET").then(|| "HEAD".to_owned());
        allowed.entry(path).or_default().extend([method.to_string()].into_iter().chain(head));
    }
    for (path, allowed) in allowed {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            if allowed.contains(&method.to_string()) {
                continue;
            }
            let answer = Answer::of(context.anonymous().request(method.clone(), path)).await;
            let lines = answer.headers.get_all("allow").iter().flat_map(|line| line.to_str().expect("ASCII").split(", "));
            assert_eq!(lines.collect::<Vec<_>>(), allowed, "{method} {path}");
            answer.fails(405, "method_not_allowed");
        }
        if !allowed.contains(&"HEAD".to_owned()) {
            let head = Answer::of(context.anonymous().request(Method::HEAD, path)).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (405, 0), "HEAD {path}");
        }
    }
}

async fn head_answers_as_get_without_the_body_and_never_waits(context: Arc<Context>) {
    let (ann, bob) = context.pair().await;
    ann.send(&bob, "hello").await.ok();
    let own =
        ["/api/chat/messages?limit=0".to_owned(), format!("/api/chat/messages?with={}&after=1", bob.id), "/api/chat/nothing".to_owned()];
    let reads = gateway::routes().into_iter().filter(|(method, path)| method == "GET" && (*path != "/" || context.is_alone()));
    // What differs from request to request: ids, times, and what is left of a limit.
    let comparable = |answer: &Answer| {
        let (status, mut headers, _) = answer.shape();
        headers.retain(|(name, _)| !name.starts_with("ratelimit"));
        (status, headers)
    };
    for path in reads.map(|(_, path)| path.to_owned()).chain(own) {
        for anonymous in [false, true] {
            let request = |method| if anonymous { context.anonymous().request(method, &path) } else { ann.request(method, &path) };
            let get = Answer::of(request(Method::GET)).await;
            let head = Answer::of(request(Method::HEAD).header("Prefer", "wait=25")).await;
            assert_eq!(comparable(&head), comparable(&get), "{path}");
            assert!(head.body.is_empty() && head.header("preference-applied").is_empty(), "{path}: {head:?}");
        }
    }
    let tag = ann.conversations_tag().await;
    let known = ann.request(Method::HEAD, "/api/chat/conversations").header("If-None-Match", tag);
    assert_eq!(Answer::of(known.header("Prefer", "wait=25")).await.status, StatusCode::NOT_MODIFIED);
}

async fn a_page_is_found_with_a_slash_at_its_end(context: Arc<Context>) {
    for page in ["/api/app", "/api/docs", "/api/auth/email", "/api/auth/password-reset"] {
        for method in [Method::GET, Method::HEAD] {
            let answer = Answer::of(context.anonymous().request(method, &format!("{page}/"))).await;
            assert_eq!((answer.status, answer.header("location")), (StatusCode::PERMANENT_REDIRECT, page));
        }
        Answer::of(context.anonymous().request(Method::PUT, &format!("{page}/"))).await.fails(404, "not_found");
    }
}

async fn every_answer_has_the_common_headers(context: Arc<Context>) {
    let ann = context.person().await;
    let answers = [
        ann.get("/api/users/profile").await,
        ann.get("/api/nothing").await,
        ann.put("/api/users/profile", &json!({})).await,
        context.anonymous().get("/api/users/profile").await,
        context.anonymous().get("/api/health").await,
        context.anonymous().get("/api/auth/login").await,
    ];
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("content-type", "application/json"),
    ];
    for answer in answers {
        for (name, value) in expected {
            assert_eq!(answer.header(name), value, "{name}: {answer:?}");
        }
        assert_eq!(answer.header("server"), if context.is_alone() { "" } else { "Kestrel" });
        for name in ["x-powered-by", "set-cookie", "content-encoding", "strict-transport-security", "access-control-allow-origin"] {
            assert_eq!(answer.header(name), "", "{name}: {answer:?}");
        }
    }
}

async fn request_with_id(context: &Context, name: &str, value: &str) -> String {
    let request = context.anonymous().request(Method::GET, "/api/nothing").header(name, value);
    let answer = Answer::of(request).await;
    let id = answer.header("x-request-id").to_owned();
    answer.fails(404, "not_found");
    id
}

async fn a_client_may_name_its_request(context: Arc<Context>) {
    assert_eq!(request_with_id(&context, "X-Request-Id", "mine.1_2-3").await, "mine.1_2-3");
    for bad in ["with space", &"x".repeat(65), "a,b", "quote\""] {
        let id = request_with_id(&context, "X-Request-Id", bad).await;
        assert!(id != bad && id.len() == 36, "{id}");
    }
}

async fn the_hosts_id_of_an_invocation_is_the_last_of_its_list(context: Arc<Context>) {
    assert_eq!(request_with_id(&context, "X-Azure-Functions-InvocationId", "forged, 0b1c-real").await, "0b1c-real");
}

async fn path_tricks_reach_nothing(context: Arc<Context>) {
    let ann = context.person().await;
    let tricks = [
        "/api//users/profile",
        "/api/users//profile",
        "/api/users/profile/",
        "/API/users/profile",
        "/api/Users/Profile",
        "/api/users%2Fprofile",
        "/api/users/profile;x=1",
        "/api/users/profile%20",
        "/api/users/profile%3F",
    ];
    for path in tricks {
        let status = ann.get(path).await.status.as_u16();
        assert!([200, 400, 404].contains(&status), "{path}: {status}");
        // Whatever a path means, without a token it gives nothing away.
        let status = context.anonymous().get(path).await.status.as_u16();
        assert!([400, 401, 404].contains(&status), "{path}: {status}");
    }
    for path in ["/api/users/%ff", "/api/users/%C0%AE"] {
        context.anonymous().get(path).await.fails(400, "invalid_path");
    }
    for path in ["/api/a%", "/api/a%zz"] {
        // The host makes a text of it: `%25`.
        let (status, code) = if context.is_alone() { (400, "invalid_path") } else { (404, "not_found") };
        context.anonymous().get(path).await.fails(status, code);
    }
}

async fn headers_that_claim_another_method_or_path_are_ignored(context: Arc<Context>) {
    let ann = context.person().await;
    for (name, value) in [
        ("X-HTTP-Method-Override", "PUT"),
        ("X-Method-Override", "DELETE"),
        ("X-Original-URL", "/api/auth/logout"),
        ("X-Rewrite-URL", "/api/auth/logout"),
        ("X-Forwarded-Prefix", "/other"),
    ] {
        let request = ann.request(Method::GET, "/api/users/profile").header(name, value);
        assert_eq!(Answer::of(request).await.ok()["id"], ann.id.as_str(), "{name}");
    }
}

async fn a_process_serves_the_services_it_was_told(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&context.environment().with("SERVICES", "auth,users"), folder.path()).expect("a server");
    let ann = Person::register(&Client::new(server.url())).await;
    ann.profile().await;
    ann.get("/api/chat/messages").await.fails(404, "not_found");
    ann.client.get("/api/health").await.ok();
}

async fn configured_origins_may_call_and_no_others(context: Arc<Context>) {
    const ORIGIN: &str = "https://app.example.com";
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&context.environment().with("CORS_ORIGINS", ORIGIN), folder.path()).expect("a server");
    let client = Client::new(server.url());
    let ask = async |origin: &str| {
        let preflight = client.request(Method::OPTIONS, "/api/users/profile").header("Origin", origin);
        let preflight = preflight.header("Access-Control-Request-Method", "PUT");
        let preflight = Answer::of(preflight.header("Access-Control-Request-Headers", "authorization, content-type")).await;
        (preflight, Answer::of(client.request(Method::GET, "/api/users/profile").header("Origin", origin)).await)
    };
    let (preflight, answer) = ask(ORIGIN).await;
    assert_eq!(preflight.status, StatusCode::OK, "{preflight:?}");
    for allowed in [&preflight, &answer] {
        assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
        assert_eq!(allowed.header("access-control-allow-credentials"), "");
        assert!(allowed.headers.get_all("vary").iter().any(|line| line.to_str().expect("ASCII").contains("Origin")), "{allowed:?}");
    }
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    for name in ["x-request-id", "x-next-cursor", "retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(exposed.split(',').any(|exposed| exposed.trim() == name), "{name}: {answer:?}");
    }
    answer.fails(401, "unauthorized");
    for other in
        ["null", "https://app.example.com.evil.com", "http://app.example.com", "https://APP.example.com:443", "https://example.com"]
    {
        let (preflight, answer) = ask(other).await;
        for refused in [preflight, answer] {
            assert_eq!(refused.header("access-control-allow-origin"), "", "{other}");
        }
    }
}

async fn pages_of_configured_origins_can_read_every_refusal(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    let environment = context.environment().with("CORS_ORIGINS", "https://App.Example.com:443, capacitor://localhost");
    let server = Server::start(&environment, folder.path()).expect("a server");
    let client = Client::new(server.url());
    let origins = [
        ("https://app.example.com", true),
        ("capacitor://localhost", true),
        ("https://other.example.com", false),
        ("capacitor://other", false),
    ];
    for (origin, is_allowed) in origins {
        let get = |path: &str| client.request(Method::GET, path).header("Origin", origin);
        for (request, status) in [
            (get(&format!("/api/health?{}", "x".repeat(1_025))), 414),
            (get("/api/health").header("X-Large", "x".repeat(16 * 1024)), 431),
            (get("/api/users/profile").bearer_auth("x".repeat(4_096)), 401),
            (get("/api/users/%ff"), 400),
            (get("/api/nothing"), 404),
            (client.request(Method::POST, "/api/auth/login").header("Origin", origin).body("{"), 415),
        ] {
            let answer = Answer::of(request).await;
            assert_eq!(answer.status.as_u16(), status, "{origin}: {answer:?}");
            let (readable_by, exposed) = (answer.header("access-control-allow-origin"), answer.header("access-control-expose-headers"));
            assert_eq!(readable_by, if is_allowed { origin } else { "" }, "{answer:?}");
            assert!(!is_allowed || exposed.to_lowercase().contains("retry-after"), "{answer:?}");
            let vary = answer.headers.get_all("vary").iter().any(|names| names.to_str().is_ok_and(|names| names.contains("Origin")));
            assert!(vary && answer.headers.get_all("access-control-allow-origin").iter().count() <= 1, "{answer:?}");
        }
    }
}

async fn https_is_asked_for_where_people_come_by_it(context: Arc<Context>) {
    let folder = tempfile::tempdir().expect("a folder");
    for (address, header) in [("https://chat.example.com", "max-age=31536000"), ("https://localhost:8443", "")] {
        let environment = context.environment().with("PUBLIC_BASE_URL", address);
        let server = Server::start(&environment, folder.path()).expect("a server");
        let answer = Client::new(server.url()).get("/api/health").await;
        assert_eq!(answer.header("strict-transport-security"), header, "{address}");
    }
}
