//! Numbers and instants that the server computes. Servers differ in the BSON type that they give these; what was stored comes
//! back in the type that it was stored in.

use std::fmt;

use mongodb::bson::{Bson, DateTime};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Up to here each whole number is a double of its own.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number: an integer of either width, or a double without a fraction.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(WholeNumber)
}

/// An instant: a date, or its milliseconds since 1970 as a number.
pub(super) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime, D::Error> {
    match Bson::deserialize(deserializer)? {
        Bson::DateTime(date) => Ok(date),
        Bson::Int64(millis) => Ok(DateTime::from_millis(millis)),
        Bson::Double(millis) => WholeNumber.visit_f64(millis).map(DateTime::from_millis),
        _ => Err(D::Error::custom("neither a date nor milliseconds")),
    }
}

struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i32<E: Error>(self, number: i32) -> Result<i64, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(E::custom)
    }

    #[allow(clippy::cast_possible_truncation, reason = "only what an i64 holds exactly gets there")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        let is_exact = number.fract() == 0.0 && number.abs() <= LARGEST_EXACT;
        if is_exact { Ok(number as i64) } else { Err(E::custom("no whole number")) }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{doc, serialize_to_vec};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Reply {
        #[serde(deserialize_with = "whole_number")]
        count: i64,
        #[serde(deserialize_with = "instant")]
        at: DateTime,
    }

    /// As the driver decodes: from a document, and from its bytes.
    fn read(count: impl Into<Bson>, at: impl Into<Bson>) -> [Option<(i64, i64)>; 2] {
        let document = doc! { "count": count, "at": at };
        let bytes = serialize_to_vec(&document).expect("a document");
        let values = |reply: Reply| (reply.count, reply.at.timestamp_millis());
        [
            mongodb::bson::deserialize_from_document(document).ok().map(values),
            mongodb::bson::deserialize_from_slice(&bytes).ok().map(values),
        ]
    }

    #[test]
    fn numbers_and_instants_are_read_in_each_type_that_a_server_may_give_them() {
        let date = DateTime::from_millis(1_700_000_000_000);
        for count in [Bson::Int32(7), Bson::Int64(7), Bson::Double(7.0)] {
            for at in [Bson::DateTime(date), Bson::Int64(date.timestamp_millis()), Bson::Double(1_700_000_000_000.0)] {
                assert_eq!(read(count.clone(), at.clone()), [Some((7, 1_700_000_000_000)); 2], "{count} {at}");
            }
        }
        for bad in [Bson::Double(7.5), Bson::Double(f64::NAN), Bson::Double(1e300), Bson::Null, Bson::from("7"), Bson::from(true)] {
            assert_eq!(read(bad.clone(), date), [None; 2], "{bad}");
            assert_eq!(read(7, bad.clone()), [None; 2], "{bad}");
        }
    }
}
