//! Whether answers are such as the document of the API tells of: every answer that a test gets is checked.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use chat_functions::gateway;
use chat_functions::settings::Service;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::Answer;

/// Headers that tell clients something. An answer has them only if the document says so.
const TELLING: [&str; 9] = [
    "ETag",
    "Idempotency-Replayed",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Next-Cursor",
    "Allow",
    "WWW-Authenticate",
];

/// The document, whose schemas allow no field that they do not name.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(gateway::document(&Service::ALL)).expect("JSON");
    close_all(&mut document);
    document
});

/// A validator for each schema that was needed, by its place in the document.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Fails unless the answer to such a request is documented with its status, headers and body.
pub fn check(method: &Method, path: &str, answer: &Answer) {
    // Without an id it is the host's or the framework's own; a preflight is answered for every route alike.
    if answer.header("x-request-id").is_empty() || (method == Method::OPTIONS && answer.status.is_success()) {
        return;
    }
    let place = format!("/paths/{}/{}", path.replace('~', "~0").replace('/', "~1"), method.as_str().to_lowercase());
    // A process may serve some services only.
    let is_served = answer.status != 404 || !String::from_utf8_lossy(&answer.body).contains("\"not_found\"");
    match DOCUMENT.pointer(&place).filter(|_| is_served) {
        Some(_) => check_documented(&format!("{place}/responses/{}", answer.status.as_u16()), answer),
        None => check_refusal(method, answer),
    }
}

fn check_documented(place: &str, answer: &Answer) {
    let Some(response) = DOCUMENT.pointer(place) else { panic!("undocumented, {place}: {answer:?}") };
    let place = response["$ref"].as_str().map_or(place, |reference| &reference[1..]);
    let response = DOCUMENT.pointer(place).expect("what is referred to");
    check_headers(place, &response["headers"], answer);
    let Some(content) = response["content"].as_object() else {
        return assert!(answer.body.is_empty(), "{place} has no body: {answer:?}");
    };
    let media_type = answer.header("content-type");
    assert!(content.contains_key(media_type), "{place} is of another type: {answer:?}");
    let schema = format!("{place}/content/{}/schema", media_type.replace('/', "~1"));
    match media_type {
        "application/json" => validate(&schema, &answer.json(), answer),
        "application/x-ndjson" => {
            for line in String::from_utf8_lossy(&answer.body).lines() {
                validate(&schema, &serde_json::from_str(line).expect("JSON"), answer);
            }
        }
        _ => {}
    }
}

/// A request for no route is refused by the envelope, with a status that is its code's.
fn check_refusal(method: &Method, answer: &Answer) {
    if answer.status.is_success() || answer.status.is_redirection() || method == Method::HEAD {
        return;
    }
    validate("/components/schemas/Error", &answer.json(), answer);
}

fn check_headers(place: &str, documented: &Value, answer: &Answer) {
    for name in TELLING.into_iter().filter(|name| !answer.header(name).is_empty()) {
        assert!(documented[name].is_object(), "{place} has no {name}: {answer:?}");
    }
    for (name, header) in documented.as_object().into_iter().flatten() {
        let own = format!("{place}/headers/{name}");
        let place = header["$ref"].as_str().map_or(own.as_str(), |reference| &reference[1..]);
        let value = match answer.header(name) {
            "" => continue,
            value if DOCUMENT.pointer(&format!("{place}/schema/type")).is_some_and(|kind| kind == "integer") => {
                json!(value.parse::<u64>().expect("a number"))
            }
            value => json!(value),
        };
        validate(&format!("{place}/schema"), &value, answer);
    }
}

fn validate(place: &str, value: &Value, answer: &Answer) {
    let validator = validator(place);
    let problems: Vec<_> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{place}: {problems:?}: {answer:?}");
}

fn validator(place: &str) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(place.to_owned()).or_insert_with(|| {
        let mut schema = DOCUMENT.clone();
        schema["$ref"] = json!(format!("#{place}"));
        Arc::new(jsonschema::options().should_validate_formats(true).build(&schema).expect("a valid schema"))
    });
    Arc::clone(validator)
}

/// Closes every schema of answers: those of components where they are used, since others may be put together of them.
fn close_all(document: &mut Value) {
    for schema in document["components"]["schemas"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        close_parts(schema);
    }
    let responses = document["components"]["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for response in responses {
        close_response(response);
    }
    let operations = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for response in
        operations.flat_map(Map::values_mut).filter_map(|operation| operation["responses"].as_object_mut()).flat_map(Map::values_mut)
    {
        close_response(response);
    }
}

fn close_response(response: &mut Value) {
    for content in response.get_mut("content").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        close(&mut content["schema"]);
    }
}

/// Closes a schema that stands for itself.
fn close(schema: &mut Value) {
    close_parts(schema);
    if let Some(schema) = schema.as_object_mut()
        && ["$ref", "properties", "allOf", "oneOf"].iter().any(|keyword| schema.contains_key(*keyword))
    {
        schema.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

/// Closes what a schema has inside. What it is put together of stays open.
fn close_parts(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    for keyword in ["allOf", "oneOf"] {
        schema.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten().for_each(close_parts);
    }
    schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(close);
    schema.get_mut("items").into_iter().for_each(close);
}
