//! Runs one list of tests in several ways, such as on each store, and tears each way down at the end.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A test: an async function of its way's context.
pub struct Test<C> {
    pub name: &'static str,
    /// The ways in which it means something; none named: all.
    pub ways: &'static [&'static [&'static str]],
    pub run: fn(Arc<C>) -> Running,
}

impl<C> Test<C> {
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

/// A way to run all tests: its name and what they need, or why it cannot be had.
pub struct Way<C> {
    pub name: &'static str,
    pub context: Result<Arc<C>, String>,
}

/// Runs every test in every way; a way that cannot be had fails its tests, loudly. `teardown` gets each context.
pub fn run<C: Send + Sync + 'static, F: Future<Output = ()>>(
    runtime: &Runtime,
    ways: Vec<Way<C>>,
    tests: &[&'static [Test<C>]],
    teardown: impl Fn(Arc<C>) -> F,
) -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for way in &ways {
        for test in tests.iter().copied().flatten().filter(|test| test.runs_in(way.name)) {
            trials.push(trial(runtime, way, test));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for context in ways.into_iter().filter_map(|way| way.context.ok()) {
        runtime.block_on(teardown(context));
    }
    conclusion.exit_code()
}

fn trial<C: Send + Sync + 'static>(runtime: &Runtime, way: &Way<C>, test: &'static Test<C>) -> Trial {
    // The first part is the name of the test program, which the runner shows anyway.
    let name = test.name.split_once("::").map_or(test.name, |(_, name)| name);
    let (handle, context) = (runtime.handle().clone(), way.context.clone());
    Trial::test(format!("{}::{name}", way.name), move || {
        let context = context.map_err(|reason| format!("NOT RUN: {reason}"))?;
        handle.block_on((test.run)(context));
        Ok(())
    })
}
