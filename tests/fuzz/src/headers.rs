//! Headers that are read by own code. A target of its own for those that would make a request wait, or change who is asking.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chat_functions::domain::Net;
use chat_functions::http::Wait;
use chat_functions::rate_limits::{AddressSource, ClientAddress};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Bytes as the value of `Prefer`, and as what a client has put into `X-Forwarded-For` before the proxy.
pub fn headers(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("prefer"), value.clone());
    assert!(Wait::preferred(&headers).is_none_or(|wait| wait.duration() <= Duration::from_secs(25)));

    headers.insert(FORWARDED_FOR, value);
    let told = |place, headers: &HeaderMap| {
        let address = ClientAddress { source: AddressSource::ForwardedFor(place), trusted_proxies: Vec::new() };
        address.net_of(Some(PEER), headers)
    };
    let _any = told(1, &headers);
    headers.append(FORWARDED_FOR, HeaderValue::from_static("192.0.2.7"));
    assert_eq!(told(1, &headers), Net::of([192, 0, 2, 7].into()), "what a client sends itself changes nothing");
}
