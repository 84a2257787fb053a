//! Whose pages may call the API: exact origins, without credentials, since tokens travel in a header that pages set themselves.
//!
//! The library answers preflights and marks the answers of handlers. What is refused before it, or fails on its way through it, is
//! marked by the outermost layer, so that a page can read every answer.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, HeaderMap, HeaderValue, ORIGIN, VARY};

/// How long a browser may keep the answer to a preflight, in seconds.
const PREFLIGHT_SECONDS: usize = 3_600;
/// Headers of answers that pages may read.
const EXPOSED_HEADERS: [&str; 9] = [
    "ETag",
    "Idempotency-Replayed",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Next-Cursor",
    "X-Request-Id",
];

/// The middleware that lets the pages of these origins call.
pub(super) fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allowed_headers(["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Prefer", "X-Request-Id"])
        .expose_headers(EXPOSED_HEADERS)
        .max_age(PREFLIGHT_SECONDS);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The origins whose pages may read answers.
pub(super) struct AllowedOrigins(Vec<String>);

/// Who may read an answer.
#[derive(Default)]
pub(super) enum Readers {
    /// There are no pages of other origins.
    #[default]
    NoPages,
    /// There are such pages, and the request is not from one of them.
    OtherPages,
    /// The request is from a page of this origin.
    Page(HeaderValue),
}

impl AllowedOrigins {
    pub(super) fn new(origins: &[String]) -> Self {
        Self(origins.to_vec())
    }

    /// Who may read the answer to a request.
    pub(super) fn readers_of(&self, headers: &HeaderMap) -> Readers {
        let origin = headers.get(ORIGIN).filter(|sent| self.0.iter().any(|allowed| allowed.as_bytes() == sent.as_bytes()));
        match origin {
            Some(origin) => Readers::Page(origin.clone()),
            None if self.0.is_empty() => Readers::NoPages,
            None => Readers::OtherPages,
        }
    }
}

impl Readers {
    /// Adds what an answer lacks.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if matches!(self, Self::NoPages) {
            return;
        }
        let varies = headers.get_all(VARY).any(|list| list.as_bytes().to_ascii_lowercase().windows(6).any(|name| name == b"origin"));
        if !varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Self::Page(origin) = self
            && !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
        {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if let Ok(names) = HeaderValue::from_str(&EXPOSED_HEADERS.join(", ")) {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;
    use crate::gateway::{answer, isolation};

    async fn panicking() -> HttpResponse {
        panic!("as a bug would")
    }

    #[actix_web::test]
    async fn a_page_can_read_the_answer_to_a_request_that_panicked() {
        const ORIGIN_OF_PAGE: &str = "https://app.example.com";
        let allowed = [ORIGIN_OF_PAGE.to_owned()];
        let app = App::new().app_data(web::Data::new(AllowedOrigins::new(&allowed))).route("/", web::get().to(panicking));
        let app = init_service(app.wrap(cors(&allowed)).wrap(from_fn(isolation::isolate)).wrap(from_fn(answer::answer))).await;
        for (origin, readable_by) in [(ORIGIN_OF_PAGE, Some(ORIGIN_OF_PAGE)), ("https://other.example.com", None)] {
            let request = TestRequest::get().insert_header((ORIGIN, origin)).to_request();
            let Err(error) = try_call_service(&app, request).await else { panic!("a panic ends as an error") };
            let answer = error.error_response();
            let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
            assert_eq!((answer.status().as_u16(), header(ACCESS_CONTROL_ALLOW_ORIGIN)), (500, readable_by));
            assert_eq!(header(ACCESS_CONTROL_EXPOSE_HEADERS).is_some(), readable_by.is_some());
            assert_eq!(header(VARY), Some("Origin"));
            let id = answer.headers().get("x-request-id").cloned().expect("an id");
            let body = to_bytes(answer.into_body()).await.unwrap_or_default();
            let envelope: serde_json::Value = serde_json::from_slice(&body).expect("the envelope");
            assert_eq!((&envelope["code"], &envelope["requestId"]), (&"internal".into(), &id.to_str().expect("text").into()));
        }
    }
}
