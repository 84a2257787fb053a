//! Asks the server that runs with the same settings for its health: the health check of a container, which has no other client.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long each step may take: longer than a health that has to ask the store.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether the server that listens there, on this machine, is well. An error means that it could not be asked.
pub fn is_healthy(listen: SocketAddr) -> Result<bool, Error> {
    let mut connection = TcpStream::connect_timeout(&reachable(listen), PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status_line = String::new();
    BufReader::new(connection).read_line(&mut status_line)?;
    match status_line.split(' ').nth(1) {
        Some(status) => Ok(status == "200"),
        None => Err(Error::new(ErrorKind::InvalidData, "what listens there does not speak HTTP")),
    }
}

/// A server that listens on every address is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_reached_by_loopback() {
        let reached = |listen: &str| reachable(listen.parse().expect("an address")).to_string();
        assert_eq!(reached("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(reached("[::]:8080"), "[::1]:8080");
        assert_eq!(reached("192.0.2.1:80"), "192.0.2.1:80");
    }
}
