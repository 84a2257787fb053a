//! Mail by a mail server: SMTP with TLS, which only this machine itself may do without.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::address::Address;
use lettre::message::Message;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::transport::{Failure, SmtpSetting, SmtpTls, TransportError};

/// How long one address of the server may take to answer the connection.
const TCP_DEADLINE: Duration = Duration::from_secs(5);
/// How long the connection, TLS and the log-in may take together.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How long a mail may take on a connection, so that with the connection it is 30 s.
const SEND_DEADLINE: Duration = Duration::from_secs(20);
/// How long a server may take to say goodbye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// The reply of a server that closes the connection (RFC 5321, 3.8).
const CLOSING: u16 = 421;

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
}

impl fmt::Display for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// An open connection, over which nothing but mail is missing.
pub(super) struct SmtpConnection {
    server: Arc<Smtp>,
    connection: AsyncSmtpConnection,
    has_sent: bool,
}

impl Smtp {
    /// A server to which we are `name`. Nothing is sent.
    pub(super) fn new(setting: &SmtpSetting, name: &str) -> Result<Self, TransportError> {
        let parameters = tls_parameters(&setting.host, setting.authorities.as_ref())
            .map_err(|error| TransportError(format!("TLS cannot be set up: {error}")))?;
        let credentials = setting.credentials.as_ref();
        Ok(Self {
            host: setting.host.clone(),
            port: setting.port,
            tls: setting.tls,
            parameters,
            credentials: credentials.map(|given| Credentials::new(given.user.clone(), given.password.expose_secret().to_owned())),
            hello: client_id(name),
        })
    }

    /// Connects, encrypts and logs in; why that failed, otherwise.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<SmtpConnection, String> {
        let connection = self.open().await?;
        Ok(SmtpConnection { server: Arc::clone(self), connection, has_sent: false })
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, String> {
        match timeout(CONNECT_DEADLINE, self.greet()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_late) => Err("the mail server does not answer in time".to_owned()),
        }
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let at_once = (self.tls == SmtpTls::Immediate).then(|| self.parameters.clone());
        let address = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(TCP_DEADLINE), &self.hello, at_once, None).await?;
        let upgrade = match self.tls {
            SmtpTls::Immediate => false,
            // Fails when the server does not offer it.
            SmtpTls::Required => true,
            SmtpTls::Offered => connection.can_starttls(),
        };
        if upgrade {
            connection.starttls(self.parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

impl SmtpConnection {
    /// Hands a mail in. After a failure the connection is of no use.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Failure> {
        let late = || Failure::Interrupted("the mail server does not answer in time".to_owned());
        timeout(SEND_DEADLINE, self.hand_in(message)).await.unwrap_or_else(|_late| Err(late()))
    }

    async fn hand_in(&mut self, message: &Message) -> Result<(), Failure> {
        let envelope = message.envelope();
        self.announce(envelope.from()).await?;
        for recipient in envelope.to() {
            self.connection.command(Rcpt::new(recipient.clone(), Vec::new())).await.map_err(|error| failure(&error))?;
        }
        self.connection.command(Data).await.map_err(|error| failure(&error))?;
        self.connection.message(&message.formatted()).await.map_err(|error| failure(&error))?;
        self.has_sent = true;
        Ok(())
    }

    /// Names the sender, which is always the same: a server that refuses takes nothing from us. A server may also have enough of a
    /// connection after some mails, so that a new one is worth a try.
    async fn announce(&mut self, sender: Option<&Address>) -> Result<(), Failure> {
        let mail = Mail::new(sender.cloned(), Vec::new());
        let Err(error) = self.connection.command(mail.clone()).await else { return Ok(()) };
        if !self.has_sent {
            return Err(Failure::Unavailable(reason(&error)));
        }
        self.connection = self.server.open().await.map_err(Failure::Unavailable)?;
        self.has_sent = false;
        self.connection.command(mail).await.map(|_reply| ()).map_err(|error| Failure::Unavailable(reason(&error)))
    }

    /// Takes leave of the server.
    pub(super) async fn close(mut self) {
        let _said_or_gone = timeout(CLOSE_DEADLINE, self.connection.quit()).await;
    }
}

/// What TLS needs to know; an error when an authority is no certificate.
pub(crate) fn tls_parameters(host: &str, authorities: Option<&Certificate>) -> Result<TlsParameters, SmtpError> {
    let builder = TlsParameters::builder(host.to_owned());
    authorities.cloned().into_iter().fold(builder, TlsParametersBuilder::add_root_certificate).build_rustls()
}

fn client_id(name: &str) -> ClientId {
    match name.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::Domain(name.to_owned()),
    }
}

/// What a failure after the sender was named means for the mail.
fn failure(error: &SmtpError) -> Failure {
    let reason = reason(error);
    match error.status().map(u16::from) {
        None | Some(CLOSING) => Failure::Interrupted(reason),
        Some(_) if error.is_permanent() => Failure::Refused(reason),
        Some(_) => Failure::Deferred(reason),
    }
}

/// Why, without the words of the server, who likes to repeat the address it was given.
fn reason(error: &SmtpError) -> String {
    if let Some(code) = error.status() {
        let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        return format!("the mail server answered {code}{}", enhanced_code(&text).map(|code| format!(" {code}")).unwrap_or_default());
    }
    if error.is_response() {
        return "the mail server hung up, or does not speak SMTP".to_owned();
    }
    error.to_string()
}

/// The code such as `5.1.1` that a reply may begin with (RFC 3463).
fn enhanced_code(reply: &str) -> Option<&str> {
    let word = reply.split_whitespace().next()?;
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (word.split('.').count() == 3 && word.split('.').all(is_number)).then_some(word)
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("tls", &self.tls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_the_codes_of_a_reply_are_told() {
        for (reply, code) in [
            ("5.1.1 <ann@example.com>: no such user", Some("5.1.1")),
            ("4.7.0", Some("4.7.0")),
            ("ann@example.com unknown", None),
            ("5.1 ann", None),
            ("1.2.3.4 is listed", None),
            ("", None),
        ] {
            assert_eq!(enhanced_code(reply), code, "{reply}");
        }
    }

    #[test]
    fn a_server_gets_to_know_the_host_that_people_reach() {
        assert_eq!(client_id("chat.example.com").to_string(), "chat.example.com");
        assert_eq!(client_id("127.0.0.1").to_string(), "[127.0.0.1]");
        assert_eq!(client_id("[::1]").to_string(), "[IPv6:::1]");
    }

    /// A server that on each connection gives these answers, the first before any command, and falls silent.
    async fn scripted(answers: &'static [&'static str]) -> Arc<Smtp> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(answer(BufReader::new(stream), answers));
            }
        });
        let setting = SmtpSetting { host: "127.0.0.1".to_owned(), port, tls: SmtpTls::Offered, credentials: None, authorities: None };
        Arc::new(Smtp::new(&setting, "localhost").expect("a server"))
    }

    async fn answer(mut stream: BufReader<TcpStream>, answers: &[&str]) {
        for answer in answers {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.expect("written");
            let mut line = String::new();
            // A command, or after 354 all of a mail.
            while stream.read_line(&mut line).await.expect("a line") > 0 && answer.starts_with("354") && line != ".\r\n" {
                line.clear();
            }
        }
        std::future::pending::<()>().await;
    }

    fn message() -> Message {
        let address: lettre::message::Mailbox = "ann@example.com".parse().expect("a mailbox");
        Message::builder().from(address.clone()).to(address).body("hello".to_owned()).expect("a mail")
    }

    const TAKES_ONE: [&str; 7] = ["220 ready", "250 fine", "250 fine", "250 fine", "354 go on", "250 taken", "421 enough"];

    #[tokio::test(start_paused = true)]
    async fn a_server_that_falls_silent_is_given_up_within_30_seconds() {
        for answers in 0..=5 {
            let (server, begun) = (scripted(&TAKES_ONE[..answers]).await, tokio::time::Instant::now());
            let failure = match server.connect().await {
                Ok(mut connection) => connection.send(&message()).await.expect_err("no answer"),
                Err(reason) => Failure::Unavailable(reason),
            };
            let late = "the mail server does not answer in time".to_owned();
            assert_eq!(failure, if answers < 2 { Failure::Unavailable(late) } else { Failure::Interrupted(late) }, "{answers}");
            assert!(begun.elapsed() <= CONNECT_DEADLINE + SEND_DEADLINE, "{answers}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_enough_of_is_replaced() {
        let mut connection = scripted(&TAKES_ONE).await.connect().await.expect("a connection");
        for _ in 0..3 {
            assert_eq!(connection.send(&message()).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_failure_is_about_the_mail_only_once_the_sender_was_accepted() {
        let told = |code: &str| format!("the mail server answered {code}");
        let cases: [(&'static [&'static str], Failure); 6] = [
            (&["554 no"], Failure::Unavailable(told("554"))),
            (&["220 ready", "250 fine", "550 5.7.1 not you"], Failure::Unavailable(told("550 5.7.1"))),
            (&["220 ready", "250 fine", "250 fine", "550 5.1.1 nobody"], Failure::Refused(told("550 5.1.1"))),
            (&["220 ready", "250 fine", "250 fine", "450 later"], Failure::Deferred(told("450"))),
            (&["220 ready", "250 fine", "250 fine", "421 4.3.2 closing"], Failure::Interrupted(told("421 4.3.2"))),
            (&["220 ready", "250 fine", "250 fine", "250 fine", "354 go on", "554 5.6.0 spam"], Failure::Refused(told("554 5.6.0"))),
        ];
        for (answers, expected) in cases {
            let failure = match scripted(answers).await.connect().await {
                Ok(mut connection) => connection.send(&message()).await.expect_err("a failure"),
                Err(reason) => Failure::Unavailable(reason),
            };
            assert_eq!(failure, expected, "{answers:?}");
        }
    }
}
