//! The two small pages that links in mails open. Each has a button; only pressing it uses the link's token.

use std::sync::LazyLock;

use actix_web::HttpResponse;

use crate::http::Page;

const FRAME: &str = include_str!("pages/frame.html");
const STYLE: &str = include_str!("pages/page.css");
const SCRIPT: &str = include_str!("pages/page.js");

static EMAIL_VERIFICATION: LazyLock<Page> = LazyLock::new(|| page("Confirm your address", include_str!("pages/email.html")));
static PASSWORD_RESET: LazyLock<Page> = LazyLock::new(|| page("Set a new password", include_str!("pages/password-reset.html")));

/// The page on which a new address is verified.
pub(super) fn email_verification() -> HttpResponse {
    EMAIL_VERIFICATION.answer()
}

/// The page on which a new password is set.
pub(super) fn password_reset() -> HttpResponse {
    PASSWORD_RESET.answer()
}

fn page(title: &str, content: &str) -> Page {
    Page::new(FRAME, &[("{title}", title), ("{content}", content)], STYLE, SCRIPT)
}
