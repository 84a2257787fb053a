//! A connection of the mail server, from the greeting on.

use std::io;
use std::sync::{Arc, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::{Command, Condition, ReceivedMail, SILENCE, Security, Shared};

/// Talks to a client until either has enough.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    if shared.options.security == Security::FromTheBeginning {
        let stream = shared.acceptor.accept(stream).await?;
        let mut session = Session::new(stream, true, shared);
        session.answer("220 ready").await?;
        return session.talk().await.map(|_over| ());
    }
    let mut session = Session::new(stream, false, Arc::clone(&shared));
    session.answer("220 ready").await?;
    if let Some(stream) = session.talk().await? {
        let stream = shared.acceptor.accept(stream).await?;
        Session::new(stream, true, shared).talk().await?;
    }
    Ok(())
}

struct Session<S> {
    stream: BufReader<S>,
    is_encrypted: bool,
    shared: Arc<Shared>,
    client: String,
    user: Option<String>,
    from: Option<String>,
    recipients: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(stream: S, is_encrypted: bool, shared: Arc<Shared>) -> Self {
        let stream = BufReader::new(stream);
        Self { stream, is_encrypted, shared, client: String::new(), user: None, from: None, recipients: Vec::new() }
    }

    async fn answer(&mut self, reply: &str) -> io::Result<()> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Answers commands to the end, or returns the stream when it is to be encrypted.
    async fn talk(mut self) -> io::Result<Option<S>> {
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let verb = verb.to_ascii_uppercase();
            let command = Command { verb: verb.clone(), is_encrypted: self.is_encrypted };
            self.shared.commands.send_modify(|commands| commands.push(command));
            match verb.as_str() {
                "EHLO" => self.greet(rest).await?,
                "STARTTLS" if self.offers_tls() => {
                    self.answer("220 go ahead").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "AUTH" => self.log_in(rest).await?,
                "MAIL" => self.begin(rest).await?,
                "RCPT" => self.add_recipient(rest).await?,
                "DATA" => self.receive().await?,
                "RSET" | "NOOP" => self.answer("250 fine").await?,
                "QUIT" => {
                    self.answer("221 bye").await?;
                    return Ok(None);
                }
                _ => self.answer("502 unknown").await?,
            }
        }
    }

    fn offers_tls(&self) -> bool {
        self.shared.options.security == Security::StartTls && !self.is_encrypted
    }

    async fn greet(&mut self, client: &str) -> io::Result<()> {
        client.clone_into(&mut self.client);
        if self.offers_tls() {
            self.answer("250-STARTTLS").await?;
        } else if self.shared.options.credentials.is_some() {
            let mechanisms = self.shared.options.mechanisms;
            self.answer(&format!("250-AUTH {mechanisms}")).await?;
        }
        self.answer("250 SIZE 1000000").await
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = if mechanism == "PLAIN" {
            let plain = if initial.is_empty() { self.ask("").await? } else { decoded(initial) };
            let parts: Vec<&str> = plain.split('\0').collect();
            (parts.get(1).unwrap_or(&"").to_string(), parts.get(2).unwrap_or(&"").to_string())
        } else {
            (self.ask("VXNlcm5hbWU6").await?, self.ask("UGFzc3dvcmQ6").await?)
        };
        if self.shared.options.credentials.is_some_and(|known| known == (given.0.as_str(), given.1.as_str())) {
            self.user = Some(given.0);
            self.answer("235 2.7.0 welcome").await
        } else {
            self.answer("535 5.7.8 wrong").await
        }
    }

    async fn ask(&mut self, prompt: &str) -> io::Result<String> {
        self.answer(&format!("334 {prompt}")).await?;
        Ok(decoded(&self.line().await?))
    }

    async fn begin(&mut self, rest: &str) -> io::Result<()> {
        if self.shared.options.credentials.is_some() && self.user.is_none() {
            return self.answer("530 5.7.0 log in first").await;
        }
        self.from = Some(address(rest));
        self.recipients.clear();
        self.answer("250 2.1.0 fine").await
    }

    async fn add_recipient(&mut self, rest: &str) -> io::Result<()> {
        let recipient = address(rest);
        let replies = self.shared.replies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, reply)) = replies.iter().find(|(refused, _)| *refused == recipient) {
            if reply == SILENCE {
                // A client has nothing to say here, so it has gone.
                self.stream.fill_buf().await?;
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return self.answer(reply).await;
        }
        self.recipients.push(recipient);
        self.answer("250 2.1.5 fine").await
    }

    async fn receive(&mut self) -> io::Result<()> {
        let mut condition = self.shared.condition.clone();
        tokio::select! {
            _going_on = condition.wait_for(|condition| *condition != Condition::Stalls) => {}
            // A client has nothing to say here, so it has gone.
            _gone = self.stream.fill_buf() => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        self.answer("354 go on").await?;
        let mut content = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push_str("\r\n");
        }
        let mail = ReceivedMail {
            client: self.client.clone(),
            user: self.user.clone(),
            is_encrypted: self.is_encrypted,
            from: self.from.take().unwrap_or_default(),
            recipients: std::mem::take(&mut self.recipients),
            content,
        };
        if *condition.borrow() == Condition::CannotStore {
            self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
            return self.answer("452 4.3.1 no space left").await;
        }
        self.shared.mails.send_modify(|mails| mails.push(mail));
        if *condition.borrow() == Condition::LosesReply {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.answer("250 2.0.0 taken").await
    }
}

fn decoded(text: &str) -> String {
    STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// What stands between the angle brackets.
fn address(rest: &str) -> String {
    rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address.to_owned()).unwrap_or_default()
}
