//! The two small pages that links in mails open. Each has a button; only pressing it uses the link's token.
//!
//! A page is one file without anything from elsewhere. Its policy lets run the script that is in it and nothing else.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const FRAME: &str = include_str!("pages/frame.html");
const STYLE: &str = include_str!("pages/page.css");
const SCRIPT: &str = include_str!("pages/page.js");

static EMAIL_VERIFICATION: LazyLock<String> = LazyLock::new(|| page("Confirm your address", include_str!("pages/email.html")));
static PASSWORD_RESET: LazyLock<String> = LazyLock::new(|| page("Set a new password", include_str!("pages/password-reset.html")));
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        source(SCRIPT),
        source(STYLE)
    )
});

/// The page on which a new address is verified.
pub(super) fn email_verification() -> HttpResponse {
    answer(&EMAIL_VERIFICATION)
}

/// The page on which a new password is set.
pub(super) fn password_reset() -> HttpResponse {
    answer(&PASSWORD_RESET)
}

fn page(title: &str, content: &str) -> String {
    let parts = [("{title}", title), ("{style}", STYLE), ("{content}", content), ("{script}", SCRIPT)];
    parts.iter().fold(FRAME.to_owned(), |page, (place, text)| page.replace(place, text))
}

/// A script or a style by its hash, as a policy names it (CSP 3, 2.3.1).
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn answer(page: &'static str) -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::html()).insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str())).body(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_what_is_in_the_pages_and_nothing_comes_from_elsewhere() {
        for page in [&*EMAIL_VERIFICATION, &*PASSWORD_RESET] {
            let between = |start: &str, end: &str| page.split(start).nth(1).and_then(|rest| rest.split(end).next()).expect("a part");
            assert!(POLICY.contains(&source(between("<script>", "</script>"))));
            assert!(POLICY.contains(&source(between("<style>", "</style>"))));
            assert!(!page.contains("http") && !page.contains("//") && !page.contains('{') || page.contains("=> {"), "{page}");
        }
    }
}
