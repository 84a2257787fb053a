//! The letters: what each mail says, as plain text and as HTML, and its headers.
//!
//! Both parts are made of one text, so that they cannot tell different things. Links are made
//! from the base URL alone; a token stands in the fragment, which no server or proxy gets to see. Nothing that a person
//! typed enters a header but the address, which is checked.

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::address::AddressError;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};

use super::topic::Topic;
use crate::domain::{Email, MailToken, Timestamp, Username};

/// The frame of every HTML part, and what stands there for the line of a link.
const FRAME: &str = include_str!("letters/frame.html");
const LINK: &str = include_str!("letters/link.html");
/// The line of a text that is the link.
const LINK_LINE: &str = "{link}";

/// Writes the letters of one server.
#[derive(Debug, Clone)]
pub struct Letters {
    base_url: String,
    from: Mailbox,
}

/// A mail ready to go.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Names it, in its Message-ID and as a file.
    pub id: String,
    /// The subject, for the log.
    pub subject: String,
    /// The plain text, for the log.
    pub text: String,
    /// All of it.
    pub message: Message,
}

impl Letters {
    /// Letters whose links begin with `base_url`, which is the scheme, host and port that people reach the API by, and
    /// which come from `from`.
    #[must_use]
    pub fn new(base_url: &str, from: Mailbox) -> Self {
        Self { base_url: base_url.to_owned(), from }
    }

    /// The letter about `topic` to the person `username` at `to`; `token`, with how long it is good in milliseconds, goes into the
    /// link of those that have one.
    pub(super) fn write(
        &self,
        topic: Topic,
        username: &Username,
        to: &Email,
        token: Option<(&MailToken, i64)>,
        at: Timestamp,
    ) -> Result<Letter, LetterError> {
        let template = topic.template();
        let lifetime = token.map_or(0, |(_, lifetime)| lifetime);
        let fill = |text: &str| {
            text.replace("{host}", authority(&self.base_url))
                .replace("{username}", username.as_str())
                .replace("{lifetime}", &spoken(lifetime))
        };
        let code = token.map(|(token, _)| token.expose());
        let link = template.action.zip(token).map(|((path, button), (token, _))| Link { url: self.link(path, token), button });
        let (subject, mut text) = (fill(template.subject), fill(template.text));
        if let Some(code) = &code {
            text = text.replace(LINK_LINE, &format!("{LINK_LINE}\n\nIf that page asks for a code, it is this one:\n\n{code}"));
        }
        let html = html(&subject, &text, link.as_ref());
        let text = text.replace(LINK_LINE, link.as_ref().map_or("", |link| &link.url));
        let id = format!("{}.{}", at.as_millis(), uuid::Uuid::new_v4().simple());
        let message = Message::builder()
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or_default()))
            .from(self.from.clone())
            .to(Mailbox::new(None, to.as_str().parse::<Address>()?))
            .subject(&subject)
            .message_id(Some(format!("<{id}@{}>", host(&self.base_url))))
            // Asks answering machines for silence (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(
                MultiPart::alternative().singlepart(part(ContentType::TEXT_PLAIN, &text)).singlepart(part(ContentType::TEXT_HTML, &html)),
            )?;
        Ok(Letter { id, subject, text, message })
    }

    fn link(&self, path: &str, token: &MailToken) -> String {
        format!("{}{path}#token={}", self.base_url, token.expose())
    }
}

/// A letter that cannot be written: an address that came in by other rules than those of mail.
#[derive(Debug, thiserror::Error)]
pub(super) enum LetterError {
    #[error("the address is none that mail can go to")]
    Address(#[from] AddressError),
    #[error("the mail cannot be put together")]
    Message(#[from] lettre::error::Error),
}

struct Link {
    url: String,
    button: &'static str,
}

/// A part as it stands. The texts are ASCII with short lines, so they need no encoding, and a link can be read in the file
/// of a mail.
fn part(content_type: ContentType, text: &str) -> SinglePart {
    let body = Body::dangerous_pre_encoded(text.replace('\n', "\r\n").into_bytes(), ContentTransferEncoding::SevenBit);
    SinglePart::builder().header(content_type).body(body)
}

/// The HTML part: a paragraph for each of the text, and the button for the link.
fn html(subject: &str, text: &str, link: Option<&Link>) -> String {
    let paragraphs = text.trim_end().split("\n\n").map(|paragraph| match link {
        Some(link) if paragraph == LINK_LINE => LINK.trim_end().replace("{button}", link.button).replace(LINK_LINE, &escaped(&link.url)),
        _ => format!("<p style=\"margin: 0 0 16px\">\n{}</p>", escaped(paragraph)),
    });
    FRAME.replace("{subject}", &escaped(subject)).replace("{content}", &paragraphs.collect::<Vec<_>>().join("\n"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A span of time for people, rounded down: `6 days`, `24 hours`, `30 minutes`.
fn spoken(millis: i64) -> String {
    let minutes = millis / Timestamp::MINUTE_MILLIS;
    let (count, unit) = match minutes {
        ..60 => (minutes, "minute"),
        60..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Host and port of a base URL, as people read it.
fn authority(base_url: &str) -> &str {
    base_url.split_once("://").map_or(base_url, |(_, authority)| authority)
}

/// The host of a base URL; an IPv6 address keeps its brackets.
pub(super) fn host(base_url: &str) -> &str {
    let authority = authority(base_url);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::domain::{MailKind, MailPurpose, RECOVERY_MILLIS};

    const BASE: &str = "https://chat.example.com:8443";
    const NOON: Timestamp = Timestamp::from_millis(1_795_438_200_007);

    fn letters(base_url: &str) -> Letters {
        Letters::new(base_url, "\"Chat, the Team\" <no-reply@example.com>".parse().expect("a mailbox"))
    }

    fn letter(base_url: &str, topic: Topic, token: &MailToken) -> Letter {
        let (username, to) = (Username::parse("ann.lee").expect("a name"), Email::parse("Ann@mail.example.org").expect("an address"));
        letters(base_url).write(topic, &username, &to, Some((token, lifetime(topic))), NOON).expect("a letter")
    }

    fn lifetime(topic: Topic) -> i64 {
        match topic {
            Topic::Ordered(kind) => kind.purpose().map_or(0, MailPurpose::lifetime_millis),
            _ => RECOVERY_MILLIS - 1,
        }
    }

    fn token() -> MailToken {
        MailToken::generate().expect("random bytes")
    }

    /// The lines of a mail as it is sent.
    fn lines(letter: &Letter) -> Vec<String> {
        let mail = String::from_utf8(letter.message.formatted()).expect("text");
        mail.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn the_headers_are_these_and_no_others() {
        let letter = letter(BASE, Topic::Ordered(MailKind::Verification), &token());
        let lines = lines(&letter);
        let head: Vec<&str> = lines.iter().take_while(|line| !line.is_empty()).map(String::as_str).collect();
        let message_id = format!("Message-ID: <{}@chat.example.com>", letter.id);
        let expected = [
            "Date: Mon, 23 Nov 2026 12:50:00 +0000",
            "From: =?utf-8?b?Q2hhdCwgdGhlIFRlYW0=?= <no-reply@example.com>",
            "To: Ann@mail.example.org",
            "Subject: Confirm your address for chat.example.com:8443",
            &message_id,
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: multipart/alternative;",
        ];
        assert_eq!(head[..8], expected);
        assert!(head[8].starts_with(" boundary=") && head.len() == 9, "{head:?}");
        assert!(letter.id.starts_with("1795438200007."), "{}", letter.id);
    }

    #[test]
    fn both_parts_hold_the_link_and_no_other_address() {
        let links = [
            (Topic::Ordered(MailKind::Verification), "/api/auth/email#token="),
            (Topic::Ordered(MailKind::NewAddress), "/api/auth/email#token="),
            (Topic::Ordered(MailKind::PasswordReset), "/api/auth/password-reset#token="),
            (Topic::WayBack(MailKind::PasswordReset), "/api/auth/password-reset#token="),
            (Topic::WayBack(MailKind::PasswordChanged), "/api/auth/password-reset#token="),
            (Topic::WayBack(MailKind::AddressChanged), "/api/auth/password-reset#token="),
            (Topic::WayBack(MailKind::AddressChangeAsked), "/api/auth/password-reset#token="),
        ];
        for topic in Topic::all() {
            let token = token();
            let raw = letter(BASE, topic, &token).message.formatted();
            let mail = MessageParser::default().parse(&raw).expect("a mail");
            let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
            assert_eq!((mail.text_body.len(), mail.html_body.len(), mail.attachments.len()), (1, 1, 0));
            if let Some((_, path)) = links.iter().find(|(other, _)| *other == topic) {
                let link = format!("{BASE}{path}{}", token.expose());
                assert!(text.lines().any(|line| line == link), "{text}");
                assert!(html.contains(&format!("<a href=\"{link}\"")) && html.contains(&format!("\">{link}</span>")), "{html}");
            } else {
                assert!(!text.contains("://") && !html.contains("://") && !html.contains("<a "), "{text}");
            }
            let addresses = |part: &str| part.matches("://").count() - part.matches(&format!("{BASE}/api/auth/")).count();
            assert_eq!((addresses(&text), addresses(&html)), (0, 0), "{topic:?}");
        }
    }

    #[test]
    fn everything_is_filled_in_and_says_who_wrote() {
        for topic in Topic::all() {
            let letter = letter(BASE, topic, &token());
            let html = html(&letter.subject, &letter.text, None);
            assert!(!letter.text.contains(['{', '}']) && !html.contains(['{', '}']), "{}", letter.text);
            assert!(letter.text.contains("chat.example.com"), "{}", letter.text);
            assert!(letter.text.contains("If it was not you"), "{}", letter.text);
            assert_eq!(letter.text.contains("ann.lee"), topic != Topic::AlreadyRegistered, "a stranger chose that name");
        }
    }

    #[test]
    fn letters_say_how_long_there_is() {
        let said = [
            (Topic::Ordered(MailKind::Verification), "good for 24 hours "),
            (Topic::Ordered(MailKind::NewAddress), "good for 24 hours "),
            (Topic::Ordered(MailKind::PasswordReset), "good for 30 minutes "),
            (Topic::WayBack(MailKind::AddressChanged), "good for 6 days "),
        ];
        for (topic, words) in said {
            let text = letter(BASE, topic, &token()).text;
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn lines_are_short_and_of_ascii() {
        let longest = format!("https://{}.example", "a".repeat(245));
        for topic in Topic::all() {
            for (base, most) in [(BASE, 78), (&longest, 998)] {
                for line in lines(&letter(base, topic, &token())) {
                    assert!(line.is_ascii(), "{line}");
                    assert!(line.len() <= most || line.contains("#token=") && line.len() <= 998, "{line}");
                }
            }
        }
    }

    #[test]
    fn html_takes_nothing_from_elsewhere_and_escapes_what_it_shows() {
        for topic in Topic::all() {
            let raw = letter(BASE, topic, &token()).message.formatted();
            let html = MessageParser::default().parse(&raw).expect("a mail").body_html(0).expect("HTML").to_string();
            for foreign in ["<img", "<link", "<style", "<script", "url(", "src="] {
                assert!(!html.contains(foreign), "{foreign}");
            }
        }
        assert!(html("a<b", "x & \"y\"'\n\n<i>", None).contains("<title>a&lt;b</title>"));
        assert!(
            html("", "x & \"y\"'\n\n<i>", None).contains("x &amp; &quot;y&quot;&#39;</p>\n<p style=\"margin: 0 0 16px\">\n&lt;i&gt;</p>")
        );
    }

    #[test]
    fn the_host_is_what_stands_between_scheme_and_port() {
        let hosts = [
            ("https://chat.example.com", "chat.example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
            ("http://[::1]:8080", "[::1]"),
            ("http://[::1]", "[::1]"),
        ];
        for (base_url, expected) in hosts {
            assert_eq!(host(base_url), expected);
        }
    }
}
