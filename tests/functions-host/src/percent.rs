//! Percent-encoding as .NET does it: what is malformed stays as it is, what is no UTF-8 is replaced.

/// Decodes the escapes but those of the characters in `kept`.
pub fn decode(text: &str, kept: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = escape_at(rest).filter(|byte| !kept.as_bytes().contains(byte));
        decoded.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Escapes each `%` that begins no escape.
pub fn escape_bare(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let is_bare = character == '%' && escape_at(&text.as_bytes()[at..]).is_none();
        escaped.push_str(if is_bare { "%25" } else { &text[at..at + character.len_utf8()] });
    }
    escaped
}

/// The byte that an escape at the beginning of the text stands for.
fn escape_at(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"%")?.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Encodes all that a query would not show as it is.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$'()*,;:@/?".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
