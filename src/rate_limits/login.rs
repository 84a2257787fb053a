//! The counters of log-ins: guesses at one account and guesses from one net.

use futures_util::future::join3;

use super::LimitSettings;
use super::client_limits::ClientLimits;
use super::counters::{Counted, Counter};
use crate::domain::{EmailKey, Timestamp};
use crate::http::ApiError;
use crate::logging;
use crate::store::{StoreError, Taking, Ticket};

/// How long a net stays known to an account after a good log-in from there.
const TRUST_MILLIS: i64 = 30 * Timestamp::DAY_MILLIS;

/// An attempt to log in, counted as a failed one until it turns out otherwise.
pub struct Attempt {
    counted: Counted,
    /// Of the counter of this account and this net.
    here: Option<Ticket>,
}

impl Attempt {
    /// The password was right: the attempt does not count, and the account's owner is known to come from this net. Goes
    /// on behind the answer.
    pub fn succeeded(self, at: Timestamp) {
        self.counted.trusting(self.here, at.plus_millis(TRUST_MILLIS)).give_back();
    }

    /// The password was not looked at: the attempt does not count. Goes on behind the answer.
    pub fn give_back(self) {
        self.counted.give_back();
    }
}

impl ClientLimits {
    /// Counts an attempt to log in to the account with the address of this key, or with what cannot be an address, whether
    /// there is one or not; before anything is looked up or hashed, so that of any number of simultaneous guesses no more
    /// are checked than the limits allow.
    ///
    /// Past a limit a right password is refused too. The limit over all nets refuses nobody who comes from a net with a
    /// good log-in to the account, so that strangers cannot shut its owner out.
    pub async fn login(&self, account: &str) -> Result<Attempt, ApiError> {
        let Some(settings) = self.settings() else { return Ok(Attempt { counted: self.nothing(), here: None }) };
        let net = self.net().to_string();
        let here = counter_of_account_here(settings, account, &net);
        let anywhere = Counter::new("login_account", settings.login_account, &[account]);
        let from_here = Counter::new("login_net", settings.login_net, &[&net]);
        let (store, at) = (self.store(), self.now());
        // All of them, though one may refuse: of several waits the longest is the true one.
        let (taken_here, taken_anywhere, taken_from_here) =
            join3(here.take(store, at), anywhere.take(store, at), from_here.take(store, at)).await;
        let ticket = taken_here.as_ref().ok().and_then(|taken| taken.outcome.ok());
        let is_known_here = taken_here.as_ref().is_ok_and(|taken| taken.is_trusted);
        let mut takings = vec![(here, taken_here), (from_here, taken_from_here)];
        if !(is_known_here && is_refusal(&taken_anywhere)) {
            takings.push((anywhere, taken_anywhere));
        }
        self.all_or_none(takings).await.map(|counted| Attempt { counted, here: ticket })
    }
}

impl ClientLimits {
    /// Forgets the failed log-ins from here to the account with this address, whose owner has shown who they are by other
    /// means, and trusts this net for it: whoever has set a new password may log in with it. One operation; if it fails
    /// the log says so, and the owner has to wait.
    pub async fn forgive_logins(&self, email: &EmailKey) {
        let Some(settings) = self.settings() else { return };
        let here = counter_of_account_here(settings, email.as_str(), &self.net().to_string());
        if let Err(error) = here.clear(self.store(), self.now().plus_millis(TRUST_MILLIS)).await {
            log::warn!(event = "logins_not_forgiven", error = logging::causes(&error); "failed log-ins were not forgiven");
        }
    }
}

/// The counter of failed log-ins to an account from a net.
fn counter_of_account_here(settings: &LimitSettings, account: &str, net: &str) -> Counter {
    Counter::new("login_account_net", settings.login_account_net, &[account, net])
}

fn is_refusal(taking: &Result<Taking, StoreError>) -> bool {
    taking.as_ref().is_ok_and(|taking| taking.outcome.is_err())
}
