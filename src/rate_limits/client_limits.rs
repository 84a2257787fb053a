//! The limits that protect people, as they apply to the client of one request. Handlers take it as an extractor.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::join;

use super::counters::{Counted, Counter};
use super::{ClientNet, LimitSettings, RateLimits};
use crate::domain::{Clock, EmailKey, MailPurpose, Net, Timestamp, UserId};
use crate::http::{ApiError, ErrorCode};
use crate::store::{Quota, Store, StoreError, Taking};

/// The shared limits and the client they apply to.
///
/// Each method counts an event in the store, or refuses it by 429 with a true `Retry-After`. A counter that cannot be
/// read is 503: nothing runs unlimited. What is counted stays so until its window ends, unless it is given back.
pub struct ClientLimits {
    limits: RateLimits,
    net: Net,
    clock: Clock,
}

/// Whether a mail that was asked for may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum MailPermission {
    /// It may.
    Granted,
    /// The address has been sent enough; the caller is told nothing.
    Withheld,
}

impl ClientLimits {
    /// Where the client is.
    #[must_use]
    pub fn net(&self) -> Net {
        self.net
    }

    /// Counts a registration. One operation.
    pub async fn register(&self) -> Result<Counted, ApiError> {
        self.count_for_net("register", |settings| settings.register).await
    }

    /// Counts the mail that a registration sends to an address; to be given back when it sends none. One operation.
    pub async fn mail_registration(&self, address: &EmailKey) -> Result<Counted, ApiError> {
        let Some(settings) = self.settings() else { return Ok(self.nothing()) };
        self.take(counter_of_address(settings, MailPurpose::Verification, address)).await
    }

    /// Counts the use of a mail token; to be given back when it is one. One operation.
    pub async fn redeem_mail_token(&self) -> Result<Counted, ApiError> {
        self.count_for_net("mail_token", |settings| settings.mail_token).await
    }

    /// Counts a check of the password of a person, or of a registration that waits, before it is hashed; to be given back
    /// when it is right. One operation.
    pub async fn check_password(&self, user: UserId) -> Result<Counted, ApiError> {
        self.count("password_check", |settings| settings.password_check, &user.to_string()).await
    }

    /// Counts a chat that a person begins with somebody who has not added them; to be given back when it did not begin.
    /// One operation.
    pub async fn begin_chat(&self, user: UserId) -> Result<Counted, ApiError> {
        self.count("new_chats", |settings| settings.new_chats, &user.to_string()).await
    }

    /// Counts a mail asked for to an address, whether there is an account or not. Each purpose has a counter of its own, so
    /// that nobody uses up another person's resets by asking for verifications. Two operations, in parallel.
    pub async fn ask_for_mail(&self, purpose: MailPurpose, address: &EmailKey) -> Result<MailPermission, ApiError> {
        let Some(settings) = self.settings() else { return Ok(MailPermission::Granted) };
        let to_address = counter_of_address(settings, purpose, address);
        let from_net = Counter::new("mail_net", settings.mail_net, &[&self.net.to_string()]);
        let (store, at) = (self.store(), self.now());
        let (to_taken, from_taken) = join(to_address.take(store, at), from_net.take(store, at)).await;
        let permission =
            if to_taken.as_ref().is_ok_and(|taken| taken.outcome.is_err()) { MailPermission::Withheld } else { MailPermission::Granted };
        let mut takings = vec![(from_net, from_taken)];
        if permission == MailPermission::Granted {
            takings.push((to_address, to_taken));
        }
        self.all_or_none(takings).await.map(|_counted| permission)
    }

    async fn count_for_net(&self, name: &'static str, quota: fn(&LimitSettings) -> Quota) -> Result<Counted, ApiError> {
        self.count(name, quota, &self.net.to_string()).await
    }

    async fn count(&self, name: &'static str, quota: fn(&LimitSettings) -> Quota, whom: &str) -> Result<Counted, ApiError> {
        let Some(settings) = self.settings() else { return Ok(self.nothing()) };
        self.take(Counter::new(name, quota(settings), &[whom])).await
    }

    async fn take(&self, counter: Counter) -> Result<Counted, ApiError> {
        let taken = counter.take(self.store(), self.now()).await;
        self.all_or_none(vec![(counter, taken)]).await
    }

    /// What all counters have counted together. When one refuses or cannot be read, what the others have counted is given
    /// back before the answer, so that a refused event leaves no trace; of several waits the longest is told.
    pub(super) async fn all_or_none(&self, takings: Vec<(Counter, Result<Taking, StoreError>)>) -> Result<Counted, ApiError> {
        let (mut tickets, mut longest, mut failure) = (Vec::new(), None::<(i64, Counter)>, None);
        for (counter, taken) in takings {
            match taken.map(|taken| taken.outcome) {
                Ok(Ok(ticket)) => tickets.push(ticket),
                Ok(Err(wait)) if longest.as_ref().is_none_or(|(longest, _)| *longest < wait) => longest = Some((wait, counter)),
                Ok(Err(_shorter)) => {}
                Err(error) => failure = Some(error),
            }
        }
        let counted = Counted::new(Arc::clone(&self.limits.0.store), tickets);
        let refusal = failure.map(unreadable).or_else(|| longest.map(|(wait, counter)| counter.refusal(wait)));
        match refusal {
            None => Ok(counted),
            Some(refusal) => {
                counted.give_back_now().await;
                Err(refusal)
            }
        }
    }

    /// The limits; `None` when nothing is limited.
    pub(super) fn settings(&self) -> Option<&LimitSettings> {
        Some(&self.limits.0.settings).filter(|settings| settings.is_on)
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.limits.0.store.as_ref()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn nothing(&self) -> Counted {
        Counted::new(Arc::clone(&self.limits.0.store), [])
    }
}

/// The counter of mails asked for to an address.
fn counter_of_address(settings: &LimitSettings, purpose: MailPurpose, address: &EmailKey) -> Counter {
    Counter::new("mail_address", settings.mail_address, &[purpose.as_str(), address.as_str()])
}

/// A counter that could not be read or written: whatever is wrong with it, nothing of what was asked for has been done.
fn unreadable(error: StoreError) -> ApiError {
    match error {
        StoreError::Broken(_) | StoreError::OutcomeUnknown(_) => ApiError::caused(ErrorCode::Unavailable, error),
        error => error.into(),
    }
}

impl FromRequest for ClientLimits {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let part = |name| ApiError::caused(ErrorCode::Internal, format!("the application lacks its {name}"));
        let limits = request.app_data::<web::Data<RateLimits>>().ok_or_else(|| part("limits"));
        let clock = request.app_data::<web::Data<Clock>>().ok_or_else(|| part("clock"));
        ready(limits.and_then(|limits| {
            let (limits, clock) = (limits.get_ref().clone(), clock?.get_ref().clone());
            Ok(Self { limits, net: ClientNet::of(request).0, clock })
        }))
    }
}
