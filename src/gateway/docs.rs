//! `GET /api/docs`: a page to read and try the routes. It reads the document of the API that the same process serves.

use std::sync::LazyLock;

use actix_web::HttpResponse;

use crate::http::Page;

/// One script, because the page's policy names it by its hash; each file uses those before it.
const SCRIPT: &str =
    concat!(include_str!("docs/dom.js"), include_str!("docs/schema.js"), include_str!("docs/trial.js"), include_str!("docs/page.js"));

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("docs/frame.html"), &[], include_str!("docs/page.css"), SCRIPT));

#[utoipa::path(
    get,
    path = "/api/docs",
    summary = "Page of the routes",
    description = "A page to read and try the routes, made from this document.",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html; charset=utf-8"))
)]
pub(super) async fn show_docs() -> HttpResponse {
    PAGE.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_elsewhere_and_no_text_becomes_html() {
        let forbidden = ["http:", "https:", "//", "src=", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("];
        let script: String = SCRIPT.lines().filter(|line| !line.starts_with("//")).collect();
        for text in [include_str!("docs/frame.html"), include_str!("docs/page.css"), &script.replace("  // ", "")] {
            assert_eq!(forbidden.iter().find(|way| text.contains(*way)), None);
        }
    }
}
