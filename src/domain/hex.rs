//! Bytes as hexadecimal digits, in lower case.

use std::fmt;

/// Writes two digits a byte.
pub(crate) struct Hex<'a>(pub &'a [u8]);

/// Bytes whose digits are written at once: as many as the longest identifier has.
const CHUNK: usize = 32;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chunks(CHUNK).try_for_each(|chunk| {
            let mut digits = [0; 2 * CHUNK];
            for (pair, byte) in digits.chunks_exact_mut(2).zip(chunk) {
                pair[0] = DIGITS[usize::from(byte >> 4)];
                pair[1] = DIGITS[usize::from(byte & 0xf)];
            }
            f.write_str(std::str::from_utf8(&digits[..2 * chunk.len()]).map_err(|_not_ascii| fmt::Error)?)
        })
    }
}

/// Reads exactly what [`Hex`] writes of so many bytes.
pub(super) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_number_are_two_digits_each() {
        for count in [0, 1, 16, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes: Vec<u8> = (0..=u8::MAX).rev().cycle().take(count).collect();
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(Hex(&bytes).to_string(), digits.concat());
        }
    }

    #[test]
    fn only_what_is_written_is_read() {
        assert_eq!(parse_hex("00ff7a"), Some([0x00, 0xff, 0x7a]));
        for bad in ["00ff7A", "00ff7", "00ff7a0", "00ff7g", "0x0ff7"] {
            assert_eq!(parse_hex::<3>(bad), None, "{bad}");
        }
    }
}
