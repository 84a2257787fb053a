//! What is refused before anything looks at it: oversized heads, paths that are no text, and more work than fits.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::{ApiError, ErrorCode, is_decodable};

/// Largest head in bytes: names, values and their separators.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers.
const MAX_HEADERS: usize = 64;
/// Largest address and query in bytes.
const MAX_URI_BYTES: usize = 2 * 1024;
const MAX_QUERY_BYTES: usize = 1024;
/// Largest `Authorization` header in bytes; a larger one is no token of ours.
const MAX_AUTHORIZATION_BYTES: usize = 4 * 1024;
/// Requests in work at once in a process.
const MAX_IN_WORK: usize = 512;
/// Paths that answer however busy the process is.
const ALWAYS_ADMITTED: [&str; 2] = ["/", "/api/health"];

/// The places for requests in work, shared by all workers.
#[derive(Clone)]
pub(super) struct Capacity(Arc<Semaphore>);

impl Default for Capacity {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_IN_WORK)))
    }
}

/// The middleware.
pub(super) async fn limit(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let place = match check_head(&request).and_then(|()| take_place(&request)) {
        Ok(place) => place,
        Err(refusal) => return Ok(request.error_response(refusal)),
    };
    let response = next.call(request).await;
    drop(place);
    response.map(ServiceResponse::map_into_boxed_body)
}

/// A place among the requests in work, for those that need one.
fn take_place(request: &ServiceRequest) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
    if ALWAYS_ADMITTED.contains(&request.path()) {
        return Ok(None);
    }
    let capacity = request.app_data::<web::Data<Capacity>>().map(|capacity| Arc::clone(&capacity.0));
    capacity.map(Semaphore::try_acquire_owned).transpose().map_err(|_full| ErrorCode::Overloaded.into())
}

fn check_head(request: &ServiceRequest) -> Result<(), ApiError> {
    let uri = request.uri();
    if uri.path().len() + request.query_string().len() > MAX_URI_BYTES || request.query_string().len() > MAX_QUERY_BYTES {
        return Err(ErrorCode::UriTooLong.into());
    }
    let headers = request.headers();
    if headers.len() > MAX_HEADERS || head_bytes(headers) > MAX_HEAD_BYTES {
        return Err(ErrorCode::HeadersTooLarge.into());
    }
    if headers.get(AUTHORIZATION).is_some_and(|value| value.len() > MAX_AUTHORIZATION_BYTES) {
        return Err(ApiError { token_sent: true, ..ErrorCode::Unauthorized.into() });
    }
    if is_decodable(uri.path()) { Ok(()) } else { Err(ErrorCode::InvalidPath.into()) }
}

/// `name: value\r\n` of every header.
fn head_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
