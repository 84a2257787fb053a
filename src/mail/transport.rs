//! The ways by which mail leaves: a mail server, a folder, the log, or none.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::client::Certificate;
use secrecy::SecretString;
use tokio::time::timeout;

use super::folder::Folder;
use super::letters::{self, Letter};
use super::smtp::{Smtp, SmtpConnection, SmtpPatience};

/// How long a try may take: somebody waits for its answer.
const CHECK_DEADLINE: Duration = Duration::from_mins(1);

/// Which way mail leaves.
#[derive(Debug, Clone)]
pub enum TransportSetting {
    /// None: no mail is sent.
    None,
    /// As lines of the log, for development.
    Log,
    /// As files in a folder, for development.
    Folder(PathBuf),
    /// By a mail server.
    Smtp(SmtpSetting),
}

/// Where mail is handed in, and how.
#[derive(Clone)]
pub struct SmtpSetting {
    /// Name or address of the server; of an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When the connection is encrypted.
    pub tls: SmtpTls,
    /// Who we are to the server.
    pub credentials: Option<SmtpCredentials>,
    /// Certificate authorities that are trusted besides the public ones.
    pub authorities: Option<Certificate>,
    /// How long it may take.
    pub patience: SmtpPatience,
}

/// When a connection is encrypted. Certificates are always checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the beginning.
    Immediate,
    /// By STARTTLS, before anything of worth is sent.
    Required,
    /// By STARTTLS if the server offers it; for this machine only.
    Offered,
}

/// A user of a mail server.
#[derive(Clone)]
pub struct SmtpCredentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

impl fmt::Debug for SmtpSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpSetting").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// An open way for mail.
#[derive(Debug, Clone)]
pub struct Transport(Way);

#[derive(Debug, Clone)]
enum Way {
    None,
    Log,
    Folder(Folder),
    Smtp(Arc<Smtp>),
}

/// A way for mail that cannot be used, for a reason that names no address.
#[derive(Debug, thiserror::Error)]
#[error("mail cannot be sent: {0}")]
pub struct TransportError(pub(super) String);

/// Why one mail did not leave, told by what is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No mail would leave at present, so it is not about this one, of which nothing has been sent.
    Unavailable(String),
    /// The connection was lost over this mail; whether it was sent nevertheless may be in doubt.
    Interrupted { reason: String, in_doubt: bool },
    /// The server fell silent over this mail, likewise; it holds up no other.
    Late { reason: String, in_doubt: bool },
    /// This mail may be tried again later.
    Deferred(String),
    /// The same, though the server says for good that it does not take it: not because of whom it goes to.
    Rejected(String),
    /// This mail will never be taken.
    Refused(String),
}

impl Failure {
    /// Whether the mail may have been sent nevertheless.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Interrupted { in_doubt: true, .. } | Self::Late { in_doubt: true, .. })
    }

    pub(super) fn into_reason(self) -> String {
        let (Self::Unavailable(reason)
        | Self::Interrupted { reason, .. }
        | Self::Late { reason, .. }
        | Self::Deferred(reason)
        | Self::Rejected(reason)
        | Self::Refused(reason)) = self;
        reason
    }
}

/// A connection by which mails leave one after the other.
pub(super) enum Connection {
    Log,
    Folder(Folder),
    Smtp(Box<SmtpConnection>),
}

impl Transport {
    /// Opens a way; a folder is made, a mail server is not spoken to. `base_url` is where people reach the API: its host is
    /// the name that a mail server gets to know.
    pub fn open(setting: &TransportSetting, base_url: &str) -> Result<Self, TransportError> {
        Ok(Self(match setting {
            TransportSetting::None => Way::None,
            TransportSetting::Log => Way::Log,
            TransportSetting::Folder(path) => Way::Folder(Folder::make(path)?),
            TransportSetting::Smtp(setting) => Way::Smtp(Arc::new(Smtp::new(setting, letters::host(base_url))?)),
        }))
    }

    /// Whether mail leaves at all.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !matches!(self.0, Way::None)
    }

    /// The name that the log uses.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Way::None => "none",
            Way::Log => "log",
            Way::Folder(_) => "file",
            Way::Smtp(_) => "smtp",
        }
    }

    /// How long a worker waits for one mail before it sends others beside it.
    pub(super) fn worker_patience(&self) -> Duration {
        match &self.0 {
            Way::Smtp(smtp) => smtp.patience().worker,
            Way::None | Way::Log | Way::Folder(_) => SmtpPatience::default().worker,
        }
    }

    /// Where mail goes, for a sentence.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.0 {
            Way::None => "nowhere".to_owned(),
            Way::Log => "to this log".to_owned(),
            Way::Folder(folder) => format!("into files in {}", folder.path().display()),
            Way::Smtp(smtp) => format!("to {smtp}"),
        }
    }

    /// Tries the way without sending anything: talks to the mail server as if for a mail from `sender` to itself, or writes to the
    /// folder.
    pub async fn check(&self, sender: &Mailbox) -> Result<(), TransportError> {
        match &self.0 {
            Way::None | Way::Log => Ok(()),
            Way::Folder(folder) => folder.check(),
            Way::Smtp(smtp) => {
                let tried = timeout(CHECK_DEADLINE, try_server(smtp, sender)).await;
                tried.unwrap_or_else(|_late| Err("the mail server does not answer in time".to_owned())).map_err(TransportError)
            }
        }
    }

    /// Opens a connection; why not, otherwise.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        match &self.0 {
            Way::None => Err("this server sends no mail".to_owned()),
            Way::Log => Ok(Connection::Log),
            Way::Folder(folder) => Ok(Connection::Folder(folder.clone())),
            Way::Smtp(smtp) => Ok(Connection::Smtp(Box::new(smtp.connect().await?))),
        }
    }
}

impl Connection {
    pub(super) async fn send(&mut self, letter: &Letter) -> Result<(), Failure> {
        match self {
            Self::Log => log_letter(letter),
            Self::Folder(folder) => folder.write(letter).map_err(|error| Failure::Unavailable(error.0))?,
            Self::Smtp(connection) => connection.send(&letter.message).await?,
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        if let Self::Smtp(connection) = self {
            connection.close().await;
        }
    }
}

async fn try_server(smtp: &Arc<Smtp>, sender: &Mailbox) -> Result<(), String> {
    let mut connection = smtp.connect().await?;
    let tried = connection.try_envelope(&sender.email).await;
    connection.close().await;
    tried.map_err(|reason| format!("it does not take mail from MAIL_FROM to MAIL_FROM: {reason}"))
}

/// The one place where the log gets to see an address and a token: what somebody chose who develops on a laptop.
fn log_letter(letter: &Letter) {
    let to: Vec<&str> = letter.message.envelope().to().iter().map(AsRef::as_ref).collect();
    log::info!(event = "mail"; "mail to {}: {}: {}", to.join(", "), letter.subject, letter.text);
}
