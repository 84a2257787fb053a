//! Every setting: read once at the start from the environment and a `.env` file, checked together, passed on as a value.
//!
//! Nothing else reads the environment. All mistakes are told at once; an error names the variable and never its value.

mod addresses;
pub mod dot_env;
mod limits;
mod mail;
mod mongodb_uri;
mod origins;
mod rules;
mod source;
mod token_keys;
mod unknown;
mod variables;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

pub use mail::MailSetting;
pub use origins::is_of_this_machine;
use source::Source;
pub use variables::{VARIABLES, Variable};

use crate::auth::RegistrationPolicy;
use crate::identity::PasswordCost;
use crate::rate_limits::{ClientAddress, LimitSettings};

/// How much is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A laptop: what is missing is made up.
    Development,
    /// People rely on it: what is missing or weak stops the start.
    Production,
}

/// Where the data is kept.
#[derive(Debug, Clone)]
pub enum StoreSetting {
    /// In an SQLite file in the data folder.
    Embedded,
    /// In the MongoDB database that a connection string names.
    MongoDb(SecretString),
}

/// A service of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Accounts and sessions: `/api/auth`.
    Auth,
    /// Profiles and friends: `/api/users`.
    Users,
    /// Messages: `/api/chat`.
    Chat,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::Auth, Self::Users, Self::Chat];

    /// The name in `SERVICES` and in paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Users => "users",
            Self::Chat => "chat",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for programs.
    Json,
    /// One sentence a line, for people.
    Text,
}

/// The settings of a process. See [`VARIABLES`] for the variable, the default and the meaning of each.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Development or production.
    pub mode: Mode,
    /// The key of the tokens; `None` in development, where one is made and kept in the data folder.
    pub jwt_secret: Option<SecretString>,
    /// An older key of the tokens, which still verifies.
    pub jwt_secret_previous: Option<SecretString>,
    /// Where the data is kept.
    pub store: StoreSetting,
    /// The folder of the embedded store, the made key and mail as files.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to tell the metrics, if at all.
    pub metrics_listen: Option<SocketAddr>,
    /// Where people reach the API, without a slash at the end.
    pub public_base_url: Option<String>,
    /// What a registration needs to become an account.
    pub registration: RegistrationPolicy,
    /// How mail leaves, and who it comes from.
    pub mail: MailSetting,
    /// Which services this process serves.
    pub services: Vec<Service>,
    /// Shortest password that may be set, in code points.
    pub password_min_chars: usize,
    /// What a password hash costs.
    pub password_cost: PasswordCost,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// How often things may happen.
    pub limits: LimitSettings,
    /// Whose address the limits count by.
    pub client_address: ClientAddress,
    /// Whether the Functions host has started the process, so that people reach it elsewhere than where it listens.
    pub is_hosted: bool,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, in the syntax of `env_logger`.
    pub log_filter: String,
    /// What is odd and not wrong, a sentence each, to be logged once there is a log.
    pub warnings: Vec<String>,
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The variable to change.
    pub variable: &'static str,
    /// What is wrong, with an example of what would be right. Never the value.
    pub problem: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl Settings {
    /// Reads the environment and, for what it lacks, the file `.env` in the working directory.
    pub fn from_environment() -> Result<Self, Vec<SettingError>> {
        let (settings, errors) = Self::examine_environment();
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    /// The same with all mistakes beside what there is. A setting that one of them names is made up.
    #[must_use]
    pub fn examine_environment() -> (Self, Vec<SettingError>) {
        let mut source = Source::of_process();
        let (settings, errors) = Self::examine(|name| source.get(name));
        // How a value is written comes first: what it says is looked at once that is right.
        let is_named = |error: &SettingError| source.errors.iter().any(|named| named.variable == error.variable);
        let others: Vec<_> = errors.into_iter().filter(|error| !is_named(error)).collect();
        source.errors.extend(others);
        (Self { warnings: source.warnings, ..settings }, source.errors)
    }

    /// Reads the settings by way of `lookup`. An empty value counts as none.
    pub fn load(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<SettingError>> {
        let (settings, errors) = Self::examine(lookup);
        if errors.is_empty() { Ok(settings) } else { Err(errors) }
    }

    fn examine(lookup: impl Fn(&str) -> Option<String>) -> (Self, Vec<SettingError>) {
        rules::examine(&|name| lookup(name).filter(|value| !value.is_empty()))
    }
}
