//! The doctor: tries what the settings name, and tells in a line each what works and what there is to do.

use std::fmt;
use std::time::{Duration, Instant};

use crate::domain::Clock;
use crate::logging::causes;
use crate::mail::{self, Transport};
use crate::settings::{Mode, SettingError, Settings, StoreSetting};
use crate::startup;
use crate::store::StoreError;

/// How long a store may take to be reached: longer than one attempt of the driver.
const STORE_PATIENCE: Duration = Duration::from_secs(8);
const STORE_RETRY: Duration = Duration::from_millis(100);

/// What was found of one thing.
#[derive(Debug)]
pub struct Finding {
    what: &'static str,
    /// What works, or what is wrong and what to do.
    outcome: Result<String, String>,
}

impl Finding {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(text) => write!(f, "ok      {}: {text}", self.what),
            Err(text) => write!(f, "to do   {}: {text}", self.what),
        }
    }
}

/// What says which store there is, and how mail leaves. One of them that is wrong leaves nothing to try.
const OF_THE_STORE: [&str; 2] = ["MONGODB_URI", "DATA_DIR"];
const OF_MAIL: [&str; 3] = ["MAIL_URL", "MAIL_FROM", "MAIL_CA_FILE"];

/// What is told of a mail server that takes the sender and the recipient, and then refuses all.
const REFUSES: &str =
    "the mail server has refused mail to three domains in a row, and none has left since; look at the server, and at MAIL_FROM";

/// Tries everything that the settings name, but for what the mistakes in them are about. Needs a Tokio runtime.
pub async fn check(settings: &Settings, mistakes: &[SettingError]) -> Vec<Finding> {
    let is_right = |names: &[&str]| !mistakes.iter().any(|mistake| names.contains(&mistake.variable));
    let (mut findings, mut is_server_to_blame) = (Vec::new(), false);
    if mistakes.is_empty() {
        findings.push(Finding { what: "settings", outcome: Ok(summary(settings)) });
    }
    if is_right(&OF_THE_STORE) {
        let (outcome, blames_server) = match check_store(settings).await {
            Ok((text, blames_server)) => (Ok(text), blames_server),
            Err(text) => (Err(text), false),
        };
        is_server_to_blame = blames_server;
        findings.push(Finding { what: "store", outcome });
    }
    if is_right(&OF_MAIL) {
        let outcome = check_mail(settings).await.and_then(|text| if is_server_to_blame { Err(REFUSES.to_owned()) } else { Ok(text) });
        findings.push(Finding { what: "mail", outcome });
    }
    findings
}

fn summary(settings: &Settings) -> String {
    let mode = if settings.mode == Mode::Production { "production" } else { "development" };
    let services: Vec<_> = settings.services.iter().map(|service| service.name()).collect();
    format!("{mode} mode on {}, serving {}", settings.listen, services.join(", "))
}

/// What works, and whether the store has the mark that the mail server refuses mail whoever it goes to.
async fn check_store(settings: &Settings) -> Result<(String, bool), String> {
    let store = startup::open_store(settings).map_err(|error| causes(error.as_ref()))?;
    let begun = Instant::now();
    let checked = loop {
        match store.check().await {
            Err(StoreError::Unavailable(_)) if begun.elapsed() < STORE_PATIENCE => tokio::time::sleep(STORE_RETRY).await,
            checked => break checked,
        }
    };
    let (kind, has_room) = (store.kind().as_str(), store.has_room());
    let blames_server = checked.is_ok() && mail::is_server_to_blame(&*store, Clock::default().now()).await.unwrap_or(false);
    store.close().await;
    match checked {
        Ok(()) if !has_room => Err(format!("the {kind} store takes no further data; look at the room of {}", advice(&settings.store))),
        Ok(()) => Ok((format!("the {kind} store answers and has every index"), blames_server)),
        Err(error) => Err(format!("the {kind} store cannot be used, look at {}: {}", advice(&settings.store), causes(&error))),
    }
}

/// Which setting says where the store is.
fn advice(store: &StoreSetting) -> &'static str {
    match store {
        StoreSetting::Embedded => "DATA_DIR",
        StoreSetting::MongoDb(_) => "MONGODB_URI and its server",
    }
}

async fn check_mail(settings: &Settings) -> Result<String, String> {
    let base_url = settings.public_base_url.as_deref().unwrap_or(startup::LOCAL_URL);
    let transport = Transport::open(&settings.mail.transport, base_url).map_err(|error| error.to_string())?;
    if !transport.is_available() {
        return Ok("none is sent: addresses are not verified and lost passwords not replaced; set MAIL_URL to change that".to_owned());
    }
    match transport.check(&settings.mail.from).await {
        Ok(()) => Ok(format!("goes {}", transport.destination())),
        Err(error) => Err(format!("{error}; look at MAIL_URL")),
    }
}
