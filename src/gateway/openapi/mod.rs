//! `GET /api/openapi.json`: the document of the API (OpenAPI 3.1), made from the code.
//!
//! What a route does is told beside its handler. What follows from the table of endpoints is added here: who may call it, what
//! counts towards a limit, and how every route of its kind may fail.

mod failures;
mod headers;

use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, RefOr, Required};

use super::answer::Envelope;
use super::{app, docs, endpoints, health};
use crate::domain::{ChatId, ClientId, MessageId, UserId, UsernamePrefix};
use crate::http::{Access, ApiError, Endpoint, ErrorCode, KnownTags, PublicUser, Tagged};
use crate::settings::Service;
use crate::{auth, chat, users};

/// The name of the way in which requests say who they are from.
const BEARER: &str = "bearer";
/// What the routes of no service stand under.
const OWN_TAG: &str = "gateway";

/// The routes of the gateway itself, and what those of several services share.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(description = include_str!("description.md")),
    paths(super::live, health::health, show_document, docs::show_docs, app::show_page),
    components(schemas(Envelope, ErrorCode, UserId, ChatId, MessageId, ClientId, UsernamePrefix, PublicUser)),
    tags(
        (name = "auth", description = "Accounts, their sessions, passwords and addresses"),
        (name = "users", description = "Profiles, friends, blocks, search, and everything that is kept of a person"),
        (name = "chat", description = "Messages between two people, and their conversations"),
        (name = "gateway", description = "The process itself")
    )
)]
struct Documentation;

/// The document of the given services, made when somebody first asks for it: a process starts sooner without, and most are never asked.
pub(super) struct Document {
    services: Vec<Service>,
    made: OnceLock<Tagged>,
}

impl Document {
    pub(super) fn of(services: Vec<Service>) -> Self {
        Self { services, made: OnceLock::new() }
    }

    fn get(&self) -> Result<Tagged, ApiError> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let document = Tagged::new(&document(&self.services))?;
        Ok(self.made.get_or_init(|| document).clone())
    }
}

#[utoipa::path(
    get,
    path = "/api/openapi.json",
    summary = "This document",
    description = "The routes that this process serves.",
    params(KnownTags),
    responses(
        (status = 200, description = "An OpenAPI document.", body = Object, headers(("ETag" = String, description = "The tag of the document."))),
        (status = 304, description = "The client has this document.", headers(("ETag" = String, description = "The tag of the document."))),
    )
)]
pub(super) async fn show_document(request: HttpRequest, document: web::Data<Document>) -> Result<HttpResponse, ApiError> {
    Ok(document.get()?.unless_known(KnownTags::of(&request).as_ref()).respond(|response| {
        // To be asked for each time, and sent when it is another one.
        response.insert_header((CACHE_CONTROL, "no-cache"));
    }))
}

/// What is to be known of the routes of the given services, and of the gateway's own.
#[must_use]
pub fn document(services: &[Service]) -> OpenApi {
    let mut document = tagged(Documentation::openapi(), OWN_TAG);
    for &service in services {
        let of_service = match service {
            Service::Auth => auth::Documentation::openapi(),
            Service::Users => users::Documentation::openapi(),
            Service::Chat => chat::Documentation::openapi(),
        };
        document.merge(tagged(of_service, service.name()));
    }
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(BEARER, bearer());
    components.headers = headers::all();
    components.responses = failures::of_no_route();
    for endpoint in endpoints(services) {
        let operation = document.paths.paths.get_mut(endpoint.path).and_then(|item| operation_of(item, &endpoint.method));
        // Every endpoint has one; a test compares them.
        if let Some(operation) = operation {
            components.responses.extend(complete(operation, &endpoint));
        }
    }
    document
}

/// Adds what follows from the table of endpoints; gives the failures by their names.
fn complete(operation: &mut Operation, endpoint: &Endpoint) -> failures::Failures {
    if endpoint.access == Access::Bearer {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.extend(headers::of_every_answer(endpoint.traffic.is_some()));
        }
    }
    let has_query = operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && has_query
        && endpoint.method == Method::DELETE
    {
        // Ids may stand in the query instead.
        body.required = Some(Required::False);
    }
    failures::add(operation, endpoint)
}

fn tagged(mut document: OpenApi, tag: &str) -> OpenApi {
    let operations = document.paths.paths.values_mut().flat_map(|item| [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]);
    for operation in operations.flatten() {
        operation.tags = Some(vec![tag.to_owned()]);
    }
    document
}

fn operation_of<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match *method {
        Method::GET => item.get.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::DELETE => item.delete.as_mut(),
        _ => None,
    }
}

fn bearer() -> SecurityScheme {
    let description = "The `token` that registering and logging in answer.";
    SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(description)).build())
}
