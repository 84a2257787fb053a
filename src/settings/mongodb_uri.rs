//! What a connection string must say before production relies on it.

use std::net::IpAddr;

use mongodb::options::{Acknowledgment, ConnectionString, HostInfo, ServerAddress, Tls};

/// What in a connection string would lose data, or send it in clear; `None` when it is no connection string.
pub(super) fn weaknesses(uri: &str) -> Option<Vec<&'static str>> {
    // The driver's message may quote the string, which holds a password.
    ConnectionString::parse(uri).ok().map(|uri| weaknesses_of(&uri))
}

fn weaknesses_of(uri: &ConnectionString) -> Vec<&'static str> {
    let concern = uri.write_concern.as_ref();
    let weak_acknowledgment = |concern: &mongodb::options::WriteConcern| !matches!(concern.w, None | Some(Acknowledgment::Majority));
    let checks = [
        (!is_loopback(&uri.host_info) && !uses_tls(uri), "must use TLS beyond this machine: add tls=true"),
        (!is_loopback(&uri.host_info) && uri.credential.is_none(), "must name a user and a password beyond this machine"),
        (accepts_any_certificate(uri), "must not switch the check of certificates off"),
        (concern.is_some_and(weak_acknowledgment), "must not ask for another write concern than w=majority"),
        (concern.is_some_and(|concern| concern.journal == Some(false)), "must not set journal=false"),
    ];
    checks.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem)).collect()
}

/// An SRV record means TLS unless the string says otherwise.
fn uses_tls(uri: &ConnectionString) -> bool {
    match &uri.tls {
        Some(tls) => matches!(tls, Tls::Enabled(_)),
        None => matches!(uri.host_info, HostInfo::DnsRecord(_)),
    }
}

fn accepts_any_certificate(uri: &ConnectionString) -> bool {
    matches!(&uri.tls, Some(Tls::Enabled(options)) if options.allow_invalid_certificates == Some(true))
}

fn is_loopback(hosts: &HostInfo) -> bool {
    let HostInfo::HostIdentifiers(hosts) = hosts else { return false };
    hosts.iter().all(|host| match host {
        ServerAddress::Tcp { host, .. } => {
            host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(uri: &str) -> usize {
        weaknesses(uri).expect("a connection string").len()
    }

    #[test]
    fn what_is_no_connection_string_is_refused_everywhere() {
        for bad in ["localhost:27017", "postgres://localhost", "mongodb://", "mongodb://user:p@ss@host"] {
            assert!(weaknesses(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn production_takes_no_server_elsewhere_without_tls_and_a_password() {
        assert_eq!(number("mongodb://db.example.com/chat"), 2);
        for good in [
            "mongodb://localhost,127.0.0.1:1/chat",
            "mongodb://user:pw@db.example.com/?tls=true&retryWrites=false",
            "mongodb+srv://user:pw@db.example.com/?retrywrites=false",
        ] {
            assert_eq!(number(good), 0, "{good}");
        }
    }

    #[test]
    fn production_gives_up_neither_certificates_nor_durability() {
        for weak in ["tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidCertificates=true", "w=1", "journal=false"] {
            assert_eq!(number(&format!("mongodb://localhost/?{weak}")), 1, "{weak}");
        }
    }
}
