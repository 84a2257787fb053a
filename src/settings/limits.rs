//! Rate limits and whose address they count by.

use std::net::IpAddr;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;

use super::Mode;
use super::rules::Reader;
use crate::rate_limits::{AddressSource, Bucket, ClientAddress, LimitSettings, PollLimits};
use crate::store::Quota;

/// Proxies in a row that may stand before this server.
const MAX_PROXIES: usize = 10;
/// Longest window in seconds: 30 days.
const MAX_WINDOW_SECONDS: i64 = 30 * 24 * 60 * 60;
/// Headers that no front end is known to overwrite, or that list what clients wrote first.
const UNTRUSTWORTHY_HEADERS: [&str; 4] = ["x-forwarded-for", "x-real-ip", "forwarded", "x-azure-clientip"];

impl Reader<'_> {
    pub(super) fn limits(&mut self, mode: Mode) -> LimitSettings {
        let defaults = LimitSettings::default();
        let settings = LimitSettings {
            is_on: true,
            login_account_net: self.quota("LIMIT_LOGIN_ACCOUNT_NET", defaults.login_account_net),
            login_account: self.quota("LIMIT_LOGIN_ACCOUNT", defaults.login_account),
            login_net: self.quota("LIMIT_LOGIN_NET", defaults.login_net),
            register: self.quota("LIMIT_REGISTER", defaults.register),
            mail_token: self.quota("LIMIT_MAIL_TOKEN", defaults.mail_token),
            mail_address: self.quota("LIMIT_MAIL_ADDRESS", defaults.mail_address),
            mail_net: self.quota("LIMIT_MAIL_NET", defaults.mail_net),
            password_check: self.quota("LIMIT_PASSWORD_CHECK", defaults.password_check),
            new_chats: self.quota("LIMIT_NEW_CHATS", defaults.new_chats),
            send: self.bucket("LIMIT_SEND", defaults.send),
            read: self.bucket("LIMIT_READ", defaults.read),
            search: self.bucket("LIMIT_SEARCH", defaults.search),
            anonymous: self.bucket("LIMIT_ANONYMOUS", defaults.anonymous),
            polls: self.polls(defaults.polls),
            waiting_hashes: defaults.waiting_hashes,
        };
        match self.get("LIMITS").as_deref() {
            None | Some("on") => return settings,
            Some("off") if mode == Mode::Development => return LimitSettings::off(),
            Some("off") => {
                self.wrong_in_production(
                    "LIMITS",
                    "must not be off in production: raise the limit that is too low, e.g. LIMIT_SEND=50/10s",
                );
            }
            Some(_) => self.wrong("LIMITS", "must be on or off"),
        }
        settings
    }

    fn polls(&mut self, defaults: PollLimits) -> PollLimits {
        PollLimits {
            per_session: self.poll_count("MAX_POLLS_PER_SESSION", defaults.per_session),
            per_user: self.poll_count("MAX_POLLS_PER_USER", defaults.per_user),
            in_all: self.poll_count("MAX_POLLS", defaults.in_all),
        }
    }

    fn poll_count(&mut self, variable: &'static str, default: usize) -> usize {
        let Some(text) = self.get(variable) else { return default };
        let count = parse_digits(&text).and_then(|count| usize::try_from(count).ok());
        count.filter(|count| (1..=PollLimits::MAX_COUNT).contains(count)).unwrap_or_else(|| {
            self.wrong(variable, format!("must be a number from 1 to {}, e.g. {default}", PollLimits::MAX_COUNT));
            default
        })
    }

    fn quota(&mut self, variable: &'static str, default: Quota) -> Quota {
        let read = self.count_and_window(variable, Quota::MAX_COUNT);
        read.map_or(default, |(count, window_millis)| Quota { count, window_millis })
    }

    fn bucket(&mut self, variable: &'static str, default: Bucket) -> Bucket {
        let read = self.count_and_window(variable, Bucket::MAX_COUNT);
        read.map_or(default, |(count, window_millis)| Bucket { count, window_millis })
    }

    fn count_and_window(&mut self, variable: &'static str, max_count: u32) -> Option<(u32, i64)> {
        let text = self.get(variable)?;
        let read = parse_limit(&text, max_count);
        if read.is_none() {
            let rule = format!("must be a count from 1 to {max_count} and a window of at most 30d in s, m, h or d, e.g. 20/10s or 50/1d");
            self.wrong(variable, rule);
        }
        read
    }

    pub(super) fn client_address(&mut self) -> ClientAddress {
        ClientAddress { source: self.address_source(), trusted_proxies: self.trusted_proxies() }
    }

    fn address_source(&mut self) -> AddressSource {
        let Some(text) = self.get("CLIENT_IP") else {
            // The platform appends the address it saw; see Azure's front ends.
            return if self.is_in_azure() { AddressSource::ForwardedFor(1) } else { AddressSource::Peer };
        };
        parse_source(&text).unwrap_or_else(|| {
            self.wrong(
                "CLIENT_IP",
                "must be peer, xff:N with N from 1 to 10, or header:NAME of a header that the proxy overwrites (not X-Forwarded-For, \
                 X-Real-IP, Forwarded or X-Azure-ClientIP), e.g. xff:1 or header:client-ip",
            );
            AddressSource::Peer
        })
    }

    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let list = self.get("TRUSTED_PROXIES").unwrap_or_default();
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let networks: Option<Vec<IpNet>> = entries.map(parse_network).collect();
        networks.unwrap_or_else(|| {
            self.wrong("TRUSTED_PROXIES", "must be networks or addresses, comma separated, e.g. 10.0.0.0/8,192.0.2.1");
            Vec::new()
        })
    }
}

/// `count/window`, such as `20/10s`: the count and the window in milliseconds.
fn parse_limit(text: &str, max_count: u32) -> Option<(u32, i64)> {
    let (count, window) = text.split_once('/')?;
    let (number, unit_seconds) = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", 24 * 60 * 60)]
        .into_iter()
        .find_map(|(unit, seconds)| window.strip_suffix(unit).map(|number| (number, seconds)))?;
    let count = parse_digits(count).and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=max_count).contains(count))?;
    let seconds = parse_digits(number)?.checked_mul(unit_seconds).filter(|seconds| (1..=MAX_WINDOW_SECONDS).contains(seconds))?;
    Some((count, seconds * 1_000))
}

/// A network, or an address as the network of itself.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Digits and nothing else, not even a sign.
fn parse_digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_source(text: &str) -> Option<AddressSource> {
    if text == "peer" {
        return Some(AddressSource::Peer);
    }
    if let Some(place) = text.strip_prefix("xff:") {
        let place = parse_digits(place).and_then(|place| usize::try_from(place).ok());
        return place.filter(|place| (1..=MAX_PROXIES).contains(place)).map(AddressSource::ForwardedFor);
    }
    let name: HeaderName = text.strip_prefix("header:")?.parse().ok()?;
    Some(name).filter(|name| !UNTRUSTWORTHY_HEADERS.contains(&name.as_str())).map(AddressSource::Header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Settings, VARIABLES};
    use super::*;

    fn load_from(pairs: &[(&str, &str)]) -> Result<Settings, Vec<&'static str>> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::load(find).map_err(|errors| errors.into_iter().map(|error| error.variable).collect())
    }

    const PRODUCTION: [(&str, &str); 4] = [
        ("APP_ENV", "production"),
        ("JWT_SECRET", "k9Jw2mX7qLr4Tz8VbN1cYd6Fh3Gs5Pa0"),
        ("DATA_DIR", "data"),
        ("PUBLIC_BASE_URL", "https://chat.example.com"),
    ];

    fn in_production(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        PRODUCTION.into_iter().chain([(name, value)]).collect()
    }

    #[test]
    fn the_table_tells_the_true_defaults() {
        let defaults: Vec<_> = VARIABLES
            .iter()
            .filter(|variable| variable.name.starts_with("LIMIT_") || variable.name.starts_with("MAX_POLLS"))
            .map(|variable| (variable.name, variable.default.trim_matches('`')))
            .collect();
        assert_eq!(defaults.len(), 16);
        assert_eq!(load_from(&defaults).expect("valid").limits, LimitSettings::default());
        assert_eq!(load_from(&[]).expect("valid").limits, LimitSettings::default());
    }

    #[test]
    fn each_limit_can_be_set() {
        let settings = load_from(&[("LIMIT_LOGIN_NET", "7/2m"), ("LIMIT_SEND", "1000000/30d")]).expect("valid").limits;
        assert_eq!(settings.login_net, Quota { count: 7, window_millis: 120_000 });
        assert_eq!(settings.send, Bucket { count: 1_000_000, window_millis: 2_592_000_000 });
    }

    #[test]
    fn limits_that_are_none_are_refused() {
        for bad in [
            "0/1m", "5/0s", "5", "5/", "/5m", "5/5", "5/5w", "5/31d", "1001/1h", "+5/1m", "5/+1m", "5/1.5h", "5/m", " 5/1m", "5/1M",
            "five/1m",
        ] {
            assert_eq!(load_from(&[("LIMIT_REGISTER", bad)]).expect_err(bad), ["LIMIT_REGISTER"]);
        }
        assert_eq!(load_from(&[("LIMIT_READ", "1000001/1h")]).expect_err("too many"), ["LIMIT_READ"]);
        assert_eq!(load_from(&in_production("LIMIT_READ", "0/1h")).expect_err("none"), ["LIMIT_READ"]);
    }

    #[test]
    fn the_counts_of_polls_can_be_set() {
        let polls = load_from(&[("MAX_POLLS_PER_USER", "1"), ("MAX_POLLS", "1000000")]).expect("valid").limits.polls;
        assert_eq!(polls, PollLimits { per_user: 1, in_all: 1_000_000, ..LimitSettings::default().polls });
        for bad in ["0", "1000001", "-1", "+1", "1.5", "many", "99999999999999999999"] {
            assert_eq!(load_from(&[("MAX_POLLS", bad)]).expect_err(bad), ["MAX_POLLS"]);
        }
    }

    #[test]
    fn limits_can_be_switched_off_on_a_laptop_only() {
        assert!(!load_from(&[("LIMITS", "off")]).expect("valid").limits.is_on);
        assert!(load_from(&in_production("LIMITS", "on")).expect("valid").limits.is_on);
        for (name, value) in [("LIMITS", "off"), ("LIMITS", "no")] {
            assert_eq!(load_from(&in_production(name, value)).expect_err(value), ["LIMITS"]);
        }
    }

    #[test]
    fn where_the_clients_address_stands_is_told_exactly() {
        let source = |pairs: &[(&str, &str)]| load_from(pairs).map(|settings| settings.client_address.source);
        assert_eq!(source(&[]), Ok(AddressSource::Peer));
        assert_eq!(source(&[("CLIENT_IP", "xff:10")]), Ok(AddressSource::ForwardedFor(10)));
        assert_eq!(source(&[("CLIENT_IP", "header:Client-IP")]), Ok(AddressSource::Header(HeaderName::from_static("client-ip"))));
        for bad in ["xff", "xff:0", "xff:11", "xff:-1", "header:", "header:a b", "header:X-Real-IP", "header:forwarded", "remote"] {
            assert_eq!(source(&[("CLIENT_IP", bad)]), Err(vec!["CLIENT_IP"]), "{bad}");
        }
    }

    #[test]
    fn in_azure_the_front_ends_entry_counts() {
        let in_azure = [
            ("WEBSITE_INSTANCE_ID", "x"),
            ("JWT_SECRET", PRODUCTION[1].1),
            ("MONGODB_URI", "mongodb://localhost/chat"),
            ("PUBLIC_BASE_URL", "https://chat.example.com"),
        ];
        assert_eq!(load_from(&in_azure).expect("valid").client_address.source, AddressSource::ForwardedFor(1));
        let told: Vec<_> = in_azure.into_iter().chain([("CLIENT_IP", "peer")]).collect();
        assert_eq!(load_from(&told).expect("valid").client_address.source, AddressSource::Peer);
    }

    #[test]
    fn trusted_proxies_are_networks_and_addresses() {
        let settings = load_from(&[("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32,")]).expect("valid");
        let written: Vec<_> = settings.client_address.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(written, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        for bad in ["proxy.example.com", "10.0.0.0/33", "10.0.0", "10.0.0.1 10.0.0.2"] {
            assert_eq!(load_from(&[("TRUSTED_PROXIES", bad)]).expect_err(bad), ["TRUSTED_PROXIES"]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn what_is_written_as_a_limit_is_read_as_it(count in 1..=1_000_u32, number in 1..=30_i64, unit in 0..4_usize) {
            let (name, seconds) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)][unit];
            prop_assert_eq!(parse_limit(&format!("{count}/{number}{name}"), Quota::MAX_COUNT), Some((count, number * seconds * 1_000)));
        }

        #[test]
        fn whatever_is_read_as_a_limit_is_within_bounds(text in "[+0-9 .]{0,21}/?[-0-9]{0,21}[smhdw]?") {
            if let Some((count, window)) = parse_limit(&text, Quota::MAX_COUNT) {
                prop_assert!((1..=Quota::MAX_COUNT).contains(&count) && (1_000..=MAX_WINDOW_SECONDS * 1_000).contains(&window));
            }
        }
    }
}
