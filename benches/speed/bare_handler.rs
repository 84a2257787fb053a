//! A custom handler that does nothing: it answers each route with a body that was made before. What the host takes for itself is seen
//! with it.
//!
//! It is a process of its own: this program, started once more, by the stand-in for the Functions host.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use functions_host::{FunctionsHost, HostOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What makes this program such a handler.
pub const ARGUMENT: &str = "--bare-handler";

/// The folder with the product's host.json and function folders.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What is answered, by the last part of the path. It is beside host.json, where the host starts its handlers.
const ANSWERS: &str = "answers.json";
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an idle connection is kept: for longer than the host keeps it, which may send a request on it just as it is closed. For the
/// same reason one that has not been used yet is kept, too.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Such a handler behind a host of its own; dropping it ends both.
pub struct BareHandler {
    pub host: FunctionsHost,
    _application: TempDir,
}

impl BareHandler {
    /// Starts both, and returns when the handler is ready.
    pub async fn start(answers: &HashMap<String, String>) -> Self {
        let application = tempfile::tempdir().expect("a folder");
        copy_functions(application.path());
        let write = |name: &str, text: String| std::fs::write(application.path().join(name), text).expect("written");
        write("host.json", host_json().to_string());
        write(ANSWERS, json!(answers).to_string());
        let host = FunctionsHost::start(HostOptions::new(application.path())).await.expect("a host");
        assert!(host.ready(PATIENCE).await, "{:?}", host.handler_log());
        Self { host, _application: application }
    }
}

/// The product's function folders.
fn copy_functions(application: &Path) {
    for entry in std::fs::read_dir(ROOT).expect("the folder") {
        let entry = entry.expect("an entry");
        let (function, folder) = (entry.path().join("function.json"), application.join(entry.file_name()));
        if function.exists() {
            std::fs::create_dir(&folder).expect("a folder");
            std::fs::copy(function, folder.join("function.json")).expect("copied");
        }
    }
}

/// The product's host.json with this handler instead.
fn host_json() -> Value {
    let text = std::fs::read_to_string(Path::new(ROOT).join("host.json")).expect("the file");
    let mut host: Value = serde_json::from_str(&text).expect("JSON");
    let program = std::env::current_exe().expect("this program");
    host["customHandler"]["description"] = json!({ "defaultExecutablePath": program, "arguments": [ARGUMENT] });
    host
}

/// Is such a handler, until it is killed.
pub fn run() {
    let port: u16 = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").expect("a host").parse().expect("a port");
    let answers: HashMap<String, String> = serde_json::from_slice(&std::fs::read(ANSWERS).expect("answers")).expect("JSON");
    let answers = Data::new(answers);
    let app = move || App::new().app_data(answers.clone()).default_service(web::to(answer));
    let server = HttpServer::new(app)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::ZERO)
        .workers(std::thread::available_parallelism().map_or(1, usize::from));
    let server = server.bind(("127.0.0.1", port)).expect("the port");
    actix_web::rt::System::new().block_on(server.run()).expect("served");
}

async fn answer(request: HttpRequest, _body: Bytes, answers: Data<HashMap<String, String>>) -> HttpResponse {
    let route = request.path().rsplit('/').next().unwrap_or_default();
    match answers.get(route) {
        Some(body) => HttpResponse::Ok().content_type("application/json").body(body.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}
