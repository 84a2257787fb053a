//! The metrics: they count what happened, on a listener of their own.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::client::{Client, Person};
use crate::context::{ALONE, Context};
use crate::support::metrics::Metrics;
use crate::support::server::{Environment, Server};
use crate::tests;

tests!(Context:
    answers_and_failures_are_counted_by_route in ALONE,
    polls_are_told_as_long_as_they_wait_and_their_time_is_none_of_a_request in ALONE,
    a_limit_that_was_reached_is_counted_by_its_name in ALONE,
    metrics_are_told_nowhere_else in ALONE,
);

/// A server that tells its metrics.
struct Counted {
    server: Server,
    metrics: Metrics,
    _folder: TempDir,
}

impl Counted {
    async fn start(context: &Context, settings: impl FnOnce(Environment) -> Environment) -> Self {
        let (environment, metrics) = Metrics::of(context.environment());
        let (folder, server) = context.instance_with(settings(environment)).await;
        Self { server, metrics, _folder: folder }
    }

    async fn person(&self) -> Person {
        Person::register(&Client::new(self.server.url())).await
    }

    async fn assert_value(&self, series: &str, expected: f64) {
        let actual = self.metrics.value(series).await;
        assert!((actual - expected).abs() < 0.5, "{series}: {actual} and not {expected}");
    }
}

async fn answers_and_failures_are_counted_by_route(context: Arc<Context>) {
    let counted = Counted::start(&context, |environment| environment).await;
    let ann = counted.person().await;
    for _ in 0..3 {
        ann.get("/api/users/profile").await.ok();
    }
    ann.client.get("/api/users/profile").await.fails(401, "unauthorized");
    ann.get("/api/users/profile/made-up-by-a-client").await.fails(404, "not_found");
    counted.assert_value(r#"chat_requests_total{method="GET",route="/api/users/profile",status="200"}"#, 3.0).await;
    counted.assert_value(r#"chat_requests_total{method="GET",route="/api/users/profile",status="401"}"#, 1.0).await;
    counted.assert_value(r#"chat_requests_total{method="GET",route="-",status="404"}"#, 1.0).await;
    counted.assert_value(r#"chat_request_duration_seconds_count{method="GET",route="/api/users/profile"}"#, 4.0).await;
    counted.assert_value(r#"chat_request_duration_seconds_bucket{le="5.0",method="GET",route="/api/users/profile"}"#, 4.0).await;
    counted.assert_value(r#"chat_failures_total{code="unauthorized"}"#, 1.0).await;
    assert!(counted.metrics.value("chat_store_operations_total").await >= 3.0);
    counted.assert_value("chat_password_hashes_running", 0.0).await;
    counted.assert_value("chat_password_hashes_waiting", 0.0).await;
    let text = counted.metrics.text().await;
    assert!(!text.contains("made-up") && !text.contains(&ann.id) && !text.contains(&ann.username), "{text}");
}

async fn polls_are_told_as_long_as_they_wait_and_their_time_is_none_of_a_request(context: Arc<Context>) {
    let counted = Counted::start(&context, |environment| environment).await;
    let (ann, bob) = (counted.person().await, counted.person().await);
    let waiting = tokio::spawn({
        let (ann, bob) = (ann.clone(), bob.clone());
        async move { ann.poll_messages(&bob, 0, 20).await.ok() }
    });
    while counted.metrics.polls_waiting().await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bob.send(&ann, "hello").await.ok();
    waiting.await.expect("news");
    counted.assert_value("chat_polls_waiting", 0.0).await;
    counted.assert_value(r#"chat_requests_total{method="GET",route="/api/chat/messages",status="200"}"#, 1.0).await;
    counted.assert_value(r#"chat_request_duration_seconds_count{method="GET",route="/api/chat/messages"}"#, 0.0).await;
}

async fn a_limit_that_was_reached_is_counted_by_its_name(context: Arc<Context>) {
    // With MongoDB, registrations are counted together with those of other tests.
    let limits = [("LIMITS", "on"), ("LIMIT_SEARCH", "1/1m"), ("LIMIT_REGISTER", "1000/1h")];
    let with_limits =
        |environment| limits.iter().fold(environment, |environment: Environment, (name, value)| environment.with(name, *value));
    let counted = Counted::start(&context, with_limits).await;
    let ann = counted.person().await;
    ann.get("/api/users/search?username=ann").await.ok();
    ann.get("/api/users/search?username=ann").await.fails(429, "rate_limited");
    counted.assert_value(r#"chat_limits_reached_total{limit="search"}"#, 1.0).await;
    counted.assert_value(r#"chat_failures_total{code="rate_limited"}"#, 1.0).await;
}

async fn metrics_are_told_nowhere_else(context: Arc<Context>) {
    let counted = Counted::start(&context, |environment| environment).await;
    let anonymous = Client::new(counted.server.url());
    anonymous.get("/metrics").await.fails(404, "not_found");
    let metrics = Client::new(counted.metrics.url.trim_end_matches("/metrics"));
    for path in ["/", "/api/health"] {
        assert_eq!(metrics.request(Method::GET, path).send().await.expect("an answer").status().as_u16(), 404);
    }
    assert_eq!(metrics.request(Method::POST, "/metrics").json(&json!({})).send().await.expect("an answer").status().as_u16(), 404);
    counted.server.stop().await;
    assert!(reqwest::get(&counted.metrics.url).await.is_err(), "its listener ends with the server");
}
