//! Servers that are measured in turn, so that whatever else happens on the machine happens to all of them.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{Load, Outcome, Pace, Request};
use crate::numbers::{Times, median};
use crate::process::Process;

/// A server that is measured.
pub struct Target {
    pub address: SocketAddr,
    /// All that it consists of.
    pub processes: Vec<Process>,
}

/// How some of them are measured.
pub struct Turns<const N: usize> {
    pub targets: [Target; N],
    pub connections: usize,
    pub rounds: usize,
    /// How long each of them is under load in a round.
    pub span: Duration,
}

/// What a server does when each request follows the answer to the one before; medians over the rounds.
#[derive(Clone, Copy)]
pub struct Throughput {
    pub per_second: f64,
    pub processor_micros: f64,
}

impl Target {
    /// What each of its processes takes, taken together.
    pub fn sum(&self, figure: fn(Process) -> f64) -> f64 {
        self.processes.iter().copied().map(figure).sum()
    }
}

impl<const N: usize> Turns<N> {
    /// Has them answer as fast as they can what `request` makes by the number of the target and that of the connection.
    pub async fn throughput(&self, request: impl Fn(usize, usize) -> Request) -> [Throughput; N] {
        let mut figures: [[Vec<f64>; 2]; N] = std::array::from_fn(|_| Default::default());
        // One round more than counts, which warms up.
        for round in 0..=self.rounds {
            for (number, (target, [per_second, processor_micros])) in self.targets.iter().zip(&mut figures).enumerate() {
                let before = target.sum(Process::processor_seconds);
                let outcome = self.run(number, Pace::AsAnswered, &request).await;
                let processor_seconds = target.sum(Process::processor_seconds) - before;
                if round > 0 {
                    let answers = f64::from(u32::try_from(outcome.times.count()).expect("fewer than that"));
                    per_second.push(outcome.per_second);
                    processor_micros.push(processor_seconds / answers * 1e6);
                }
            }
        }
        figures
            .map(|[per_second, processor_micros]| Throughput { per_second: median(per_second), processor_micros: median(processor_micros) })
    }

    /// The times of their answers at half of what the slowest of them can do.
    pub async fn times_at_half_load(&self, throughput: &[Throughput; N], request: impl Fn(usize, usize) -> Request) -> [Times; N] {
        let slowest = throughput.iter().map(|throughput| throughput.per_second).fold(f64::INFINITY, f64::min);
        let mut times: [Times; N] = std::array::from_fn(|_| Times::default());
        for _ in 0..self.rounds {
            for (number, times) in times.iter_mut().enumerate() {
                times.extend(self.run(number, Pace::PerSecond(slowest / 2.0), &request).await.times);
            }
        }
        times
    }

    async fn run(&self, number: usize, pace: Pace, request: impl Fn(usize, usize) -> Request) -> Outcome {
        let server = self.targets[number].address;
        let load = Load { server, connections: self.connections, pace, duration: self.span };
        load.run(|connection| request(number, connection)).await
    }
}
