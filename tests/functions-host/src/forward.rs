//! What the handler is told of a request, and what the caller gets of its answer: neither is quite what was said.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use uuid::Uuid;

use crate::percent;

/// How the host names itself.
const HOST_VERSION: &str = "4.1037.0.0";
/// Headers that .NET counts to the body and the host does not pass on (`Content-Length` and `Content-Type` go with a body).
const DROPPED: [HeaderName; 9] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LOCATION,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::ALLOW,
];
/// Headers of one connection, or that the client library writes itself.
const OF_CONNECTION: [HeaderName; 4] = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE];

/// A path and query as the host forwards them.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    pub path: String,
    pub query: String,
}

/// Rewrites a path and query; `None` for what the host refuses.
pub fn target(path: &str, query: &str) -> Option<Target> {
    if path.contains("%00") {
        return None;
    }
    let path = percent::escape_bare(path).replace('\\', "/").replace("%2e", ".").replace("%2E", ".");
    let (path, query) = match cut(&path) {
        Some((path, keeps_query)) => (path, if keeps_query { query } else { "" }),
        None => (path, query),
    };
    Some(Target { path: without_dots(&path), query: rebuilt_query(query) })
}

/// An escaped question mark or hash in the path ends it; the latter takes the query along.
fn cut(path: &str) -> Option<(String, bool)> {
    let upper = path.to_ascii_uppercase();
    let (question, hash) = (upper.find("%3F"), upper.find("%23"));
    let at = question.into_iter().chain(hash).min()?;
    Some((path[..at].to_owned(), hash != Some(at)))
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// Decodes and encodes the query. Keys that are equal but for case become one, with the values joined by commas.
fn rebuilt_query(query: &str) -> String {
    let mut pairs: Vec<(String, Vec<String>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| percent::decode(&text.replace('+', " "), "");
        let (key, value) = (decoded(key), percent::encode(&decoded(value)));
        match pairs.iter_mut().find(|(present, _)| present.eq_ignore_ascii_case(&key)) {
            Some((_, values)) => values.push(value),
            None => pairs.push((key, vec![value])),
        }
    }
    let joined: Vec<_> = pairs.iter().map(|(key, values)| format!("{}={}", percent::encode(key), values.join(","))).collect();
    joined.join("&")
}

/// The headers for the handler: each name once, with the host's own added.
pub fn headers(sent: &HeaderMap, has_body: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut forwarded = Vec::new();
    for name in sent.keys() {
        let is_type_without_body = *name == header::CONTENT_TYPE && !has_body;
        if DROPPED.contains(name) || OF_CONNECTION.contains(name) || is_type_without_body {
            continue;
        }
        let separator: &[u8] = if *name == header::COOKIE { b"; " } else { b", " };
        let lines: Vec<&[u8]> = sent.get_all(name).map(HeaderValue::as_bytes).collect();
        forwarded.push((name.clone(), lines.join(separator)));
    }
    append(&mut forwarded, HeaderName::from_static("x-azure-functions-invocationid"), b", ", Uuid::new_v4().to_string());
    append(&mut forwarded, HeaderName::from_static("x-azure-functions-hostversion"), b", ", HOST_VERSION.to_owned());
    append(&mut forwarded, header::USER_AGENT, b" ", format!("Azure-Functions-Host/{HOST_VERSION}"));
    forwarded.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(&value).ok()?))).collect()
}

/// Adds a value behind what the client sent under that name.
fn append(headers: &mut Vec<(HeaderName, Vec<u8>)>, name: HeaderName, separator: &[u8], value: String) {
    match headers.iter_mut().find(|(present, _)| *present == name) {
        Some((_, present)) => *present = [present, separator, value.as_bytes()].concat(),
        None => headers.push((name, value.into_bytes())),
    }
}

/// What the host says to headers that it cannot read or .NET cannot send on; such a request never reaches the handler.
pub fn refusal_of_headers(sent: &HeaderMap) -> Option<StatusCode> {
    let values = || sent.iter().map(|(_, value)| value.as_bytes());
    if values().any(|value| std::str::from_utf8(value).is_err()) {
        return Some(StatusCode::BAD_REQUEST);
    }
    (!values().all(<[u8]>::is_ascii)).then_some(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether .NET can read a content type, of which no parameter may be empty; a request with a body and another one never leaves the host.
pub fn is_content_type(value: &HeaderValue) -> bool {
    let is_token =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte));
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let is_type = parts.next().and_then(|kind| kind.split_once('/')).is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type && parts.all(|parameter| is_token(parameter.split('=').next().unwrap_or_default().trim()))
}

/// The headers for the caller: those of the handler but for the ones of its connection, and the host's own where the
/// handler set none. What `Allow` and `Vary` list comes one a line.
pub fn answer_headers(answered: &reqwest::header::HeaderMap, custom: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let missing = custom.iter().filter(|(name, _)| !answered.contains_key(name));
    let mut headers: Vec<_> = missing.map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    for (name, value) in answered {
        let (name, value) = (name.as_str(), value.as_bytes());
        if OF_CONNECTION.iter().any(|own| own.as_str() == name) {
            continue;
        }
        if [header::ALLOW.as_str(), header::VARY.as_str()].contains(&name) {
            headers.extend(value.split(|byte| *byte == b',').map(|listed| (name.to_owned(), listed.trim_ascii().to_vec())));
        } else {
            headers.push((name.to_owned(), value.to_vec()));
        }
    }
    headers
}

/// Whether the length that the handler named is that of a body that does not come.
pub fn has_no_body(method: &Method, status: u16) -> bool {
    *method == Method::HEAD || status == 304 || status == 204
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_rebuilt_with_repeated_keys_joined() {
        assert_eq!(rebuilt_query("q=a+b&q=2&Q=3&flag&e=%C3%A9&p=%2B"), "q=a%20b,2,3&flag=&e=%C3%A9&p=%2B");
    }

    #[test]
    fn a_path_keeps_its_escapes_and_loses_its_dots() {
        let path = |path| target(path, "x=1").map(|target| format!("{}?{}", target.path, target.query));
        assert_eq!(path("/api/a%2Fb%25%C3%A9%C0%AE//c").as_deref(), Some("/api/a%2Fb%25%C3%A9%C0%AE//c?x=1"));
        assert_eq!(path("/api/a/../b/%2e%2E/c").as_deref(), Some("/api/c?x=1"));
        assert_eq!(path("/api/a%3Fb").as_deref(), Some("/api/a?x=1"));
        assert_eq!(path("/api/a%23b").as_deref(), Some("/api/a?"));
        assert_eq!(path("/api/a%00b"), None);
        assert_eq!(path("/api/a%/%zz/%f").as_deref(), Some("/api/a%25/%25zz/%25f?x=1"));
    }

    #[test]
    fn content_types_are_read_as_dotnet_does() {
        for good in ["application/json; charset=utf-8", "application/json;charset=utf8", "text/plain"] {
            assert!(is_content_type(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in ["application/json;", "application/json;;charset=utf-8", "nonsense;;=", "a/", ""] {
            assert!(!is_content_type(&HeaderValue::from_static(bad)), "{bad}");
        }
    }
}
