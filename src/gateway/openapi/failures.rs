//! How routes fail, in the document: by status, the codes that it may come with.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};
use utoipa::openapi::{Ref, RefOr, Type};

use super::headers;
use crate::gateway::answer::Envelope;
use crate::gateway::limits::is_always_admitted;
use crate::http::{Endpoint, ErrorCode, reference};

/// Answers that several routes give, by their names.
pub(super) type Failures = BTreeMap<String, RefOr<Response>>;

/// What is answered to a request for no route, or with a method that a route does not have.
pub(super) fn of_no_route() -> Failures {
    [ErrorCode::NotFound, ErrorCode::InvalidPath, ErrorCode::MethodNotAllowed].map(|code| named(&[code])).into()
}

/// Adds the failures of a route to its operation; gives them by their names.
pub(super) fn add(operation: &mut Operation, endpoint: &Endpoint) -> Failures {
    let codes: Vec<ErrorCode> = ErrorCode::ALL.iter().copied().filter(|&code| may_fail(operation, endpoint, code)).collect();
    let statuses: BTreeSet<StatusCode> = codes.iter().map(|code| code.status()).collect();
    let failures = statuses.into_iter().map(|status| {
        let codes: Vec<ErrorCode> = codes.iter().copied().filter(|code| code.status() == status).collect();
        let (name, response) = named(&codes);
        operation.responses.responses.insert(status.as_str().to_owned(), Ref::from_response_name(&name).into());
        (name, response)
    });
    failures.collect()
}

/// Whether a route may fail so: because its handler does, or because of what every route of its kind passes on the way.
fn may_fail(operation: &Operation, endpoint: &Endpoint, code: ErrorCode) -> bool {
    let has_body = operation.request_body.is_some();
    let has_query = operation
        .parameters
        .iter()
        .flatten()
        .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query));
    let is_admitted = is_always_admitted(endpoint.path);
    let on_the_way = match code {
        // Of the head, before it is known who is calling. A token that is much too long is refused everywhere.
        ErrorCode::InvalidRequest | ErrorCode::Unauthorized | ErrorCode::UriTooLong | ErrorCode::HeadersTooLarge | ErrorCode::Internal => {
            true
        }
        ErrorCode::Overloaded | ErrorCode::Unavailable => !is_admitted,
        ErrorCode::OutcomeUnknown | ErrorCode::StorageFull => !is_admitted && !endpoint.method.is_safe(),
        ErrorCode::RateLimited => endpoint.traffic.is_some(),
        ErrorCode::InvalidJson | ErrorCode::RequestTimeout | ErrorCode::PayloadTooLarge | ErrorCode::UnsupportedMediaType => has_body,
        ErrorCode::InvalidQuery => has_query,
        ErrorCode::ValidationFailed => has_body || has_query,
        ErrorCode::InvalidPath
        | ErrorCode::InvalidCredentials
        | ErrorCode::NotAccepted
        | ErrorCode::Blocked
        | ErrorCode::WrongPassword
        | ErrorCode::PasswordRequired
        | ErrorCode::NotFound
        | ErrorCode::UserNotFound
        | ErrorCode::ChatNotFound
        | ErrorCode::SessionNotFound
        | ErrorCode::NotBlocked
        | ErrorCode::NotAFriend
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UsernameTaken
        | ErrorCode::EmailTaken
        | ErrorCode::OwnRecoveryAddress
        | ErrorCode::TooManyChanges
        | ErrorCode::FriendLimit
        | ErrorCode::BlockLimit
        | ErrorCode::PasswordTooCommon
        | ErrorCode::InvalidMailToken
        | ErrorCode::IdempotencyMismatch
        | ErrorCode::MailUnavailable => false,
    };
    on_the_way || endpoint.failures.contains(&code)
}

/// The answer that comes with one of these codes, which have one status, under a name made of them.
fn named(codes: &[ErrorCode]) -> (String, RefOr<Response>) {
    let name = codes.iter().map(|code| format!("{code:?}")).collect::<Vec<_>>().join("Or");
    let description = codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.message())).collect::<Vec<_>>().join("\n\n");
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes.iter().map(|code| code.as_str())));
    let narrowed = ObjectBuilder::new().property("code", code);
    let schema = AllOfBuilder::new().item(reference::<Envelope>()).item(narrowed);
    let example = codes.first().and_then(|&code| example(code));
    let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
    let mut response = ResponseBuilder::new().description(description).content("application/json", content).build();
    response.headers = codes.first().map(|code| headers::of_failure(code.status())).unwrap_or_default();
    (name, response.into())
}

fn example(code: ErrorCode) -> Option<Value> {
    let fields = match code {
        ErrorCode::ValidationFailed => BTreeMap::from([("limit", "must be a number from 1 to 100".to_owned())]),
        _ => BTreeMap::new(),
    };
    let envelope =
        Envelope { message: code.message(), code: code.as_str(), request_id: "0199f3c2-8b7a-7c1e-9d0a-5b6c7d8e9f01", fields: &fields };
    serde_json::to_value(envelope).ok()
}
