//! Origins of pages, in the form in which browsers write them into `Origin`: only so can they be compared.

use url::{Host, Url};

use super::rules::Reader;

/// Schemes whose pages have no origin that could be named, or that no page comes by.
const WITHOUT_ORIGIN: [&str; 9] = ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "ws", "wss"];

impl Reader<'_> {
    pub(super) fn cors_origins(&mut self) -> Vec<String> {
        let list = self.get("CORS_ORIGINS").unwrap_or_default();
        let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(canonical_origin);
        let origins: Option<Vec<String>> = origins.collect();
        if origins.is_none() {
            self.wrong("CORS_ORIGINS", "must be exact origins such as https://app.example.com or capacitor://localhost, without a path, comma separated; * is not allowed");
        }
        origins.unwrap_or_default()
    }
}

/// Whether an address leads to the machine that it is used on.
#[must_use]
pub fn is_of_this_machine(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An origin as browsers write it; `None` for what is no exact origin.
fn canonical_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    // What a parser of addresses would drop, decode or take for something else than a host.
    let is_plain = |character: char| !character.is_control() && !character.is_whitespace() && !"/\\?#@%*".contains(character);
    if rest.is_empty() || !rest.chars().all(is_plain) || WITHOUT_ORIGIN.contains(&scheme.as_str()) {
        return None;
    }
    match scheme.as_str() {
        "http" | "https" => Url::parse(text).ok().map(|url| url.origin().ascii_serialization()),
        _ => is_custom(&scheme, rest).then(|| format!("{scheme}://{rest}")),
    }
}

/// Whether these are the scheme and the host, perhaps with a port, of an app or an extension. The host is compared as it is
/// written: browsers do not agree on its case.
fn is_custom(scheme: &str, host: &str) -> bool {
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (name, port) = host.split_once(':').unwrap_or((host, "1"));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_scheme && is_name && !port.starts_with('+') && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for (typed, origin) in [
            ("https://app.example.com", "https://app.example.com"),
            ("https://App.Example.com", "https://app.example.com"),
            ("HTTPS://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("https://app.example.com:08443", "https://app.example.com:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
            ("http://0x7f.1", "http://127.0.0.1"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("Tauri://localhost", "tauri://localhost"),
            ("ionic://localhost:8100", "ionic://localhost:8100"),
            ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
            ("safari-web-extension://22E1CC62-8F76-4D7A", "safari-web-extension://22E1CC62-8F76-4D7A"),
        ] {
            assert_eq!(canonical_origin(typed).as_deref(), Some(origin), "{typed}");
        }
    }

    #[test]
    fn what_is_no_exact_origin_is_refused() {
        for bad in [
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.example.com?x",
            "https://app.example.com#x",
            "https://ann@app.example.com",
            "https://app.example.com\\x",
            "https://app .example.com",
            "https://app%2eexample.com",
            "https://app.example.com:99999",
            "https://exa[mple",
            "https://:443",
            "file://",
            "file://localhost",
            "data://x",
            "wss://app.example.com",
            "capacitor://",
            "capacitor://localhost/",
            "chrome-extension://*",
            "ionic://localhost:",
            "ionic://localhost:99999",
            "1x://localhost",
            "my_app://localhost",
        ] {
            assert_eq!(canonical_origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        for (address, expected) in [
            ("https://localhost", true),
            ("https://chat.localhost:8443", true),
            ("https://127.0.0.1:8443", true),
            ("https://127.8.8.8", true),
            ("https://[::1]", true),
            ("https://chat.example.com", false),
            ("https://localhost.example.com", false),
            ("https://192.0.2.1", false),
        ] {
            assert_eq!(is_of_this_machine(address), expected, "{address}");
        }
    }
}
