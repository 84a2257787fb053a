//! The application as the host reads it: host.json, local.settings.json, the function folders.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::Method;
use serde_json::Value;

use crate::HostOptions;
use crate::routing::{Function, Route};

/// Why an application does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file is missing or is no JSON.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A file asks for what the host refuses or this stand-in does not do.
    #[error("{0}: {1}")]
    Application(String, &'static str),
    /// The address cannot be had.
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
    /// The listener ended at once.
    #[error("the listener ended at once")]
    Server,
}

/// How the handler is started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub executable: PathBuf,
    pub arguments: Vec<String>,
    pub working_directory: PathBuf,
    pub app_root: PathBuf,
    pub environment: Vec<(String, String)>,
    /// How long the handler may take to answer `GET /`.
    pub patience: Duration,
    pub echo_log: bool,
}

/// An application.
#[derive(Debug, Clone)]
pub struct App {
    pub launch: Launch,
    pub route_prefix: String,
    /// In the order in which they are tried.
    pub functions: Vec<Function>,
    /// Headers that the host adds to answers that lack them.
    pub custom_headers: Vec<(String, String)>,
    /// A longer invocation costs the handler its life.
    pub function_timeout: Duration,
    pub enforce_keys: bool,
    pub body_limit: usize,
}

impl App {
    pub fn load(options: &HostOptions) -> Result<Self, StartError> {
        let root = options.app_root.canonicalize().map_err(|error| StartError::File(options.app_root.clone(), error.to_string()))?;
        let host = read_json(&root.join("host.json"))?;
        let custom = &host["customHandler"];
        // This version does not know `enableProxyingHttpRequest`, and takes no notice of it.
        if custom["enableForwardingHttpRequest"] != true {
            return Err(StartError::Application("host.json".into(), "this stand-in does forwarding mode only"));
        }
        let http = &host["extensions"]["http"];
        let headers = http["customHeaders"].as_object().into_iter().flatten();
        Ok(Self {
            launch: launch(options, &root, &custom["description"], seconds(&custom["initializationTimeout"], 30))?,
            route_prefix: http["routePrefix"].as_str().unwrap_or("api").trim_matches('/').to_lowercase(),
            functions: load_functions(&root)?,
            custom_headers: headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
            function_timeout: seconds(&host["functionTimeout"], 30 * 60),
            enforce_keys: options.enforce_keys,
            body_limit: options.body_limit,
        })
    }
}

fn launch(options: &HostOptions, root: &Path, description: &Value, patience: Duration) -> Result<Launch, StartError> {
    let mut environment = local_values(root)?;
    environment.extend(options.environment.iter().cloned());
    let named = description["defaultExecutablePath"].as_str().filter(|path| !path.is_empty());
    let executable = match (&options.executable, named) {
        (Some(path), _) => path.clone(),
        // Beside host.json when such a file exists, else somewhere on the PATH.
        (None, Some(path)) if root.join(path).exists() => root.join(path),
        (None, Some(path)) => path.into(),
        (None, None) => return Err(StartError::Application("host.json".into(), "customHandler.description lacks defaultExecutablePath")),
    };
    let arguments = description["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let directory = description["workingDirectory"].as_str().map_or_else(|| root.to_owned(), |path| root.join(path));
    Ok(Launch {
        executable,
        arguments,
        working_directory: options.working_directory.clone().unwrap_or(directory),
        app_root: root.to_owned(),
        environment,
        patience,
        echo_log: options.echo_log,
    })
}

/// The `Values` of local.settings.json, which the local tools pass on as environment variables.
fn local_values(root: &Path) -> Result<Vec<(String, String)>, StartError> {
    let path = root.join("local.settings.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let values = read_json(&path)?["Values"].as_object().cloned().unwrap_or_default();
    Ok(values.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
}

/// Every folder with a function.json, in the order of their names without case.
fn load_functions(root: &Path) -> Result<Vec<Function>, StartError> {
    let entries = std::fs::read_dir(root).map_err(|error| StartError::File(root.to_owned(), error.to_string()))?;
    let mut functions = Vec::new();
    for entry in entries {
        let path = entry?.path().join("function.json");
        if path.exists() {
            functions.push(load_function(&path)?);
        }
    }
    functions.sort_by_key(|function: &Function| function.name.to_lowercase());
    let mut taken = HashSet::new();
    for function in &functions {
        if !function.claims().all(|claim| taken.insert(claim)) {
            return Err(StartError::Application(function.name.clone(), "another function has the same route and method"));
        }
    }
    Ok(functions)
}

fn load_function(path: &Path) -> Result<Function, StartError> {
    let name = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let refused = |why| StartError::Application(name.clone(), why);
    if !is_name(&name) {
        return Err(refused("a function's name is a letter and up to 127 letters, digits, _ or -, and not host"));
    }
    let function = read_json(path)?;
    let [trigger, output] = function["bindings"].as_array().map_or(&[][..], Vec::as_slice) else {
        return Err(refused("only a function with one input and one output is forwarded"));
    };
    if trigger["type"] != "httpTrigger" || output["type"] != "http" {
        return Err(refused("only functions of HTTP are forwarded"));
    }
    let template = trigger["route"].as_str().unwrap_or(&name).to_owned();
    let route = Route::parse(&template).ok_or_else(|| refused("this stand-in knows literals, {name}, {name?} and {*name}"))?;
    if route.starts_with("admin") || route.starts_with("runtime") {
        return Err(refused("admin and runtime are the host's own routes"));
    }
    let methods = trigger["methods"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let methods = methods.filter_map(|method| Method::from_bytes(method.to_uppercase().as_bytes()).ok()).collect();
    Ok(Function { is_anonymous: trigger["authLevel"] == "anonymous", name, route, methods })
}

fn is_name(name: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    name.len() <= 128 && name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.chars().all(plain) && name != "host"
}

/// A span such as `00:01:30`.
fn seconds(value: &Value, default: u64) -> Duration {
    let parts = value.as_str().map(|text| text.split(':').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>());
    match parts {
        Some(Ok(parts)) if parts.len() == 3 => Duration::from_secs(parts[0] * 3_600 + parts[1] * 60 + parts[2]),
        _ => Duration::from_secs(default),
    }
}

fn read_json(path: &Path) -> Result<Value, StartError> {
    let failed = |error: String| StartError::File(path.to_owned(), error);
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
}
