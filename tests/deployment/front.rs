//! What stands before servers where people use them: a gateway that shares the paths out, and an end of TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::tls::certificates;

/// Headers of one connection, or that the next one gets anew.
const OF_CONNECTION: [&str; 5] = ["connection", "content-length", "transfer-encoding", "host", "x-forwarded-for"];

/// Where the requests go: to the application of the service that their path names, all others to the first.
type Applications = Vec<(&'static str, String)>;

/// Starts a gateway before function apps, one a service; gives its URL. It lasts as long as the test program.
pub fn gateway(applications: Applications) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (applications, client) = (web::Data::new(applications), web::Data::new(reqwest::Client::new()));
    std::thread::spawn(move || {
        let app = move || App::new().app_data(applications.clone()).app_data(client.clone()).default_service(web::to(forward));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("a listener");
        actix_web::rt::System::new().block_on(server.run()).expect("served");
    });
    url
}

/// Forwards a request and appends the address it came from, as gateways do.
async fn forward(
    request: HttpRequest,
    body: web::Bytes,
    applications: web::Data<Applications>,
    client: web::Data<reqwest::Client>,
) -> HttpResponse {
    let service = request.path().trim_start_matches("/api/").split('/').next().unwrap_or_default();
    let application = applications.iter().find(|(name, _)| *name == service).unwrap_or(&applications[0]);
    let method = request.method().as_str().parse().expect("a method");
    let mut asked = client.request(method, format!("{}{}", application.1, request.uri())).body(body.to_vec());
    for (name, value) in request.headers().iter().filter(|(name, _)| !OF_CONNECTION.contains(&name.as_str())) {
        asked = asked.header(name.as_str(), value.as_bytes());
    }
    let claimed = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let seen = request.peer_addr().map(|address| address.to_string());
    let addresses: Vec<_> = claimed.map(str::to_owned).into_iter().chain(seen).collect();
    let answered = asked.header("X-Forwarded-For", addresses.join(", ")).send().await.expect("an answer");
    let mut answer = HttpResponse::build(StatusCode::from_u16(answered.status().as_u16()).expect("a status"));
    for (name, value) in answered.headers().iter().filter(|(name, _)| !OF_CONNECTION.contains(&name.as_str())) {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    answer.body(answered.bytes().await.expect("a body"))
}

/// Starts an end of TLS before a server; gives its URL and the certificate of its authority. It lasts as long as the runtime.
pub async fn tls_before(server: SocketAddr) -> (String, String) {
    let (authority, acceptor) = certificates();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let acceptor = Arc::new(acceptor);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = Arc::clone(&acceptor);
            tokio::spawn(async move {
                // A client that wants an older TLS is refused here.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.expect("the server");
                let _ended = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, authority)
}
