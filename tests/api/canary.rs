//! Texts that must not turn up anywhere, and the forms in which they could.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Secret texts, each with the forms to look for.
#[derive(Default)]
pub struct Canaries(Vec<(String, Vec<String>)>);

impl Canaries {
    /// Also looks for a text.
    pub fn with(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        assert!(text.len() >= 8, "{text} might turn up by chance");
        let forms = forms(&text);
        self.0.push((text, forms));
        self
    }

    /// Which text turns up in another one, and in which form.
    pub fn found_in(&self, text: &str) -> Option<(&str, &str)> {
        let all = self.0.iter().flat_map(|(secret, forms)| forms.iter().map(move |form| (secret.as_str(), form.as_str())));
        all.into_iter().find(|(_, form)| text.contains(form))
    }

    /// Fails when one turns up in an answer or a log line.
    #[track_caller]
    pub fn are_absent_from(&self, text: &str, source: &str) {
        assert_eq!(self.found_in(text), None, "{source}: {text}");
    }
}

/// The text as it is, as JSON and as Rust write it, percent-encoded in part and in full, and in base64 wherever it may
/// begin in what was encoded.
fn forms(text: &str) -> Vec<String> {
    let every_byte = |upper: bool| {
        let byte = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        text.bytes().map(byte).collect::<String>()
    };
    let some_bytes: String =
        text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") }).collect();
    let json = serde_json::Value::from(text).to_string();
    let mut forms = vec![text.to_owned(), json[1..json.len() - 1].to_owned(), every_byte(true), every_byte(false), some_bytes];
    for offset in 0..3 {
        let bytes = [&[0; 3][..offset], text.as_bytes()].concat();
        // Characters that hold bits of a neighbour are left out.
        let (start, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
        forms.push(STANDARD_NO_PAD.encode(&bytes)[start..end].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes)[start..end].to_owned());
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}
