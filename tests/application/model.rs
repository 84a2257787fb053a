//! The whole service against a model: what people do at random must be answered, and look in the end, as a model says that
//! is simple enough to be believed.
//!
//! Steps are [`step`], taken by [`chance`]; the model is [`world`] with what people should see of it ([`view`]); [`play`] lets
//! steps happen to both. Runs share an application and go on at the same time, each with people of its own.

mod accounts;
mod chance;
mod chats;
mod mistake;
mod play;
mod step;
mod view;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_functions::domain::PasswordHash;
use play::Play;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use step::{Caller, Chat, Door, Mark, Relation, Step, Token, Whom};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, block_in_place};

use crate::{Context, people, support, tests};

tests!(Context:
    whatever_people_do_is_answered_as_the_model_says,
    cases_that_once_failed_do_not_fail_again,
);

/// Steps of a run, on average.
const STEPS: usize = 50;
/// Runs at a time.
const AT_ONCE: u32 = 4;

/// Runs in all, of which each takes half a second of a processor.
const RUNS: u32 = 80;

async fn whatever_people_do_is_answered_as_the_model_says(context: Arc<Context>) {
    let (context, password) = (Arc::new(context.fresh_without_mail().await), people::password().await);
    let (runs, seed) = (support::chance::count("MODEL_RUNS", RUNS), support::chance::seed("MODEL_SEED"));
    let (mut workers, has_failed) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    for worker in 0..AT_ONCE {
        let (context, password, has_failed) = (Arc::clone(&context), password.clone(), Arc::clone(&has_failed));
        workers.spawn(async move {
            let run = |case: Vec<Step>| {
                let case = async { if has_failed.load(Ordering::SeqCst) { Ok(()) } else { run(&context, &password, &case).await } };
                Handle::current().block_on(case).map_err(TestCaseError::fail)
            };
            let outcome = block_in_place(|| runner(runs, seed.wrapping_add(worker.into())).run(&chance::case(STEPS), run));
            has_failed.fetch_or(outcome.is_err(), Ordering::SeqCst);
            outcome
        });
    }
    for outcome in workers.join_all().await {
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(difference, case)) => panic!("{difference}\n{}", listed(&case)),
            Err(error) => panic!("{error}"),
        }
    }
    context.clear().await;
}

/// A case as it can be put among the regressions.
fn listed(case: &[Step]) -> String {
    case.iter().map(|step| format!("{step:?},")).collect::<Vec<_>>().join("\n")
}

fn runner(runs: u32, seed: u64) -> TestRunner {
    let config = Config { cases: runs.div_ceil(AT_ONCE), max_shrink_iters: 1_000, ..Config::default() };
    support::chance::runner(config, seed)
}

/// New people do what a case says; all that everybody sees is compared in the end.
async fn run(context: &Context, password: &PasswordHash, case: &[Step]) -> Result<(), String> {
    let mut play = Play::begin(context, password).await;
    for step in case {
        Box::pin(play.take(step)).await.map_err(|difference| format!("{step:?}: {difference}"))?;
    }
    Box::pin(play.compare_everything()).await.map_err(|difference| format!("in the end: {difference}"))
}

/// Cases, cut down, that have shown a defect or show one that is easily made.
fn regressions() -> Vec<Vec<Step>> {
    let by = |who| Caller { who, token: Token::Live(0) };
    let send = || Step::Send { by: by(0), to: Whom::Person(1), text: 0, key: None };
    vec![
        // More sessions than anybody may have.
        vec![Step::LogIn { who: 0, door: Door::Store, times: 21 }, Step::LogOut { by: by(0) }],
        // A mark that moves back.
        vec![send(), send(), Step::MarkRead { by: by(0), chat: Chat::With(Whom::Person(1)), mark: Mark::At(0) }],
        // Whoever is blocked keeps the other on their list.
        vec![
            Step::Relate { by: by(0), relation: Relation::Befriend, whom: Whom::Person(3) },
            Step::Relate { by: by(3), relation: Relation::Block, whom: Whom::Person(0) },
        ],
        // A repetition by somebody who is not accepted any more, and one with another text.
        vec![
            Step::Send { by: by(0), to: Whom::Person(1), text: 0, key: Some(1) },
            Step::Relate { by: by(1), relation: Relation::Block, whom: Whom::Person(0) },
            Step::Send { by: by(0), to: Whom::Person(1), text: 0, key: Some(1) },
            Step::Relate { by: by(1), relation: Relation::Unblock, whom: Whom::Person(0) },
            Step::Send { by: by(0), to: Whom::Person(1), text: 1, key: Some(1) },
        ],
    ]
}

async fn cases_that_once_failed_do_not_fail_again(context: Arc<Context>) {
    let (context, password) = (context.fresh_without_mail().await, people::password().await);
    for case in regressions() {
        run(&context, &password, &case).await.unwrap_or_else(|difference| panic!("{difference}\n{}", listed(&case)));
    }
    context.clear().await;
}
