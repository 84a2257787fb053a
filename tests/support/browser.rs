//! A real browser: headless Chromium, driven over WebDriver by its own driver.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::not_run::not_run;

/// How long something may take to appear, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(1);
/// The name under which WebDriver tells a reference to an element (W3C WebDriver, 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Chromium alone: no sandbox, which root may not have, and nothing that asks for anything outside this machine.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with a profile of its own; dropping it ends it.
pub struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    profile: TempDir,
}

impl Browser {
    /// Starts a browser; `None`, loudly, where there is no driver, which fails in continuous integration.
    pub async fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut command = Command::new("chromedriver");
        let Ok(driver) = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            return not_run("the pages, since there is no chromedriver (on Debian: chromium-driver)");
        };
        let profile = tempfile::tempdir().expect("a folder");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut browser = Self { driver, http, session: format!("http://127.0.0.1:{port}"), profile };
        browser.session = browser.new_session().await;
        Some(browser)
    }

    async fn new_session(&self) -> String {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let options = json!({ "args": arguments });
        let logging = json!({ "browser": "ALL" });
        let limits = json!({ "script": PATIENCE.as_millis() });
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": logging, "timeouts": limits } });
        let begun = Instant::now();
        loop {
            let asked = self.ask(Method::POST, "/session", &json!({ "capabilities": capabilities })).await;
            if let Some(id) = asked.as_ref().ok().and_then(|value| value["sessionId"].as_str()) {
                return format!("{}/session/{id}", self.session);
            }
            assert!(begun.elapsed() < PATIENCE, "the browser does not start: {asked:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::GET { request } else { request.json(body) };
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let is_success = answer.status().is_success();
        let value = answer.json::<Value>().await.map_err(|error| error.to_string())?["value"].take();
        if is_success { Ok(value) } else { Err(value["message"].to_string()) }
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, &Value::Null).await.expect("an answer of the browser")
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, &body).await.expect("an answer of the browser")
    }

    /// A further window, empty; what is done next is still done in the one before.
    pub async fn new_window(&self) -> String {
        self.post("/window/new", json!({ "type": "window" })).await["handle"].as_str().expect("a window").to_owned()
    }

    /// Has all that follows be done in this window.
    pub async fn switch_to(&self, window: &str) {
        self.post("/window", json!({ "handle": window })).await;
    }

    /// Gives the present window the screen of a phone of this width.
    pub async fn become_phone(&self, width: u32) {
        let screen = json!({ "width": width, "height": 740, "deviceScaleFactor": 2, "mobile": true });
        self.post("/goog/cdp/execute", json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen })).await;
    }

    /// Has the present window ask pages for dark colours.
    pub async fn prefer_dark_colours(&self) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.post("/goog/cdp/execute", json!({ "cmd": "Emulation.setEmulatedMedia", "params": media })).await;
    }

    /// Runs a script in the page; gives what it returns, or what a promise that it returns becomes.
    pub async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Opens an address, from a blank page, so that one that differs in its fragment only is loaded too.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": "about:blank" })).await;
        self.post("/url", json!({ "url": url })).await;
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.post("/refresh", json!({})).await;
    }

    /// What the address bar says.
    pub async fn url(&self) -> String {
        self.get("/url").await.as_str().expect("an address").to_owned()
    }

    async fn find(&self, selector: &str) -> Result<String, String> {
        let found = self.ask(Method::POST, "/element", &json!({ "using": "css selector", "value": selector })).await?;
        Ok(format!("/element/{}", found[ELEMENT].as_str().expect("an element")))
    }

    /// What something says, if it is there: pages redraw.
    async fn text(&self, selector: &str) -> Result<String, String> {
        let text = self.ask(Method::GET, &format!("{}/text", self.find(selector).await?), &Value::Null).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Does something with an element, once it is there and lets it be done.
    async fn act(&self, selector: &str, action: &str, body: Value) {
        let begun = Instant::now();
        loop {
            let done = match self.find(selector).await {
                Ok(element) => self.ask(Method::POST, &format!("{element}/{action}"), &body).await,
                Err(reason) => Err(reason),
            };
            let Err(reason) = done else { return };
            assert!(begun.elapsed() < PATIENCE, "{action} of {selector}: {reason}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses what a person would press.
    pub async fn press(&self, selector: &str) {
        self.act(selector, "click", json!({})).await;
    }

    /// Types into an empty field.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.act(selector, "clear", json!({})).await;
        self.act(selector, "value", json!({ "text": text })).await;
    }

    /// Presses keys while something has the focus.
    pub async fn press_keys(&self, selector: &str, keys: &str) {
        self.act(selector, "value", json!({ "text": keys })).await;
    }

    /// Whether a person can see something.
    pub async fn shows(&self, selector: &str) -> bool {
        let Ok(element) = self.find(selector).await else { return false };
        self.ask(Method::GET, &format!("{element}/displayed"), &Value::Null).await.is_ok_and(|shown| shown == true)
    }

    /// How many of something there are.
    pub async fn count(&self, selector: &str) -> usize {
        let found = self.post("/elements", json!({ "using": "css selector", "value": selector })).await;
        found.as_array().expect("elements").len()
    }

    /// A property of an element of the page, such as `scrollWidth`.
    pub async fn property(&self, selector: &str, name: &str) -> Value {
        let element = self.find(selector).await.expect("an element");
        self.get(&format!("{element}/property/{name}")).await
    }

    /// Waits until the text of something says this.
    pub async fn wait_for_text(&self, selector: &str, wanted: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text(selector).await;
            if text.as_ref().is_ok_and(|text| text.contains(wanted)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{selector} says {text:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until there are so many of something.
    pub async fn wait_for_count(&self, selector: &str, wanted: usize) {
        let begun = Instant::now();
        loop {
            let count = self.count(selector).await;
            if count == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "there are {count} of {selector}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the browser complained of, such as what a policy has blocked.
    pub async fn complaints(&self) -> Vec<String> {
        self.complaints_but_of(&[]).await
    }

    /// The same without what comes from some of its parts, such as `network`, which complains of every refusal.
    pub async fn complaints_but_of(&self, sources: &[&str]) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().expect("a list").iter();
        let serious = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        let wanted = serious.filter(|entry| !entry["source"].as_str().is_some_and(|source| sources.contains(&source)));
        wanted.map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    /// Ends the session, which ends the browser, and then the driver; killed, it would leave the browser behind.
    fn drop(&mut self) {
        let rest = self.session.trim_start_matches("http://");
        if let Some((address, path)) = rest.split_once('/')
            && let Ok(mut connection) = TcpStream::connect(address)
        {
            // Answered when the browser has ended.
            let request = format!("DELETE /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            let _limited = connection.set_read_timeout(Some(PATIENCE));
            let _ended = connection.write_all(request.as_bytes()).and_then(|()| connection.read(&mut [0; 1_024]));
        }
        let _gone = self.driver.kill();
        let _status = self.driver.wait();
    }
}
