//! Orders for mail, as the services give them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Notify;

use crate::domain::{Email, MailKind, Timestamp};
use crate::store::NewMail;

/// Mail that may wait in the store; further orders are not given.
const MAX_WAITING: i64 = 10_000;

/// Gives orders for mail, without ever waiting or failing. Clones share all.
#[derive(Debug, Clone)]
pub struct Mailer(Option<Arc<Outbox>>);

/// What is known of the mail that waits in the store.
#[derive(Debug, Default)]
struct Outbox {
    /// How many wait: exact where one process uses the store, else as of the last count.
    waiting: AtomicI64,
    /// Whether that it is full has been said since the last count.
    is_full: AtomicBool,
    /// Whether the mail server refuses mail whoever it goes to.
    is_server_to_blame: AtomicBool,
    work: Notify,
}

impl Default for Mailer {
    fn default() -> Self {
        Self(Some(Arc::default()))
    }
}

impl Mailer {
    /// A mailer of a server that sends no mail.
    #[must_use]
    pub fn unavailable() -> Self {
        Self(None)
    }

    /// Whether this server sends mail at all.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.0.is_some()
    }

    /// The order for a mail, for a method of the store to take; `None` when this server sends no mail, too much waits
    /// already, or the address is empty. After the method has returned, [`notify`](Self::notify) makes the mail leave at once.
    #[must_use]
    pub fn order(&self, kind: MailKind, address: &Email, now: Timestamp) -> Option<NewMail> {
        let outbox = self.0.as_ref().filter(|_| !address.is_empty())?;
        let has_room = |waiting: i64| (waiting < MAX_WAITING).then_some(waiting + 1);
        if outbox.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, has_room).is_ok() {
            return Some(NewMail { kind, address: address.clone(), at: now });
        }
        if !outbox.is_full.swap(true, Ordering::Relaxed) {
            log::error!(event = "mail_outbox_full", waiting = MAX_WAITING; "no further mail is ordered: {MAX_WAITING} wait to be sent");
        }
        None
    }

    /// Wakes one who sends. Without it mail leaves within seconds.
    pub fn notify(&self) {
        if let Some(outbox) = &self.0 {
            outbox.work.notify_one();
        }
    }

    /// Whether this process has found that the mail server refuses mail whoever it goes to.
    #[must_use]
    pub fn is_server_to_blame(&self) -> bool {
        self.0.as_ref().is_some_and(|outbox| outbox.is_server_to_blame.load(Ordering::Relaxed))
    }

    pub(super) fn blame_server(&self, is_to_blame: bool) {
        if let Some(outbox) = &self.0 {
            outbox.is_server_to_blame.store(is_to_blame, Ordering::Relaxed);
        }
    }

    /// Waits until somebody is woken, which may have happened already.
    pub(super) async fn notified(&self) {
        match &self.0 {
            Some(outbox) => outbox.work.notified().await,
            None => std::future::pending().await,
        }
    }

    /// How many are thought to wait, for [`correct`](Self::correct).
    pub(super) fn waiting(&self) -> i64 {
        self.0.as_ref().map_or(0, |outbox| outbox.waiting.load(Ordering::Relaxed))
    }

    /// Notes a count of the store that was begun when `before` were thought to wait. What was ordered or sent meanwhile
    /// stays counted; an order that was given but had not reached the store is missed until the next count.
    pub(super) fn correct(&self, before: i64, counted: u64) {
        if let Some(outbox) = &self.0 {
            let counted = i64::try_from(counted).unwrap_or(i64::MAX / 2);
            outbox.waiting.fetch_add(counted - before, Ordering::Relaxed);
            outbox.is_full.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that one no longer waits.
    pub(super) fn finished(&self) {
        if let Some(outbox) = &self.0 {
            outbox.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn address() -> Email {
        Email::parse("ann@example.com").expect("an address")
    }

    #[test]
    fn a_server_without_mail_takes_no_order() {
        let mailer = Mailer::unavailable();
        assert!(!mailer.is_available());
        assert_eq!(mailer.order(MailKind::Verification, &address(), NOW), None);
        mailer.notify();
    }

    #[test]
    fn nothing_is_ordered_for_an_account_without_an_address() {
        let mailer = Mailer::default();
        assert_eq!(mailer.order(MailKind::PasswordChanged, &Email::from_stored(String::new()), NOW), None);
        assert_eq!(mailer.waiting(), 0);
    }

    #[test]
    fn an_order_says_what_it_was_given_for() {
        let order = Mailer::default().order(MailKind::PasswordReset, &address(), NOW);
        assert_eq!(order, Some(NewMail { kind: MailKind::PasswordReset, address: address(), at: NOW }));
    }

    #[test]
    fn ten_thousand_may_wait_and_no_more() {
        let mailer = Mailer::default();
        let order = || mailer.order(MailKind::Verification, &address(), NOW).is_some();
        assert!((0..10_000).all(|_| order()));
        assert!(!order());
        mailer.finished();
        assert!(order() && !order());
    }

    #[test]
    fn a_count_forgets_orders_that_never_reached_the_store_but_not_those_given_meanwhile() {
        let mailer = Mailer::default();
        let order = || mailer.order(MailKind::Verification, &address(), NOW).is_some();
        assert!((0..10_000).all(|_| order()));
        let before = mailer.waiting();
        mailer.finished();
        assert!(order());
        mailer.correct(before, 3);
        assert_eq!(mailer.waiting(), 3);
        assert!(order());
        mailer.correct(mailer.waiting(), 10_000);
        assert!(!order());
    }
}
