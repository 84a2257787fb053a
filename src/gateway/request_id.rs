//! The id of a request, under which its answer and its log line can be found.

use actix_web::http::header::HeaderMap;
use uuid::Uuid;

const INVOCATION_ID: &str = "X-Azure-Functions-InvocationId";
/// The header in which a client may give an id, and in which every answer tells it.
pub(super) const REQUEST_ID: &str = "x-request-id";
const MAX_CHARS: usize = 64;

/// The host's id of the invocation, else the client's, else a new one. The host appends its own to what a client sends
/// in its header, so only the last element there is the host's.
pub(super) fn of(headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let invocation = header(INVOCATION_ID).and_then(|list| list.rsplit(',').next()).map(str::trim);
    let given = invocation.filter(|id| is_valid(id)).or_else(|| header(REQUEST_ID).filter(|id| is_valid(id)));
    given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn is_valid(id: &str) -> bool {
    (1..=MAX_CHARS).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn id_of(headers: &[(&str, &str)]) -> String {
        let pair =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"));
        of(&headers.iter().map(pair).collect())
    }

    #[test]
    fn the_hosts_id_wins_and_is_the_last_of_its_list() {
        assert_eq!(id_of(&[(INVOCATION_ID, "forged, 6f1c-77"), (REQUEST_ID, "mine")]), "6f1c-77");
        assert_eq!(id_of(&[(INVOCATION_ID, "6f1c-77")]), "6f1c-77");
    }

    #[test]
    fn a_client_may_choose_a_plain_id() {
        assert_eq!(id_of(&[(REQUEST_ID, "abc.DEF_1-2")]), "abc.DEF_1-2");
        for bad in ["", "a b", "a,b", "é", &"x".repeat(65), "a\"b"] {
            assert_eq!(id_of(&[(REQUEST_ID, bad)]).len(), 36, "{bad}");
        }
    }
}
