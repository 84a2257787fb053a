//! What a server counts, as it tells on a listener of its own.

use super::server::{Environment, free_port};

/// Where a server tells it.
pub struct Metrics {
    pub url: String,
}

impl Metrics {
    /// The settings of a server that tells it, and where.
    pub fn of(environment: Environment) -> (Environment, Self) {
        let address = format!("127.0.0.1:{}", free_port());
        let url = format!("http://{address}/metrics");
        (environment.with("METRICS_LISTEN", address), Self { url })
    }

    pub async fn text(&self) -> String {
        let answer = reqwest::get(&self.url).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("application/openmetrics-text")));
        answer.text().await.expect("a text")
    }

    /// The value of the line with exactly this name and these labels; nothing was counted where there is none.
    pub async fn value(&self, series: &str) -> f64 {
        let text = self.text().await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// How many polls wait at the moment.
    pub async fn polls_waiting(&self) -> usize {
        self.value("chat_polls_waiting").await.to_string().parse().expect("a whole number")
    }
}
