//! What goes on in the process, in numbers, for Prometheus to collect.
//!
//! They are told on a listener of their own, because they ask for no token: on loopback, where a collector of the same machine is.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::chat::WaitingRoom;
use crate::http::{ApiError, LimitReached};
use crate::identity::PasswordHasher;
use crate::mail::Mailer;
use crate::store::{Store, StoreError};

/// Upper bounds of the times that requests are counted by, in seconds: around what a read takes, a write, a hash, and what is too long.
const BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// What answers tell to requests that asked to wait for news.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers of a process. Clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

struct Numbers {
    registry: Registry,
    requests: Family<Answer, Counter>,
    seconds: Family<Endpoint, Histogram>,
    failures: Family<Failure, Counter>,
    limits: Family<Limit, Counter>,
    store_errors: Family<Kind, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: &'static str,
    route: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    method: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What has its numbers itself, and is asked for them when they are collected.
struct Gauges {
    store: Arc<dyn Store>,
    passwords: PasswordHasher,
    waiting_room: WaitingRoom,
    mailer: Mailer,
}

impl Metrics {
    /// Numbers that begin at nothing, and those of the parts of a process.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, passwords: PasswordHasher, waiting_room: WaitingRoom, mailer: Mailer) -> Self {
        let seconds = || Histogram::new(BUCKETS);
        let mut numbers = Numbers {
            registry: Registry::with_prefix("chat"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            failures: Family::default(),
            limits: Family::default(),
            store_errors: Family::default(),
        };
        let registry = &mut numbers.registry;
        registry.register("requests", "Requests that were answered", numbers.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time until the answer was ready, without requests that waited for news",
            Unit::Seconds,
            numbers.seconds.clone(),
        );
        registry.register("failures", "Answers that are the error envelope, by its code", numbers.failures.clone());
        registry.register("limits_reached", "Requests refused because something happened as often as it may", numbers.limits.clone());
        registry.register("store_errors", "Requests that failed because the store did", numbers.store_errors.clone());
        registry.register_collector(Box::new(Gauges { store, passwords, waiting_room, mailer }));
        Self(Arc::new(numbers))
    }

    /// Counts an answer. A route that does not exist is `-`.
    pub(super) fn count_answer(&self, method: &Method, route: &str, status: StatusCode, headers: &HeaderMap, time: Duration) {
        let (method, route) = (label_of(method), route.to_owned());
        self.0.requests.get_or_create(&Answer { method, route: route.clone(), status: status.as_str().to_owned() }).inc();
        if !headers.contains_key(PREFERENCE_APPLIED) {
            self.0.seconds.get_or_create(&Endpoint { method, route }).observe(time.as_secs_f64());
        }
    }

    /// Counts a failure by what it tells and by what caused it.
    pub(super) fn count_failure(&self, error: &ApiError) {
        self.0.failures.get_or_create(&Failure { code: error.code.as_str() }).inc();
        let Some(cause) = error.cause.as_deref() else { return };
        if let Some(LimitReached(limit)) = cause.downcast_ref() {
            self.0.limits.get_or_create(&Limit { limit }).inc();
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            self.0.store_errors.get_or_create(&Kind { kind: error.kind() }).inc();
        }
    }

    fn to_text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

/// The method as a label: clients can make up others without end.
fn label_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauges")
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let hashing = self.passwords.load();
        let gauges = [
            ("password_hashes_running", "Password hashes that are being computed", hashing.running),
            ("password_hashes_waiting", "Password hashes that wait for a core", hashing.waiting),
            ("polls_waiting", "Requests that wait for news", self.waiting_room.occupancy()),
            (
                "mail_relay_refusing",
                "1 while the mail server refuses mail whoever it goes to",
                usize::from(self.mailer.is_server_to_blame()),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let operations = ConstCounter::new(self.store.operations());
        let name = "store_operations";
        operations.encode(encoder.encode_descriptor(name, "Queries and commands of the database", None, operations.metric_type())?)
    }
}

/// Tells the numbers to whoever asks on a bound socket, until it is dropped.
pub fn serve_metrics(listener: TcpListener, metrics: Metrics) -> std::io::Result<Server> {
    let app = move || App::new().app_data(web::Data::new(metrics.clone())).route("/metrics", web::get().to(tell));
    Ok(HttpServer::new(app).workers(1).disable_signals().listen(listener)?.run())
}

async fn tell(metrics: web::Data<Metrics>) -> HttpResponse {
    metrics.to_text().map_or_else(
        |_unformattable| HttpResponse::InternalServerError().finish(),
        |text| HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PasswordCost;
    use crate::rate_limits::PollLimits;
    use crate::store::sqlite::SqliteStore;

    fn metrics(folder: &std::path::Path) -> Metrics {
        let store = SqliteStore::open(folder).expect("a store");
        let passwords = PasswordHasher::new(PasswordCost::LOWEST, 8, 4).expect("a hasher");
        Metrics::new(
            Arc::new(store),
            passwords,
            WaitingRoom::new(PollLimits { per_session: 1, per_user: 1, in_all: 1 }),
            Mailer::unavailable(),
        )
    }

    #[track_caller]
    fn assert_told(metrics: &Metrics, line: &str) {
        let text = metrics.to_text().expect("a text");
        assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    }

    #[test]
    fn a_failure_counts_by_its_code_and_by_what_caused_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = metrics(folder.path());
        metrics.count_failure(&StoreError::Overloaded.into());
        metrics.count_failure(&StoreError::unavailable("away").into());
        metrics.count_failure(&ApiError::rate_limited("search", 1));
        for line in [
            "chat_failures_total{code=\"overloaded\"} 1",
            "chat_failures_total{code=\"unavailable\"} 1",
            "chat_store_errors_total{kind=\"unavailable\"} 1",
            "chat_limits_reached_total{limit=\"search\"} 1",
        ] {
            assert_told(&metrics, line);
        }
    }

    #[test]
    fn made_up_methods_are_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = metrics(folder.path());
        for method in ["PROPFIND", "X1", "X2"] {
            let method = method.parse().expect("a method");
            metrics.count_answer(&method, "-", StatusCode::NOT_FOUND, &HeaderMap::new(), Duration::ZERO);
        }
        assert_told(&metrics, "chat_requests_total{method=\"other\",route=\"-\",status=\"404\"} 3");
    }
}
