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
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Starttls};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::line::Line;
use super::refusal::{Fault, Step, within};
use super::transport::{Failure, SmtpSetting, SmtpTls, TransportError};

/// How long one address of the server may take to answer the connection.
const TCP_DEADLINE: Duration = Duration::from_secs(5);
/// How long a server may take to say goodbye.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// Has a server forget a mail that was begun.
const RESET: &str = "RSET\r\n";
/// What stands for the greeting of a server that has been greeted before the line was encrypted.
const GREETED: &str = "220 encrypted\r\n";

/// How long a server may take for each step (RFC 5321, 4.5.3.2): who gives up earlier sends mail twice.
#[derive(Debug, Clone, Copy)]
pub struct SmtpPatience {
    /// The greeting, and whatever else comes before a mail.
    pub greeting: Duration,
    /// Taking the sender, and each recipient.
    pub envelope: Duration,
    /// Being ready for what the mail says.
    pub data: Duration,
    /// Taking it, from its first byte to the reply to its last.
    pub content: Duration,
    /// After which a worker leaves a mail to itself and sends others.
    pub worker: Duration,
}

impl Default for SmtpPatience {
    fn default() -> Self {
        let minutes = Duration::from_mins;
        Self { greeting: minutes(5), envelope: minutes(5), data: minutes(2), content: minutes(10), worker: Duration::from_secs(30) }
    }
}

/// A mail server.
pub(super) struct Smtp {
    host: String,
    port: u16,
    tls: SmtpTls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
    patience: SmtpPatience,
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
            patience: setting.patience,
        })
    }

    pub(super) fn patience(&self) -> SmtpPatience {
        self.patience
    }

    /// Connects, encrypts and logs in; why that failed, otherwise.
    pub(super) async fn connect(self: &Arc<Self>) -> Result<SmtpConnection, String> {
        let connection = self.open().await?;
        Ok(SmtpConnection { server: Arc::clone(self), connection, has_sent: false })
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, String> {
        self.greet().await.map_err(|fault| fault.reason())
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, Fault> {
        let at_once = (self.tls == SmtpTls::Immediate).then(|| self.parameters.clone());
        let line = within(self.patience.greeting, Line::connect(&self.host, self.port, TCP_DEADLINE, at_once)).await?;
        let mut connection = self.hello(&line, "").await?;
        let upgrade = match self.tls {
            SmtpTls::Immediate => false,
            // Fails when the server does not offer it.
            SmtpTls::Required => true,
            SmtpTls::Offered => connection.can_starttls(),
        };
        if upgrade {
            connection = self.encrypt(&line, connection).await?;
        }
        if let Some(credentials) = &self.credentials {
            within(self.patience.greeting, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    async fn hello(&self, line: &Line, beginning: &'static str) -> Result<AsyncSmtpConnection, Fault> {
        within(self.patience.greeting, AsyncSmtpConnection::connect_with_transport(line.talk(beginning), &self.hello)).await
    }

    /// Encrypts a line, and forgets all that was said on it in clear.
    async fn encrypt(&self, line: &Line, mut in_clear: AsyncSmtpConnection) -> Result<AsyncSmtpConnection, Fault> {
        if !in_clear.can_starttls() {
            return Err(Fault::NoTls);
        }
        within(self.patience.greeting, in_clear.command(Starttls)).await?;
        drop(in_clear);
        within(self.patience.greeting, line.encrypt(self.parameters.clone())).await?;
        self.hello(line, GREETED).await
    }
}

impl SmtpConnection {
    /// Hands a mail in. After a failure the connection is of no use.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Failure> {
        let (envelope, patience) = (message.envelope(), self.server.patience);
        self.announce(envelope.from()).await?;
        for recipient in envelope.to() {
            let named = self.connection.command(Rcpt::new(recipient.clone(), Vec::new()));
            within(patience.envelope, named).await.map_err(|fault| fault.failure(Step::Recipient))?;
        }
        within(patience.data, self.connection.command(Data)).await.map_err(|fault| fault.failure(Step::Data))?;
        let content = message.formatted();
        within(patience.content, self.connection.message(&content)).await.map_err(|fault| fault.failure(Step::Content))?;
        self.has_sent = true;
        Ok(())
    }

    /// Names the sender, which is always the same: a server that refuses takes nothing from us. A server may also have enough of a
    /// connection after some mails, so that a new one is worth a try.
    async fn announce(&mut self, sender: Option<&Address>) -> Result<(), Failure> {
        let patience = self.server.patience.envelope;
        let mail = Mail::new(sender.cloned(), Vec::new());
        let Err(fault) = within(patience, self.connection.command(mail.clone())).await else { return Ok(()) };
        if !self.has_sent {
            return Err(Failure::Unavailable(fault.reason()));
        }
        self.connection = self.server.open().await.map_err(Failure::Unavailable)?;
        self.has_sent = false;
        within(patience, self.connection.command(mail)).await.map(drop).map_err(|fault| Failure::Unavailable(fault.reason()))
    }

    /// Goes as far as a mail from `sender` to itself would, without one: what a server thinks of a sender it may tell only then.
    pub(super) async fn try_envelope(&mut self, sender: &Address) -> Result<(), String> {
        let patience = self.server.patience.envelope;
        self.announce(Some(sender)).await.map_err(Failure::into_reason)?;
        let named = within(patience, self.connection.command(Rcpt::new(sender.clone(), Vec::new()))).await;
        let _forgotten_or_gone = within(patience, self.connection.command(RESET)).await;
        named.map(drop).map_err(|fault| fault.reason())
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
        let setting = SmtpSetting {
            host: "127.0.0.1".to_owned(),
            port,
            tls: SmtpTls::Offered,
            credentials: None,
            authorities: None,
            patience: SmtpPatience::default(),
        };
        Arc::new(Smtp::new(&setting, "localhost").expect("a server"))
    }

    async fn answer(mut stream: BufReader<TcpStream>, answers: &[&str]) {
        for answer in answers {
            stream.write_all(&latin1(answer)).await.expect("written");
            let mut line = String::new();
            // A command, or after 354 all of a mail.
            while stream.read_line(&mut line).await.expect("a line") > 0 && answer.starts_with("354") && line != ".\r\n" {
                line.clear();
            }
        }
        std::future::pending::<()>().await;
    }

    /// A line in the one-byte encoding of many old servers, which is no UTF-8.
    fn latin1(line: &str) -> Vec<u8> {
        format!("{line}\r\n").chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect()
    }

    fn message() -> Message {
        let address: lettre::message::Mailbox = "ann@example.com".parse().expect("a mailbox");
        Message::builder().from(address.clone()).to(address).body("hello".to_owned()).expect("a mail")
    }

    const TAKES_ONE: [&str; 7] = ["220 ready", "250 fine", "250 fine", "250 fine", "354 go on", "250 taken", "421 enough"];

    #[tokio::test(start_paused = true)]
    async fn each_step_has_the_time_that_the_standard_gives_it() {
        for (answers, minutes) in [(0, 5), (1, 5), (2, 5), (3, 5), (4, 2), (5, 10)] {
            let (server, begun) = (scripted(&TAKES_ONE[..answers]).await, tokio::time::Instant::now());
            let failure = match server.connect().await {
                Ok(mut connection) => connection.send(&message()).await.expect_err("no answer"),
                Err(reason) => Failure::Unavailable(reason),
            };
            let late = "the mail server does not answer in time".to_owned();
            assert_eq!(
                failure,
                if answers < 3 { Failure::Unavailable(late) } else { Failure::Late { reason: late, in_doubt: answers == 5 } },
                "{answers}"
            );
            assert_eq!(begun.elapsed().as_secs().div_ceil(60).max(1), minutes, "{answers}");
        }
    }

    #[tokio::test]
    async fn the_digits_of_a_reply_decide_whatever_its_text_is_encoded_in() {
        const TAKES: [&str; 6] = ["220 bonjour, é", "250 é", "250 é", "250 é", "354 é", "250 2.0.0 accepté"];
        assert_eq!(scripted(&TAKES).await.connect().await.expect("a connection").send(&message()).await, Ok(()));
        let refused = scripted(&["220 é", "250 é", "250 é", "550 5.1.1 destinataire rejeté"]).await;
        let failure = refused.connect().await.expect("a connection").send(&message()).await;
        assert_eq!(failure, Err(Failure::Refused("the mail server answered 550 5.1.1".to_owned())));
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
            (
                &["220 ready", "250 fine", "250 fine", "421 4.3.2 closing"],
                Failure::Interrupted { reason: told("421 4.3.2"), in_doubt: false },
            ),
            (&["220 ready", "250 fine", "250 fine", "250 fine", "354 go on", "554 5.6.0 spam"], Failure::Rejected(told("554 5.6.0"))),
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
