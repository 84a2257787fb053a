//! The part of a network address that stands for one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, the first 64 bits of an IPv6 one, or nothing known.
///
/// A household or a phone is given 64 bits to choose from, so counting whole IPv6 addresses would count nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Net {
    /// The net of an address.
    Of(IpAddr),
    /// The one that all callers share whose address cannot be told.
    Unknown,
}

impl Net {
    /// The net of an address. An IPv4 address written as IPv6 is the IPv4 one.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Of(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            address @ IpAddr::V4(_) => Self::Of(address),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(IpAddr::V6(address)) => write!(f, "{address}/64"),
            Self::Of(address) => write!(f, "{address}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> String {
        Net::of(text.parse().expect("an address")).to_string()
    }

    #[test]
    fn an_ipv6_net_is_its_first_64_bits_and_an_ipv4_net_its_address() {
        assert_eq!(net("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(net("2001:db8:1:2:ffff::1"), net("2001:db8:1:2::"));
        assert_ne!(net("2001:db8:1:2::1"), net("2001:db8:1:3::1"));
        assert_eq!(net("192.0.2.7"), "192.0.2.7");
        assert_eq!(net("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
