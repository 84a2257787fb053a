//! Puts the parts of a process together as its settings say.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::chat::WaitingRoom;
use crate::domain::Clock;
use crate::gateway::{App, Metrics};
use crate::identity::{MailTokens, PasswordHasher, Pseudonyms, Tokens, load_or_make_key};
use crate::mail::{self, Letters, Mailer, Transport, Worker};
use crate::rate_limits::RateLimits;
use crate::settings::{Service, Settings, StoreSetting, is_of_this_machine};
use crate::store::Store;
use crate::store::mongo::MongoStore;
use crate::store::sqlite::SqliteStore;

/// Why a process does not start.
pub type Failure = Box<dyn std::error::Error>;

/// Where a server of this machine is, when nothing says where people reach it.
pub const LOCAL_URL: &str = "http://127.0.0.1:8080";

/// Opens the store that the settings name. Needs a Tokio runtime.
pub fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, Failure> {
    Ok(match &settings.store {
        StoreSetting::Embedded => Arc::new(SqliteStore::open(&settings.data_dir)?),
        StoreSetting::MongoDb(uri) => Arc::new(MongoStore::connect(uri.expose_secret())?),
    })
}

/// Begins to send mail. `listen_url` is where this process listens, which is where people reach it on a laptop.
pub fn start_mail(settings: &Settings, listen_url: &str, store: &Arc<dyn Store>, clock: &Clock) -> Result<(Mailer, Worker), Failure> {
    let base_url = settings.public_base_url.as_deref().unwrap_or(listen_url);
    let transport = Transport::open(&settings.mail.transport, base_url)?;
    let letters = Letters::new(base_url, settings.mail.from.clone());
    let tokens = MailTokens::new(&secret(settings)?);
    Ok(mail::start(transport, letters, tokens, Arc::clone(store), clock.clone()))
}

/// All that the services share.
pub fn assemble(settings: &Settings, store: Arc<dyn Store>, mailer: Mailer, clock: Clock) -> Result<App, Failure> {
    let secret = secret(settings)?;
    let tokens = Tokens::new(&secret);
    let waiting_room = WaitingRoom::new(settings.limits.polls);
    if settings.services.contains(&Service::Chat) {
        store.listen(Arc::new(waiting_room.clone()));
    }
    let passwords = PasswordHasher::new(settings.password_cost, settings.password_min_chars, settings.limits.waiting_hashes)?;
    let counted = settings.metrics_listen.is_some();
    Ok(App {
        metrics: counted.then(|| Metrics::new(Arc::clone(&store), passwords.clone(), waiting_room.clone(), mailer.clone())),
        rate_limits: RateLimits::new(settings.limits.clone(), settings.client_address.clone(), Arc::clone(&store)),
        store,
        clock,
        tokens: match &settings.jwt_secret_previous {
            Some(previous) => tokens.with_previous(previous),
            None => tokens,
        },
        pseudonyms: Pseudonyms::new(&secret),
        passwords,
        mailer,
        waiting_room,
        registration: settings.registration,
        is_https: settings.public_base_url.as_deref().is_some_and(|url| url.starts_with("https://") && !is_of_this_machine(url)),
        services: settings.services.clone(),
        cors_origins: settings.cors_origins.clone(),
    })
}

fn secret(settings: &Settings) -> Result<SecretString, Failure> {
    settings.jwt_secret.clone().map_or_else(|| made_secret(settings), Ok)
}

fn made_secret(settings: &Settings) -> Result<SecretString, Failure> {
    let folder = &settings.data_dir;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    Ok(load_or_make_key(folder)?)
}
