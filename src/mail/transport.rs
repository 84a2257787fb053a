//! The ways by which mail leaves: a mail server, a folder, the log, or none.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use lettre::transport::smtp::client::Certificate;
use secrecy::SecretString;

use super::folder::Folder;
use super::letters::{self, Letter};
use super::smtp::{Smtp, SmtpConnection};

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
    /// The connection was lost over this mail, which may have been sent nevertheless.
    Interrupted(String),
    /// This mail may be tried again later.
    Deferred(String),
    /// This mail will never be taken.
    Refused(String),
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

    /// Tries the way without sending anything: talks to the mail server up to the log-in, or writes to the folder.
    pub async fn check(&self) -> Result<(), TransportError> {
        match &self.0 {
            Way::None | Way::Log => Ok(()),
            Way::Folder(folder) => folder.check(),
            Way::Smtp(smtp) => {
                smtp.connect().await.map_err(TransportError)?.close().await;
                Ok(())
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

/// The one place where the log gets to see an address and a token: what somebody chose who develops on a laptop.
fn log_letter(letter: &Letter) {
    let to: Vec<&str> = letter.message.envelope().to().iter().map(AsRef::as_ref).collect();
    log::info!(event = "mail"; "mail to {}: {}: {}", to.join(", "), letter.subject, letter.text);
}
