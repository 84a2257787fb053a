//! The document of the API by itself: it tells of every route, and its parts fit together.

#![allow(clippy::expect_used, missing_docs, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use chat_functions::gateway;
use chat_functions::http::ErrorCode;
use chat_functions::settings::Service;
use serde_json::{Map, Value, json};

fn document(services: &[Service]) -> Value {
    serde_json::to_value(gateway::document(services)).expect("JSON")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// Every operation by its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = object(&document["paths"]).iter();
    paths.flat_map(|(path, item)| object(item).iter().map(move |(method, it)| (format!("{} {path}", method.to_uppercase()), it))).collect()
}

/// Does something with every object in a value, and where it stands.
fn walk<'a>(place: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(place, fields);
            fields.iter().for_each(|(name, value)| walk(&format!("{place}/{name}"), value, visit));
        }
        Value::Array(values) => values.iter().enumerate().for_each(|(index, value)| walk(&format!("{place}/{index}"), value, visit)),
        _ => {}
    }
}

#[test]
fn the_document_tells_of_every_route_and_of_no_other() {
    let document = document(&Service::ALL);
    assert_eq!(document["openapi"], "3.1.0");
    let told: BTreeSet<_> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let routes: BTreeSet<_> = gateway::routes().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(told, routes);
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_and_failures() {
    let document = document(&Service::ALL);
    let operations = operations(&document);
    let names: BTreeSet<_> = operations.iter().map(|(_, operation)| operation["operationId"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), operations.len());
    for (name, operation) in operations {
        assert!(operation["summary"].is_string() && operation["description"].is_string(), "{name}");
        assert!(["401", "414", "431", "500"].iter().all(|status| operation["responses"][status].is_object()), "{name}");
        // The body of health says more than the envelope would.
        let tells_load = operation["responses"]["503"].is_object();
        assert!(tells_load || name == "GET /", "{name}");
        assert_eq!(operation["responses"]["415"].is_object(), operation["requestBody"].is_object(), "{name}");
    }
}

#[test]
fn every_reference_leads_somewhere_whichever_services_are_told_of() {
    for services in [&[Service::Auth][..], &[Service::Users], &[Service::Chat], &Service::ALL, &[]] {
        let document = document(services);
        walk("", &document, &mut |place, fields| {
            if let Some(reference) = fields.get("$ref") {
                let target = reference.as_str().and_then(|reference| reference.strip_prefix('#')).expect("a place in the document");
                assert!(document.pointer(target).is_some(), "{place}: {target}");
            }
        });
    }
}

#[test]
fn schemas_are_valid_and_their_examples_keep_them() {
    let document = document(&Service::ALL);
    let mut examples = 0;
    walk("", &document, &mut |place, fields| {
        let (schema, values) = match (fields.get("schema"), fields.get("example"), fields.get("examples")) {
            (Some(schema), Some(example), _) => (schema.clone(), vec![example]),
            (None, _, Some(Value::Array(examples))) => (json!(fields), examples.iter().collect()),
            _ => return,
        };
        let mut whole = document.clone();
        object(&schema).iter().for_each(|(keyword, value)| whole[keyword] = value.clone());
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).expect("a valid schema");
        for value in values {
            examples += 1;
            let problems: Vec<_> = validator.iter_errors(value).map(|problem| problem.to_string()).collect();
            assert!(problems.is_empty(), "{place}: {problems:?}");
        }
    });
    assert!(examples > 90, "{examples}");
}

#[test]
fn every_text_and_list_that_is_sent_or_answered_is_shown_by_an_example_or_leads_to_one() {
    let document = document(&Service::ALL);
    let schemas = &document["components"]["schemas"];
    walk("", schemas, &mut |place, fields| {
        let is_text = fields.get("type").is_some_and(|kind| kind == "string" || kind == "integer");
        let is_shown = ["examples", "enum", "const"].iter().any(|keyword| fields.contains_key(*keyword));
        // What one of several may be, and what a list or a map is of, is shown by what it is part of.
        let is_part = ["/oneOf/", "/items", "/additionalProperties", "/propertyNames"].iter().any(|part| place.contains(part));
        assert!(!is_text || is_shown || is_part, "{place}");
    });
}

#[test]
fn every_list_and_every_text_of_a_request_has_its_limit() {
    let document = document(&Service::ALL);
    let limited = |fields: &Map<String, Value>| ["maxLength", "pattern", "enum", "format"].iter().any(|limit| fields.contains_key(*limit));
    walk("", &document["components"]["schemas"], &mut |place, fields| {
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        assert!(kind != "array" || fields.contains_key("maxItems"), "{place}");
        let is_of_request = place.split('/').nth(1).is_some_and(|name| name.ends_with("Body"));
        // Whatever is typed at the log-in is answered alike.
        let is_free = place.starts_with("/LoginBody/");
        assert!(kind != "string" || !is_of_request || limited(fields) || is_free, "{place}");
    });
}

#[test]
fn every_code_is_told_with_its_status_and_no_other_is() {
    let document = document(&Service::ALL);
    let mut told = BTreeSet::new();
    for (_, operation) in operations(&document) {
        for (status, response) in object(&operation["responses"]) {
            let Some(reference) = response["$ref"].as_str() else { continue };
            let response = document.pointer(&reference[1..]).expect("a failure");
            let codes = &response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
            for code in codes.as_array().expect("codes") {
                told.insert((status.clone(), code.as_str().expect("a code").to_owned()));
            }
        }
    }
    // These are of requests for no route.
    let elsewhere = [ErrorCode::NotFound, ErrorCode::InvalidPath, ErrorCode::MethodNotAllowed];
    let all = ErrorCode::ALL.iter().filter(|code| !elsewhere.contains(code));
    assert_eq!(told, all.map(|code| (code.status().as_u16().to_string(), code.as_str().to_owned())).collect());
    for code in elsewhere {
        assert!(document["components"]["responses"][format!("{code:?}")].is_object(), "{code:?}");
    }
}
