//! The gateway: the one entry to all services.
//!
//! It knows which endpoints there are and who may call them, gives every request an id and every answer the common
//! headers, renders every failure as the one envelope, keeps the limits, and writes one log line a request. From the
//! outside in a request passes `unread_body`, `answer`, `limits`, `isolation`, CORS, the guard of its endpoint, its handler.

mod answer;
mod app;
mod cors;
mod docs;
mod health;
mod isolation;
mod limits;
mod metrics;
mod openapi;
mod request_id;
mod server;
mod socket;
mod unread_body;

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Responder};

pub use metrics::{Metrics, serve_metrics};
pub use openapi::document;
pub use server::{App, serve};

use crate::http::{Access, ApiError, Endpoint, ErrorCode, read_guard};
use crate::identity::require_bearer;
use crate::rate_limits::count_open;
use crate::settings::Service;
use crate::{auth, chat, users};

/// The endpoints of the gateway itself.
fn own_endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/", live).open().uncounted(),
        Endpoint::new(Method::GET, "/api/health", health::health).open().uncounted(),
        Endpoint::new(Method::GET, "/api/openapi.json", openapi::show_document).open(),
        Endpoint::new(Method::GET, "/api/docs", docs::show_docs).page(),
        Endpoint::new(Method::GET, "/api/app", app::show_page).page(),
    ]
}

fn endpoints(services: &[Service]) -> Vec<Endpoint> {
    let of_services = services.iter().flat_map(|service| match service {
        Service::Auth => auth::endpoints(),
        Service::Users => users::endpoints(),
        Service::Chat => chat::endpoints(),
    });
    own_endpoints().into_iter().chain(of_services).collect()
}

/// Every method and path there is, to be compared with the function folders and the documents. Where there is GET there is HEAD too.
#[must_use]
pub fn routes() -> Vec<(Method, &'static str)> {
    endpoints(&Service::ALL).into_iter().map(|endpoint| (endpoint.method, endpoint.path)).collect()
}

/// Answers that the process lives: the Functions host asks until it does, and may ask at any time.
#[utoipa::path(
    get,
    path = "/",
    summary = "Life",
    description = "Whether the process lives. Behind the Functions host this path is the host's own.",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain; charset=utf-8"))
)]
async fn live() -> impl Responder {
    const TEXT: &str = "chat-functions is running\n\n/api/app   to chat\n/api/docs  to read and try the routes\n";
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(TEXT)
}

/// Registers the endpoints of the given services, one resource a path; what a path lacks is 405, what is no path is 404.
fn configure(config: &mut ServiceConfig, services: &[Service]) {
    let mut by_path: BTreeMap<&'static str, Vec<Endpoint>> = BTreeMap::new();
    for endpoint in endpoints(services) {
        by_path.entry(endpoint.path).or_default().push(endpoint);
    }
    for (path, endpoints) in by_path {
        if endpoints.iter().any(|endpoint| endpoint.is_page) {
            config.service(web::resource(format!("{path}/")).guard(read_guard()).to(async move || redirect(path)));
        }
        config.service(resource(path, endpoints));
    }
    config.default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::from(ErrorCode::NotFound)) }));
}

/// Leads from a page's address with a slash at its end to the page. A browser takes along what is behind `#`.
fn redirect(path: &'static str) -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, path)).finish()
}

fn resource(path: &'static str, endpoints: Vec<Endpoint>) -> Resource {
    let methods = endpoints.iter().flat_map(|endpoint| match endpoint.method.as_str() {
        "GET" => ["GET", "HEAD"].as_slice().to_vec(),
        method => vec![method],
    });
    let allow = methods.collect::<Vec<_>>().join(", ");
    let resource = endpoints.into_iter().fold(web::resource(path), |resource, endpoint| {
        let Endpoint { access, traffic, route, .. } = endpoint;
        resource.route(match access {
            Access::Open => route.wrap(from_fn(move |request, next| count_open(request, next, traffic))),
            Access::Bearer => route.wrap(from_fn(move |request, next| require_bearer(request, next, traffic))),
        })
    });
    resource.default_service(web::to(move || {
        let allow = Some(allow.clone());
        async { Err::<HttpResponse, _>(ApiError { allow, ..ErrorCode::MethodNotAllowed.into() }) }
    }))
}
