//! Instances whose clocks differ count by the server's.

use std::sync::Arc;

use chat_functions::store::{Quota, ThrottleKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::mongodb_only::MONGODB;
use crate::people::NOW;
use crate::support::mongodb::TestDatabase;
use crate::throttles::new_key;
use crate::{Context, connect, connect_to, tests};

const MINUTE_MILLIS: i64 = 60_000;

tests!(Context:
    clocks_that_differ_by_minutes_count_by_one_clock in MONGODB,
    a_server_that_tells_its_time_as_a_number_serves in MONGODB,
);

/// Starts a proxy before the server that passes its answers on as `change` leaves them; gives the port.
async fn start_changing_proxy(server: String, change: impl Fn(&mut [u8]) + Copy + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { return };
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    change(&mut buffer[..read]);
                    if to_client.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Makes that date a number, as the open-source engine of Azure DocumentDB tells it.
fn tell_time_as_a_number(answer: &mut [u8]) {
    const DATE: &[u8] = b"\x09localTime\0";
    if let Some(start) = answer.windows(DATE.len()).position(|part| part == DATE) {
        answer[start] = 0x12;
    }
}

/// Changes the time that an answer to `hello` tells, a date of BSON with this name.
fn move_clock(answer: &mut [u8], later_millis: i64) {
    let name = b"\x09localTime\0";
    let Some(start) = answer.windows(name.len()).position(|part| part == name) else { return };
    let Some(date) = answer[start + name.len()..].first_chunk_mut::<8>() else { return };
    *date = (i64::from_le_bytes(*date) + later_millis).to_le_bytes();
}

async fn clocks_that_differ_by_minutes_count_by_one_clock(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let store = connect(&database).await.expect("a store");
    let quota = Quota { count: 1, window_millis: 2 * MINUTE_MILLIS };
    for ahead in [-7 * MINUTE_MILLIS, 7 * MINUTE_MILLIS] {
        // To a process whose clock is ahead the server's is behind.
        let port = start_changing_proxy(database.address(), move |answer| move_clock(answer, -ahead)).await;
        let other = connect_to(&database.uri_through(port)).await.expect("a store");
        let wait = async |key: &ThrottleKey, after: i64| {
            let taking = other.take(key, quota, NOW.plus_millis(after + ahead)).await.expect("an answer");
            taking.outcome.err()
        };
        let key = new_key();
        assert!(store.take(&key, quota, NOW).await.expect("an answer").outcome.is_ok());
        let told = wait(&key, MINUTE_MILLIS).await.expect("the window is the same for both");
        // What was measured is off by the time that the answer took at most.
        assert!((told - MINUTE_MILLIS).abs() < 10_000, "{told}");
        assert_eq!(wait(&key, 3 * MINUTE_MILLIS).await, None, "the window ends for both");
        other.close().await;
    }
    database.drop_database().await;
}

async fn a_server_that_tells_its_time_as_a_number_serves(_: Arc<Context>) {
    let database = TestDatabase::new().expect("a server");
    let port = start_changing_proxy(database.address(), tell_time_as_a_number).await;
    let store = connect_to(&database.uri_through(port)).await.expect("a store");
    let (key, quota) = (new_key(), Quota { count: 1, window_millis: MINUTE_MILLIS });
    assert!(store.take(&key, quota, NOW).await.expect("an answer").outcome.is_ok());
    store.close().await;
    database.drop_database().await;
}
