//! The product behind the stand-in for the Functions host: beside itself without it, and beside a handler that does nothing.

use std::time::Duration;

use functions_host::FunctionsHost;

use crate::bare_handler::BareHandler;
use crate::floor::{self, Route};
use crate::load;
use crate::numbers::{Times, in_millis};
use crate::process::Process;
use crate::report::{Row, Section};
use crate::site::{Kind, Site};
use crate::turns::{Target, Throughput, Turns};

const CONNECTIONS: usize = 16;

/// How long is measured.
struct Scale {
    rounds: usize,
    span: Duration,
}

const FULL: Scale = Scale { rounds: 5, span: Duration::from_secs(1) };
const SHORT: Scale = Scale { rounds: 1, span: Duration::from_millis(100) };

/// What was measured at a route: through the host, without it, and of the bare handler through the host.
struct Measured {
    route: Route,
    throughput: [Throughput; 3],
    times: [Times; 3],
}

/// Measures all routes on the embedded store.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let Some(measured) = measure_routes(if is_short { SHORT } else { FULL }).await else { return Vec::new() };
    vec![beside_itself(&measured), beside_bare_handler(&measured)]
}

async fn measure_routes(scale: Scale) -> Option<Vec<Measured>> {
    let site = Site::open(Kind::Sqlite).await?;
    let people = site.fill(async |store| floor::populate(store).await).await;
    let host = site.start_hosted().await;
    let direct = load::address_of(&host.handler_url());
    let bare = BareHandler::start(&floor::answers(direct, &people).await).await;
    let targets = [through(&host), Target { address: direct, processes: vec![handler(&host)] }, through(&bare.host)];
    let turns = Turns { targets, connections: CONNECTIONS, rounds: scale.rounds, span: scale.span };
    let mut measured = Vec::new();
    for route in Route::ALL {
        println!("through the host: {}", route.name());
        let request = |_target, number| route.of_product(&people, number);
        let throughput = turns.throughput(request).await;
        let times = turns.times_at_half_load(&throughput, request).await;
        measured.push(Measured { route, throughput, times });
    }
    host.stop().await;
    bare.host.stop().await;
    site.clear().await;
    Some(measured)
}

fn through(host: &FunctionsHost) -> Target {
    Target { address: load::address_of(&host.url()), processes: vec![handler(host)] }
}

fn handler(host: &FunctionsHost) -> Process {
    Process(host.handler_pid().expect("a handler"))
}

fn beside_itself(measured: &[Measured]) -> Section {
    let method = format!(
        "The same requests through the stand-in for the Functions host and to the program that it has started, over {CONNECTIONS} \
         connections, on the embedded store. The load and the stand-in have the same cores. Half load is half of what goes through the \
         host. The stand-in does what the host does to a request, not as fast or slow as the host does it."
    );
    let mut section = Section::new("Through the Functions host", &method, ["through the host", "directly"]);
    println!("{}", section.title);
    for Measured { route, throughput: [hosted, direct, _], times: [hosted_times, direct_times, _] } in measured {
        let (name, medians) = (route.name(), [hosted_times, direct_times].map(|times| in_millis(times.median())));
        section.add(Row::beside(format!("{name}: answers a second"), [hosted.per_second, direct.per_second], "/s"));
        section.add(Row::beside(format!("{name}: median time at half load"), medians, "ms"));
    }
    section
}

fn beside_bare_handler(measured: &[Measured]) -> Section {
    let method = "Of the same run: both through the host, the second one being a handler that answers with the same bytes without doing \
                  anything. What is between the two is what the program adds to the host's own time.";
    let mut section = Section::new("What the handler adds to the host", method, ["chat-functions", "bare handler"]);
    println!("{}", section.title);
    for Measured { route, throughput: [ours, _, bare], times: [our_times, _, bare_times] } in measured {
        let (name, medians) = (route.name(), [our_times, bare_times].map(|times| in_millis(times.median())));
        section.add(Row::beside(format!("{name}: answers a second"), [ours.per_second, bare.per_second], "/s"));
        section.add(Row::beside(format!("{name}: median time at half load"), medians, "ms"));
        section.add(Row::alone(format!("{name}: median time that the handler adds"), medians[0] - medians[1], "ms"));
        let processor = [ours.processor_micros, bare.processor_micros];
        section.add(Row::beside(format!("{name}: processor time of the handler"), processor, "µs"));
    }
    section
}
