//! Who is calling from where, and how often what may happen.
//!
//! Two kinds of limit: events that protect people (guesses, mail, strangers' chats) are counted in the store
//! ([`ClientLimits`]), where instances and restarts do not multiply them; plain traffic is counted in memory (`traffic`)
//! by the guards of the endpoints ([`count_and_pass`], [`count_open`]), and so are the bytes of answers that nobody takes (`unsent`).

mod client_address;
mod client_limits;
mod counters;
mod guards;
mod limit_settings;
mod login;
mod traffic;
mod unsent;

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;

pub use client_address::{AddressSource, ClientAddress, ClientNet};
pub use client_limits::{ClientLimits, MailPermission};
pub use counters::Counted;
pub use guards::{count_and_pass, count_and_refuse, count_open};
pub use limit_settings::{Bucket, LimitSettings, PollLimits};
pub use login::Attempt;
pub use traffic::Payer;
pub use unsent::{BUFFERED_BYTES, Turn};

use crate::domain::Net;
use crate::http::Traffic;
use crate::store::Store;
use traffic::{Standing, TrafficLimits};
use unsent::Unsent;

/// All limits of a process. Clones share the counts.
#[derive(Clone)]
pub struct RateLimits(Arc<Shared>);

struct Shared {
    settings: LimitSettings,
    client_address: ClientAddress,
    traffic: TrafficLimits,
    unsent: Unsent,
    store: Arc<dyn Store>,
}

impl RateLimits {
    /// The limits of a process on its store.
    pub fn new(settings: LimitSettings, client_address: ClientAddress, store: Arc<dyn Store>) -> Self {
        let traffic = TrafficLimits::new(&settings, &governor::clock::MonotonicClock);
        Self(Arc::new(Shared { settings, client_address, traffic, unsent: Unsent::default(), store }))
    }

    /// The net of the client whose request came from `peer` with these headers.
    #[must_use]
    pub fn net_of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Net {
        self.0.client_address.net_of(peer, headers)
    }

    /// Counts a request; `None` when nothing is limited.
    fn take(&self, traffic: Traffic, payer: Payer) -> Option<Standing> {
        self.0.settings.is_on.then(|| self.0.traffic.take(traffic, payer))
    }
}
