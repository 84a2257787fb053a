//! The tasks that send: four lanes, each a mail at a time.
//!
//! What is not sent stays in the store and is due again when its lease ends, so nothing is lost with a process, and several
//! processes share the work without knowing of each other. The first lane looks for due mail every few seconds; the
//! others help when there is more than it can do. While nothing leaves, all pause, and then the first alone tries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::pause::{Moment, Pause};
use super::sender::Sender;
use crate::domain::{Clock, Timestamp};

/// Mails sent at once by a process.
const LANES: usize = 4;
/// How often to look for mail that nobody told of: other processes' orders, and what was put off.
const LOOK_EVERY_MILLIS: i64 = 5_000;
/// How often to count what waits.
const COUNT_EVERY_MILLIS: i64 = Timestamp::MINUTE_MILLIS;
/// How long the end of the process waits for mails under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// The running lanes. Dropped, they stop where they are.
#[derive(Debug)]
pub struct Worker {
    lanes: JoinSet<()>,
    stop: watch::Sender<bool>,
}

struct Lane {
    sender: Arc<Sender>,
    is_first: bool,
    stop: watch::Receiver<bool>,
}

impl Worker {
    pub(super) fn start(sender: Sender) -> Self {
        let mut worker = Self::idle();
        let sender = Arc::new(sender);
        for number in 0..LANES {
            let lane = Lane { sender: Arc::clone(&sender), is_first: number == 0, stop: worker.stop.subscribe() };
            worker.lanes.spawn(async move { keep_up(&lane.sender.pause, &lane.sender.clock, || lane.run()).await });
        }
        worker
    }

    /// A worker without anything to do.
    pub(super) fn idle() -> Self {
        Self { lanes: JoinSet::new(), stop: watch::Sender::new(false) }
    }

    /// Takes no further mail, and waits for those under way, for at most 10 s. To be called before the store is closed.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let finished = async { while self.lanes.join_next().await.is_some() {} };
        if timeout(STOP_PATIENCE, finished).await.is_err() {
            log::warn!(event = "mail_cut_off"; "stopped while mail was being sent; it is sent again after the next start");
        }
    }
}

/// Runs something to its end, and again after a pause whenever it panics.
async fn keep_up<F: Future<Output = ()>>(pause: &Pause, clock: &Clock, run: impl Fn() -> F) {
    while AssertUnwindSafe(run()).catch_unwind().await.is_err() {
        pause.begin(clock);
        log::error!(event = "mail_restarted"; "sending mail panicked, which is a defect; it goes on after a pause");
        if let Some(end) = pause.end(clock) {
            end.wait(clock).await;
        }
    }
}

impl Lane {
    async fn run(&self) {
        let Sender { clock, pause, .. } = &*self.sender;
        let mut next_count: Option<Moment> = None;
        while !self.is_stopping() {
            if self.is_first && next_count.is_none_or(|moment| moment.has_come(clock)) {
                next_count = Some(Moment::after(COUNT_EVERY_MILLIS, clock));
                self.sender.count().await;
            }
            if pause.end(clock).is_none() {
                self.send_all().await;
            }
            self.wait().await;
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sends until nothing is due, or nothing leaves.
    async fn send_all(&self) {
        let mut connection = None;
        while !self.is_stopping() {
            match self.sender.send_next(&mut connection).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(trouble) => {
                    self.sender.note_trouble(&trouble);
                    break;
                }
            }
        }
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    /// Waits until there may be something to do, or the end.
    async fn wait(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.wait_for_work() => {}
            _stopping = stop.wait_for(|is_stopping| *is_stopping) => {}
        }
    }

    async fn wait_for_work(&self) {
        let Sender { clock, pause, mailer, .. } = &*self.sender;
        if !self.is_first {
            return mailer.notified().await;
        }
        if let Some(end) = pause.end(clock) {
            return end.wait(clock).await;
        }
        tokio::select! {
            () = mailer.notified() => {}
            () = Moment::after(LOOK_EVERY_MILLIS, clock).wait(clock) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_run_again_after_ever_longer_pauses() {
        let (runs, begun) = (AtomicU32::new(0), Instant::now());
        let run = || async {
            assert!(runs.fetch_add(1, Ordering::Relaxed) >= 3, "as a bug would");
        };
        keep_up(&Pause::default(), &Clock::default(), run).await;
        assert_eq!(runs.into_inner(), 4);
        // Three pauses of about 1, 2 and 5 s.
        assert!((6..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    }
}
