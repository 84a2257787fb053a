//! The host's own listener: routes a request, gives it to the handler, and buffers the answer.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, SERVER, TRANSFER_ENCODING};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{HttpRequest, HttpResponse, HttpServer};
use futures_util::StreamExt as _;
use tokio::sync::oneshot;

use crate::app::App;
use crate::forward::{self, Target};
use crate::handler::{Handler, NotReady};
use crate::routing::segments_below;

/// What `GET /` shows from outside.
const HOME_PAGE: &str = "<!DOCTYPE html><html><head><title>Your Functions app is up and running</title></head><body></body></html>";
/// How long requests in flight may take to finish when the host stops, in seconds.
const STOP_SECONDS: u64 = 30;
/// How long a connection to the handler is kept without use; .NET's default. A handler that keeps its own for longer never closes one
/// that a request is just being sent on.
const IDLE: Duration = Duration::from_mins(1);
/// How long a client's connection is kept without use; Kestrel's default, the server of the host.
const KEEP_ALIVE: Duration = Duration::from_secs(130);

struct Host {
    app: App,
    handler: Arc<Handler>,
    client: reqwest::Client,
}

/// Serves until told to stop or until the handler has crashed too often, then ends the handler.
pub async fn run(listener: TcpListener, app: App, handler: Arc<Handler>, started: oneshot::Sender<()>, stopped: oneshot::Receiver<()>) {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).pool_idle_timeout(IDLE);
    let client = client.build().unwrap_or_default();
    let host = web::Data::new(Host { app, handler: Arc::clone(&handler), client });
    let server = HttpServer::new(move || {
        let named = DefaultHeaders::new().add((SERVER, "Kestrel"));
        actix_web::App::new().app_data(host.clone()).wrap(named).default_service(web::to(answer))
    });
    let server = server.keep_alive(KEEP_ALIVE);
    let Ok(server) = server.workers(2).disable_signals().shutdown_timeout(STOP_SECONDS).listen(listener) else { return };
    let server = server.run();
    let control = server.handle();
    let serving = actix_web::rt::spawn(server);
    let supervised = Arc::clone(&handler);
    let supervising = actix_web::rt::spawn(async move { supervised.supervise().await });
    if started.send(()).is_ok() {
        tokio::select! {
            // An error means that the host was dropped, which asks for the same.
            _ = stopped => {}
            () = handler.stopped() => {}
        }
    }
    control.stop(true).await;
    handler.stop();
    let _ended = supervising.await;
    let _served = serving.await;
}

fn empty(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).finish()
}

/// The answer to a request; what the handler cannot answer ends as the host's own empty one.
async fn answer(request: HttpRequest, body: web::Payload, host: web::Data<Host>) -> HttpResponse {
    if let Some(refusal) = forward::refusal_of_headers(request.headers()).filter(StatusCode::is_client_error) {
        return empty(refusal);
    }
    let Some(target) = forward::target(request.uri().path(), request.query_string()) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let Some(segments) = segments_below(&host.app.route_prefix, &target.path) else {
        return own_answer(request.method(), &target.path);
    };
    let Some(function) = host.app.functions.iter().find(|function| function.takes(request.method(), &segments)) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if host.app.enforce_keys && !function.is_anonymous {
        return empty(StatusCode::UNAUTHORIZED);
    }
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return unread(body);
    }
    // In a task of its own: a caller that goes away is not told to the handler.
    let forwarding = actix_web::rt::spawn(async move { forwarded(&request, body, &target, &host).await });
    forwarding.await.unwrap_or(Err(StatusCode::INTERNAL_SERVER_ERROR)).unwrap_or_else(empty)
}

/// The answer to a chunked body, which never leaves the host, however it is framed. The body is held until the answer is sent, so
/// that nothing behind it is read as another request.
fn unread(body: web::Payload) -> HttpResponse {
    let held = futures_util::stream::poll_fn(move |_| {
        let _held = &body;
        std::task::Poll::Ready(None::<Result<Bytes, std::io::Error>>)
    });
    HttpResponse::InternalServerError().force_close().body(SizedStream::new(0, held))
}

/// What the host says to paths that no function has.
fn own_answer(method: &Method, path: &str) -> HttpResponse {
    match path.split('/').nth(1) {
        Some("") if *method == Method::GET => HttpResponse::Ok().content_type("text/html").body(HOME_PAGE),
        Some("admin" | "runtime") => empty(StatusCode::UNAUTHORIZED),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

async fn forwarded(request: &HttpRequest, body: web::Payload, target: &Target, host: &Host) -> Result<HttpResponse, StatusCode> {
    let body = read_body(request, body, host.app.body_limit).await?;
    let ready = host.handler.wait_ready(host.handler.hold()).await;
    ready.map_err(|why| if why == NotReady::Gone { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::SERVICE_UNAVAILABLE })?;
    let invocation = tokio::time::timeout(host.app.function_timeout, invoke(request, body, target, host)).await;
    invocation.unwrap_or_else(|_late| {
        // The host knows no other way to end an invocation: all others die with it.
        host.handler.restart();
        Err(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// Reads the whole body. One whose type .NET cannot read never leaves the host.
async fn read_body(request: &HttpRequest, mut body: web::Payload, limit: usize) -> Result<Bytes, StatusCode> {
    let headers = request.headers();
    if let Some(refusal) = forward::refusal_of_headers(headers) {
        return Err(refusal);
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_malformed =
        length.is_some_and(|length| length > 0) && headers.get(CONTENT_TYPE).is_some_and(|kind| !forward::is_content_type(kind));
    if is_malformed || length.is_some_and(|length| length > limit) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let mut read = BytesMut::new();
    while let Some(chunk) = body.next().await {
        read.extend_from_slice(&chunk.map_err(|_broken_off| StatusCode::BAD_REQUEST)?);
    }
    Ok(read.freeze())
}

async fn invoke(request: &HttpRequest, body: Bytes, target: &Target, host: &Host) -> Result<HttpResponse, StatusCode> {
    let failed = |_broken: reqwest::Error| StatusCode::INTERNAL_SERVER_ERROR;
    let answer = match send(request, body.clone(), target, host).await {
        // The handler has just died: the request, which nobody has seen, is held for the next one.
        Err(error) if error.is_connect() => {
            host.handler.wait_noticed().await;
            let ready = host.handler.wait_ready(host.handler.hold()).await;
            ready.map_err(|_gone| StatusCode::INTERNAL_SERVER_ERROR)?;
            send(request, body, target, host).await
        }
        other => other,
    };
    let answer = answer.map_err(failed)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).map_err(|_no_status| StatusCode::INTERNAL_SERVER_ERROR)?;
    let headers = forward::answer_headers(answer.headers(), &host.app.custom_headers);
    let named_length = answer.headers().get(reqwest::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let whole = answer.bytes().await.map_err(failed)?;
    let mut response = HttpResponse::build(status);
    for (name, value) in headers {
        response.append_header((name, value));
    }
    Ok(match named_length {
        Some(length) if forward::has_no_body(request.method(), status.as_u16()) => {
            response.body(SizedStream::new(length, futures_util::stream::empty::<Result<Bytes, std::io::Error>>()))
        }
        _ => response.body(whole),
    })
}

async fn send(request: &HttpRequest, body: Bytes, target: &Target, host: &Host) -> reqwest::Result<reqwest::Response> {
    let separator = if target.query.is_empty() { "" } else { "?" };
    let url = format!("{}{}{separator}{}", host.handler.url(), target.path, target.query);
    let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    let mut outgoing = host.client.request(method, url);
    for (name, value) in forward::headers(request.headers(), !body.is_empty()) {
        outgoing = outgoing.header(name.as_str(), value.as_bytes());
    }
    // A caller that named the length 0 did so to the handler too.
    if request.headers().contains_key(CONTENT_LENGTH) {
        outgoing = outgoing.body(body);
    }
    outgoing.send().await
}
