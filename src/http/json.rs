//! Bodies: JSON of a known shape, of limited size, that arrives in time. Of a DELETE, ids may stand in the query instead:
//! proxies and client libraries drop such bodies.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::preference::split_unquoted;
use super::{ApiError, Capacity, ErrorCode, Fields, Query, surrogates};

/// Time in which a whole body must have arrived.
pub const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The shape of a route's body. Its fields are optional strings and the like, so that a missing one can be told by
/// name; unknown ones are refused by `deny_unknown_fields`.
pub trait RequestBody: DeserializeOwned + 'static {
    /// Largest body in bytes.
    const MAX_BYTES: usize = 16 * 1024;

    /// The fields that may stand in the query of a DELETE instead: ids, and never what is secret.
    fn ids(&mut self) -> Vec<(&'static str, &mut Option<String>)> {
        Vec::new()
    }
}

/// A body read and decoded.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: RequestBody> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared = check_head(request, T::MAX_BYTES);
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            declared?;
            Capacity::give_back(&request);
            let body = tokio::time::timeout(BODY_DEADLINE, read(payload, T::MAX_BYTES))
                .await
                .map_err(|late| ApiError::caused(ErrorCode::RequestTimeout, late))??;
            Capacity::take_place(&request)?;
            decode_of(&request, &body).map(Self)
        })
    }
}

/// Decodes a request's body. One that is missing is told apart from one of another type, however the request names its type.
fn decode_of<T: RequestBody>(request: &HttpRequest, body: &[u8]) -> Result<T, ApiError> {
    if !body.is_empty() && !is_json_type(request) {
        return Err(ErrorCode::UnsupportedMediaType.into());
    }
    if request.method() == Method::DELETE { decode_with_ids(request.query_string(), body) } else { decode(body) }
}

/// Decodes the body of a DELETE with the ids of its query, which may be all there is.
fn decode_with_ids<T: RequestBody>(query: &str, body: &[u8]) -> Result<T, ApiError> {
    let Ok(mut decoded) = decode::<T>(b"{}") else { return decode(body) };
    let names: Vec<&'static str> = decoded.ids().into_iter().map(|(name, _)| name).collect();
    if names.is_empty() {
        return decode(body);
    }
    let mut query = Query::parse(query, &names)?;
    let given: Vec<_> = names.into_iter().filter_map(|name| query.take(name).map(|id| (name, id))).collect();
    if given.is_empty() || !body.is_empty() {
        decoded = decode(body)?;
    }
    let mut fields = Fields::new();
    for (name, id) in decoded.ids() {
        let Some((_, in_query)) = given.iter().find(|(given, _)| *given == name) else { continue };
        if id.as_ref().is_some_and(|in_body| in_body != in_query) {
            fields.wrong(name, "is another one in the query");
        }
        *id = Some(in_query.clone());
    }
    fields.finish().map(|()| decoded)
}

/// Decodes an object. A decoder of a shape would take an array too, as the values of the fields in their order.
fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Err(ApiError::advised(ErrorCode::InvalidJson, "the body is missing"));
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::advised(ErrorCode::InvalidJson, "it must be an object such as {\"name\": \"value\"}"));
    }
    let read = |body: &[u8]| serde_json::from_slice(body).map_err(|error| ApiError::advised(ErrorCode::InvalidJson, advice_on(&error)));
    read(body).or_else(|error| match surrogates::replace(body) {
        Some((whole, broken)) => read(&whole).and_then(|_: T| Err(halves_in::<T>(&broken))),
        None => Err(error),
    })
}

/// The failure of texts with halves of characters. What decodes otherwise has no field but those of its shape.
fn halves_in<T: DeserializeOwned>(broken: &[String]) -> ApiError {
    let mut fields = Fields::new();
    for name in surrogates::field_names::<T>().iter().filter(|name| broken.iter().any(|broken| broken == **name)) {
        fields.wrong(name, "must not hold half a character (a surrogate without the other one)");
    }
    fields.into()
}

/// Refuses by the head what need not be read.
fn check_head(request: &HttpRequest, max_bytes: usize) -> Result<(), ApiError> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > 0) && !is_json_type(request) {
        return Err(ErrorCode::UnsupportedMediaType.into());
    }
    if length.is_some_and(|length| length > max_bytes as u64) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    Ok(())
}

fn is_json_type(request: &HttpRequest) -> bool {
    let headers = request.headers();
    !headers.contains_key(CONTENT_ENCODING) && headers.get(CONTENT_TYPE).is_some_and(|value| is_json(value.as_bytes()))
}

/// Whether a content type is `application/json`, with no charset or that of JSON (RFC 8259, 8.1). Other parameters mean nothing for
/// JSON, and an empty one is none (RFC 9110, 5.6.6).
fn is_json(content_type: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(content_type) else { return false };
    let mut parts = split_unquoted(text, ';').map(str::trim);
    let is_fine = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            ["utf-8", "utf8"].iter().any(|utf8| value.trim().trim_matches('"').eq_ignore_ascii_case(utf8))
        }
        Some((name, _)) => !name.trim().is_empty(),
        None => parameter.is_empty(),
    };
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) && parts.all(is_fine)
}

async fn read(mut payload: Payload, max_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::caused(ErrorCode::InvalidRequest, error.to_string()))?;
        if body.len() + chunk.len() > max_bytes {
            return Err(ErrorCode::PayloadTooLarge.into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What of a decoder's error may be told: of which kind and where. Its own text quotes what was sent.
fn advice_on(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        Category::Data => "an unknown or repeated field, or a value of another type",
        Category::Eof => "it ends too early",
        Category::Syntax | Category::Io => "a mistake in the syntax",
    };
    format!("{kind}, near line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(rename = "name")]
        _name: Option<String>,
    }

    #[test]
    fn a_mistake_is_told_by_its_kind_and_place_and_never_quoted() {
        for (body, advice) in [
            ("{\"secret\": \"x\"}", "an unknown or repeated field, or a value of another type, near line 1, column 9"),
            ("{\n\"name\": 71755}", "an unknown or repeated field, or a value of another type, near line 2, column 13"),
            ("{\"name\": \"secret", "it ends too early, near line 1, column 16"),
            ("{\"name\": secret}", "a mistake in the syntax, near line 1, column 10"),
            ("\"secret\"", "it must be an object such as {\"name\": \"value\"}"),
        ] {
            let error = decode::<Body>(body.as_bytes()).expect_err(body);
            assert_eq!(error.advice.as_deref(), Some(advice), "{body}");
            assert!(error.message().ends_with(advice));
        }
    }

    #[test]
    fn json_is_json_in_utf_8_and_nothing_else() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json;",
            "application/json ; ; charset = utf8;",
            "application/json; profile=\"a;b=c\"; odata.metadata=minimal",
        ] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ";",
            "text/json",
            "application/jsonp",
            "application/json; charset=latin1",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; q",
            "application/json; =x",
            "application/json, text/html",
        ] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
