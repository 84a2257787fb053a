//! Halves of characters in JSON: a `\u` escape of a surrogate without its other half, as programs write them that cut a text
//! within an emoji. JSON allows it and no text of Unicode has it.

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

/// Length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;
/// An escape as long, of the character that stands for what cannot be shown.
const REPLACEMENT: &[u8; ESCAPE] = b"\\ufffd";

/// A body in which each half of a character is replaced, and the fields whose texts had one. `None` when there is none.
pub(super) fn replace(body: &[u8]) -> Option<(Vec<u8>, Vec<String>)> {
    let mut whole = body.to_vec();
    let (mut fields, mut key, mut depth, mut at) = (Vec::new(), String::new(), 0_usize, 0);
    while let Some(&byte) = body.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let had_one = replace_in_text(&mut whole, &mut at);
                let is_key = whole[at..].trim_ascii_start().first() == Some(&b':');
                if depth == 1 && is_key {
                    key = serde_json::from_slice(&whole[begin..at]).unwrap_or_default();
                } else if had_one {
                    fields.push(key.clone());
                }
            }
            _ => {}
        }
    }
    (whole != body).then_some((whole, fields))
}

/// Replaces halves from behind a quotation mark to behind the next one; tells whether there was one.
fn replace_in_text(body: &mut [u8], at: &mut usize) -> bool {
    let mut had_one = false;
    while let Some(&byte) = body.get(*at) {
        let unit = escaped_unit(body, *at);
        let is_pair = matches!(unit, Some(0xd800..=0xdbff)) && matches!(escaped_unit(body, *at + ESCAPE), Some(0xdc00..=0xdfff));
        *at += match (byte, unit) {
            (b'"', _) => {
                *at += 1;
                return had_one;
            }
            _ if is_pair => 2 * ESCAPE,
            (_, Some(0xd800..=0xdfff)) => {
                body[*at..*at + ESCAPE].copy_from_slice(REPLACEMENT);
                had_one = true;
                ESCAPE
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    *at = body.len();
    had_one
}

/// The unit of UTF-16 that an escape at this place stands for.
fn escaped_unit(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

/// The names of the fields of a shape.
pub(super) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // A failure in any case: it is only asked which fields it would read.
    let _asked = T::deserialize(Question(&mut names)).is_ok();
    names
}

struct Question<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Question<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_found_in_their_fields_and_whole_characters_left() {
        for (body, fields) in [
            (r#"{"a":"x \ud83d","b":"y"}"#, &["a"][..]),
            (r#"{"a":"\uDE00\ud83d","b" : "\udfff"}"#, &["a", "b"]),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, &["a"]),
            (r#"{"\u0061":"\ud83d\\ude00"}"#, &["a"]),
        ] {
            let (whole, found) = replace(body.as_bytes()).expect(body);
            assert_eq!(
                (found.as_slice(), whole.len()),
                (fields.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice(), body.len())
            );
            assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok(), "{body}");
        }
        for whole in [
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":"\\ud83d"}"#,
            r#"{"a":"\"\\\\ud83d"}"#,
            r#"{"a":"\u00e9\ufffd"}"#,
            "{\"a\":\"\\",
            "{\"a\":\"\\ud83",
        ] {
            assert_eq!(replace(whole.as_bytes()), None, "{whole}");
        }
    }
}
