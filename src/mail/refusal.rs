//! What a failure of a mail server means for a mail, by the codes of its reply.

use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use tokio::time::timeout;

use super::transport::Failure;

/// The reply of a server that closes the connection (RFC 5321, 3.8).
const CLOSING: u16 = 421;
/// What servers without enhanced codes say of a recipient that they do not take (RFC 5321, 4.2.3).
const OF_RECIPIENTS: [u16; 3] = [550, 551, 553];

/// Why a step of a session did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// There was no reply in time.
    Late,
    /// The server does not encrypt.
    NoTls,
    Smtp(SmtpError),
}

/// What a mail's part of a session was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Naming a recipient.
    Recipient,
    /// Asking to hand in what the mail says.
    Data,
    /// Handing it in; whoever breaks off here may have taken it.
    Content,
}

/// Waits for a step, for so long.
pub(super) async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, SmtpError>>) -> Result<T, Fault> {
    timeout(limit, step).await.map_err(|_late| Fault::Late)?.map_err(Fault::Smtp)
}

impl Fault {
    /// Why, without the words of the server, who likes to repeat the address it was given.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Late => "the mail server does not answer in time".to_owned(),
            Self::NoTls => "the mail server does not offer STARTTLS".to_owned(),
            Self::Smtp(error) => reason(error),
        }
    }

    /// What it means for the mail, once the server has taken its sender.
    pub(super) fn failure(&self, step: Step) -> Failure {
        let reason = self.reason();
        // Before it has all of a mail a server has taken nothing.
        let in_doubt = step == Step::Content;
        let Self::Smtp(error) = self else { return Failure::Late { reason, in_doubt } };
        match error.status().map(u16::from) {
            None => Failure::Interrupted { reason, in_doubt },
            Some(CLOSING) => Failure::Interrupted { reason, in_doubt: false },
            Some(code) if error.is_permanent() => {
                if is_about_recipient(code, &text(error), step) {
                    Failure::Refused(reason)
                } else {
                    Failure::Rejected(reason)
                }
            }
            Some(_) => Failure::Deferred(reason),
        }
    }
}

/// Whether a permanent refusal is about whom the mail goes to. Everything else, such as what a server thinks of the sender or of us,
/// may be mended, and then the mail leaves.
fn is_about_recipient(code: u16, text: &str, step: Step) -> bool {
    match enhanced_code(text) {
        // Codes about the sender's address are among those about addresses (RFC 3463, 3.2).
        Some("5.1.7" | "5.1.8") => false,
        // Exchange puts a sender whom it does not let send among the mailboxes.
        Some(enhanced) => enhanced.starts_with("5.1.") || enhanced.starts_with("5.2.") && !text.contains("SendAsDenied"),
        // A relay that does not know us says 550 as well, and no server says of a mailbox that it relays.
        None => step == Step::Recipient && OF_RECIPIENTS.contains(&code) && !text.to_ascii_lowercase().contains("relay"),
    }
}

fn text(error: &SmtpError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn reason(error: &SmtpError) -> String {
    if let Some(code) = error.status() {
        return format!(
            "the mail server answered {code}{}",
            enhanced_code(&text(error)).map(|code| format!(" {code}")).unwrap_or_default()
        );
    }
    if error.is_response() {
        return "the mail server hung up, or does not speak SMTP".to_owned();
    }
    error.to_string()
}

/// The code such as `5.1.1` that a reply may begin with (RFC 3463), or, as qmail writes it, end with: `(#5.1.1)`.
fn enhanced_code(reply: &str) -> Option<&str> {
    let at_the_end = || reply.trim_end().strip_suffix(')')?.rsplit_once("(#").map(|(_, code)| code);
    reply.split_whitespace().next().filter(|word| is_code(word)).or_else(|| at_the_end().filter(|code| is_code(code)))
}

fn is_code(word: &str) -> bool {
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    word.split('.').count() == 3 && word.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_codes_of_a_reply_are_told() {
        for (reply, code) in [
            ("5.1.1 <ann@example.com>: no such user", Some("5.1.1")),
            ("4.7.0", Some("4.7.0")),
            ("ann@example.com unknown", None),
            ("5.1 ann", None),
            ("1.2.3.4 is listed", None),
            ("sorry, no mailbox here by that name. (#5.1.1)", Some("5.1.1")),
            ("go away (#now)", None),
            ("", None),
        ] {
            assert_eq!(enhanced_code(reply), code, "{reply}");
        }
    }

    /// Replies as people have reported them of the servers named.
    #[test]
    fn only_what_is_wrong_with_the_recipient_drops_a_mail() {
        for (step, code, text, drops) in [
            // Postfix.
            (Step::Recipient, 550, "5.1.1 <ann@example.com>: Recipient address rejected: User unknown in local recipient table", true),
            (Step::Recipient, 554, "5.7.1 <ann@example.com>: Relay access denied", false),
            (Step::Recipient, 554, "5.7.1 <ann@example.com>: Recipient address rejected: Access denied", false),
            (Step::Recipient, 553, "5.7.1 <no-reply@example.com>: Sender address rejected: not owned by user sam", false),
            (Step::Recipient, 550, "5.1.8 <no-reply@example.com>: Sender address rejected: Domain not found", false),
            (Step::Recipient, 550, "5.1.7 <no-reply@example.com>: Sender address rejected: undeliverable address", false),
            (Step::Content, 552, "5.3.4 Message size exceeds fixed limit", false),
            // Exim.
            (Step::Recipient, 550, "relay not permitted", false),
            (Step::Recipient, 550, "Relay denied for <example.com>", false),
            (Step::Recipient, 550, "Unrouteable address", true),
            (Step::Recipient, 550, "No such user here", true),
            (Step::Data, 550, "Administrative prohibition", false),
            (Step::Content, 550, "This message was classified as SPAM", false),
            // Exchange.
            (
                Step::Recipient,
                550,
                "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient ann@example.com not found by SMTP address lookup",
                true,
            ),
            (Step::Recipient, 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", false),
            (Step::Recipient, 550, "5.7.1 Unable to relay", false),
            (Step::Content, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", false),
            (Step::Content, 554, "5.2.252 SendAsDenied; sam@example.com not allowed to send as no-reply@example.com", false),
            (Step::Content, 554, "5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", false),
            // Sendmail and qmail.
            (Step::Recipient, 550, "5.7.1 <ann@example.com>... Relaying denied", false),
            (Step::Recipient, 551, "User not local; please try <ann@example.org>", true),
            (Step::Recipient, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", false),
            (Step::Recipient, 550, "sorry, no mailbox here by that name (#5.1.1)", true),
            // Gmail.
            (Step::Recipient, 550, "5.1.1 The email account that you tried to reach does not exist. Please try double-checking", true),
            (Step::Recipient, 552, "5.2.2 The email account that you tried to reach is over quota", true),
            (Step::Recipient, 550, "5.2.1 The email account that you tried to reach is disabled", true),
            (Step::Content, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated", false),
            // Amazon SES, SendGrid and others that send for others.
            (Step::Content, 554, "Message rejected: Email address is not verified. The following identities failed the check", false),
            (Step::Content, 550, "The from address does not match a verified Sender Identity. Mail cannot be sent until", false),
            (Step::Content, 554, "Message rejected", false),
        ] {
            assert_eq!(is_about_recipient(code, text, step), drops, "{code} {text}");
        }
    }
}
