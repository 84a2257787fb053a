//! The tasks that send: four lanes, each a mail at a time.
//!
//! What is not sent stays in the store and is due again when its lease ends, so nothing is lost with a process, and several
//! processes share the work without knowing of each other. The first lane looks for due mail every few seconds; the
//! others help when there is more than it can do. A mail whose reply takes long is left to itself, and the lane goes on. While nothing
//! leaves, all pause, and then the first alone tries.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::pause::{Moment, Pause};
use super::sender::Sender;
use super::transport::Connection;
use crate::domain::{Clock, Timestamp};

/// Mails sent at once by a process.
const LANES: usize = 4;
/// Mails of a process that a slow mail server has not answered yet, beside those that the lanes wait for.
const SLOW_MAILS: usize = 16;
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
    /// A permit for each mail that may be left to itself.
    slow: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Worker {
    pub(super) fn start(sender: Sender) -> Self {
        let mut worker = Self::idle();
        let (sender, slow) = (Arc::new(sender), Arc::new(Semaphore::new(SLOW_MAILS)));
        for number in 0..LANES {
            let lane = Lane { sender: Arc::clone(&sender), is_first: number == 0, slow: Arc::clone(&slow), stop: worker.stop.subscribe() };
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
        let mut under_way = JoinSet::new();
        while !self.is_stopping() {
            if self.is_first && next_count.is_none_or(|moment| moment.has_come(clock)) {
                next_count = Some(Moment::after(COUNT_EVERY_MILLIS, clock));
                self.sender.count().await;
            }
            if pause.end(clock).is_none() {
                self.send_all(&mut under_way).await;
            }
            self.wait().await;
        }
        while under_way.join_next().await.is_some() {}
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sends until nothing is due, or nothing leaves.
    async fn send_all(&self, under_way: &mut JoinSet<()>) {
        let mut connection = None;
        while !self.is_stopping() {
            let turn;
            (connection, turn) = self.send_one(connection, under_way).await;
            if turn.is_break() {
                break;
            }
        }
        if let Some(connection) = connection {
            connection.close().await;
        }
    }

    /// Sends a mail in a task of its own, and waits for it; but not for too long, if there is room for one more that is left to itself.
    async fn send_one(&self, connection: Option<Connection>, under_way: &mut JoinSet<()>) -> Sent {
        let (tell, told) = oneshot::channel();
        let permit = Arc::new(OnceLock::new());
        under_way.spawn(send(Arc::clone(&self.sender), connection, tell, Arc::clone(&permit)));
        let mut told = pin!(told);
        let sent = tokio::select! {
            sent = &mut told => sent,
            room = self.room_for_slow() => {
                // It has its connection, and concludes by itself.
                let _kept = permit.set(room);
                return (None, ControlFlow::Continue(()));
            }
        };
        while let Some(ended) = under_way.try_join_next() {
            pass_on_panic(ended);
        }
        let Ok(sent) = sent else {
            while let Some(ended) = under_way.join_next().await {
                pass_on_panic(ended);
            }
            return (None, ControlFlow::Break(()));
        };
        sent
    }

    /// Waits until a mail has taken so long that it may be left to itself.
    async fn room_for_slow(&self) -> Option<OwnedSemaphorePermit> {
        sleep(self.sender.transport.worker_patience()).await;
        // It is never closed.
        Arc::clone(&self.slow).acquire_owned().await.ok()
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

/// The connection for the next mail, and whether there may be one.
type Sent = (Option<Connection>, ControlFlow<()>);

/// The permit of a mail that is left to itself, until the mail has ended.
type Room = Arc<OnceLock<Option<OwnedSemaphorePermit>>>;

/// Sends the next mail, and tells the lane unless it has gone on.
async fn send(sender: Arc<Sender>, mut connection: Option<Connection>, tell: oneshot::Sender<Sent>, _room: Room) {
    let turn = match sender.send_next(&mut connection).await {
        Ok(true) => ControlFlow::Continue(()),
        Ok(false) => ControlFlow::Break(()),
        Err(trouble) => {
            sender.note_trouble(&trouble);
            ControlFlow::Break(())
        }
    };
    if let Err((Some(connection), _)) = tell.send((connection, turn)) {
        connection.close().await;
    }
}

fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
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
