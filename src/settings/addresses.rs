//! Addresses: where this server listens, where people reach it, and whose pages may call it.

use std::net::{Ipv4Addr, SocketAddr};

use super::Mode;
use super::rules::Reader;

impl Reader<'_> {
    pub(super) fn listen(&mut self) -> SocketAddr {
        let fallback = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        if let Some(port) = self.get("FUNCTIONS_CUSTOMHANDLER_PORT") {
            // The host connects to 127.0.0.1 and nobody else should.
            return port.parse().map_or_else(
                |_| {
                    self.wrong("FUNCTIONS_CUSTOMHANDLER_PORT", "must be a port such as 7072; the Functions host sets it");
                    fallback
                },
                |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            );
        }
        let Some(address) = self.get("LISTEN") else { return fallback };
        address.parse().unwrap_or_else(|_| {
            self.wrong("LISTEN", "must be an address and a port such as 127.0.0.1:8080 or [::]:8080");
            fallback
        })
    }

    /// Metrics tell what goes on in the process, and ask for no token.
    pub(super) fn metrics_listen(&mut self, listen: SocketAddr) -> Option<SocketAddr> {
        let address = self.get("METRICS_LISTEN")?;
        let parsed =
            address.parse().ok().filter(|metrics: &SocketAddr| metrics.ip().is_loopback() && (metrics.port() == 0 || *metrics != listen));
        if parsed.is_none() {
            self.wrong("METRICS_LISTEN", "must be an address of loopback and a port of its own such as 127.0.0.1:9090");
        }
        parsed
    }

    pub(super) fn public_base_url(&mut self, mode: Mode) -> Option<String> {
        let Some(url) = self.get("PUBLIC_BASE_URL") else {
            if mode == Mode::Production {
                self.wrong_in_production("PUBLIC_BASE_URL", "is required in production, e.g. https://chat.example.com");
            }
            return None;
        };
        let url = url.trim_end_matches('/').to_owned();
        let secure = url.strip_prefix("https://").is_some_and(is_host);
        let local = url.strip_prefix("http://").is_some_and(|rest| is_host(rest) && is_local(rest));
        if !(secure || local || mode == Mode::Development && url.strip_prefix("http://").is_some_and(is_host)) {
            self.wrong_in_production(
                "PUBLIC_BASE_URL",
                "must be an https address such as https://chat.example.com (http towards localhost only)",
            );
        }
        Some(url)
    }
}

/// A host and perhaps a port, without a path.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

fn is_local(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host == *local || host.strip_prefix(local).is_some_and(|rest| rest.starts_with(':')))
}
