//! What is refused before anything looks at it: oversized heads, paths that are no text, and more work than fits.

use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::middleware::Next;

use crate::http::{ApiError, Capacity, ErrorCode, is_decodable};

/// Largest head in bytes: names, values and their separators.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most headers.
const MAX_HEADERS: usize = 64;
/// Largest address and query in bytes.
const MAX_URI_BYTES: usize = 2 * 1024;
const MAX_QUERY_BYTES: usize = 1024;
/// A search may name a hundred people by their ids.
const SEARCH: &str = "/api/users/search";
const MAX_SEARCH_QUERY_BYTES: usize = 4 * 1024;
/// Largest `Authorization` header in bytes; a larger one is no token of ours.
const MAX_AUTHORIZATION_BYTES: usize = 4 * 1024;
/// Paths that answer however busy the process is.
const ALWAYS_ADMITTED: [&str; 2] = ["/", "/api/health"];

/// The middleware.
pub(super) async fn limit(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    match check_head(&request).and_then(|()| admit(&request)) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

fn admit(request: &ServiceRequest) -> Result<(), ApiError> {
    if is_always_admitted(request.path()) { Ok(()) } else { Capacity::take_place(request.request()) }
}

/// Whether a path answers however busy the process is.
pub(super) fn is_always_admitted(path: &str) -> bool {
    ALWAYS_ADMITTED.contains(&path)
}

fn check_head(request: &ServiceRequest) -> Result<(), ApiError> {
    let uri = request.uri();
    let (path, query) = (uri.path().len(), request.query_string().len());
    let is_short =
        if uri.path() == SEARCH { query <= MAX_SEARCH_QUERY_BYTES } else { query <= MAX_QUERY_BYTES && path + query <= MAX_URI_BYTES };
    if !is_short {
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

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    async fn hanging() -> HttpResponse {
        std::future::pending().await
    }

    #[actix_web::test]
    async fn more_than_fits_is_refused_and_the_probe_is_not() {
        let app = App::new().app_data(web::Data::new(Capacity::default())).wrap(from_fn(limit));
        let app = app.route("/hanging", web::get().to(hanging)).default_service(web::to(HttpResponse::Ok));
        let app = init_service(app).await;
        let status_of = async |path: &str| call_service(&app, TestRequest::get().uri(path).to_request()).await.status();
        assert_eq!(status_of("/other").await, StatusCode::OK);
        let mut hanging: Vec<_> = (0..512).map(|_| Box::pin(status_of("/hanging"))).collect();
        for request in &mut hanging {
            assert!(futures_util::poll!(request).is_pending());
        }
        assert_eq!(status_of("/other").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status_of("/").await, StatusCode::OK);
    }
}
