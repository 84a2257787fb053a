//! How mail leaves: the address of a mail server and the like, and who mail comes from.

use std::net::IpAddr;
use std::path::Path;

use lettre::address::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::client::Certificate;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::Mode;
use super::rules::Reader;
use crate::mail::{SmtpCredentials, SmtpPatience, SmtpSetting, SmtpTls, TransportSetting, tls_parameters};

/// Ports of mail submission: with STARTTLS (RFC 6409), and with TLS from the beginning (RFC 8314).
const SUBMISSION_PORT: u16 = 587;
const SUBMISSIONS_PORT: u16 = 465;
const URL_FORMS: &str = "must be smtp://user:password@host:587, smtps://user:password@host:465, file:FOLDER, log: or none; \
                         what is special in a user or password is written in percent code";

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct MailSetting {
    /// Which way.
    pub transport: TransportSetting,
    /// Who it comes from.
    pub from: Mailbox,
}

impl Reader<'_> {
    pub(super) fn mail(&mut self, mode: Mode, data_dir: &Path) -> MailSetting {
        let authorities = self.mail_authorities();
        let transport = self.mail_transport(mode, data_dir, authorities);
        let from = self.mail_from(mode, &transport);
        MailSetting { transport, from }
    }

    fn mail_transport(&mut self, mode: Mode, data_dir: &Path, authorities: Option<Certificate>) -> TransportSetting {
        let url = self.get("MAIL_URL");
        let transport = match url.as_deref() {
            None if mode == Mode::Production => TransportSetting::None,
            Some("none") => TransportSetting::None,
            None | Some("file:") => TransportSetting::Folder(data_dir.join("mail")),
            Some("log:") => TransportSetting::Log,
            Some(url) => match (url.strip_prefix("file:"), smtp(url, authorities)) {
                (Some(folder), _) => TransportSetting::Folder(folder.into()),
                (None, Some(smtp)) => TransportSetting::Smtp(smtp),
                (None, None) => {
                    self.wrong("MAIL_URL", URL_FORMS);
                    TransportSetting::None
                }
            },
        };
        if mode == Mode::Production && matches!(transport, TransportSetting::Folder(_) | TransportSetting::Log) {
            self.wrong_in_production("MAIL_URL", "must be a mail server in production, e.g. smtp://user:password@host:587, or none");
        }
        transport
    }

    fn mail_from(&mut self, mode: Mode, transport: &TransportSetting) -> Mailbox {
        let fallback = Mailbox::new(Some("chat-functions".to_owned()), Address::new_dangerous("no-reply", "localhost"));
        let Some(text) = self.get("MAIL_FROM") else {
            // Only a server on this machine may know what to do with that sender.
            if mode == Mode::Production && matches!(transport, TransportSetting::Smtp(server) if server.tls != SmtpTls::Offered) {
                self.wrong_in_production("MAIL_FROM", "is required with a mail server, e.g. Chat <no-reply@chat.example.com>");
            }
            return fallback;
        };
        mailbox(&text).unwrap_or_else(|| {
            self.wrong("MAIL_FROM", "must be one mail address, e.g. Chat <no-reply@chat.example.com>");
            fallback
        })
    }

    fn mail_authorities(&mut self) -> Option<Certificate> {
        let path = self.get("MAIL_CA_FILE")?;
        let authorities = std::fs::read(path).ok().and_then(|pem| certificates(&pem));
        if authorities.is_none() {
            self.wrong("MAIL_CA_FILE", "must be a file with certificates in PEM (-----BEGIN CERTIFICATE-----)");
        }
        authorities
    }
}

/// One address with or without a name. Of several the parser would take the first.
fn mailbox(text: &str) -> Option<Mailbox> {
    let one = text.matches('@').count() == 1 && !text.contains(char::is_control);
    let mailbox: Mailbox = text.parse().ok().filter(|_| one)?;
    let address: &str = mailbox.email.as_ref();
    address.is_ascii().then_some(mailbox)
}

/// The certificates of a PEM file that are fit to be authorities; `None` when there are none, or one is not.
fn certificates(pem: &[u8]) -> Option<Certificate> {
    // The parser makes nothing of what has no such line.
    let has_any = std::str::from_utf8(pem).is_ok_and(|text| text.contains("-----BEGIN CERTIFICATE-----"));
    let certificates = Certificate::from_pem(pem).ok().filter(|_| has_any)?;
    tls_parameters("localhost", Some(&certificates)).is_ok().then_some(certificates)
}

/// A mail server by its URL; `None` when it is none. Only on this machine may it be spoken to in clear.
fn smtp(url: &str, authorities: Option<Certificate>) -> Option<SmtpSetting> {
    let url = Url::parse(url).ok()?;
    let (host, is_local) = host(&url)?;
    let (tls, port) = match url.scheme() {
        "smtps" => (SmtpTls::Immediate, SUBMISSIONS_PORT),
        "smtp" if is_local => (SmtpTls::Offered, SUBMISSION_PORT),
        "smtp" => (SmtpTls::Required, SUBMISSION_PORT),
        _ => return None,
    };
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => Some(SmtpCredentials { user: decoded(user)?, password: decoded(password)?.into() }),
        _ => return None,
    };
    is_bare.then_some(SmtpSetting {
        host,
        port: url.port().unwrap_or(port),
        tls,
        credentials,
        authorities,
        patience: SmtpPatience::default(),
    })
}

/// The host of a URL, and whether it is this machine.
fn host(url: &Url) -> Option<(String, bool)> {
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        Host::Ipv4(address) => address.to_string(),
        Host::Domain(name) => name.to_ascii_lowercase(),
    };
    let is_plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_plain.then_some((host, is_local))
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    // It goes into a line of the mail server's.
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::super::{SettingError, Settings};
    use super::*;

    const PRODUCTION: [(&str, &str); 4] = [
        ("APP_ENV", "production"),
        ("JWT_SECRET", "k9Jw2mX7qLr4Tz8VbN1cYd6Fh3Gs5Pa0"),
        ("DATA_DIR", "data"),
        ("PUBLIC_BASE_URL", "https://chat.example.com"),
    ];
    const SERVER: (&str, &str) = ("MAIL_URL", "smtp://mail.example.com");
    const SENDER: (&str, &str) = ("MAIL_FROM", "Chat <no-reply@example.com>");

    fn load(pairs: &[(&str, &str)]) -> Result<MailSetting, Vec<SettingError>> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::load(find).map(|settings| settings.mail)
    }

    fn in_production(pairs: &[(&'static str, &'static str)]) -> Result<MailSetting, Vec<SettingError>> {
        load(&[&PRODUCTION, pairs].concat())
    }

    #[track_caller]
    fn server(url: &str) -> SmtpSetting {
        match load(&[("MAIL_URL", url)]).expect("valid").transport {
            TransportSetting::Smtp(server) => server,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[track_caller]
    fn assert_wrong(loaded: Result<MailSetting, Vec<SettingError>>, variable: &str) {
        let errors = loaded.expect_err("must be refused");
        let named: Vec<_> = errors.iter().map(|error| error.variable).collect();
        assert_eq!(named, [variable], "{errors:?}");
    }

    #[test]
    fn a_laptop_keeps_mail_beside_its_data() {
        let folder = |pairs: &[(&str, &str)]| match load(pairs).expect("valid").transport {
            TransportSetting::Folder(folder) => folder.display().to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(folder(&[]), "data/mail");
        assert_eq!(folder(&[("DATA_DIR", "/tmp/x"), ("MAIL_URL", "file:")]), "/tmp/x/mail");
        assert_eq!(folder(&[("MAIL_URL", "file:/var/mail out")]), "/var/mail out");
        assert_eq!(load(&[]).expect("valid").from.to_string(), "chat-functions <no-reply@localhost>");
        assert!(matches!(load(&[("MAIL_URL", "log:")]).expect("valid").transport, TransportSetting::Log));
        assert!(matches!(load(&[("MAIL_URL", "none")]).expect("valid").transport, TransportSetting::None));
    }

    #[test]
    fn production_sends_by_a_server_or_not_at_all() {
        assert!(matches!(in_production(&[]).expect("valid").transport, TransportSetting::None));
        assert!(matches!(in_production(&[("MAIL_URL", "none")]).expect("valid").transport, TransportSetting::None));
        assert!(matches!(in_production(&[SERVER, SENDER]).expect("valid").transport, TransportSetting::Smtp(_)));
        for laptop in ["file:", "file:/var/mail", "log:"] {
            assert_wrong(in_production(&[("MAIL_URL", laptop)]), "MAIL_URL");
        }
    }

    #[test]
    fn a_server_elsewhere_wants_a_sender_that_is_somebody() {
        assert_wrong(in_production(&[SERVER]), "MAIL_FROM");
        assert!(in_production(&[("MAIL_URL", "smtp://localhost:25")]).is_ok());
        assert!(load(&[SERVER]).is_ok());
    }

    #[test]
    fn a_server_is_known_by_its_url() {
        let full = server("smtp://user%40example.com:p%2Fw%3A%25@Mail.Example.com:2525");
        assert_eq!((full.host.as_str(), full.port, full.tls), ("mail.example.com", 2525, SmtpTls::Required));
        let credentials = full.credentials.expect("credentials");
        assert_eq!((credentials.user.as_str(), credentials.password.expose_secret()), ("user@example.com", "p/w:%"));
        for (url, host, port, tls) in [
            ("smtp://mail.example.com", "mail.example.com", 587, SmtpTls::Required),
            ("smtps://mail.example.com/", "mail.example.com", 465, SmtpTls::Immediate),
            ("smtp://192.0.2.1:25", "192.0.2.1", 25, SmtpTls::Required),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, SmtpTls::Offered),
            ("smtp://localhost", "localhost", 587, SmtpTls::Offered),
            ("smtp://[::1]:25", "::1", 25, SmtpTls::Offered),
            ("smtps://localhost", "localhost", 465, SmtpTls::Immediate),
        ] {
            let server = server(url);
            assert_eq!((server.host.as_str(), server.port, server.tls), (host, port, tls), "{url}");
            assert!(server.credentials.is_none(), "{url}");
        }
    }

    #[test]
    fn what_is_no_way_for_mail_is_refused_and_never_repeated() {
        for bad in [
            "mail.example.com",
            "smtp:",
            "smtp://",
            "smtp://user@mail.example.com",
            "smtp://:secret@mail.example.com",
            "smtp://user:secret@",
            "smtp://user:a%0d%0ab@mail.example.com",
            "smtp://user:%ff@mail.example.com",
            "smtp://mail.example.com:99999",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com?tls=none",
            "smtp://mail.example.com#secret",
            "smtp://m\u{e4}il.example.com",
            "smtp://localhost.example.com:secret@",
            "https://mail.example.com",
            "NONE",
            "log",
        ] {
            let loaded = load(&[("MAIL_URL", bad)]);
            let told = format!("{loaded:?}");
            assert_wrong(loaded, "MAIL_URL");
            assert!(!told.contains("secret") && !told.contains("example.com"), "{told}");
        }
    }

    #[test]
    fn settings_do_not_print_who_we_are_to_the_server() {
        let printed = format!("{:?}", load(&[("MAIL_URL", "smtp://somebody:secret@mail.example.com")]).expect("valid"));
        assert!(!printed.contains("secret") && !printed.contains("somebody"), "{printed}");
    }

    #[test]
    fn a_sender_is_one_address() {
        for (good, printed) in [
            ("no-reply@chat.example.com", "no-reply@chat.example.com"),
            ("Chat <no-reply@chat.example.com>", "Chat <no-reply@chat.example.com>"),
            ("\"Chat, the\" <a@b.co>", "\"Chat, the\" <a@b.co>"),
        ] {
            assert_eq!(load(&[("MAIL_FROM", good)]).expect("valid").from.to_string(), printed);
        }
        for bad in
            ["chat", "a@b.co, c@d.co", "Chat <a@b.co> <c@d.co>", "Chat\r\nBcc: x <a@b.co>", "a@b.co>", "\u{e4}@b.co", "<>", "Chat <>"]
        {
            assert_wrong(load(&[("MAIL_FROM", bad)]), "MAIL_FROM");
        }
    }

    #[test]
    fn authorities_are_certificates_in_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate").pem();
        let damaged = pem.replacen("MI", "AA", 1);
        let path_text = path.display().to_string();
        let pairs = [SERVER, ("MAIL_CA_FILE", path_text.as_str())];
        assert_wrong(load(&pairs), "MAIL_CA_FILE");
        for bad in ["", "no certificate", damaged.as_str(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&path, bad).expect("written");
            assert_wrong(load(&pairs), "MAIL_CA_FILE");
        }
        fs::write(&path, format!("{pem}{pem}")).expect("written");
        let TransportSetting::Smtp(server) = load(&pairs).expect("valid").transport else { panic!("a server") };
        assert!(server.authorities.is_some());
    }
}
