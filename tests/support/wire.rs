//! A proxy before a database that reads the commands on their way, and answers some of them itself.

use std::sync::Arc;

use mongodb::bson::{Document, deserialize_from_slice, serialize_to_vec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// The header of a message, and the flags of `OP_MSG`.
const HEAD: usize = 16;
const FLAGS: usize = 4;
const OP_MSG: i32 = 2013;

/// What the proxy answers to a command instead of the server, if it does.
type Answer = Arc<dyn Fn(&Document) -> Option<Document> + Send + Sync>;

/// Starts a proxy before the server at `address`; gives its port. It ends with its runtime.
pub async fn start(address: String, answer: impl Fn(&Document) -> Option<Document> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let answer: Answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&address).await else { return };
            let ((from_client, to_client), (mut from_server, to_server)) = (client.into_split(), server.into_split());
            let to_client = Arc::new(Mutex::new(to_client));
            tokio::spawn(ask(from_client, to_server, Arc::clone(&to_client), Arc::clone(&answer)));
            tokio::spawn(async move {
                while let Some(message) = read(&mut from_server).await {
                    if to_client.lock().await.write_all(&message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// How a server refuses a command.
pub fn refusal(code: i32, name: &str, message: &str) -> Document {
    mongodb::bson::doc! { "ok": 0.0, "code": code, "codeName": name, "errmsg": message }
}

async fn ask(mut from: OwnedReadHalf, mut server: OwnedWriteHalf, client: Arc<Mutex<OwnedWriteHalf>>, answer: Answer) {
    while let Some(message) = read(&mut from).await {
        let sent = match command(&message).and_then(|command| answer(&command)) {
            None => server.write_all(&message).await,
            Some(reply) => client.lock().await.write_all(&framed(&reply, &message[4..8])).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A whole message; `None` at the end.
pub async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message).await.ok()?;
    message.resize(usize::try_from(length(&message)).ok()?, 0);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

fn length(bytes: &[u8]) -> i32 {
    i32::from_le_bytes(*bytes.first_chunk().expect("a length"))
}

/// The command of a message, with the documents that travel beside it under their name.
fn command(message: &[u8]) -> Option<Document> {
    (length(&message[12..]) == OP_MSG).then_some(())?;
    let (mut rest, mut command) = (&message[HEAD + FLAGS..], Document::new());
    while let Some((kind, section)) = rest.split_first() {
        let size = usize::try_from(length(section)).ok()?;
        if *kind == 0 {
            command.extend(deserialize_from_slice::<Document>(&section[..size]).ok()?);
        } else {
            let end = section[4..].iter().position(|byte| *byte == 0)? + 4;
            let (mut documents, mut part) = (Vec::new(), &section[end + 1..size]);
            while !part.is_empty() {
                let (document, others) = part.split_at(usize::try_from(length(part)).ok()?);
                documents.push(deserialize_from_slice::<Document>(document).ok()?);
                part = others;
            }
            command.insert(String::from_utf8_lossy(&section[4..end]), documents);
        }
        rest = &section[size..];
    }
    Some(command)
}

/// An answer as a message.
fn framed(reply: &Document, asked: &[u8]) -> Vec<u8> {
    let body = serialize_to_vec(reply).expect("a document");
    let length = i32::try_from(HEAD + FLAGS + 1 + body.len()).expect("small");
    let mut message = length.to_le_bytes().to_vec();
    message.extend([0; 4]);
    message.extend(asked);
    message.extend(OP_MSG.to_le_bytes());
    message.extend([0; FLAGS + 1]);
    message.extend(body);
    message
}
