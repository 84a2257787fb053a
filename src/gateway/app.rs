//! `GET /api/app`: a page to chat on, in plain HTML, CSS and JavaScript, made of the files in `app/`. It is a client of this API
//! like any other, and keeps the rules that `examples/terminal-chat.rs` teaches.

use std::sync::LazyLock;

use actix_web::HttpResponse;

use crate::http::Page;

/// One module in one element, because its policy names one script by its hash; each file uses those before it.
const SCRIPT: &str = concat!(
    include_str!("app/dom.js"),
    include_str!("app/forms.js"),
    include_str!("app/time.js"),
    include_str!("app/session.js"),
    include_str!("app/api.js"),
    include_str!("app/outbox.js"),
    include_str!("app/people.js"),
    include_str!("app/chats.js"),
    include_str!("app/bubbles.js"),
    include_str!("app/conversation.js"),
    include_str!("app/peer.js"),
    include_str!("app/composer.js"),
    include_str!("app/search.js"),
    include_str!("app/account.js"),
    include_str!("app/entrance.js"),
    include_str!("app/views.js"),
);

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("app/app.html"), &[], include_str!("app/app.css"), SCRIPT));

#[utoipa::path(
    get,
    path = "/api/app",
    summary = "Page to chat on",
    description = "A client of these routes, for a browser.",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8"))
)]
pub(super) async fn show_page() -> HttpResponse {
    PAGE.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ways in which a page reaches elsewhere, or makes HTML or programs of texts.
    const FORBIDDEN: [&str; 11] = [
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        " style=\"",
    ];

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_html() {
        let name_of_a_format = "http://www.w3.org/2000/svg";
        for text in [include_str!("app/app.html").replace(name_of_a_format, "").as_str(), include_str!("app/app.css"), SCRIPT] {
            for forbidden in FORBIDDEN {
                assert!(!text.contains(forbidden), "{forbidden}");
            }
        }
    }
}
