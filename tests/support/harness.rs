//! Runs one list of tests in several ways, such as on each store, and tears each way down at the end.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use super::mongodb;

/// Tests at a time for each core: most of them wait for something most of the time.
const TESTS_PER_CORE: usize = 2;
/// How many of the tests that took longest are told.
const SLOWEST: usize = 10;

/// How long each test took.
type Times = Arc<Mutex<Vec<(Duration, String)>>>;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A test: an async function of its way's context.
pub struct Test<C> {
    pub name: &'static str,
    /// The ways in which it means something; none named: all.
    pub ways: &'static [&'static [&'static str]],
    pub run: fn(Arc<C>) -> Running,
}

impl<C> Test<C> {
    /// Whether it means something in every way.
    pub fn is_general(&self) -> bool {
        self.ways.is_empty()
    }

    /// Whether it is of a file of tests.
    pub fn is_of(&self, file: &str) -> bool {
        self.name.split("::").nth(1) == Some(file)
    }

    fn runs_in(&self, way: &str) -> bool {
        self.ways.first().is_none_or(|ways| ways.contains(&way))
    }
}

/// Lists the tests of a file, each with the ways it is limited to, if any: `a_test, another in WAYS`. A function left
/// out is dead code, which the lints refuse.
#[macro_export]
macro_rules! tests {
    ($context:ty: $($name:ident $(in $ways:expr)?),* $(,)?) => {
        pub const TESTS: &[$crate::support::harness::Test<$context>] = &[$(
            $crate::support::harness::Test {
                name: concat!(module_path!(), "::", stringify!($name)),
                ways: &[$($ways)?],
                run: |context| Box::pin($name(context)),
            }
        ),*];
    };
}

type Making<C> = Pin<Box<dyn Future<Output = Result<C, String>>>>;

/// What the tests of a way share, made when the first of them needs it, or why it cannot be had.
struct Shared<C> {
    make: Box<dyn Fn() -> Making<C> + Send + Sync>,
    made: OnceLock<Result<Arc<C>, String>>,
}

/// A way to run tests: its name, which of them, and what they need.
pub struct Way<C> {
    name: &'static str,
    is_run: fn(&Test<C>) -> bool,
    shared: Arc<Shared<C>>,
}

impl<C> Way<C> {
    /// A way that runs every test that means something in it.
    pub fn new<F: Future<Output = Result<C, String>> + 'static>(name: &'static str, make: impl Fn() -> F + Send + Sync + 'static) -> Self {
        let shared = Shared { make: Box::new(move || Box::pin(make())), made: OnceLock::new() };
        Self { name, is_run: |_all| true, shared: Arc::new(shared) }
    }

    /// A way on the MongoDB server of the test run; on one that is too slow for all tests it runs those of the core, and calls the
    /// others ignored.
    pub fn on_mongodb<F: Future<Output = Result<C, String>> + 'static>(
        name: &'static str,
        is_core: fn(&Test<C>) -> bool,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let way = Self::new(name, make);
        if mongodb::is_slow() { Self { is_run: is_core, ..way } } else { way }
    }
}

/// Runs every test in every way; a way that cannot be had fails its tests, loudly. `teardown` gets each context. Says in the end where
/// the time has gone.
pub fn run<C: Send + Sync + 'static, F: Future<Output = ()>>(
    runtime: &Runtime,
    ways: &[Way<C>],
    tests: &[&'static [Test<C>]],
    teardown: impl Fn(Arc<C>) -> F,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads = arguments.test_threads.or(Some(TESTS_PER_CORE * cores));
    let (mut trials, times) = (Vec::new(), Times::default());
    for way in ways {
        for test in tests.iter().copied().flatten().filter(|test| test.runs_in(way.name)) {
            trials.push(trial(runtime, way, test, &times));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for context in ways.iter().filter_map(|way| way.shared.made.get()?.clone().ok()) {
        runtime.block_on(teardown(context));
    }
    tell_slowest(&times);
    conclusion.exit_code()
}

fn trial<C: Send + Sync + 'static>(runtime: &Runtime, way: &Way<C>, test: &'static Test<C>, times: &Times) -> Trial {
    // The first part is the name of the test program, which the runner shows anyway.
    let name = test.name.split_once("::").map_or(test.name, |(_, name)| name);
    let name = format!("{}::{name}", way.name);
    let (handle, shared, times, told) = (runtime.handle().clone(), Arc::clone(&way.shared), Arc::clone(times), name.clone());
    let trial = Trial::test(name, move || {
        let context = shared.made.get_or_init(|| handle.block_on((shared.make)()).map(Arc::new));
        let context = context.clone().map_err(|reason| format!("NOT RUN: {reason}"))?;
        let begun = Instant::now();
        handle.block_on((test.run)(context));
        times.lock().unwrap_or_else(PoisonError::into_inner).push((begun.elapsed(), told));
        Ok(())
    });
    trial.with_ignored_flag(!(way.is_run)(test))
}

fn tell_slowest(times: &Times) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times.sort_unstable_by(|one, other| other.cmp(one));
    for (took, name) in times.iter().take(SLOWEST) {
        println!("{:6.1} s {name}", took.as_secs_f64());
    }
}
