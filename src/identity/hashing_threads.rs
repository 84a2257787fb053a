//! The threads that hash passwords. Their priority is low: a crowd that logs in has the processor time that everybody else leaves.
//!
//! A thread keeps the memory of a hash for the next one, because to get as much of it anew takes a part of the time of the hash; it
//! gives it back when no hash comes.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How far the priority is lowered, as the `nice` of POSIX: such a thread gets about a tenth of a core for which others contend.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// How long the memory is kept that no hash uses.
const KEPT: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The memory of a thread.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// As many blocks of 1 KiB, of any content.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() != count {
            // The old blocks go before the new ones come.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); count];
        }
        &mut self.0
    }
}

/// The threads; clones share them. They end with the last clone.
#[derive(Clone)]
pub(super) struct HashingThreads {
    count: usize,
    idle: Arc<Mutex<Vec<Sender<Job>>>>,
    free: Arc<Semaphore>,
}

/// A thread that is reserved; dropping this makes it free.
pub(super) struct Reserved {
    /// Always there, until it is dropped.
    thread: Option<Sender<Job>>,
    idle: Arc<Mutex<Vec<Sender<Job>>>>,
    _permit: OwnedSemaphorePermit,
}

impl HashingThreads {
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let idle = (0..count).map(|_| start_thread()).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { count, idle: Arc::new(Mutex::new(idle)), free: Arc::new(Semaphore::new(count)) })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many are reserved.
    pub(super) fn busy(&self) -> usize {
        self.count - self.free.available_permits()
    }

    /// Reserves a thread if one is free at once.
    pub(super) fn try_reserve(&self) -> Option<Reserved> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(|permit| self.take(permit))
    }

    /// Reserves a thread as soon as one is free and those who asked before have theirs.
    pub(super) async fn reserve(&self) -> Option<Reserved> {
        Arc::clone(&self.free).acquire_owned().await.ok().map(|permit| self.take(permit))
    }

    fn take(&self, permit: OwnedSemaphorePermit) -> Reserved {
        // The one that was busy last, which may still have its memory.
        let thread = lock(&self.idle).pop();
        Reserved { thread, idle: Arc::clone(&self.idle), _permit: permit }
    }
}

impl Reserved {
    /// Runs work on the thread, to its end though nobody waits for it; `None` when it panicked.
    pub(super) async fn run<T: Send + 'static>(self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Option<T> {
        let thread = self.thread.clone()?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            let reserved = self;
            let result = work(memory);
            // The next hash need not wait until this one's answer is taken. Nobody may be waiting for that any more.
            drop(reserved);
            let _unheard = answer.send(result);
        });
        thread.send(job).ok()?;
        answered.await.ok()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.idle).extend(self.thread.take());
    }
}

/// A panic elsewhere leaves the list of threads whole.
fn lock(idle: &Mutex<Vec<Sender<Job>>>) -> std::sync::MutexGuard<'_, Vec<Sender<Job>>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_thread() -> io::Result<Sender<Job>> {
    let (sender, jobs) = channel();
    std::thread::Builder::new().name("password-hash".to_owned()).spawn(move || serve(&jobs))?;
    Ok(sender)
}

fn serve(jobs: &Receiver<Job>) {
    lower_priority();
    let mut memory = Memory::default();
    while let Some(job) = next(jobs, &mut memory) {
        // A panic has been logged, and must not end the thread.
        let _panicked = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
    }
}

/// Waits for the next job; gives the memory back if that takes long. `None` when none can come any more.
fn next(jobs: &Receiver<Job>, memory: &mut Memory) -> Option<Job> {
    match jobs.recv_timeout(KEPT) {
        Ok(job) => Some(job),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            *memory = Memory::default();
            jobs.recv().ok()
        }
    }
}

/// Lowers the priority of the calling thread. On Linux each thread has its own, unlike what POSIX says.
#[cfg(target_os = "linux")]
fn lower_priority() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::warn!(event = "priority_not_lowered", error = error.to_string().as_str(); "log-ins may slow other requests down");
    }
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> HashingThreads {
        HashingThreads::start(1).expect("a thread")
    }

    async fn run<T: Send + 'static>(threads: &HashingThreads, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Option<T> {
        threads.reserve().await.expect("a thread").run(work).await
    }

    #[tokio::test]
    async fn a_panic_leaves_the_thread_and_memory_is_kept_for_the_next_hash_and_of_its_size() {
        let threads = threads();
        let address = |count| move |memory: &mut Memory| memory.blocks(count).as_ptr().addr();
        assert!(run(&threads, |_| -> () { panic!("a defect") }).await.is_none());
        let first = run(&threads, address(64)).await.expect("an answer");
        assert_eq!(run(&threads, address(64)).await, Some(first));
        assert_eq!(run(&threads, |memory| memory.blocks(128).len()).await, Some(128));
    }

    #[tokio::test]
    async fn memory_that_no_hash_uses_is_given_back() {
        let threads = threads();
        run(&threads, |memory| memory.blocks(64).len()).await;
        tokio::time::sleep(KEPT + Duration::from_millis(500)).await;
        assert_eq!(run(&threads, |memory| memory.0.len()).await, Some(0));
    }

    #[tokio::test]
    async fn work_goes_on_though_nobody_waits_and_keeps_its_thread_so_long() {
        let threads = threads();
        let (release, held) = channel::<()>();
        {
            let abandoned = threads.try_reserve().expect("a thread").run(move |_| held.recv());
            let mut abandoned = std::pin::pin!(abandoned);
            assert!(futures_util::poll!(&mut abandoned).is_pending());
        }
        assert!(threads.try_reserve().is_none());
        release.send(()).expect("still working");
        assert_eq!(run(&threads, |_| 1).await, Some(1));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_and_only_they_have_a_low_priority() {
        let own = || rustix::process::getpriority_process(None).expect("a priority");
        assert_eq!((run(&threads(), move |_| own()).await, own()), (Some(NICENESS), 0));
    }
}
