//! The outermost layer: what all requests and all answers have in common.
//!
//! Gives the request its id, renders a failure as the one envelope, adds the common headers, counts, writes the log line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::cors::{AllowedOrigins, Readers};
use super::metrics::Metrics;
use super::request_id::{self, REQUEST_ID};
use crate::domain::{Net, UserId};
use crate::http::{ApiError, ErrorCode, RequestId};
use crate::identity::Caller;
use crate::logging;
use crate::rate_limits::{ClientNet, RateLimits};

/// Headers of every answer that does not set them itself.
const COMMON_HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];
/// A year, for servers that are reached by https. Other hosts of the same owner are none of ours.
const HSTS: &str = "max-age=31536000";

/// Whether answers tell browsers to come back by https only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hsts(pub bool);

/// What every failure is answered with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub(super) struct Envelope<'a> {
    /// A sentence for a person.
    #[schema(examples("The request breaks a rule; see fields"))]
    pub(super) message: &'a str,
    #[schema(value_type = ErrorCode)]
    pub(super) code: &'static str,
    /// The id of the request, as in the header `X-Request-Id`.
    #[schema(examples("0199f3c2-8b7a-7c1e-9d0a-5b6c7d8e9f01"))]
    pub(super) request_id: &'a str,
    /// Which rule each field breaks, when something in the request broke one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub(super) fields: &'a BTreeMap<&'static str, String>,
}

/// What is told of a request; taken before the request is given away.
struct Asked {
    begun: Instant,
    id: String,
    method: Method,
    /// The template of the route and not the path, which may hold what people typed.
    route: Option<String>,
    net: Net,
    hsts: bool,
    readers: Readers,
    metrics: Option<Metrics>,
}

impl Asked {
    fn of(request: &ServiceRequest) -> Self {
        Self {
            begun: Instant::now(),
            id: request_id::of(request.headers()),
            method: request.method().clone(),
            route: request.match_pattern(),
            net: net_of(request),
            hsts: request.app_data::<web::Data<Hsts>>().is_some_and(|hsts| hsts.0),
            readers: request
                .app_data::<web::Data<AllowedOrigins>>()
                .map(|allowed| allowed.readers_of(request.headers()))
                .unwrap_or_default(),
            metrics: request.app_data::<web::Data<Option<Metrics>>>().and_then(|metrics| metrics.as_ref().clone()),
        }
    }
}

impl Asked {
    /// Counts a failure, and gives what the log line is to tell of it.
    fn note_failure(&self, error: &ApiError) -> Told {
        if let Some(metrics) = &self.metrics {
            metrics.count_failure(error);
        }
        Told::of(error)
    }

    /// Counts the answer and writes its log line.
    fn note_answer<B>(&self, answer: &HttpResponse<B>, user: Option<UserId>, failure: Option<&Told>) {
        let time = self.begun.elapsed();
        let route = self.route.as_deref().unwrap_or("-");
        if let Some(metrics) = &self.metrics {
            metrics.count_answer(&self.method, route, answer.status(), answer.headers(), time);
        }
        // The readiness probe comes too often.
        if route != "/" {
            self.write_log_line(route, answer.status(), time, user, failure);
        }
    }

    fn write_log_line(&self, route: &str, status: StatusCode, time: Duration, user: Option<UserId>, failure: Option<&Told>) {
        let level = if status.is_server_error() { log::Level::Error } else { log::Level::Info };
        let millis = (time.as_secs_f64() * 1e6).round() / 1e3;
        let (method, status) = (self.method.as_str(), status.as_u16());
        log::log!(
            level,
            event = "request",
            request_id = self.id.as_str(),
            method,
            route,
            status,
            ms = millis,
            user = user.map_or_else(|| "-".to_owned(), |user| user.to_string()).as_str(),
            net:display = self.net,
            code = failure.map_or("-", |failure| failure.code),
            cause = failure.map_or("-", |failure| failure.cause.as_str());
            "{method} {route} {status} in {millis:.1} ms"
        );
    }
}

/// The middleware.
pub(super) async fn answer(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = Asked::of(&request);
    request.extensions_mut().insert(RequestId(asked.id.clone()));
    request.extensions_mut().insert(ClientNet(asked.net));
    match next.call(request).await {
        Ok(response) => Ok(finish(&asked, response.map_into_boxed_body())),
        Err(error) => Err(finish_without_request(&asked, &error)),
    }
}

fn finish(asked: &Asked, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let failure = response.response().error().map(Failure::of);
    let told = failure.as_ref().map(|failure| asked.note_failure(failure.as_ref()));
    if let Some(rendered) = failure.map(|failure| render(failure.as_ref(), &asked.id, response.headers())) {
        response = response.into_response(rendered);
    }
    add_common_headers(response.headers_mut(), asked);
    let response = paced(response);
    let user = response.request().extensions().get::<Caller>().map(|caller| caller.0);
    asked.note_answer(response.response(), user, told.as_ref());
    response
}

/// An answer without a body waits, as others do, until what was answered before it on its connection is taken. The framework asks
/// bodies alone whether they wait: without one a client that reads nothing and goes on asking could make it keep any number of heads.
fn paced(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !response.response().body().size().is_eof() {
        return response;
    }
    // Such an answer has no body by its status; the others end with an empty chunk.
    let has_none = response.status() == StatusCode::NOT_MODIFIED;
    response.response_mut().head_mut().no_chunking(has_none);
    response.map_body(|_, _| BoxBody::new(BodyStream::new(futures_util::stream::empty::<Result<Bytes, Error>>())))
}

/// A request that panicked or took too long is gone; its answer travels inside an error.
fn finish_without_request(asked: &Asked, error: &Error) -> Error {
    let failure = Failure::of(error);
    let mut rendered = render(failure.as_ref(), &asked.id, &HeaderMap::new());
    add_common_headers(rendered.headers_mut(), asked);
    asked.note_answer(&rendered, None, Some(&asked.note_failure(failure.as_ref())));
    InternalError::from_response(failure.as_ref().to_string(), rendered).into()
}

/// A failure, ours as it is; one of the framework by its status.
enum Failure<'a> {
    Ours(&'a ApiError),
    Framework(Box<ApiError>),
}

impl AsRef<ApiError> for Failure<'_> {
    fn as_ref(&self) -> &ApiError {
        match self {
            Self::Ours(error) => error,
            Self::Framework(error) => error,
        }
    }
}

impl<'a> Failure<'a> {
    fn of(error: &'a Error) -> Self {
        if let Some(ours) = error.as_error::<ApiError>() {
            return Self::Ours(ours);
        }
        let code = match error.as_response_error().status_code() {
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
            status if status.is_client_error() => ErrorCode::InvalidRequest,
            _ => ErrorCode::Internal,
        };
        Self::Framework(Box::new(ApiError::caused(code, error.to_string())))
    }
}

/// What the log line tells of a failure.
struct Told {
    code: &'static str,
    cause: String,
}

impl Told {
    fn of(error: &ApiError) -> Self {
        let cause = error.cause.as_deref().map_or_else(|| "-".to_owned(), |cause| logging::causes(cause));
        Self { code: error.code.as_str(), cause }
    }
}

fn render(error: &ApiError, request_id: &str, set_before: &HeaderMap) -> HttpResponse {
    let mut answer = HttpResponse::build(error.code.status());
    for header in set_before {
        answer.append_header(header);
    }
    if let Some(seconds) = error.retry_after_seconds() {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    if let Some(allow) = &error.allow {
        answer.insert_header((ALLOW, allow.as_str()));
    }
    if error.code.status() == StatusCode::UNAUTHORIZED {
        let hint = if error.token_sent { ", error=\"invalid_token\"" } else { "" };
        answer.insert_header((WWW_AUTHENTICATE, format!("Bearer realm=\"chat\"{hint}")));
    }
    if error.closes_connection() {
        answer.insert_header((CONNECTION, "close")).force_close();
    }
    answer.json(Envelope { message: &error.message(), code: error.code.as_str(), request_id, fields: &error.fields })
}

fn add_common_headers(headers: &mut HeaderMap, asked: &Asked) {
    let hsts = asked.hsts.then_some((STRICT_TRANSPORT_SECURITY, HSTS));
    for (name, value) in COMMON_HEADERS.into_iter().chain(hsts) {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&asked.id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    asked.readers.add_to(headers);
}

/// Found once, so that the log, the limits and the handlers speak of the same client.
fn net_of(request: &ServiceRequest) -> Net {
    let peer = request.peer_addr().map(|peer| peer.ip());
    request.app_data::<web::Data<RateLimits>>().map_or(Net::Unknown, |limits| limits.net_of(peer, request.headers()))
}
