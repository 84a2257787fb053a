//! Headers of answers in the document.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Ref, RefOr, Schema, Type};

use crate::http::text_schema;

const REQUEST_ID: &str = "X-Request-Id";
const LIMITS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];
const RETRY_AFTER: &str = "Retry-After";
const CHALLENGE: &str = "WWW-Authenticate";
const ALLOW: &str = "Allow";

/// Headers by their names.
pub(super) type Headers = BTreeMap<String, RefOr<Header>>;

/// What the document tells of each header that several answers have.
pub(super) fn all() -> Headers {
    let id = text_schema("1 to 64 letters, digits and . _ -", "0199f3c2-8b7a-7c1e-9d0a-5b6c7d8e9f01");
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).description(Some("Seconds.")).minimum(Some(1)).examples([5]);
    let headers = [
        header(REQUEST_ID, id, "The id of the request."),
        header(
            LIMITS[0],
            text_schema("A state.", "\"read\";r=99;t=1"),
            "How many requests are left (r), and in how many seconds all are again (t).",
        ),
        header(
            LIMITS[1],
            text_schema("A policy.", "\"read\";q=100;w=5"),
            "What the request counts towards: so many (q) in so many seconds (w).",
        ),
        header(RETRY_AFTER, seconds, "After how many seconds to try again."),
        header(CHALLENGE, text_schema("A challenge.", "Bearer realm=\"chat\""), "Asks for a token; with `error` when one was sent."),
        header(ALLOW, text_schema("Methods.", "GET, PUT"), "The methods that the route has."),
    ];
    headers.into()
}

/// Those of every answer; `is_counted` when the route counts towards a limit.
pub(super) fn of_every_answer(is_counted: bool) -> Headers {
    let limits = LIMITS.into_iter().filter(|_| is_counted);
    limits.chain([REQUEST_ID]).map(reference).collect()
}

/// Those of a failure with this status.
pub(super) fn of_failure(status: StatusCode) -> Headers {
    let own = match status {
        StatusCode::UNAUTHORIZED => Some(CHALLENGE),
        StatusCode::METHOD_NOT_ALLOWED => Some(ALLOW),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Some(RETRY_AFTER),
        _ => None,
    };
    of_every_answer(true).into_iter().chain(own.map(reference)).collect()
}

fn reference(name: &str) -> (String, RefOr<Header>) {
    (name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))))
}

fn header(name: &str, schema: impl Into<RefOr<Schema>>, description: &str) -> (String, RefOr<Header>) {
    (name.to_owned(), HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build().into())
}
