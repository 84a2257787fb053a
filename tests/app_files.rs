//! The files beside the program agree with it: function folders, host.json, settings, documents.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "tests fail by panicking")]

#[path = "support/not_run.rs"]
mod not_run;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chat_functions::gateway;
use chat_functions::settings::VARIABLES;
use not_run::not_run;
use serde_json::{Value, json};

/// The function that takes what no other does.
const CATCH_ALL: &str = "zz-not-found";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&read(path)).expect("JSON")
}

/// The function folders by name, in the order in which the host tries them.
fn functions() -> Vec<(String, Value)> {
    let mut names: Vec<String> = std::fs::read_dir(root())
        .expect("the folder of the application")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().join("function.json").exists())
        .map(|entry| entry.file_name().into_string().expect("a name of UTF-8"))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|name| (name.clone(), read_json(Path::new(&name).join("function.json")))).collect()
}

/// Methods and path of a function, as the program sees them.
fn routes_of(function: &Value) -> BTreeSet<(String, String)> {
    let trigger = &function["bindings"][0];
    let path = format!("/api/{}", trigger["route"].as_str().expect("a route"));
    let methods = trigger["methods"].as_array().expect("methods").iter();
    methods.map(|method| (method.as_str().expect("a method").to_uppercase(), path.clone())).collect()
}

#[test]
fn every_route_has_its_function_and_every_function_its_route() {
    let of_program: BTreeSet<_> = gateway::routes()
        .into_iter()
        .filter(|(_, path)| path.starts_with("/api/"))
        .flat_map(|(method, path)| {
            // Where there is GET there is HEAD.
            let head = (method == "GET").then(|| ("HEAD".to_owned(), path.to_owned()));
            head.into_iter().chain([(method.to_string(), path.to_owned())])
        })
        .collect();
    let functions = functions();
    let of_folders: BTreeSet<_> =
        functions.iter().filter(|(name, _)| name != CATCH_ALL).flat_map(|(_, function)| routes_of(function)).collect();
    assert_eq!(of_folders, of_program);
}

#[test]
fn a_function_is_named_after_its_path() {
    for (name, function) in functions().iter().filter(|(name, _)| name != CATCH_ALL) {
        let route = function["bindings"][0]["route"].as_str().expect("a route");
        // A name has no dot.
        assert_eq!(*name, route.trim_end_matches(".json").replace('/', "-"));
    }
}

#[test]
fn the_last_function_takes_every_other_path_and_method() {
    let functions = functions();
    let (last, function) = functions.last().expect("functions");
    assert_eq!(last, CATCH_ALL);
    let methods: BTreeSet<_> = routes_of(function).into_iter().collect();
    let all = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
    assert_eq!(methods, all.map(|method| (method.to_owned(), "/api/{*path}".to_owned())).into());
}

#[test]
fn every_function_is_forwarded_and_leaves_authorization_to_the_program() {
    for (name, function) in functions() {
        let bindings = function["bindings"].as_array().expect("bindings");
        // The host forwards the request itself only to functions of exactly this shape.
        assert_eq!(bindings.len(), 2, "{name}");
        assert_eq!((&bindings[0]["type"], &bindings[0]["direction"]), (&json!("httpTrigger"), &json!("in")), "{name}");
        assert_eq!((&bindings[1]["type"], &bindings[1]["direction"]), (&json!("http"), &json!("out")), "{name}");
        assert_eq!(bindings[0]["authLevel"], "anonymous", "{name}");
    }
}

#[test]
fn the_host_forwards_to_the_installed_binary_and_asks_browsers_for_https() {
    let host = read_json("host.json");
    assert_eq!(host["customHandler"]["enableForwardingHttpRequest"], true);
    assert_eq!(host["customHandler"]["description"]["defaultExecutablePath"], "bin/chat-functions");
    assert_eq!(host["extensions"]["http"]["routePrefix"], "api");
    assert_eq!(host["extensions"]["http"]["hsts"], json!({ "isEnabled": true, "maxAge": "365.00:00:00" }));
    assert_eq!(host["extensions"]["http"]["maxConcurrentRequests"], Value::Null, "the program has limits of its own");
    assert_eq!(host["extensionBundle"], Value::Null, "nothing has to be downloaded");
}

/// `func azure functionapp publish` takes what this list leaves: what is more than the package is a new folder that it lacks.
#[test]
fn what_does_not_run_is_not_published() {
    let list = read(".funcignore");
    let patterns: Vec<_> = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let is_left_out = |name: &str| {
        patterns.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => name == *pattern,
        })
    };
    let names = std::fs::read_dir(root()).expect("the repository").map(|entry| entry.expect("an entry").file_name());
    let published: BTreeSet<String> =
        names.map(|name| name.into_string().expect("a name of UTF-8")).filter(|name| !is_left_out(name)).collect();
    let mut expected: BTreeSet<String> = functions().into_iter().map(|(name, _)| name).collect();
    expected.insert("host.json".to_owned());
    if published.contains("bin") {
        expected.insert("bin".to_owned());
    }
    assert_eq!(published, expected);
}

#[test]
fn the_local_settings_hold_no_secret() {
    let expected = json!({
        "IsEncrypted": false,
        "Values": { "FUNCTIONS_WORKER_RUNTIME": "custom", "APP_ENV": "development" },
    });
    assert_eq!(read_json("local.settings.json"), expected);
}

#[test]
fn the_readme_has_the_table_of_settings() {
    let readme = read("README.md");
    let section = readme.split("## Configuration").nth(1).expect("the section").split("\n## ").next().expect("its text");
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<_> =
        VARIABLES.iter().map(|variable| format!("| `{}` | {} | {} |", variable.name, variable.default, variable.meaning)).collect();
    assert_eq!(rows, expected);
}

/// Values go into statements by their parameters only.
#[test]
fn no_statement_of_the_embedded_store_is_put_together_from_values() {
    let folder = "src/store/sqlite";
    let files = std::fs::read_dir(root().join(folder)).expect("the folder of the embedded store");
    let names = files.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name of UTF-8"));
    let sources: Vec<_> = names.filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "rs")).collect();
    assert!(sources.len() > 10, "{sources:?}");
    for name in sources {
        let source = read(Path::new(folder).join(&name));
        assert!(!["format!", "format_args!", "write!(", "push_str("].iter().any(|way| source.contains(way)), "{name}");
    }
}

#[test]
fn the_example_of_an_environment_names_settings_that_exist() {
    for line in read(".env.example").lines().filter(|line| line.contains('=')) {
        let name = line.trim_start_matches('#').split('=').next().expect("a name");
        assert!(VARIABLES.iter().any(|variable| variable.name == name), "{line}");
    }
}

#[test]
fn the_files_of_the_host_keep_their_schemas() {
    let Some(schemas) = schemas() else { return };
    let mut files = vec![("host.json".to_owned(), "host.json"), ("local.settings.json".to_owned(), "local.settings.json")];
    files.extend(functions().into_iter().map(|(name, _)| (format!("{name}/function.json"), "function.json")));
    for (file, schema) in files {
        let mut schema: Value = serde_json::from_str(&std::fs::read_to_string(schemas.join(schema)).expect("a schema")).expect("JSON");
        // As published it wants a binding to be of exactly one kind, while some kinds take any. Ours are all of HTTP.
        if let Some(binding) = schema.pointer_mut("/properties/bindings/items") {
            *binding = json!({ "allOf": [{ "$ref": "#/definitions/bindingBase" }, { "$ref": "#/definitions/httpBinding" }] });
        }
        let validator = jsonschema::validator_for(&schema).expect("a valid schema");
        let problems: Vec<_> = validator.iter_errors(&read_json(&file)).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{file}: {problems:?}");
    }
}

/// The folder of schemas that may lie beside the repository; in continuous integration it must.
fn schemas() -> Option<PathBuf> {
    let folder = root().join("../shared/data/schemas");
    if folder.exists() {
        return Some(folder);
    }
    not_run("the schemas of the host's files, since there is no ../shared/data/schemas")
}
