//! Answers that nobody takes: their connections end, and they keep neither memory nor anybody else out. And those who wait for one keep
//! none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Answer, Client, Person};
use crate::context::{ALONE, Context};
use crate::support::metrics::Metrics;
use crate::support::server::Server;
use crate::tests;

tests!(Context:
    who_reads_nothing_is_let_go_of_and_keeps_nobody_out in ALONE,
    heads_that_nobody_reads_do_not_pile_up in &["sqlite"],
    who_waits_for_a_list_keeps_no_page in ALONE,
);

const CONNECTIONS: usize = 200;
const REQUESTS: usize = 6;
/// What all of them may take while they last, in KiB.
const MOST_KIB: usize = 64 * 1024;
/// How long they may last: 30 s without progress, and a minute, which is more than it takes to notice.
const PATIENCE: Duration = Duration::from_secs(90);
/// Those who wait for a list of so many conversations, of which a page has 256 KiB, and the most that they may take, in KiB.
const POLLS: usize = 64;
const PEERS: usize = 16;
const MOST_KIB_OF_POLLS: usize = 10 * 1024;
/// The pause before another page of his, which takes as much as all the others.
const BREATH: Duration = Duration::from_secs(1);

impl Server {
    /// The memory that it holds, in KiB.
    fn memory_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process");
        let figure = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        figure.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The time that it has had of a processor, in hundredths of a second.
    fn worked(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("the process");
        // The name, which may hold spaces, ends with the last parenthesis; what follows are fields from the third on.
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// Connections with something that nobody has taken yet.
    fn unread(&self) -> usize {
        let port: u16 = self.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let own = format!(":{port:04X}");
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the sockets");
        // The local address is the second field, bytes to be sent are the first half of the fifth.
        let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields.filter(|fields| fields[1].ends_with(&own) && fields.get(4).is_some_and(|queues| !queues.starts_with("00000000:"))).count()
    }
}

/// Sends the same request so many times without reading anything.
async fn ask(server: &Server, person: &Person, path: &str, times: usize) -> TcpStream {
    let mut connection = TcpStream::connect(server.url().trim_start_matches("http://")).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", person.token);
    connection.write_all(request.repeat(times).as_bytes()).await.expect("sent");
    connection
}

async fn who_reads_nothing_is_let_go_of_and_keeps_nobody_out(context: Arc<Context>) {
    let (_folder, server) = context.another_instance().await;
    let client = Client::new(server.url());
    let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
    let longest = "\u{1f600}".repeat(4_000);
    for _ in 0..101 {
        bob.send(&ann, &longest).await.ok();
    }
    let path = |peer: &Person| format!("/api/chat/messages?with={}&limit=100", peer.id);
    // As README tells clients, he repeats what is 503: at first all ask at once, and the store is busy.
    let page_of_bob = async || {
        let begun = Instant::now();
        loop {
            let answer = bob.get(&path(&ann)).await;
            if answer.status != 503 {
                assert_eq!(answer.status, 200, "{answer:?}");
                return answer.body.len();
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "he is kept out: {answer:?}");
        }
    };
    assert!(page_of_bob().await > 500 * 1024);
    let memory = server.memory_kib();
    let of_ann = path(&bob);
    let asking = (0..CONNECTIONS).map(|_| ask(&server, &ann, &of_ann, REQUESTS));
    let unread = futures_util::future::join_all(asking).await;
    let (begun, mut most) = (Instant::now(), 0);
    let (mut had_unread, mut last_page) = (false, begun);
    // His own page may be on its way at the moment.
    while !had_unread || server.unread() > 1 {
        assert!(begun.elapsed() < PATIENCE, "{} connections are left", server.unread());
        had_unread |= server.unread() > 1;
        most = most.max(server.memory_kib().saturating_sub(memory));
        if last_page.elapsed() > BREATH {
            assert!(page_of_bob().await > 500 * 1024);
            last_page = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(most < MOST_KIB, "they took {most} KiB");
    assert!(begun.elapsed() > Duration::from_secs(20), "who is only slow is not let go of");
    drop(unread);
    assert_eq!(Answer::of(ann.request(reqwest::Method::GET, &path(&bob))).await.status, 200, "what nobody took counts no more");
}

/// An answer without a body, over and over.
async fn heads_that_nobody_reads_do_not_pile_up(context: Arc<Context>) {
    let origin = "http://pages.example.com";
    let (_folder, server) = context.instance_with(context.environment().with("CORS_ORIGINS", origin)).await;
    let memory = server.memory_kib();
    let mut connection = TcpStream::connect(server.url().trim_start_matches("http://")).await.expect("a connection");
    let preflight =
        format!("OPTIONS /api/users/profile HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\r\n");
    let many = preflight.repeat(1_000);
    let begun = Instant::now();
    // Until it takes no more: what it answers has no place to go, so it reads no further.
    while tokio::time::timeout(Duration::from_secs(5), connection.write_all(many.as_bytes())).await.is_ok_and(|sent| sent.is_ok()) {
        assert!(begun.elapsed() < Duration::from_mins(1), "it reads without end");
        let taken = server.memory_kib().saturating_sub(memory);
        assert!(taken < MOST_KIB / 2, "{taken} KiB");
    }
}

/// If each had its page that would take more by half than they may.
async fn who_waits_for_a_list_keeps_no_page(context: Arc<Context>) {
    let (environment, metrics) = Metrics::of(context.environment());
    let (_folder, server) = context.instance_with(environment).await;
    let client = Client::new(server.url());
    let ann = Person::register(&client).await;
    let longest = "\u{1f600}".repeat(4_000);
    for _ in 0..PEERS {
        Person::register(&client).await.send(&ann, &longest).await.ok();
    }
    let list = ann.get("/api/chat/conversations").await;
    let tag = list.header("etag").to_owned();
    assert!(list.body.len() > 250 * 1024, "{}", list.body.len());
    let poll = move |seconds| {
        let (ann, tag) = (ann.clone(), tag.clone());
        async move { ann.poll_conversations(&tag, seconds).await.status }
    };
    // Making the pages takes as much for those who do not wait.
    let known = futures_util::future::join_all((0..POLLS / 2).map(|_| poll(0))).await;
    assert!(known.iter().all(|status| *status == 304), "{known:?}");
    let memory = server.memory_kib();
    let wait = |_| {
        let poll = poll.clone();
        async move { while poll(25).await == 304 {} }
    };
    let _polls: JoinSet<()> = (0..POLLS).map(wait).collect();
    let begun = Instant::now();
    loop {
        let worked = server.worked();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (waiting, taken) = (metrics.polls_waiting().await, server.memory_kib().saturating_sub(memory));
        let is_at_rest = server.worked() - worked <= 2;
        if waiting == POLLS && is_at_rest && taken < MOST_KIB_OF_POLLS {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{waiting} wait and take {taken} KiB");
    }
}
