//! Log-ins: how many there are beside what the processor could hash, and what they do to everybody else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chat_functions::domain::{Net, Password};
use chat_functions::identity::{PasswordCost, PasswordHasher};
use serde_json::json;

use crate::floor::Route;
use crate::load::{self, Load, Outcome, Pace};
use crate::numbers::{in_millis, median};
use crate::people::{self, Person};
use crate::process::Process;
use crate::report::{Goal, Row, Section};
use crate::site::{Kind, Site};

/// People who log in at once, each from an address of their own.
const CLIENTS: usize = 64;
/// Connections of those who do something else meanwhile, and their requests a second.
const OTHERS: usize = 8;
const OTHERS_PER_SECOND: f64 = 50.0;
/// Hashes that may wait for one net, when people are made.
const WAITING: usize = 64;
const PASSWORD: &str = "tulip-gravel-onion";

/// How long is measured.
struct Scale {
    rounds: usize,
    span: Duration,
}

const FULL: Scale = Scale { rounds: 3, span: Duration::from_secs(5) };
const SHORT: Scale = Scale { rounds: 1, span: Duration::from_millis(300) };

/// Measures both stores.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    let method = format!(
        "{CLIENTS} clients log in, each when its log-in before is answered; beside what all cores together hash in the same run when they \
         do nothing else. Others ask for profiles and send {OTHERS_PER_SECOND} times a second meanwhile, and before at rest. The load \
         and the database run on the same cores."
    );
    let mut section = Section::new("Log-ins", &method, ["with log-ins", "beside"]);
    println!("{}", section.title);
    for (kind, store) in [(Kind::Sqlite, "SQLite"), (Kind::ChangeStream, "MongoDB")] {
        measure_store(kind, store, &scale, &mut section).await;
    }
    vec![section]
}

async fn measure_store(kind: Kind, store: &str, scale: &Scale, section: &mut Section) -> Option<()> {
    let (name, value) = load::BEHIND_PROXY;
    let site = Site::open(kind).await?.with(name, value);
    let hasher = PasswordHasher::new(PasswordCost::LOWEST, 8, WAITING).expect("a hasher");
    let password = Password::parse(PASSWORD).expect("a password");
    let hash = hasher.hash(password, Vec::new(), Net::Unknown).await.expect("a hash");
    let people = site.fill(async |store| people::create_with(store, CLIENTS, &hash).await).await;
    // Others than those who log in, whose sessions end when they have too many.
    let others = site.people(CLIENTS).await;
    let server = site.start().await;
    let (process, address) = (Process(server.pid()), load::address_of(server.url()));
    let others = Others { server: address, people: &others, span: scale.span };

    let at_rest = [others.load(Route::Profile).await, others.load(Route::Send).await];
    let memory_before = process.memory_mib();
    let (mut possible, mut reached, mut memory_after) = (Vec::new(), Vec::new(), memory_before);
    for _ in 0..scale.rounds {
        possible.push(hashes_per_second(scale.span));
        let (outcome, memory) = tokio::join!(log_in(address, &people, scale.span), process.highest_memory_mib(scale.span));
        reached.push(outcome.per_second);
        memory_after = memory_after.max(memory);
    }
    let crowded = tokio::join!(log_in(address, &people, scale.span), others.load(Route::Profile), others.load(Route::Send));

    let both = [median(reached), median(possible)];
    section.add(Row::beside(format!("{store}: log-ins a second, hashes a second"), both, "/s").aiming_at(Goal::RatioAtLeast(0.95)));
    for (route, [crowded, at_rest]) in [Route::Profile, Route::Send].iter().zip([[&crowded.1, &at_rest[0]], [&crowded.2, &at_rest[1]]]) {
        let slow = [crowded, at_rest].map(|outcome| in_millis(outcome.times.percentile(99)));
        let what = format!("{store}: 99th percentile of {}, at rest", route.name());
        section.add(Row::beside(what, slow, "ms").aiming_at(Goal::RatioAtMost(3.0)));
    }
    section
        .add(Row::alone(format!("{store}: memory that log-ins add"), memory_after - memory_before, "MiB").aiming_at(Goal::AtMost(100.0)));
    server.stop().await;
    site.clear().await;
    Some(())
}

async fn log_in(server: SocketAddr, people: &[Person], span: Duration) -> Outcome {
    let load = Load { server, connections: CLIENTS, pace: Pace::AsAnswered, duration: span };
    load.run(|number| {
        let credentials = json!({ "email": people[number].email, "password": PASSWORD });
        load::through_proxy(load::post("/api/auth/login", None, &credentials), number)
    })
    .await
}

/// Those who do something else at a steady pace.
struct Others<'a> {
    server: SocketAddr,
    people: &'a [Person],
    span: Duration,
}

impl Others<'_> {
    async fn load(&self, route: Route) -> Outcome {
        let pace = Pace::PerSecond(OTHERS_PER_SECOND);
        let load = Load { server: self.server, connections: OTHERS, pace, duration: self.span };
        load.run(|number| route.of_product(self.people, number)).await
    }
}

/// What all cores hash when they do nothing else, with the cost that the product has.
fn hashes_per_second(span: Duration) -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let begun = Instant::now();
    let hashed: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(|| hash_for(span))).collect();
        threads.into_iter().map(|thread| thread.join().expect("hashed")).sum()
    });
    f64::from(hashed) / begun.elapsed().as_secs_f64()
}

fn hash_for(span: Duration) -> u32 {
    let PasswordCost { memory_kib, passes } = PasswordCost::LOWEST;
    let parameters = argon2::Params::new(memory_kib, passes, 1, None).expect("parameters");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let (begun, mut hashed, mut hash) = (Instant::now(), 0, [0; 32]);
    while begun.elapsed() < span {
        argon2.hash_password_into(PASSWORD.as_bytes(), b"sixteen bytes of", &mut hash).expect("a hash");
        hashed += 1;
    }
    hashed
}
