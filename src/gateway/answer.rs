//! The outermost layer: what all requests and all answers have in common.
//!
//! Gives the request its id, renders a failure as the one envelope, adds the common headers, writes the log line.

use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, web};
use serde::Serialize;

use super::request_id::{REQUEST_ID, RequestId};
use crate::http::{ApiError, ErrorCode};
use crate::identity::Caller;
use crate::logging;

/// Headers of every answer that does not set them itself.
const COMMON_HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];
/// A year, for servers that are reached by https.
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Whether answers tell browsers to come back by https only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hsts(pub bool);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    message: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    fields: &'a std::collections::BTreeMap<&'static str, String>,
}

/// The middleware.
pub(super) async fn answer(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let id = Rc::new(RequestId::of(request.headers()));
    request.extensions_mut().insert(Rc::clone(&id));
    let hsts = request.app_data::<web::Data<Hsts>>().is_some_and(|hsts| hsts.0);
    let http_request = request.request().clone();
    let mut response = match next.call(request).await {
        Ok(response) => response.map_into_boxed_body(),
        Err(error) => ServiceResponse::from_err(error, http_request),
    };
    let failure = response.response().error().map(|error| {
        let error = Failure::of(error);
        (render(error.as_ref(), &id.0, response.response().headers()), Told::of(error.as_ref()))
    });
    let mut told = None;
    if let Some((rendered, of_failure)) = failure {
        response = response.into_response(rendered);
        told = Some(of_failure);
    }
    add_common_headers(response.headers_mut(), &id.0, hsts);
    write_log_line(&response, told.as_ref(), &id.0, begun);
    Ok(response)
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
    if error.code == ErrorCode::Unauthorized {
        let hint = if error.token_sent { ", error=\"invalid_token\"" } else { "" };
        answer.insert_header((WWW_AUTHENTICATE, format!("Bearer realm=\"chat\"{hint}")));
    }
    if error.closes_connection() {
        answer.insert_header((CONNECTION, "close")).force_close();
    }
    answer.json(Envelope { message: error.code.message(), code: error.code.as_str(), request_id, fields: &error.fields })
}

fn add_common_headers(headers: &mut HeaderMap, request_id: &str, hsts: bool) {
    let hsts = hsts.then_some((STRICT_TRANSPORT_SECURITY, HSTS));
    for (name, value) in COMMON_HEADERS.into_iter().chain(hsts) {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
}

/// One line a request, with the template of its route and not its path, which may hold what people typed. The
/// readiness probe is too frequent to be told.
fn write_log_line(response: &ServiceResponse<BoxBody>, failure: Option<&Told>, request_id: &str, begun: Instant) {
    let request = response.request();
    let route = request.match_pattern().unwrap_or_else(|| "-".to_owned());
    if route == "/" {
        return;
    }
    let status = response.status();
    let level = if status.is_server_error() { log::Level::Error } else { log::Level::Info };
    let user = request.extensions().get::<Caller>().map(|caller| caller.0.to_string());
    let millis = (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    let method = request.method().as_str();
    log::log!(
        level,
        event = "request",
        request_id,
        method,
        route = route.as_str(),
        status = status.as_u16(),
        ms = millis,
        user = user.as_deref().unwrap_or("-"),
        net = request.peer_addr().map_or_else(|| "-".to_owned(), |peer| net_of(peer.ip())),
        code = failure.map_or("-", |failure| failure.code),
        cause = failure.map_or("-", |failure| failure.cause.as_str());
        "{method} {route} {} in {millis:.1} ms", status.as_u16()
    );
}

/// The part of an address that stands for one client: an IPv4 address, or the first 64 bits of an IPv6 one.
fn net_of(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
