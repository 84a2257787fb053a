//! Answers with an entity tag (RFC 9110, 8.8.3), by which a client that has one asks whether there is another.

use actix_web::http::header::Header as _;
use actix_web::http::header::{ETag, EntityTag, IfNoneMatch};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::{ApiError, ErrorCode, optional, text_schema};

/// Bytes of a hash that make a tag: enough for no two answers to share one by chance.
const TAG_BYTES: usize = 16;

/// An answer in JSON with its tag, which is made of its bytes. Clones share them.
#[derive(Debug, Clone)]
pub struct Tagged {
    /// `None` once it is known that the client has it: who waits for another answer keeps the tag of this one and no bytes.
    body: Option<Bytes>,
    tag: EntityTag,
}

/// The tags of the answers that a client has.
#[derive(Debug)]
pub struct KnownTags(IfNoneMatch);

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
        match &known.0 {
            IfNoneMatch::Any => true,
            IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
        }
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
    /// What the header `If-None-Match` says. A malformed one says nothing, which at worst gets an answer that the client has.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        if !request.headers().contains_key(IfNoneMatch::name()) {
            return None;
        }
        IfNoneMatch::parse(request).ok().map(Self)
    }
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
        for header in [tag.clone(), format!("W/{tag}"), format!("{other}, {tag}"), "*".to_owned()] {
            assert!(answer.is_among(&known(&header).expect("tags")), "{header}");
        }
        for header in [other, "\"\"".to_owned(), tag.to_ascii_uppercase()] {
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
