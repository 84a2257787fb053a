//! What a mail server says, in a session as far as a check of the settings goes.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use chat_functions::mail::{SmtpCredentials, SmtpPatience, SmtpSetting, SmtpTls, Transport, TransportSetting};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

struct Session {
    runtime: Runtime,
    server: TcpListener,
    client: Transport,
}

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
    let setting = SmtpSetting {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port: server.local_addr().expect("an address").port(),
        tls: SmtpTls::Offered,
        credentials: Some(SmtpCredentials { user: "ann".to_owned(), password: "secret".into() }),
        authorities: None,
        patience: SmtpPatience::default(),
    };
    let client = Transport::open(&TransportSetting::Smtp(setting), "http://127.0.0.1:8080").expect("a transport");
    Session { runtime, server, client }
});

/// Bytes as all that the server says: the session succeeds or fails, and no reply is told with a line break in it.
pub fn mail(bytes: &[u8]) {
    let Session { runtime, server, client } = &*SESSION;
    let sender = "Chat <chat@example.com>".parse().expect("a mailbox");
    let say = async {
        loop {
            let (mut connection, _) = server.accept().await.expect("a connection");
            let _all_or_part = connection.write_all(bytes).await;
            let _said_or_gone = connection.shutdown().await;
            let _heard_or_gone = connection.read_to_end(&mut Vec::new()).await;
        }
    };
    let checked = runtime.block_on(async {
        tokio::select! {
            checked = client.check(&sender) => checked,
            () = say => Ok(()),
        }
    });
    if let Err(error) = checked {
        assert!(!error.to_string().contains(['\r', '\n']), "{error:?}");
    }
}
