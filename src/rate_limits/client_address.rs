//! Who is calling, as far as a network address tells: the connection's other end, or what a trusted proxy says of it.
//!
//! A proxy appends the address it saw to a list that clients may have begun themselves. So only an entry counted from the
//! right is believed, and only when a trusted proxy sent the request; what stands to the left of it changes nothing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use ipnet::IpNet;

use crate::domain::Net;

/// The header in which proxies list the addresses they saw.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where the address of a client stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AddressSource {
    /// At the other end of the connection.
    #[default]
    Peer,
    /// In `X-Forwarded-For`, at this place from the right; at least 1.
    ForwardedFor(usize),
    /// In a header that the proxy overwrites, whatever the client sent in it.
    Header(HeaderName),
}

/// How the address of a client is found.
#[derive(Debug, Clone, Default)]
pub struct ClientAddress {
    /// Where it stands.
    pub source: AddressSource,
    /// Whose headers are believed, besides those of this machine.
    pub trusted_proxies: Vec<IpNet>,
}

impl ClientAddress {
    /// The net of the client whose request came from `peer` with these headers.
    #[must_use]
    pub fn net_of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Net {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return Net::Unknown };
        let told = match &self.source {
            AddressSource::Peer => return Net::of(peer),
            _ if !self.trusts(peer) => return Net::of(peer),
            AddressSource::ForwardedFor(place) => entry_from_right(headers, &FORWARDED_FOR, *place),
            AddressSource::Header(name) => entry_from_right(headers, name, 1),
        };
        told.as_deref().and_then(parse_address).map_or(Net::Unknown, Net::of)
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

/// An entry of a comma-separated list; several lines of the header are one list. The last entry has the place 1.
fn entry_from_right(headers: &HeaderMap, name: &HeaderName, place: usize) -> Option<String> {
    // As bytes: what a client put to the left need not be text.
    let lines: Vec<&[u8]> = headers.get_all(name).map(HeaderValue::as_bytes).collect();
    let list = lines.join(&b',');
    let entry = list.rsplit(|byte| *byte == b',').nth(place.checked_sub(1)?)?;
    std::str::from_utf8(entry.trim_ascii()).ok().map(str::to_owned)
}

/// The forms in which front ends write addresses: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80` and
/// `[2001:db8::1]`. The port is no part of the client.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = || text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    bare().or_else(with_port).or_else(in_brackets)
}

/// The net of the client, which the gateway has found before anything else looks at the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientNet(pub Net);

impl ClientNet {
    /// The net of a request's client; the one of all unknown clients where the gateway did not look.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get().copied().unwrap_or(Self(Net::Unknown))
    }
}

impl FromRequest for ClientNet {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOOPBACK: &str = "127.0.0.1";

    fn address(source: AddressSource) -> ClientAddress {
        ClientAddress { source, trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")] }
    }

    fn net_with(address: &ClientAddress, peer: &str, name: &str, lines: &[&[u8]]) -> Net {
        let name: HeaderName = name.parse().expect("a name");
        let lines = lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line).expect("a value")));
        address.net_of(peer.parse().ok(), &lines.collect())
    }

    /// The net by the N-th entry from the right, told by a proxy on this machine.
    fn forwarded(place: usize, lines: &[&str]) -> Net {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        net_with(&address(AddressSource::ForwardedFor(place)), LOOPBACK, "X-Forwarded-For", &lines)
    }

    fn net(text: &str) -> Net {
        Net::of(text.parse().expect("an address"))
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for form in ["192.0.2.7", "192.0.2.7:4711", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:4711", " 192.0.2.7\t"] {
            assert_eq!(forwarded(1, &[form]), net("192.0.2.7"), "{form}");
        }
        for form in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711", "2001:DB8:0:0::99"] {
            assert_eq!(forwarded(1, &[form]), net("2001:db8::"), "{form}");
        }
    }

    #[test]
    fn what_is_missing_or_no_address_is_unknown() {
        for bad in ["", "unknown", "192.0.2", "192.0.2.7:", "192.0.2.7:70000", "[192.0.2.7]", "[2001:db8::1", "a.example", "192.0.2.7 x"] {
            assert_eq!(forwarded(1, &[bad]), Net::Unknown, "{bad}");
        }
        assert_eq!(forwarded(1, &[]), Net::Unknown);
        assert_eq!(forwarded(3, &["192.0.2.7, 192.0.2.8"]), Net::Unknown);
        assert_eq!(ClientAddress::default().net_of(None, &HeaderMap::new()), Net::Unknown);
    }

    #[test]
    fn places_are_counted_from_the_right_over_all_lines() {
        let lines = ["192.0.2.1, 192.0.2.2", "192.0.2.3"];
        for (place, expected) in [(1, "192.0.2.3"), (2, "192.0.2.2"), (3, "192.0.2.1")] {
            assert_eq!(forwarded(place, &lines), net(expected));
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let by_header = address(AddressSource::ForwardedFor(1));
        let told = |peer| net_with(&by_header, peer, "X-Forwarded-For", &[b"192.0.2.7"]);
        for trusted in [LOOPBACK, "::1", "::ffff:127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3"] {
            assert_eq!(told(trusted), net("192.0.2.7"), "{trusted}");
        }
        for other in ["198.51.100.1", "2001:db8::1"] {
            assert_eq!(told(other), net(other), "{other}");
        }
    }

    #[test]
    fn a_header_of_the_proxys_own_counts_instead_of_the_list() {
        let by_header = address(AddressSource::Header(HeaderName::from_static("client-ip")));
        assert_eq!(net_with(&by_header, LOOPBACK, "Client-IP", &[b"192.0.2.7:80"]), net("192.0.2.7"));
        assert_eq!(net_with(&by_header, LOOPBACK, "X-Forwarded-For", &[b"192.0.2.7"]), Net::Unknown);
        assert_eq!(net_with(&address(AddressSource::Peer), LOOPBACK, "X-Forwarded-For", &[b"192.0.2.7"]), net(LOOPBACK));
    }

    /// Lines of a header, of what addresses and lists are written in and of what is no text.
    fn header_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        const WRITTEN_IN: &[u8] = b"\n,,, ::..[]0123456789abcdef%x\t\x80\xff";
        proptest::collection::vec(0..WRITTEN_IN.len(), 0..60).prop_map(|picks| {
            let text: Vec<u8> = picks.into_iter().map(|pick| WRITTEN_IN[pick]).collect();
            text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn what_a_client_sends_itself_changes_nothing(
            forged in header_lines(), joined in any::<bool>(), place in 1_usize..=10,
        ) {
            // The proxies' entries: this many, the client's first.
            let proxies: Vec<_> = (0..place).map(|hop| format!("192.0.2.{}", hop + 1)).collect();
            let own = proxies.join(", ").into_bytes();
            let mut lines = forged;
            match lines.last_mut().filter(|_| joined) {
                Some(last) => last.extend([b",".as_slice(), &own].concat()),
                None => lines.push(own),
            }
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            let by_list = address(AddressSource::ForwardedFor(place));
            prop_assert_eq!(net_with(&by_list, LOOPBACK, "X-Forwarded-For", &lines), net("192.0.2.1"));
        }

        #[test]
        fn no_text_of_a_header_panics(lines in header_lines(), place in 0_usize..=11) {
            let source = if place == 11 { AddressSource::Header(FORWARDED_FOR) } else { AddressSource::ForwardedFor(place) };
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            let told = net_with(&address(source), LOOPBACK, "X-Forwarded-For", &lines);
            prop_assert!(matches!(told, Net::Of(_) | Net::Unknown));
        }

        #[test]
        fn every_address_is_read_with_and_without_a_port(bits in any::<u128>(), is_short in any::<bool>(), port in any::<u16>()) {
            let ip = if is_short { IpAddr::from(u32::try_from(bits >> 96).expect("32 bits").to_be_bytes()) } else { IpAddr::from(bits.to_be_bytes()) };
            prop_assert_eq!(parse_address(&ip.to_string()), Some(ip));
            prop_assert_eq!(parse_address(&SocketAddr::new(ip, port).to_string()), Some(ip));
        }
    }
}
