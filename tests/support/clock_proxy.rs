//! A proxy before a MongoDB server by which its clock differs from what it is.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Starts one that tells a later time, or an earlier one, than the server does; gives the port.
pub async fn start(server: String, later_millis: i64) -> u16 {
    start_changing(server, move |answer| move_clock(answer, later_millis)).await
}

/// Starts a proxy before the server that passes its answers on as `change` leaves them; gives the port.
pub async fn start_changing(server: String, change: impl Fn(&mut [u8]) + Copy + Send + 'static) -> u16 {
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

/// Changes the time that an answer to `hello` tells, a date of BSON with this name.
fn move_clock(answer: &mut [u8], later_millis: i64) {
    let name = b"\x09localTime\0";
    let Some(start) = answer.windows(name.len()).position(|part| part == name) else { return };
    let Some(date) = answer[start + name.len()..].first_chunk_mut::<8>() else { return };
    *date = (i64::from_le_bytes(*date) + later_millis).to_le_bytes();
}
