//! Answers with an entity tag (RFC 9110, 8.8.3), by which a client that has one asks whether there is another.

use actix_web::http::header::{ETag, EntityTag, IF_NONE_MATCH};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::{ApiError, ErrorCode, optional, text_schema};

/// What stands for every tag.
const ANY: &str = "*";
/// Bytes of a hash that make a tag: enough for no two answers to share one by chance.
const TAG_BYTES: usize = 16;

/// An answer in JSON with its tag, which is made of its bytes. Clones share them.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// `None` once it is known that the client has it: who waits for another answer keeps the tag of this one and no bytes.
    body: Option<Bytes>,
    tag: EntityTag,
}

/// Codings by which servers in between compress an answer. Those that do so add the coding to the tag.
const CODINGS: [&str; 8] = ["gzip", "x-gzip", "deflate", "br", "brotli", "zstd", "bzip2", "compress"];

/// The tags of the answers that a client has.
#[derive(Debug)]
pub struct KnownTags(Vec<String>);

impl Tagged {
    /// Writes an answer.
    pub fn new(answer: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(answer).map_err(|error| ApiError::caused(ErrorCode::Internal, error))?;
        let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..TAG_BYTES]));
        Ok(Self { body: Some(body.into()), tag })
    }

    /// The same for a client that has these: of an answer that is among them only the tag is left.
    #[must_use]
    pub fn unless_known(self, known: Option<&KnownTags>) -> Self {
        let is_known = known.is_some_and(|known| self.is_among(known));
        Self { body: self.body.filter(|_| !is_known), ..self }
    }

    /// Whether the client lacks it.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.body.is_some()
    }

    /// Whether it is one of those that a client has.
    fn is_among(&self, known: &KnownTags) -> bool {
        known.0.iter().any(|tag| tag == ANY || tag.strip_prefix(self.tag.tag()).is_some_and(is_mark_of_coding))
    }

    /// 200 with the answer, or 304 when the client has it. `finish` adds further headers.
    pub fn respond(self, finish: impl FnOnce(&mut HttpResponseBuilder)) -> HttpResponse {
        let mut response = if self.is_news() { HttpResponse::Ok() } else { HttpResponse::NotModified() };
        response.insert_header(ETag(self.tag));
        finish(&mut response);
        match self.body {
            Some(body) => response.content_type("application/json").body(body),
            None => response.finish(),
        }
    }
}

impl KnownTags {
    /// What the header `If-None-Match` says (RFC 9110, 13.1.2). What of it is malformed says nothing, which at worst gets an answer
    /// that the client has.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let mut lists = request.headers().get_all(IF_NONE_MATCH).peekable();
        lists.peek()?;
        Some(Self(lists.filter_map(|list| list.to_str().ok()).flat_map(read_list).collect()))
    }
}

/// The tags of a list without their quotation marks, weak or not: the comparison is the weak one. A tag may hold commas.
fn read_list(list: &str) -> Vec<String> {
    if list.trim() == ANY {
        return vec![ANY.to_owned()];
    }
    let tag = |element: &str| {
        let element = element.trim();
        let (opaque, behind) = element.strip_prefix("W/").unwrap_or(element).strip_prefix('"')?.rsplit_once('"')?;
        // Some compressors write their mark behind the quotation mark.
        Some(format!("{opaque}{behind}"))
    };
    let mut quoted = false;
    let elements = list.split(move |character| {
        quoted ^= character == '"';
        !quoted && character == ','
    });
    // `*` is one of its own, and no tag.
    elements.filter_map(tag).filter(|tag| tag != ANY).collect()
}

/// Whether this is nothing, or what is added to a tag for a coding: `-gzip` by Apache, lighttpd and Caddy, `--gzip` by Jetty, `;gzip`
/// and `:gzip` by others.
fn is_mark_of_coding(suffix: &str) -> bool {
    let coding = suffix.trim_start_matches(['-', ';', ':', '.', '+', '/']);
    suffix.is_empty() || coding.len() < suffix.len() && CODINGS.iter().any(|known| known.eq_ignore_ascii_case(coding))
}

impl IntoParams for KnownTags {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let value = text_schema("Entity tags, or `*`.", "\"q7Lr0bVY2d5nXo3KcT9wJ1\"");
        vec![optional("If-None-Match", ParameterIn::Header, value, "The `ETag` of the answer that the client has.")]
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;

    use super::*;

    fn known(header: &str) -> Option<KnownTags> {
        KnownTags::of(&TestRequest::get().insert_header(("If-None-Match", header)).to_http_request())
    }

    #[test]
    fn an_answer_is_known_by_its_tag_only() {
        let (answer, other) = (Tagged::new(&"hello").expect("JSON"), Tagged::new(&"hullo").expect("JSON"));
        let (tag, other) = (answer.tag.to_string(), other.tag.to_string());
        let opaque = tag.trim_matches('"');
        let same = [tag.clone(), format!("W/{tag}"), format!("{other}, {tag}"), format!("\"a,b\" ,, W/{tag} , {other}"), "*".to_owned()];
        let marks = ["-gzip", "--gzip", ";gzip", ":gzip", "-br", "-zstd", "-deflate"];
        let coded =
            marks.iter().flat_map(|mark| [format!("W/\"{opaque}{mark}\""), format!("{other}, \"{opaque}{mark}\""), format!("{tag}{mark}")]);
        for header in same.into_iter().chain(coded) {
            assert!(answer.is_among(&known(&header).expect("tags")), "{header}");
        }
        let different = [format!("\"{opaque}gzip\""), format!("\"{opaque}-1\""), format!("\"{opaque}-\""), format!("\"x, {opaque}\"")];
        let malformed = [opaque.to_owned(), format!("\"{opaque}"), format!("w/{tag}"), "\"*\"".to_owned()];
        for header in [other, "\"\"".to_owned(), tag.to_ascii_uppercase()].into_iter().chain(different).chain(malformed) {
            assert!(!known(&header).is_some_and(|known| answer.is_among(&known)), "{header}");
        }
    }

    #[test]
    fn an_answer_that_the_client_has_is_not_sent_again() {
        let answer = || Tagged::new(&"hello").expect("JSON");
        let has_it = known(&answer().tag.to_string());
        assert_eq!(answer().unless_known(has_it.as_ref()).respond(|_| {}).status(), StatusCode::NOT_MODIFIED);
        let sent = answer().unless_known(None).respond(|response| {
            response.insert_header(("X-Next", "1"));
        });
        assert_eq!(sent.status(), StatusCode::OK);
        assert!(sent.headers().contains_key("etag") && sent.headers().contains_key("x-next"));
    }
}
