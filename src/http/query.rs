//! Queries: each parameter known, at most once, and valid percent-encoded UTF-8.

use std::collections::HashMap;

use super::{ApiError, ErrorCode};

/// The parameters of a query.
#[derive(Debug)]
pub struct Query {
    values: HashMap<&'static str, String>,
}

impl Query {
    /// Reads a query that may have the parameters `known` and no other.
    pub fn parse(query: &str, known: &[&'static str]) -> Result<Self, ApiError> {
        let mut values = HashMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = decode(name, true).zip(decode(value, true)).ok_or(ErrorCode::InvalidQuery)?;
            let name = known.iter().find(|known| **known == name).ok_or_else(|| unknown_name(known))?;
            if values.insert(*name, value).is_some() {
                return Err(ErrorCode::InvalidQuery.into());
            }
        }
        Ok(Self { values })
    }

    /// Takes the value of a parameter, if the query has it.
    pub fn take(&mut self, name: &'static str) -> Option<String> {
        self.values.remove(name)
    }
}

fn unknown_name(known: &[&str]) -> ApiError {
    ApiError::advised(ErrorCode::InvalidQuery, format!("it knows {}", known.join(", ")))
}

/// Whether a path is valid percent-encoded UTF-8 without NUL.
#[must_use]
pub fn is_decodable(path: &str) -> bool {
    decode(path, false).is_some_and(|path| !path.contains('\0'))
}

/// Decodes strictly: a `%` without two hexadecimal digits, or bytes that are no UTF-8, give `None`.
fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
                digit()? << 4 | digit()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_decoded() {
        let mut query = Query::parse("with=a%20b+c&limit=5&&", &["with", "limit"]).expect("valid");
        assert_eq!(query.take("with").as_deref(), Some("a b c"));
        assert_eq!(query.take("limit").as_deref(), Some("5"));
        assert_eq!(query.take("before"), None);
    }

    #[test]
    fn unknown_repeated_and_malformed_parameters_are_refused() {
        for bad in ["other=1", "limit=1&limit=1", "limit=%", "limit=%g0", "limit=%ff", "LIMIT=1", "limit=%+5"] {
            assert_eq!(Query::parse(bad, &["limit"]).expect_err(bad).code, ErrorCode::InvalidQuery);
        }
    }

    #[test]
    fn an_unknown_parameter_is_told_those_that_are_known() {
        let error = Query::parse("wiht=1", &["with", "limit"]).expect_err("unknown");
        assert!(error.message().ends_with("it knows with, limit"), "{}", error.message());
    }

    #[test]
    fn a_path_must_be_utf_8() {
        assert!(is_decodable("/api/chat/%C3%A9+"));
        for bad in ["/%", "/%C0%AE", "/%zz", "/a%00b"] {
            assert!(!is_decodable(bad), "{bad}");
        }
    }
}
