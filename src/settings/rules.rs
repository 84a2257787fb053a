//! How each variable is read and what it may be. A reading that fails notes its mistake and goes on with the next.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::{LogFormat, MailSetting, Mode, Service, SettingError, Settings, StoreSetting, VARIABLES, mongodb_uri};
use crate::auth::RegistrationPolicy;
use crate::domain::Password;
use crate::identity::PasswordCost;
use crate::mail::TransportSetting;

/// How a reference to a key vault begins.
const UNRESOLVED_REFERENCE: &str = "@Microsoft.KeyVault(";

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings and the mistakes in them. What a mistake names is made up.
pub(super) fn examine(lookup: Lookup<'_>) -> (Settings, Vec<SettingError>) {
    let mut reader = Reader { lookup, errors: Vec::new(), why_production: "" };
    reader.refuse_unresolved_references();
    let listen = reader.listen();
    let mode = reader.mode(listen);
    let data_dir: PathBuf = reader.get("DATA_DIR").unwrap_or_else(|| "data".to_owned()).into();
    let mail = reader.mail(mode, &data_dir);
    let settings = Settings {
        mode,
        jwt_secret: reader.jwt_secret(mode).map(Into::into),
        jwt_secret_previous: reader.jwt_secret_previous().map(Into::into),
        store: reader.store(mode),
        listen,
        metrics_listen: reader.metrics_listen(listen),
        public_base_url: reader.public_base_url(mode),
        registration: reader.registration(&mail),
        mail,
        services: reader.services(),
        password_min_chars: reader.at_least("PASSWORD_MIN_CHARS", Password::MIN_CHARS, 64),
        password_cost: PasswordCost {
            memory_kib: reader.at_least("ARGON2_MEMORY_KIB", PasswordCost::LOWEST.memory_kib, PasswordCost::HIGHEST.memory_kib),
            passes: reader.at_least("ARGON2_PASSES", PasswordCost::LOWEST.passes, PasswordCost::HIGHEST.passes),
        },
        cors_origins: reader.cors_origins(),
        limits: reader.limits(mode),
        client_address: reader.client_address(),
        is_hosted: reader.is_hosted(),
        log_format: reader.log_format(mode),
        log_filter: (reader.lookup)("RUST_LOG").unwrap_or_else(|| "info".to_owned()),
        warnings: Vec::new(),
        data_dir,
    };
    (settings, reader.errors)
}

pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    errors: Vec<SettingError>,
    /// What makes this production though nobody has said so, and what to do on a laptop.
    why_production: &'static str,
}

impl Reader<'_> {
    pub(super) fn get(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable)
    }

    fn is_hosted(&self) -> bool {
        self.get("FUNCTIONS_CUSTOMHANDLER_PORT").is_some()
    }

    /// By the variables that the platform sets: each plan has the name of the site, not each the id of an instance.
    pub(super) fn is_in_azure(&self) -> bool {
        ["WEBSITE_SITE_NAME", "WEBSITE_INSTANCE_ID"].iter().any(|variable| self.get(variable).is_some())
    }

    pub(super) fn wrong(&mut self, variable: &'static str, problem: impl Into<String>) {
        self.errors.push(SettingError { variable, problem: problem.into() });
    }

    /// Notes a mistake that is one in production only.
    pub(super) fn wrong_in_production(&mut self, variable: &'static str, problem: &str) {
        self.wrong(variable, format!("{problem}{}", self.why_production));
    }

    /// Production unless everything says laptop: the default must be the safe one.
    fn mode(&mut self, listen: SocketAddr) -> Mode {
        let in_azure = self.is_in_azure();
        match self.get("APP_ENV").as_deref() {
            Some("production") => return Mode::Production,
            Some("development") if in_azure => self.wrong("APP_ENV", "must not be development in Azure: remove it or set production"),
            Some("development") if !listen.ip().is_loopback() => {
                self.wrong("APP_ENV", "may be development on loopback only: set LISTEN=127.0.0.1:8080, or APP_ENV=production");
            }
            Some("development") => return Mode::Development,
            Some(_) => self.wrong("APP_ENV", "must be development or production"),
            None => match self.reason_for_production(listen) {
                Some(reason) => self.why_production = reason,
                None => return Mode::Development,
            },
        }
        Mode::Production
    }

    /// What says production when `APP_ENV` says nothing.
    fn reason_for_production(&self, listen: SocketAddr) -> Option<&'static str> {
        if self.is_in_azure() {
            Some("; in Azure this is production")
        } else if self.is_hosted() {
            Some("; FUNCTIONS_CUSTOMHANDLER_PORT makes this production: on a laptop set APP_ENV=development")
        } else if !listen.ip().is_loopback() {
            Some(
                "; LISTEN, which is beyond this machine, makes this production: on a laptop set LISTEN=127.0.0.1:8080 and APP_ENV=development",
            )
        } else if self.get("MONGODB_URI").is_some() {
            Some("; MONGODB_URI makes this production: on a laptop set APP_ENV=development")
        } else {
            None
        }
    }

    /// Azure hands on a reference to a key vault as it is written when it cannot follow it: as a key of the tokens it would be
    /// long enough, and anybody could guess it.
    fn refuse_unresolved_references(&mut self) {
        for variable in VARIABLES {
            if self.get(variable.name).is_some_and(|value| value.starts_with(UNRESOLVED_REFERENCE)) {
                self.wrong(
                    variable.name,
                    "is a key vault reference that Azure could not follow: look at the secret and at who may read it",
                );
            }
        }
    }

    fn registration(&mut self, mail: &MailSetting) -> RegistrationPolicy {
        match self.get("REGISTRATION").as_deref() {
            None | Some("open") => RegistrationPolicy::Open,
            Some("verified") if matches!(mail.transport, TransportSetting::None) => {
                self.wrong("REGISTRATION", "may be verified only with mail: set MAIL_URL, e.g. smtp://user:password@host:587");
                RegistrationPolicy::Verified
            }
            Some("verified") => RegistrationPolicy::Verified,
            Some(_) => {
                self.wrong("REGISTRATION", "must be open or verified");
                RegistrationPolicy::Open
            }
        }
    }

    fn store(&mut self, mode: Mode) -> StoreSetting {
        let production = mode == Mode::Production;
        let Some(uri) = self.get("MONGODB_URI") else {
            if self.is_in_azure() {
                self.wrong(
                    "MONGODB_URI",
                    "is required in Azure, where instances share no disk, e.g. mongodb+srv://user:password@host/chat",
                );
            } else if production && self.get("DATA_DIR").is_none() {
                self.wrong_in_production("MONGODB_URI", "is required in production; or set DATA_DIR to a folder to use the embedded store");
            }
            return StoreSetting::Embedded;
        };
        match mongodb_uri::weaknesses(&uri) {
            None => self.wrong("MONGODB_URI", "is not a connection string such as mongodb://localhost:27017/chat"),
            Some(weaknesses) => {
                for weakness in weaknesses.into_iter().filter(|_| production) {
                    self.wrong_in_production("MONGODB_URI", weakness);
                }
            }
        }
        StoreSetting::MongoDb(uri.into())
    }

    fn services(&mut self) -> Vec<Service> {
        let Some(list) = self.get("SERVICES") else { return Service::ALL.to_vec() };
        let find = |name: &str| Service::ALL.into_iter().find(|service| service.name() == name.trim());
        let services: Option<Vec<Service>> = list.split(',').map(find).collect();
        services.unwrap_or_else(|| {
            self.wrong("SERVICES", "must be a list of auth, users and chat, e.g. auth,users");
            Vec::new()
        })
    }

    fn log_format(&mut self, mode: Mode) -> LogFormat {
        match self.get("LOG_FORMAT").as_deref() {
            Some("text") => LogFormat::Text,
            None if mode == Mode::Development && !self.is_hosted() => LogFormat::Text,
            None | Some("json") => LogFormat::Json,
            Some(_) => {
                self.wrong("LOG_FORMAT", "must be json or text");
                LogFormat::Json
            }
        }
    }

    /// A number that may rise from its default up to a ceiling, never fall.
    fn at_least<N: FromStr + PartialOrd + Copy + std::fmt::Display>(&mut self, variable: &'static str, floor: N, ceiling: N) -> N {
        let Some(text) = self.get(variable) else { return floor };
        match text.parse() {
            Ok(number) if number >= floor && number <= ceiling => number,
            _ => {
                self.wrong(variable, format!("must be a number from {floor} to {ceiling}"));
                floor
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "k9Jw2mX7qLr4Tz8VbN1cYd6Fh3Gs5Pa0";

    fn load_from(pairs: &[(&str, &str)]) -> Result<Settings, Vec<SettingError>> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::load(move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
    }

    #[track_caller]
    fn assert_refused(pairs: &[(&str, &str)], variable: &str) {
        let errors = load_from(pairs).expect_err("must be refused");
        assert!(errors.iter().any(|error| error.variable == variable), "{errors:?}");
        for (_, value) in pairs.iter().filter(|(name, value)| ["JWT_SECRET", "MONGODB_URI"].contains(name) && !value.is_empty()) {
            assert!(!errors.iter().any(|error| error.to_string().contains(value)), "{errors:?} tells a value");
        }
    }

    fn production(extra: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let base =
            [("APP_ENV", "production"), ("JWT_SECRET", SECRET), ("DATA_DIR", "data"), ("PUBLIC_BASE_URL", "https://chat.example.com")];
        let overridden = |name: &str| extra.iter().any(|(other, _)| *other == name);
        base.into_iter().filter(|(name, _)| !overridden(name)).chain(extra.iter().copied()).collect()
    }

    #[test]
    fn nothing_set_is_a_laptop_with_the_embedded_store() {
        let settings = load_from(&[]).expect("defaults");
        assert_eq!(settings.mode, Mode::Development);
        assert!(matches!(settings.store, StoreSetting::Embedded));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.services, Service::ALL);
        assert_eq!(settings.log_format, LogFormat::Text);
    }

    #[test]
    fn a_host_a_public_address_or_a_database_mean_production() {
        for cause in [("FUNCTIONS_CUSTOMHANDLER_PORT", "7072"), ("LISTEN", "0.0.0.0:80"), ("MONGODB_URI", "mongodb://localhost/chat")] {
            assert_refused(&[cause], "JWT_SECRET");
        }
        assert_refused(&[("LISTEN", "0.0.0.0:80"), ("APP_ENV", "development")], "APP_ENV");
        assert!(load_from(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "7072"), ("APP_ENV", "development")]).is_ok());
        assert!(load_from(&[("MONGODB_URI", "mongodb://localhost/chat"), ("APP_ENV", "development")]).is_ok());
    }

    #[test]
    fn the_host_decides_port_and_address() {
        let settings = load_from(&production(&[("FUNCTIONS_CUSTOMHANDLER_PORT", "7072"), ("LISTEN", "0.0.0.0:80")])).expect("valid");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7072");
        assert_eq!(settings.log_format, LogFormat::Json);
    }

    #[test]
    fn production_refuses_what_is_missing() {
        assert!(load_from(&production(&[])).is_ok());
        assert_refused(&production(&[("JWT_SECRET", "")]), "JWT_SECRET");
        assert_refused(&production(&[("DATA_DIR", "")]), "MONGODB_URI");
        assert_refused(&production(&[("PUBLIC_BASE_URL", "")]), "PUBLIC_BASE_URL");
    }

    #[test]
    fn weak_keys_are_refused() {
        let short = &SECRET[..31];
        for weak in [short, &"a".repeat(64), "changeme", "a-string-secret-at-least-256-bits-long"] {
            assert_refused(&[("JWT_SECRET", weak)], "JWT_SECRET");
            assert_refused(&[("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", weak)], "JWT_SECRET_PREVIOUS");
        }
        assert_refused(&[("JWT_SECRET_PREVIOUS", SECRET)], "JWT_SECRET_PREVIOUS");
    }

    #[test]
    fn azure_takes_neither_development_nor_the_embedded_store() {
        for variable in ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"] {
            let in_azure = [(variable, "x"), ("FUNCTIONS_CUSTOMHANDLER_PORT", "7072")];
            assert_refused(&production(&in_azure), "MONGODB_URI");
            assert_refused(&production(&[in_azure[0], in_azure[1], ("APP_ENV", "development")]), "APP_ENV");
        }
    }

    #[test]
    fn a_reference_that_azure_could_not_follow_is_no_value() {
        let reference = "@Microsoft.KeyVault(VaultName=kv-chat;SecretName=jwt-secret)";
        for variable in ["JWT_SECRET", "MONGODB_URI", "MAIL_URL"] {
            assert_refused(&production(&[(variable, reference)]), variable);
        }
    }

    #[test]
    fn each_bad_value_is_named() {
        let bad = [
            ("APP_ENV", "staging"),
            ("LISTEN", "8080"),
            ("METRICS_LISTEN", "9090"),
            ("METRICS_LISTEN", "0.0.0.0:9090"),
            ("METRICS_LISTEN", "127.0.0.1:8080"),
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "x"),
            ("REGISTRATION", "closed"),
            ("REGISTRATION", "verified"),
            ("SERVICES", "auth,mail"),
            ("SERVICES", ","),
            ("PASSWORD_MIN_CHARS", "7"),
            ("ARGON2_MEMORY_KIB", "19455"),
            ("ARGON2_MEMORY_KIB", "262145"),
            ("ARGON2_PASSES", "two"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "https://a.example/path"),
            ("LOG_FORMAT", "xml"),
            ("PUBLIC_BASE_URL", "chat.example.com"),
            ("PUBLIC_BASE_URL", "http://chat.example.com"),
            ("MONGODB_URI", "mongodb://db.example.com/chat"),
        ];
        for (name, value) in bad {
            assert_refused(&production(&[(name, value)]), name);
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let errors = load_from(&[("APP_ENV", "production"), ("LISTEN", "nowhere"), ("LOG_FORMAT", "xml")]).expect_err("many mistakes");
        let named: Vec<_> = errors.iter().map(|error| error.variable).collect();
        assert_eq!(named, ["LISTEN", "JWT_SECRET", "MONGODB_URI", "PUBLIC_BASE_URL", "LOG_FORMAT"]);
    }
}
