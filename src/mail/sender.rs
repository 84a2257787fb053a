//! Sends one mail after the other, and decides what becomes of those that do not leave.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Duration, sleep};

use super::blame::{self, Blame};
use super::mailer::Mailer;
use super::pause::{Moment, Pause, mail_delay};
use super::transport::{Connection, Failure, Transport};
use super::writer::{Draft, Writer, Written};
use crate::domain::{Clock, Timestamp};
use crate::logging::causes;
use crate::store::{DueMail, Link, Store, StoreError};

/// How long a taken mail is not given to anybody else, unless its taker renews that.
const LEASE_MILLIS: i64 = 2 * Timestamp::MINUTE_MILLIS;
/// How often a mail on the wire has its lease renewed.
const RENEW_MILLIS: i64 = Timestamp::MINUTE_MILLIS;
/// Attempts at a mail within the day that it may wait.
const MAX_ATTEMPTS: u32 = 30;
/// How old a mail may become.
const MAX_AGE_MILLIS: i64 = Timestamp::DAY_MILLIS;
/// How long the store is told again and again that a mail was sent, well within the lease, and how often.
const FINISH_MILLIS: i64 = Timestamp::MINUTE_MILLIS;
const FINISH_AGAIN: Duration = Duration::from_secs(1);

/// What all who send in this process share.
pub(super) struct Sender {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub transport: Transport,
    pub writer: Writer,
    pub mailer: Mailer,
    pub pause: Pause,
    pub blame: Blame,
}

/// Why no mail leaves at present.
pub(super) struct Trouble(pub String);

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self(causes(&error))
    }
}

impl Sender {
    /// Takes the mail that is due for longest and deals with it; `false` when none is due. A connection is opened when it
    /// is needed, and kept for the next mail.
    pub(super) async fn send_next(&self, connection: &mut Option<Connection>) -> Result<bool, Trouble> {
        let now = self.clock.now();
        let Some(mail) = self.store.take_due_mail(now, now.plus_millis(LEASE_MILLIS)).await? else { return Ok(false) };
        if !self.pause.is_in_doubt() {
            // There may be more: somebody else looks too.
            self.mailer.notify();
        }
        if now.as_millis() - mail.ordered_at.as_millis() > MAX_AGE_MILLIS {
            log_dropped(&mail, "it has waited for more than a day");
            self.finish(&mail).await?;
        } else if mail.attempts >= MAX_ATTEMPTS {
            log_dropped(&mail, "it has been tried too often");
            self.finish(&mail).await?;
        } else {
            self.send(&mail, connection).await?;
        }
        Ok(true)
    }

    async fn send(&self, mail: &DueMail, connection: &mut Option<Connection>) -> Result<(), Trouble> {
        // Connected before anything is written: a token puts the one out that an earlier mail has brought.
        let open = match connection {
            Some(open) => open,
            None => connection.insert(self.connect(mail).await?),
        };
        let draft = match self.writer.write(mail).await? {
            Written::Draft(draft) => draft,
            Written::Nothing(mail) => return self.finish(&mail).await,
            Written::Later(wait) => return Ok(self.store.postpone_mail(mail, self.clock.now().plus_millis(wait), Link::Stays).await?),
        };
        match self.holding(&draft.mail, Box::pin(open.send(&draft.letter))).await {
            Ok(()) => {
                log::info!(event = "mail_sent", kind = mail.kind.as_str(), user = mail.user.to_string().as_str(); "sent a mail");
                self.note_answer();
                self.finish(&draft.mail).await?;
                self.note_acceptance().await
            }
            Err(failure) => {
                *connection = None;
                self.settle(&draft, failure).await
            }
        }
    }

    /// Does something that may take long, while nobody else gets the mail.
    async fn holding<T>(&self, mail: &DueMail, mut work: Pin<Box<impl Future<Output = T>>>) -> T {
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = Moment::after(RENEW_MILLIS, &self.clock).wait(&self.clock) => self.renew(mail).await,
            }
        }
    }

    /// Goes on to keep a mail from others. A store that is away for a moment is told again before the lease ends.
    async fn renew(&self, mail: &DueMail) {
        let until = self.clock.now().plus_millis(LEASE_MILLIS);
        let renewed = self.store.postpone_mail(mail, until, Link::Stays).await;
        log::info!(
            event = "mail_slow", kind = mail.kind.as_str(), user = mail.user.to_string().as_str(), renewed = renewed.is_ok();
            "the mail server takes more than a minute over a mail"
        );
    }

    async fn connect(&self, mail: &DueMail) -> Result<Connection, Trouble> {
        match self.holding(mail, Box::pin(self.transport.connect())).await {
            Ok(connection) => Ok(connection),
            Err(reason) => {
                self.put_back(mail, Link::Stays).await?;
                Err(Trouble(reason))
            }
        }
    }

    /// Decides about a mail that did not leave.
    async fn settle(&self, draft: &Draft, failure: Failure) -> Result<(), Trouble> {
        let mail = &draft.mail;
        let link = if failure.is_in_doubt() { Link::Stays } else { draft.link };
        if let (Some(ticket), false) = (&draft.ticket, matches!(failure, Failure::Refused(_))) {
            self.store.give_back(ticket, None).await?;
        }
        match failure {
            Failure::Refused(reason) => {
                log_dropped(mail, &reason);
                self.note_answer();
                self.finish(mail).await?;
                self.note_refusal(mail, &reason).await
            }
            Failure::Rejected(reason) => {
                self.put_off(mail, link, &reason).await?;
                self.note_answer();
                self.note_refusal(mail, &reason).await
            }
            Failure::Deferred(reason) => {
                self.put_off(mail, link, &reason).await?;
                self.note_answer();
                Ok(())
            }
            Failure::Late { reason, .. } => Ok(self.put_off(mail, link, &reason).await?),
            Failure::Interrupted { reason, .. } => {
                self.put_off(mail, link, &reason).await?;
                Err(Trouble(reason))
            }
            Failure::Unavailable(reason) => {
                self.put_back(mail, link).await?;
                Err(Trouble(reason))
            }
        }
    }

    /// Has a mail wait, which is not to hold others up.
    async fn put_off(&self, mail: &DueMail, link: Link, reason: &str) -> Result<(), StoreError> {
        let delay = mail_delay(mail.attempts);
        log::info!(
            event = "mail_put_off", kind = mail.kind.as_str(), user = mail.user.to_string().as_str(), attempts = mail.attempts + 1;
            "a mail is tried again in {} s: {reason}", delay / 1_000
        );
        let tried = DueMail { attempts: mail.attempts.saturating_add(1), ..mail.clone() };
        self.store.postpone_mail(&tried, self.clock.now().plus_millis(delay), link).await
    }

    /// Gives a mail back its place before all that were ordered later: the trouble is not its own, and counts as no attempt at it.
    async fn put_back(&self, mail: &DueMail, link: Link) -> Result<(), StoreError> {
        self.store.postpone_mail(mail, mail.ordered_at, link).await
    }

    /// Removes a mail. A store that is away for a moment is told again, lest the mail be sent twice.
    async fn finish(&self, mail: &DueMail) -> Result<(), Trouble> {
        let end = Moment::after(FINISH_MILLIS, &self.clock);
        while let Err(error) = self.store.finish_mail(mail).await {
            if end.has_come(&self.clock) {
                return Err(error.into());
            }
            sleep(FINISH_AGAIN).await;
        }
        self.mailer.finished();
        Ok(())
    }

    /// Notes that the mail server answers, after it did not perhaps.
    fn note_answer(&self) {
        if self.pause.clear() {
            log::info!(event = "mail_leaves"; "mail leaves again");
            self.mailer.notify();
        }
    }

    /// Notes that the mail server has refused a mail for good, which it may do to all.
    async fn note_refusal(&self, mail: &DueMail, reason: &str) -> Result<(), Trouble> {
        if !self.blame.note_refusal(&mail.address.key(), reason) {
            return Ok(());
        }
        log::error!(event = "mail_relay_refuses"; "mail to three domains in a row was refused alike, so look at the mail server and MAIL_FROM: {reason}");
        blame::mark(&*self.store, self.clock.now()).await?;
        self.mailer.blame_server(true);
        Ok(())
    }

    async fn note_acceptance(&self) -> Result<(), Trouble> {
        if !self.blame.note_acceptance() {
            return Ok(());
        }
        self.mailer.blame_server(false);
        Ok(blame::unmark(&*self.store, self.clock.now()).await?)
    }

    /// Has all who send wait.
    pub(super) fn note_trouble(&self, trouble: &Trouble) {
        let failures = self.pause.begin(&self.clock);
        // In a long outage the first lines tell what matters.
        if failures.is_power_of_two() {
            log::warn!(event = "mail_waits", failures = failures; "no mail leaves at present, it waits: {}", trouble.0);
        }
    }

    /// Counts what waits; another time if the store cannot tell.
    pub(super) async fn count(&self) {
        let before = self.mailer.waiting();
        if let Ok(counted) = self.store.count_mail().await {
            self.mailer.correct(before, counted);
        }
    }
}

pub(super) fn log_dropped(mail: &DueMail, reason: &str) {
    log::warn!(
        event = "mail_dropped", kind = mail.kind.as_str(), user = mail.user.to_string().as_str();
        "a mail will never leave: {reason}"
    );
}
