//! What a connection string must say before production relies on it.

use std::net::IpAddr;

use mongodb::options::{Acknowledgment, ConnectionString, HostInfo, ServerAddress, Tls};

/// The mistakes in a connection string; in `production` also what would lose data or send it in clear.
pub(super) fn problems(uri: &str, production: bool) -> Vec<&'static str> {
    match ConnectionString::parse(uri) {
        Ok(parsed) if production => weaknesses(&parsed),
        Ok(_) => Vec::new(),
        // The driver's message may quote the string, which holds a password.
        Err(_) => vec!["is not a connection string such as mongodb://localhost:27017/chat"],
    }
}

fn weaknesses(uri: &ConnectionString) -> Vec<&'static str> {
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

    #[test]
    fn what_is_no_connection_string_is_refused_everywhere() {
        for bad in ["localhost:27017", "postgres://localhost", "mongodb://", "mongodb://user:p@ss@host"] {
            assert_eq!(problems(bad, false).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_laptop_may_use_anything_and_production_may_not() {
        let remote = "mongodb://db.example.com/chat";
        assert!(problems(remote, false).is_empty());
        assert_eq!(problems(remote, true).len(), 2);
        assert!(problems("mongodb://localhost,127.0.0.1:1/chat", true).is_empty());
        assert!(problems("mongodb://user:pw@db.example.com/?tls=true&retryWrites=false", true).is_empty());
        assert!(problems("mongodb+srv://user:pw@db.example.com/?retrywrites=false", true).is_empty());
    }

    #[test]
    fn production_gives_up_neither_certificates_nor_durability() {
        for weak in ["tls=true&tlsInsecure=true", "tls=true&tlsAllowInvalidCertificates=true", "w=1", "journal=false"] {
            assert_eq!(problems(&format!("mongodb://localhost/?{weak}"), true).len(), 1, "{weak}");
        }
    }
}
