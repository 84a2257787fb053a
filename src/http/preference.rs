//! The header `Prefer` (RFC 7240), of which `wait` is understood.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::{optional, text_schema};

const PREFER: &str = "Prefer";
/// Longest wait in seconds; who asks for more gets this. Proxies and the Functions front end end what is silent much longer.
const MAX_WAIT_SECONDS: u64 = 25;

/// How long the client is willing to wait for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    seconds: u64,
}

impl Wait {
    /// The header that tells a client that its wish was granted.
    pub const APPLIED: &str = "Preference-Applied";

    /// What the headers say; `None` when they say nothing of it, or something malformed, which the RFC has ignored. Of
    /// several the first counts.
    #[must_use]
    pub fn preferred(headers: &HeaderMap) -> Option<Self> {
        let lists = headers.get_all(PREFER).filter_map(|list| list.to_str().ok());
        let seconds = lists.flat_map(|list| split_unquoted(list, ',')).find_map(|preference| {
            // Parameters of a preference follow a semicolon; `wait` has none.
            let (name, value) = split_unquoted(preference, ';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| parse_seconds(value.trim()))
        });
        seconds.flatten().map(|seconds| Self { seconds })
    }

    /// As a span of time.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The value of [`APPLIED`](Self::APPLIED).
    #[must_use]
    pub fn applied(self) -> String {
        format!("wait={}", self.seconds)
    }
}

impl IntoParams for Wait {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = format!("`wait=N` has the answer wait up to N seconds for news, at most {MAX_WAIT_SECONDS} (RFC 7240).");
        let value = text_schema("Preferences, of which `wait` is understood.", &format!("wait={MAX_WAIT_SECONDS}"));
        vec![optional(PREFER, ParameterIn::Header, value, &description)]
    }
}

/// Digits, bare or in double quotes.
fn parse_seconds(value: &str) -> Option<u64> {
    let digits = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number beyond the type's range is beyond the longest wait.
    is_number.then(|| digits.parse().unwrap_or(u64::MAX).min(MAX_WAIT_SECONDS))
}

/// The parts between separators that stand in no quoted string.
pub(super) fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let is_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !is_escaped => escaped = true,
            '"' if !is_escaped => quoted = !quoted,
            _ => {}
        }
        !quoted && character == separator
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn preferred(lists: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(HeaderName::from_static("prefer"), HeaderValue::from_str(list).expect("a value"));
        }
        Wait::preferred(&headers).map(|wait| wait.seconds)
    }

    #[test]
    fn a_wait_is_found_wherever_the_rfc_lets_it_stand() {
        for list in
            ["wait=7", "Wait = 7", "respond-async, wait=7", "return=minimal;x=\"a, wait=1\" , wait=\"7\"", "a=\"\\\", wait=1\", wait=7; b"]
        {
            assert_eq!(preferred(&[list]), Some(7), "{list}");
        }
        assert_eq!(preferred(&["respond-async", "wait=7, wait=9"]), Some(7));
    }

    #[test]
    fn a_long_wait_is_cut() {
        for (list, seconds) in [("wait=0", 0), ("wait=25", 25), ("wait=26", 25), ("wait=99999999999999999999", 25)] {
            assert_eq!(preferred(&[list]), Some(seconds), "{list}");
        }
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for list in ["", "wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=1s", "wait=\"7", "waits=7", "x=\"wait=7\"", "x;wait=7"] {
            assert_eq!(preferred(&[list]), None, "{list}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_as_a_wait_within_bounds_or_none(list in "[-=;,\" waitWAIT0-9\\\\]{0,60}") {
            prop_assert!(preferred(&[&list]).is_none_or(|seconds| seconds <= MAX_WAIT_SECONDS));
        }
    }
}
