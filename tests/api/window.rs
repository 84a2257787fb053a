//! A window of the page to chat on, and what people do in it.

use crate::client::{PASSWORD, Person, new_name};
use crate::support::browser::Browser;

/// A window with the page, in which somebody sits.
pub struct Window<'a> {
    browser: &'a Browser,
    handle: String,
}

impl<'a> Window<'a> {
    pub async fn open(browser: &'a Browser, url: &str) -> Self {
        let window = Self { browser, handle: browser.new_window().await };
        window.there().await.open(&format!("{url}/api/app")).await;
        window
    }

    /// One in which somebody is logged in who has an account.
    pub async fn log_in(browser: &'a Browser, url: &str, person: &Person) -> Self {
        let window = Self::open(browser, url).await;
        window.enter(&person.email, PASSWORD).await;
        window.sees("nav .own-name", &person.username).await;
        window
    }

    /// The browser, with this window in front.
    pub async fn there(&self) -> &Browser {
        self.browser.switch_to(&self.handle).await;
        self.browser
    }

    pub async fn press(&self, selector: &str) {
        self.there().await.press(selector).await;
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        self.there().await.type_into(selector, text).await;
    }

    pub async fn sees(&self, selector: &str, text: &str) {
        self.there().await.wait_for_text(selector, text).await;
    }

    pub async fn counts(&self, selector: &str, count: usize) {
        self.there().await.wait_for_count(selector, count).await;
    }

    pub async fn enter(&self, email: &str, password: &str) {
        self.fill("#log-in-email", email).await;
        self.fill("#log-in-password", password).await;
        self.press("#log-in [type=submit]").await;
    }

    pub async fn fill_registration(&self, name: &str, email: &str, password: &str) {
        self.fill("#register-username", name).await;
        self.fill("#register-email", email).await;
        self.fill("#register-password", password).await;
        self.press("#register [type=submit]").await;
    }

    /// Makes an account; gives its name.
    pub async fn register(&self) -> String {
        let name = new_name();
        self.press("#log-in [data-choose=register]").await;
        self.fill_registration(&name, &format!("{name}@example.com"), PASSWORD).await;
        self.sees("nav .own-name", &name).await;
        name
    }

    pub async fn search(&self, name: &str) {
        self.fill("#search", name).await;
        self.sees("#found .name", name).await;
    }

    /// Opens the chat with somebody who is looked for.
    pub async fn talk_to(&self, name: &str) {
        self.search(name).await;
        self.press("#found a").await;
        self.sees("#peer-name", name).await;
    }

    pub async fn write(&self, text: &str) {
        self.fill("#text", text).await;
        self.press("#composer [type=submit]").await;
    }

    pub async fn open_account(&self) {
        self.press("a[href='#account']").await;
        self.sees("#session-list", "this one").await;
    }
}
