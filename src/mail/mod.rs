//! The mail: what services order, and who sends it.
//!
//! A service asks the [`Mailer`] for an order and hands it to the store together with the change that causes it; so a mail is
//! ordered exactly when the change is made, and survives whatever happens to the process. The [`Worker`] takes due mail
//! from the store, makes its token and sends it. Start at [`start`].

mod blame;
mod folder;
mod letters;
mod line;
mod mailer;
mod pause;
mod refusal;
mod sender;
mod smtp;
mod topic;
mod transport;
mod worker;
mod writer;

use std::sync::Arc;

pub use blame::is_marked as is_server_to_blame;
pub use letters::Letters;
pub use mailer::Mailer;
pub use smtp::SmtpPatience;
pub(crate) use smtp::tls_parameters;
pub use transport::{SmtpCredentials, SmtpSetting, SmtpTls, Transport, TransportError, TransportSetting};
pub use worker::Worker;

use self::blame::Blame;
use self::pause::Pause;
use self::sender::Sender;
use self::writer::Writer;
use crate::domain::Clock;
use crate::identity::MailTokens;
use crate::store::Store;

/// Starts to send what waits in a store, and to take orders; or neither, if the transport is none. Needs a Tokio runtime.
pub fn start(transport: Transport, letters: Letters, tokens: MailTokens, store: Arc<dyn Store>, clock: Clock) -> (Mailer, Worker) {
    let name = transport.name();
    if transport.is_available() {
        log::info!(event = "mail_started", transport = name; "mail goes {}", transport.destination());
        let mailer = Mailer::default();
        let writer = Writer { letters, tokens, store: Arc::clone(&store), clock: clock.clone() };
        (
            mailer.clone(),
            Worker::start(Sender { store, clock, transport, writer, mailer, pause: Pause::default(), blame: Blame::default() }),
        )
    } else {
        log::warn!(event = "mail_started", transport = name; "no mail is sent: addresses are not verified, lost passwords not replaced");
        (Mailer::unavailable(), Worker::idle())
    }
}
