//! The writing side: one thread, one connection, and a queue before it.
//!
//! Changes that wait together are committed together, so that they share the one wait for the disk: the writer takes
//! what is queued, runs each change in a savepoint of its own, commits once, and only then answers. A change that
//! fails is undone alone; when the commit fails, all of its changes have failed.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};

use super::room::{self, Room};
use super::{OpenError, execute, failure, schema};
use crate::store::StoreError;

/// Changes that may wait.
const QUEUE: usize = 256;
/// How long a change may wait for a place in the queue.
const WAIT: Duration = Duration::from_secs(1);

/// How much room a change needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It adds data for good.
    Room,
    /// A little for a while, which the reserve has too.
    Little,
}

/// A queued change.
struct Job {
    need: Need,
    /// Runs on the connection, or hears why it cannot, and tells how it went.
    run: Run,
}

type Run = Box<dyn FnOnce(Result<&Connection, StoreError>) -> Done + Send>;

/// What became of a change, before the commit.
struct Done {
    /// Whether what it did is to be committed.
    keep: bool,
    /// Whether it failed for want of room.
    is_full: bool,
    /// Answers the caller, given whether the commit succeeded.
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<(), StoreError>)>;

/// The way to the writing thread.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// How long a change in the queue may take.
    deadline: Duration,
}

impl Writer {
    pub(super) fn start(connection: Connection, max_batch: NonZeroUsize, deadline: Duration, room: Arc<Room>) -> Result<Self, OpenError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(&connection, jobs, max_batch, &room))
            .map_err(|error| OpenError::Unusable("sqlite-writer".into(), error))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), deadline })
    }

    /// Runs a change and returns when it is on the disk. It goes on when nobody waits any more.
    pub(super) async fn run<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.run_and_tell(Need::Little, change, |_| ()).await
    }

    /// The same, and tells what came of the change once it is on the disk, before it returns and also when nobody waits any more.
    pub(super) async fn run_and_tell<T, F, G>(&self, need: Need, change: F, tell: G) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        G: FnOnce(&T) + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let run = Box::new(move |connection: Result<&Connection, StoreError>| {
            let result = connection.and_then(|connection| change(connection).map_err(failure::of_statement));
            let (keep, is_full) = (result.is_ok(), matches!(result, Err(StoreError::Full(_))));
            let answer = move |committed: Result<(), StoreError>| {
                let outcome = result.and_then(|value| committed.map(|()| value));
                if let Ok(value) = &outcome {
                    // A panic of those who are told has been logged, and must not end the thread that writes.
                    let _told = catch_unwind(AssertUnwindSafe(|| tell(value)));
                }
                // Nobody may be waiting any more.
                let _unheard = sender.send(outcome);
            };
            Done { keep, is_full, answer: Box::new(answer) }
        });
        let job = Job { need, run };
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let queue = queue.ok_or_else(|| StoreError::unavailable("the store is closed"))?;
        queue.send_timeout(job, WAIT).await.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Overloaded,
            SendTimeoutError::Closed(_) => StoreError::unavailable("the writing thread has ended"),
        })?;
        match tokio::time::timeout(self.deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(dropped)) => Err(StoreError::broken(dropped)),
            Err(late) => Err(StoreError::outcome_unknown(late)),
        }
    }

    /// Lets the queued changes finish and closes the connection, which folds the log into the file.
    pub(super) async fn close(&self) {
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        drop(queue);
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the writing thread has been logged when it happened.
            let _joined = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn serve(connection: &Connection, mut jobs: mpsc::Receiver<Job>, max_batch: NonZeroUsize, room: &Room) {
    while let Some(first) = jobs.blocking_recv() {
        let is_enough = room.is_enough();
        if !is_enough {
            // What is left of a disk is not for the log. If it cannot be folded now, it is with a later change.
            let _later = schema::fold_log(connection);
        }
        let waiting = std::iter::from_fn(|| jobs.try_recv().ok()).take(max_batch.get() - 1);
        let (fitting, refused): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(waiting).partition(|job| is_enough || job.need == Need::Little);
        refuse(refused, room::too_little);
        let mut fitting = fitting.into_iter().peekable();
        while fitting.peek().is_some() {
            if commit_together(connection, &mut fitting) {
                room.note_failure();
            }
        }
    }
}

fn refuse(jobs: impl IntoIterator<Item = Job>, reason: impl Fn() -> StoreError) {
    for job in jobs {
        let Done { answer, .. } = (job.run)(Err(reason()));
        answer(Ok(()));
    }
}

/// Runs the changes in one transaction; whether any failed for want of room. Takes from `jobs` only what it runs.
fn commit_together(connection: &Connection, jobs: &mut impl Iterator<Item = Job>) -> bool {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        let reason = || failure::of_transaction(&error, StoreError::unavailable);
        refuse(jobs, reason);
        return matches!(reason(), StoreError::Full(_));
    }
    let (mut answers, mut is_full) = (Vec::new(), false);
    for job in jobs {
        if let Some(done) = run_in_savepoint(connection, job) {
            is_full |= done.is_full;
            answers.push(done.answer);
        }
        if connection.is_autocommit() {
            // A full disk or a read error has ended the transaction with all changes so far.
            break;
        }
    }
    let committed = commit(connection);
    is_full |= matches!(committed.as_ref().map_err(CommitFailure::to_store_error), Err(StoreError::Full(_)));
    for answer in answers {
        answer(committed.as_ref().copied().map_err(CommitFailure::to_store_error));
    }
    is_full
}

/// Runs one change; what it did stays in the transaction only if it succeeded. `None` when it panicked.
fn run_in_savepoint(connection: &Connection, job: Job) -> Option<Done> {
    let begun = execute(connection, "SAVEPOINT change").map(|()| connection).map_err(failure::of_statement);
    let outcome = catch_unwind(AssertUnwindSafe(|| (job.run)(begun)));
    let keep = outcome.as_ref().is_ok_and(|done| done.keep);
    let undone = if keep { Ok(()) } else { execute(connection, "ROLLBACK TO change") };
    let ended = undone.and_then(|()| execute(connection, "RELEASE change"));
    if let Err(error) = ended
        && !connection.is_autocommit()
    {
        log::error!(event = "savepoint_lost"; "a change could not be ended by itself: {error}");
    }
    outcome.ok()
}

/// Why a transaction did not commit.
enum CommitFailure {
    /// It had ended before: nothing of it was kept.
    Undone,
    /// The commit itself failed.
    Refused(rusqlite::Error),
}

fn commit(connection: &Connection) -> Result<(), CommitFailure> {
    if connection.is_autocommit() {
        return Err(CommitFailure::Undone);
    }
    execute(connection, "COMMIT").map_err(|error| {
        if !connection.is_autocommit() {
            // What is left of it must not become part of the next one.
            drop(execute(connection, "ROLLBACK"));
        }
        CommitFailure::Refused(error)
    })
}

impl CommitFailure {
    fn to_store_error(&self) -> StoreError {
        match self {
            Self::Undone => StoreError::unavailable("another change ended the transaction"),
            // The log may hold the change though the disk did not confirm it.
            Self::Refused(error) => failure::of_transaction(error, StoreError::outcome_unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::*;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().expect("a database");
        connection.execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").expect("a table");
        let folder = tempfile::tempdir().expect("a folder");
        let room = Arc::new(Room::in_folder(folder.path()));
        Writer::start(connection, SqliteStore::MAX_BATCH, SqliteStore::DEADLINE, room).expect("a writer")
    }

    fn insert(connection: &Connection, number: i64) -> rusqlite::Result<usize> {
        connection.execute("INSERT INTO numbers VALUES (?1)", [number])
    }

    async fn numbers(writer: &Writer) -> Vec<i64> {
        let select = |connection: &Connection| {
            connection.prepare("SELECT number FROM numbers ORDER BY number")?.query_map([], |row| row.get(0))?.collect()
        };
        writer.run(select).await.expect("numbers")
    }

    /// Queues changes while the writer is held up, so that they come to share a commit.
    async fn run_together(writer: &Writer, changes: Vec<fn(&Connection) -> rusqlite::Result<usize>>) -> Vec<Result<usize, StoreError>> {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocked = writer.run(move |_| {
            held.recv().expect("released");
            Ok(())
        });
        let all = futures_util::future::join_all(changes.into_iter().map(|change| writer.run(change)));
        let queued = async {
            tokio::task::yield_now().await;
            release.send(()).expect("held");
        };
        let (unblocked, results, ()) = tokio::join!(blocked, all, queued);
        unblocked.expect("held");
        results
    }

    #[tokio::test]
    async fn a_change_that_fails_or_panics_leaves_the_others_of_its_batch() {
        let writer = writer();
        let results = run_together(
            &writer,
            vec![
                |connection| insert(connection, 1),
                |connection| insert(connection, 2).and_then(|_| insert(connection, 1)),
                |connection| {
                    insert(connection, 3)?;
                    panic!("a defect")
                },
                |connection| insert(connection, 4),
            ],
        )
        .await;
        assert!(matches!(results[..], [Ok(1), Err(StoreError::Broken(_)), Err(StoreError::Broken(_)), Ok(1)]), "{results:?}");
        assert_eq!(numbers(&writer).await, [1, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_place_in_the_queue_of_a_slow_disk_is_refused_and_the_rest_is_made() {
        const CHANGES: i64 = 1_000;
        let writer = writer();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let blocked = writer.run(move |_| {
            held.recv().expect("released");
            Ok(())
        });
        let changes = futures_util::future::join_all((0..CHANGES).map(|number| writer.run(move |connection| insert(connection, number))));
        let (_late, results) = tokio::join!(blocked, changes);
        // From here on time passes by itself, for the writer is at work.
        tokio::time::resume();
        release.send(()).expect("held");
        let is_taken = |result: &Result<usize, StoreError>| match result {
            Err(StoreError::OutcomeUnknown(_)) => true,
            Err(StoreError::Overloaded) => false,
            other => panic!("{other:?}"),
        };
        let taken: Vec<i64> = (0..CHANGES).zip(&results).filter(|(_, result)| is_taken(result)).map(|(number, _)| number).collect();
        assert!(taken.len() <= QUEUE + SqliteStore::MAX_BATCH.get(), "{} wait", taken.len());
        assert_eq!(numbers(&writer).await, taken);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_later_changes_go_on() {
        let writer = writer();
        let limit = |connection: &Connection| connection.pragma_update(None, "max_page_count", 3);
        writer.run(limit).await.expect("limited");
        let fill = |connection: &Connection| connection.execute("CREATE TABLE big AS SELECT zeroblob(100000) AS zeros", []);
        assert!(matches!(writer.run(fill).await, Err(StoreError::Full(_))));
        assert!(writer.run(|connection| insert(connection, 1)).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_on_the_disk_is_told_though_nobody_waits_and_what_is_not_is_not_told() {
        let writer = writer();
        let (sender, told) = std::sync::mpsc::channel();
        let tell = |number: i64| {
            let sender = sender.clone();
            move |_: &usize| sender.send(number).expect("a receiver")
        };
        {
            let abandoned = writer.run_and_tell(Need::Little, |connection| insert(connection, 1), tell(1));
            tokio::pin!(abandoned);
            let _queued = futures_util::poll!(abandoned);
        }
        assert!(writer.run_and_tell(Need::Little, |connection| insert(connection, 1), tell(2)).await.is_err());
        writer.run_and_tell(Need::Little, |connection| insert(connection, 3), tell(3)).await.expect("inserted");
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 3]);
    }

    #[tokio::test]
    async fn a_panic_of_those_who_are_told_takes_nothing_back_and_later_changes_go_on() {
        let writer = writer();
        let panics = |_: &usize| panic!("a defect");
        assert_eq!(writer.run_and_tell(Need::Little, |connection| insert(connection, 1), panics).await.expect("inserted"), 1);
        assert!(writer.run(|connection| insert(connection, 2)).await.is_ok());
    }

    #[tokio::test]
    async fn a_closed_writer_has_finished_what_was_queued_and_takes_nothing_more() {
        let writer = writer();
        writer.run(|connection| insert(connection, 1)).await.expect("inserted");
        writer.close().await;
        assert!(matches!(writer.run(|connection| insert(connection, 2)).await, Err(StoreError::Unavailable(_))));
    }
}
