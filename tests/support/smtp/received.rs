//! What a mail server gets, taken apart by a parser that knows nothing of how it was made.

use mail_parser::{Message, MessageParser};

/// A mail as it arrived.
#[derive(Debug, Clone)]
pub struct ReceivedMail {
    /// The name by which the client greeted.
    pub client: String,
    /// Who had logged in.
    pub user: Option<String>,
    /// Whether nobody on the way could read it.
    pub is_encrypted: bool,
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub recipients: Vec<String>,
    /// Everything, as it was sent.
    pub content: String,
}

impl ReceivedMail {
    /// Whether it went to this address and no other.
    pub fn is_to(&self, address: &str) -> bool {
        self.recipients == [address]
    }

    /// The header of a name, unfolded; panics when there is not exactly one.
    pub fn header(&self, name: &str) -> String {
        let message = self.message();
        let headers: Vec<_> = message.headers_raw().filter(|(other, _)| other.eq_ignore_ascii_case(name)).collect();
        let [(_, value)] = headers[..] else { panic!("{name}: {headers:?}") };
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The subject, decoded.
    pub fn subject(&self) -> String {
        self.message().subject().expect("a subject").to_owned()
    }

    /// The plain text part, decoded.
    pub fn text(&self) -> String {
        self.message().body_text(0).expect("a text part").into_owned()
    }

    /// The HTML part, decoded.
    pub fn html(&self) -> String {
        self.message().body_html(0).expect("an HTML part").into_owned()
    }

    /// The token of its link, if it has one.
    pub fn token(&self) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once("#token=")?;
        rest.split_whitespace().next().map(str::to_owned)
    }

    fn message(&self) -> Message<'_> {
        MessageParser::default().parse(self.content.as_bytes()).expect("a mail")
    }
}
