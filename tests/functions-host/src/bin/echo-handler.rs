//! A handler for the tests: tells what it was asked, and misbehaves when asked to.

use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};

async fn ready() -> HttpResponse {
    println!("asked whether ready");
    HttpResponse::NotFound().finish()
}

async fn echo(request: HttpRequest, body: Bytes) -> HttpResponse {
    let headers: Value =
        request.headers().iter().map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])).collect();
    let variables: serde_json::Map<_, _> = std::env::vars().map(|(name, value)| (name, Value::from(value))).collect();
    HttpResponse::Ok().json(json!({
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "query": request.query_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
        "pid": std::process::id(),
        "environment": variables,
        "directory": std::env::current_dir().unwrap_or_default(),
    }))
}

/// Does what the last part of the path says.
async fn misbehave(what: web::Path<String>) -> HttpResponse {
    match what.as_str() {
        "exit-0" => std::process::exit(0),
        "exit-3" => std::process::exit(3),
        "exit-200" => std::process::exit(200),
        "hang" => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            HttpResponse::Ok().finish()
        }
        "slow" => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            println!("slow, and at its end");
            HttpResponse::Ok().body("slow but sure")
        }
        "lines" => {
            println!("to standard output");
            eprintln!("to standard error");
            eprintln!("a Warning to standard error");
            HttpResponse::Ok().finish()
        }
        "redirect" => HttpResponse::Found().insert_header(("Location", "/api/echo")).finish(),
        "chunked" => {
            let parts = futures_util::stream::iter(["one ", "two"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part))));
            HttpResponse::Ok().streaming(parts)
        }
        "headers" => HttpResponse::MethodNotAllowed()
            .append_header(("Allow", "GET, POST"))
            .append_header(("Vary", "Origin, Accept"))
            .append_header(("Set-Cookie", "a=1"))
            .append_header(("Set-Cookie", "b=2"))
            .append_header(("X-Custom", "the handler's"))
            .finish(),
        _ => HttpResponse::ImATeapot().finish(),
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("FUNCTIONS_CUSTOMHANDLER_PORT").ok().and_then(|port| port.parse::<u16>().ok()).unwrap_or_default();
    if std::env::var_os("ECHO_NEVER_BINDS").is_some() {
        std::thread::sleep(Duration::from_mins(10));
    }
    let app =
        || App::new().route("/", web::get().to(ready)).route("/api/misbehave/{what}", web::to(misbehave)).default_service(web::to(echo));
    HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run().await
}
