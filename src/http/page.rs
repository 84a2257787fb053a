//! Pages of HTML. A page is one answer without anything from elsewhere: its policy lets run the script that is in it and
//! nothing else, and has the browser refuse to make HTML of texts.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A page with the policy that it is served under.
#[derive(Debug)]
pub struct Page {
    html: String,
    policy: String,
}

impl Page {
    /// Fills a frame: its `{style}` and `{script}`, and before them the places of `texts`, such as `{title}`.
    #[must_use]
    pub fn new(frame: &str, texts: &[(&str, &str)], style: &str, script: &str) -> Self {
        let parts = texts.iter().copied().chain([("{style}", style), ("{script}", script)]);
        Self { html: parts.fold(frame.to_owned(), |page, (place, text)| page.replace(place, text)), policy: policy(style, script) }
    }

    /// The page as an answer.
    #[must_use]
    pub fn answer(&'static self) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(ContentType::html())
            .insert_header((CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .body(self.html.as_str())
    }
}

fn policy(style: &str, script: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        source(script),
        source(style)
    )
}

/// A script or a style by its hash, as a policy names it (CSP 3, 2.3.1).
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_what_is_in_the_page() {
        let frame = "<title>{title}</title><style>{style}</style><script>{script}</script>";
        let page = Page::new(frame, &[("{title}", "Hello")], "p { color: red }", "const title = `{title} ${1}`;");
        let between = |start: &str, end: &str| page.html.split(start).nth(1).and_then(|rest| rest.split(end).next()).expect("a part");
        assert_eq!(between("<title>", "</title>"), "Hello");
        assert_eq!(between("<script>", "</script>"), "const title = `{title} ${1}`;", "a script is left as it is");
        assert!(page.policy.contains(&source(between("<script>", "</script>"))));
        assert!(page.policy.contains(&source(between("<style>", "</style>"))));
        assert!(!page.policy.contains("unsafe"), "{}", page.policy);
    }
}
