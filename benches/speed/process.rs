//! What a process takes, as Linux tells it.

use std::time::{Duration, Instant};

/// The kernel's unit of processor time, in seconds: a hundredth of one on every Linux of today.
const TICK_SECONDS: f64 = 0.01;
/// A process that takes no more than this part of a core has nothing to do but its upkeep.
const CALM: f64 = 0.05;
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process.
#[derive(Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// The memory that it holds, in MiB.
    pub fn memory_mib(self) -> f64 {
        self.mib("status", "VmRSS:")
    }

    /// The same, of what it shares with other processes only its part: the sum over such processes counts everything once.
    pub fn memory_share_mib(self) -> f64 {
        self.mib("smaps_rollup", "Pss:")
    }

    /// The processes that its first thread has started and that have not ended.
    pub fn children(self) -> Vec<Self> {
        let children = self.read(&format!("task/{}/children", self.0));
        children.split_whitespace().map(|pid| Self(pid.parse().expect("a number"))).collect()
    }

    /// The most memory that it holds over some time.
    pub async fn highest_memory_mib(self, over: Duration) -> f64 {
        let (begun, mut highest) = (Instant::now(), self.memory_mib());
        while begun.elapsed() < over {
            tokio::time::sleep(Duration::from_millis(50)).await;
            highest = highest.max(self.memory_mib());
        }
        highest
    }

    /// The part of a core that it takes over some time.
    pub async fn load(self, over: Duration) -> f64 {
        let (before, begun) = (self.processor_seconds(), Instant::now());
        tokio::time::sleep(over).await;
        (self.processor_seconds() - before) / begun.elapsed().as_secs_f64()
    }

    /// Waits until it holds so many open files, connections among them, and has nothing to do.
    pub async fn settle(self, files: usize) {
        let begun = Instant::now();
        while self.files() < files || self.load(Duration::from_millis(500)).await > CALM {
            assert!(begun.elapsed() < PATIENCE, "it holds {} open files and does not come to rest", self.files());
        }
    }

    fn files(self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0)).expect("the process").count()
    }

    /// The processor time that it has taken, in its own code and in the kernel's on its behalf.
    #[must_use]
    pub fn processor_seconds(self) -> f64 {
        let stat = self.read("stat");
        // The name, which may hold spaces, ends with the last parenthesis; what follows are fields from the third on.
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u32>().expect("a number");
        TICK_SECONDS * f64::from(ticks(11) + ticks(12))
    }

    /// A figure of a file of lines like `Name:  123 kB`.
    fn mib(self, file: &str, name: &str) -> f64 {
        let text = self.read(file);
        let figure = text.lines().find_map(|line| line.strip_prefix(name)).expect("the figure");
        let kib: f64 = figure.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }

    fn read(self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0)).expect("the process")
    }
}
