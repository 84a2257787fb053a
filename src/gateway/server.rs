//! Puts the application together and serves it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{App as ActixApp, HttpServer, web};
use tokio::signal::unix::{SignalKind, signal};

use super::cors::{AllowedOrigins, cors};
use super::health::Health;
use super::metrics::Metrics;
use super::openapi::Document;
use super::{answer, configure, isolation, limits, socket, unread_body};
use crate::auth::RegistrationPolicy;
use crate::chat::WaitingRoom;
use crate::domain::Clock;
use crate::http::Capacity;
use crate::identity::{PasswordHasher, Pseudonyms, Tokens};
use crate::mail::Mailer;
use crate::rate_limits::{BUFFERED_BYTES, RateLimits};
use crate::settings::Service;
use crate::store::Store;

/// Time in which a request's head must have arrived.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections at once in a process.
const MAX_CONNECTIONS: usize = 12_000;
/// How long requests under way may take to finish once the process is asked to stop, in seconds.
const STOP_SECONDS: u64 = 10;
/// All that the services share.
#[derive(Clone)]
pub struct App {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Who signs the tokens.
    pub tokens: Tokens,
    /// Who hashes the passwords.
    pub passwords: PasswordHasher,
    /// Who takes orders for mail.
    pub mailer: Mailer,
    /// What a registration needs to become an account.
    pub registration: RegistrationPolicy,
    /// Names for addresses in the log.
    pub pseudonyms: Pseudonyms,
    /// How often things may happen, and who is asking.
    pub rate_limits: RateLimits,
    /// Where those are who wait for news. It hears of the changes in the store.
    pub waiting_room: WaitingRoom,
    /// Where requests are counted, if at all.
    pub metrics: Option<Metrics>,
    /// Which services are served.
    pub services: Vec<Service>,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Whether people reach the API by https.
    pub is_https: bool,
}

/// Serves the application on a bound socket until SIGTERM or SIGINT; then requests under way may finish.
pub fn serve(listener: TcpListener, app: App) -> io::Result<Server> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    // Made once and shared by all workers: each worker calls the factory below for its own application.
    let capacity = web::Data::new(Capacity::default());
    let health = web::Data::new(Health::default());
    let document = web::Data::new(Document::of(app.services.clone()));
    let stop = stop_signal(app.waiting_room.clone())?;
    socket::let_go_of_who_does_not_read(&listener)?;
    let server = HttpServer::new(move || {
        let services = app.services.clone();
        ActixApp::new()
            .app_data(web::Data::from(Arc::clone(&app.store)))
            .app_data(web::Data::new(app.clock.clone()))
            .app_data(web::Data::new(app.tokens.clone()))
            .app_data(web::Data::new(app.passwords.clone()))
            .app_data(web::Data::new(app.rate_limits.clone()))
            .app_data(web::Data::new(app.mailer.clone()))
            .app_data(web::Data::new(app.registration))
            .app_data(web::Data::new(app.pseudonyms.clone()))
            .app_data(web::Data::new(app.waiting_room.clone()))
            .app_data(web::Data::new(answer::Hsts(app.is_https)))
            .app_data(web::Data::new(AllowedOrigins::new(&app.cors_origins)))
            .app_data(web::Data::new(app.metrics.clone()))
            .app_data(capacity.clone())
            .app_data(health.clone())
            .app_data(document.clone())
            .configure(|config| configure(config, &services))
            .wrap(Condition::new(!app.cors_origins.is_empty(), cors(&app.cors_origins)))
            .wrap(from_fn(isolation::isolate))
            .wrap(from_fn(limits::limit))
            .wrap(from_fn(answer::answer))
            .wrap(from_fn(unread_body::hold))
    });
    Ok(server
        .workers(workers)
        .client_request_timeout(HEAD_DEADLINE)
        .keep_alive(KEEP_ALIVE)
        .max_connections(MAX_CONNECTIONS / workers)
        .h1_write_buffer_size(BUFFERED_BYTES)
        // A client that has closed its side waits for no answer any more: what waits for it ends.
        .h1_allow_half_closed(false)
        .shutdown_signal(stop)
        .shutdown_timeout(STOP_SECONDS)
        .listen(listener)?
        .run())
}

/// What ends when the process is asked to stop. Those who wait for news are answered at once then.
fn stop_signal(waiting_room: WaitingRoom) -> io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => log::info!(event = "stopping"; "SIGTERM: requests under way may finish"),
            _ = interrupt.recv() => log::info!(event = "stopping"; "SIGINT: requests under way may finish"),
        }
        waiting_room.close();
    })
}
