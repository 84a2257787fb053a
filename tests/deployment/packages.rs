//! The package: exactly what runs, and it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::ZipArchive;

use crate::support::server::EXECUTABLE;
use crate::{environment, host, script};

/// What is packed in the program's place where only the list of files matters: it takes less time.
const SMALL_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// Makes a package of the program under test in a folder; of these services.
pub fn package(folder: &Path, services: &str) -> PathBuf {
    package_of(EXECUTABLE, folder, services)
}

fn package_of(program: &str, folder: &Path, services: &str) -> PathBuf {
    let package = folder.join(format!("{services}.zip"));
    let made = script("package").args(["--services", services, "--binary", program]).arg("--output").arg(&package).output();
    let made = made.expect("the script runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    package
}

/// Unpacks a package into an empty folder.
pub fn unpack(package: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    open(package).extract(folder.path()).expect("unpacked");
    folder
}

fn open(package: &Path) -> ZipArchive<File> {
    ZipArchive::new(File::open(package).expect("a package")).expect("a zip")
}

/// The files of a package with their modes.
fn files(package: &Path) -> BTreeMap<String, u32> {
    let mut archive = open(package);
    let entry = |index| {
        let file = archive.by_index(index).expect("an entry");
        (file.name().expect("a name of UTF-8").into_owned(), file.unix_mode().expect("a mode") & 0o777)
    };
    (0..open(package).len()).map(entry).collect()
}

/// The function folders of the repository by name, with the first part of their routes.
fn functions() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = root.read_dir().expect("the repository").map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let read = |name: String| {
        let text = std::fs::read_to_string(root.join(&name).join("function.json")).ok()?;
        let function: Value = serde_json::from_str(&text).expect("JSON");
        let route = function["bindings"][0]["route"].as_str().expect("a route").to_owned();
        Some((name, route.split('/').next().unwrap_or_default().to_owned()))
    };
    names.filter_map(read).collect()
}

#[test]
fn a_package_holds_what_runs_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expected: BTreeMap<String, u32> = functions().into_iter().map(|(name, _)| (format!("{name}/function.json"), 0o644)).collect();
    expected.insert("bin/chat-functions".to_owned(), 0o755);
    expected.insert("host.json".to_owned(), 0o644);
    assert_eq!(files(&package_of(SMALL_FILE, folder.path(), "auth,users,chat")), expected);
}

#[test]
fn a_package_of_a_service_lacks_the_functions_of_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let present = files(&package_of(SMALL_FILE, folder.path(), "users"));
    for (name, first) in functions() {
        let is_left_out = ["auth", "chat"].contains(&first.as_str());
        assert_eq!(!present.contains_key(&format!("{name}/function.json")), is_left_out, "{name}");
    }
}

#[test]
fn the_same_files_make_the_same_package() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [first, second] = folders.each_ref().map(|folder| std::fs::read(package_of(SMALL_FILE, folder.path(), "auth")).expect("a package"));
    assert!(first == second, "packages of {} and {} bytes differ", first.len(), second.len());
}

#[test]
fn a_package_of_unknown_services_is_refused() {
    for services in ["mail", "", "auth,", "auth chat"] {
        let refused = script("package").args(["--services", services, "--binary", SMALL_FILE]).output().expect("the script runs");
        assert_eq!(refused.status.code(), Some(2), "{services}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_serves_from_an_empty_folder() {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let app = unpack(&package(folder.path(), "auth,users,chat"));
    let host = host(app.path(), &environment().with("DATA_DIR", data.path().to_string_lossy())).await;
    let health = reqwest::get(format!("{}/api/health", host.url())).await.expect("an answer");
    assert_eq!(health.status(), StatusCode::OK);
    let ann = json!({ "username": "ann", "email": "ann@example.com", "password": "tulip-gravel-onion" });
    let registered = reqwest::Client::new().post(format!("{}/api/auth/register", host.url())).json(&ann).send().await.expect("an answer");
    assert_eq!(registered.status(), StatusCode::CREATED);
    host.stop().await;
}
