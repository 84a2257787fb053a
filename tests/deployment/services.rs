//! A function app for each service, behind one gateway.

use functions_host::FunctionsHost;
use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::check::check_deployment;
use crate::front::gateway;
use crate::packages::{package, unpack};
use crate::support::mongodb::TestDatabase;
use crate::support::not_run::not_run;
use crate::{environment, host};

const SERVICES: [&str; 3] = ["auth", "users", "chat"];

#[tokio::test(flavor = "multi_thread")]
async fn three_function_apps_behind_one_gateway_are_one_api() {
    let Some(database) = TestDatabase::new().map_or_else(|reason| not_run(&reason), Some) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let apps = SERVICES.map(|service| unpack(&package(folder.path(), service)));
    let settings = environment().with("MONGODB_URI", database.uri()).with("CLIENT_IP", "xff:1");
    let settings = SERVICES.map(|service| settings.clone().with("SERVICES", service));
    let hosts = join_all(apps.iter().zip(&settings).map(|(app, settings)| host(app.path(), settings))).await;
    for (service, host) in SERVICES.iter().zip(&hosts) {
        for other in SERVICES {
            let path = if other == "auth" {
                "auth/sessions"
            } else if other == "users" {
                "users/profile"
            } else {
                "chat/messages"
            };
            let answer = reqwest::get(format!("{}/api/{path}", host.url())).await.expect("an answer");
            let expected = if *service == other { StatusCode::UNAUTHORIZED } else { StatusCode::NOT_FOUND };
            assert_eq!(answer.status(), expected, "{path} of the app for {service}");
        }
    }
    let report = check_deployment(&gateway(SERVICES.iter().copied().zip(hosts.iter().map(FunctionsHost::url)).collect()));
    assert!(report.is_good, "{}", report.text);
    for host in hosts {
        host.stop().await;
    }
    database.drop_database().await;
}
