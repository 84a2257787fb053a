//! Whose requests count together: which address of a client is believed. Shown by registrations, which are limited by net.

use std::sync::Arc;

use reqwest::StatusCode;

use super::{ELSEWHERE, HOME, Site, is_limited, register};
use crate::context::{ALONE, Context};
use crate::tests;

tests!(Context:
    registrations_are_limited_by_their_net in ALONE,
    what_a_client_writes_into_the_list_itself_changes_nothing in ALONE,
    a_header_of_the_proxys_own_tells_the_client in ALONE,
    without_a_proxy_no_header_is_believed in ALONE,
);

async fn registrations_are_limited_by_their_net(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_REGISTER", "3/1h")]);
    let running = site.start().await;
    let home = running.client(HOME);
    for _ in 0..5 {
        home.register("!", "!", "!").await.fails_in(&["email", "password", "username"]);
    }
    for _ in 0..3 {
        register(&home).await.expect(StatusCode::CREATED);
    }
    is_limited(register(&home).await, 60 * 60);
    register(&running.client(ELSEWHERE)).await.expect(StatusCode::CREATED);
    site.clear().await;
}

async fn what_a_client_writes_into_the_list_itself_changes_nothing(context: Arc<Context>) {
    let site = Site::new(&context, &[("LIMIT_REGISTER", "3/1h")]);
    let running = site.start().await;
    let forged: [&[&str]; 4] = [
        &["192.0.2.77, 198.51.100.7:1001"],
        &["192.0.2.78", "198.51.100.7:1002"],
        &["\"oops", ",,127.0.0.1", "198.51.100.7"],
        &["198.51.100.7", "192.0.2.79,198.51.100.7"],
    ];
    for (number, lines) in forged.into_iter().enumerate() {
        let answer = register(&running.client_sending("X-Forwarded-For", lines)).await;
        assert_eq!(answer.status, if number < 3 { 201 } else { 429 }, "{lines:?}: {answer:?}");
    }
    let lines = running.lines_of("/api/auth/register", 4).await;
    assert!(lines.iter().all(|line| line.contains("\"net\":\"198.51.100.7\"")), "{lines:#?}");
    // Those of whom nothing is known are one client.
    for (number, lines) in [&[][..], &["unknown"], &["198.51.100.7, "], &["198.51.100.7, ?"]].into_iter().enumerate() {
        let answer = register(&running.client_sending("X-Forwarded-For", lines)).await;
        assert_eq!(answer.status, if number < 3 { 201 } else { 429 }, "{lines:?}: {answer:?}");
    }
    site.clear().await;
}

async fn a_header_of_the_proxys_own_tells_the_client(context: Arc<Context>) {
    let site = Site::new(&context, &[("CLIENT_IP", "header:Client-IP"), ("LIMIT_REGISTER", "1/1h")]);
    let running = site.start().await;
    register(&running.client_sending("Client-IP", &["192.0.2.1:1001"])).await.expect(StatusCode::CREATED);
    is_limited(register(&running.client_sending("Client-IP", &["192.0.2.1:1002"])).await, 60 * 60);
    register(&running.client_sending("Client-IP", &["192.0.2.2"])).await.expect(StatusCode::CREATED);
    // Without it all are one, whatever else they say.
    register(&running.client("192.0.2.3")).await.expect(StatusCode::CREATED);
    is_limited(register(&running.client("192.0.2.4")).await, 60 * 60);
    site.clear().await;
}

async fn without_a_proxy_no_header_is_believed(context: Arc<Context>) {
    let site = Site::new(&context, &[("CLIENT_IP", "peer"), ("LIMIT_REGISTER", "1/1h")]);
    let running = site.start().await;
    register(&running.client(HOME)).await.expect(StatusCode::CREATED);
    for header in ["X-Forwarded-For", "Client-IP", "X-Real-IP", "Forwarded", "X-Azure-ClientIP"] {
        is_limited(register(&running.client_sending(header, &[ELSEWHERE])).await, 60 * 60);
    }
    site.clear().await;
}
