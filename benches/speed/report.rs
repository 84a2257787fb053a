//! What was measured, and the forms in which it is told: a table, JSON, and a chart.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// All that was measured in one run.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The day, as `2026-11-25`.
    pub date: String,
    /// What it ran on: processor, cores, memory, system.
    pub machine: String,
    /// How to run it again.
    pub command: String,
    /// One for each part that ran.
    pub sections: Vec<Section>,
}

/// One part: measurements that are read together.
#[derive(Serialize, Deserialize)]
pub struct Section {
    /// What it is about, as a headline.
    pub title: String,
    /// How it was measured, and what to know to read it, in a sentence or two.
    pub method: String,
    /// What the first figure of each row is of, as the head of a column.
    pub ours: String,
    /// What the second figure is of.
    pub beside: String,
    /// The measurements.
    pub rows: Vec<Row>,
}

/// One measurement, beside another one of the same run if there is any.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// What was measured, in plain words.
    pub what: String,
    /// The figure.
    pub ours: f64,
    /// What it is compared with, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<f64>,
    /// The unit of both.
    pub unit: String,
    /// What is aimed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// What a measurement should be. A ratio is the first figure over the second.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtMost(f64),
}

impl Report {
    /// A report of this day and machine without any measurement.
    #[must_use]
    pub fn new(command: &str) -> Self {
        let date = time::OffsetDateTime::now_utc().date().to_string();
        Self { date, machine: machine(), command: command.to_owned(), sections: Vec::new() }
    }

    /// All tables, as Markdown, which is read well as it is.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = self.origin();
        for section in &self.sections {
            let _infallible = write!(text, "\n{section}", section = section.to_markdown());
        }
        text
    }

    /// One table of what there are goals for.
    #[must_use]
    pub fn to_summary(&self) -> String {
        let head = ["", "", "ours", "beside", "ratio", "goal"].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        for section in &self.sections {
            let with_goal = section.rows.iter().filter(|row| row.attainment().is_some());
            for (number, row) in with_goal.enumerate() {
                let title = if number == 0 { section.title.clone() } else { String::new() };
                rows.push(std::iter::once(title).chain(row.cells()).collect());
            }
        }
        [self.origin(), table(2, &rows)].join("\n")
    }

    fn origin(&self) -> String {
        format!("Measured on {} by `{}` on {}.\n", self.date, self.command, self.machine)
    }
}

impl Section {
    /// One without any measurement.
    #[must_use]
    pub fn new(title: &str, method: &str, [ours, beside]: [&str; 2]) -> Self {
        let [title, method, ours, beside] = [title, method, ours, beside].map(str::to_owned);
        Self { title, method, ours, beside, rows: Vec::new() }
    }

    /// Adds a measurement, and shows it at once to whoever waits for the rest.
    pub fn add(&mut self, row: Row) {
        println!("  {}", row.cells().join("   "));
        self.rows.push(row);
    }

    #[must_use]
    pub fn to_markdown(&self) -> String {
        let head = ["", &self.ours, &self.beside, "ratio", "goal"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(self.rows.iter().map(|row| row.cells().to_vec())).collect();
        format!("### {}\n\n{}\n\n{}", self.title, self.method, table(1, &rows))
    }
}

/// A table as Markdown, with its columns aligned also for those who read it as it is: so many columns of words, then figures, at the
/// right. The first row is the head.
fn table(words: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _infallible = if column < words { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _infallible = write!(text, "|{:-<1$}{2}", "", width + 1, if column < words { '-' } else { ':' });
            }
            text.push_str("|\n");
        }
    }
    text
}

impl Row {
    /// A measurement by itself.
    #[must_use]
    pub fn alone(what: impl Into<String>, ours: f64, unit: &str) -> Self {
        Self { what: what.into(), ours, beside: None, unit: unit.to_owned(), goal: None }
    }

    /// A measurement beside another one.
    #[must_use]
    pub fn beside(what: impl Into<String>, [ours, beside]: [f64; 2], unit: &str) -> Self {
        Self { beside: Some(beside), ..Self::alone(what, ours, unit) }
    }

    /// The same with something to aim at.
    #[must_use]
    pub fn aiming_at(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    /// The first figure over the second, if that is any.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.beside.filter(|beside| *beside > 0.0).map(|beside| self.ours / beside)
    }

    /// How far the goal is met: 1 just so, 2 twice as well as asked for, 0.5 half as well.
    #[must_use]
    pub fn attainment(&self) -> Option<f64> {
        Some(match (self.goal?, self.ratio()) {
            (Goal::RatioAtLeast(bound), Some(ratio)) => ratio / bound,
            (Goal::RatioAtMost(bound), Some(ratio)) => bound / ratio,
            (Goal::AtMost(bound), _) => bound / self.ours,
            (_, None) => return None,
        })
    }

    /// The ratio, or the figure where there is nothing beside it.
    #[must_use]
    pub fn result(&self) -> String {
        self.ratio().map_or_else(|| format!("{} {}", significant(self.ours), self.unit), |ratio| format!("{} ×", significant(ratio)))
    }

    fn cells(&self) -> [String; 5] {
        let figure = |value: f64| format!("{} {}", significant(value), self.unit);
        let goal = self.goal.zip(self.attainment()).map(|(goal, attainment)| {
            let bound = match goal {
                Goal::RatioAtLeast(bound) => format!("at least {bound}"),
                Goal::RatioAtMost(bound) => format!("at most {bound}"),
                Goal::AtMost(bound) => format!("at most {bound} {}", self.unit),
            };
            if attainment < 1.0 { format!("missed: {bound}") } else { bound }
        });
        [
            self.what.clone(),
            figure(self.ours),
            self.beside.map(figure).unwrap_or_default(),
            self.ratio().map(significant).unwrap_or_default(),
            goal.unwrap_or_default(),
        ]
    }
}

/// A number with as many digits as mean something, and groups of thousands.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    format!("{}{fraction}", grouped(whole))
}

/// Digits in groups of thousands.
#[must_use]
pub fn grouped(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().collect();
    let groups: Vec<String> = digits.rchunks(3).rev().map(|group| group.iter().collect()).collect();
    groups.join(",")
}

/// The processor, the cores that may be used, the memory and the system, as Linux tells them.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let kib: Option<f64> = field(&read("/proc/meminfo"), "MemTotal").and_then(|size| size.trim_end_matches(" kB").parse().ok());
    let gib = kib.unwrap_or_default() / (1024.0 * 1024.0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{processor}, {cores} cores, {gib:.0} GiB, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}
