//! No room for further data: a disk that is full, files that may not grow, a database that refuses to grow.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Client, PASSWORD, Person, new_name};
use crate::support::not_run::not_run;
use crate::support::server::{Server, run_to_end};
use crate::support::wire::{self, refusal};
use crate::{Context, MONGODB, SQLITE, eventually, tests};

tests!(Context:
    on_a_full_disk_reads_and_what_protects_people_go_on in SQLITE,
    files_that_may_not_grow_are_a_full_disk in SQLITE,
    a_database_without_room_is_read_from in MONGODB,
);

/// A disk of 64 MiB in memory, gone when it is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        let is_mounted = as_root(&["mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", &folder.to_string_lossy()]);
        if is_mounted {
            Some(Self(folder))
        } else {
            not_run("a full disk, since none of a test's own can be mounted (root can, outside a container)")
        }
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let filler = format!("of={}", self.0.join("filler").display());
        let written = Command::new("dd").args(["if=/dev/zero", "bs=4k", &filler]).output().expect("dd runs");
        assert!(!written.status.success(), "the disk is full");
    }

    /// Has a little room, but less than is kept for what protects people.
    fn leave_a_mebibyte(&self) {
        let filler = std::fs::OpenOptions::new().write(true).open(self.0.join("filler")).expect("the filler");
        let size = filler.metadata().expect("a size").len();
        filler.set_len(size - 1024 * 1024).expect("shorter");
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        as_root(&["umount", "-l", &self.0.to_string_lossy()]);
    }
}

/// Runs what only the administrator of the machine may; whether it succeeded.
fn as_root(command: &[&str]) -> bool {
    let run = |command: &[&str]| Command::new(command[0]).args(&command[1..]).output().is_ok_and(|output| output.status.success());
    run(command) || run(&[&["sudo", "-n"], command].concat())
}

/// Two people who talk, and a second session of the first.
struct Talk {
    ann: Person,
    phone: Person,
    bob: Person,
}

impl Talk {
    async fn begin(server: &Server) -> Self {
        let client = Client::new(server.url());
        let (ann, bob) = (Person::register(&client).await, Person::register(&client).await);
        ann.send(&bob, "before").await.ok();
        Self { phone: ann.log_in_again().await, ann, bob }
    }

    /// The same people at another server.
    fn at(&self, server: &Server) -> Self {
        let client = Client::new(server.url());
        Self { ann: self.ann.at(&client), phone: self.phone.at(&client), bob: self.bob.at(&client) }
    }

    /// Messages and registrations are refused, reads go on, and both are told: to clients, to who watches, and once in the log.
    async fn only_reads(&self, server: &Server) {
        for _ in 0..3 {
            let sent = self.ann.send(&self.bob, "full").await;
            assert!(!sent.header("retry-after").is_empty());
            sent.fails(503, "storage_full");
            let name = new_name();
            self.ann.client.register(&name, &format!("{name}@example.com"), PASSWORD).await.fails(503, "storage_full");
        }
        assert_eq!(self.bob.messages("").await.len(), 1);
        let health = self.ann.client.get("/api/health").await.expect(StatusCode::OK);
        assert_eq!((&health["status"], &health["reason"]), (&json!("degraded"), &json!("storage_full")));
        // The log is written behind the answers.
        eventually("the log says it", || async { times_logged(server, "storage_full") > 0 }).await;
        assert_eq!(times_logged(server, "storage_full"), 1, "it says it once");
    }

    /// What protects people goes on, for longer than it would if each change took room of its own.
    async fn are_protected(&self, times: usize) {
        let block = json!({ "userId": self.ann.id });
        for _ in 0..times {
            self.bob.post("/api/users/blocks", &block).await.ok();
            self.bob.delete("/api/users/blocks", &block).await.ok();
            self.bob.log_in_again().await.log_out().await.ok();
        }
        let tablet = self.ann.log_in_again().await;
        self.phone.log_out().await.ok();
        self.phone.get("/api/users/profile").await.fails(401, "unauthorized");
        tablet.profile().await;
    }

    async fn goes_on(&self, server: &Server) {
        let sends = || async { self.ann.send(&self.bob, "after").await.status == StatusCode::OK };
        eventually("messages are taken again", sends).await;
        let is_well = || async { self.ann.client.get("/api/health").await.ok()["status"] == "ok" };
        eventually("it says so", is_well).await;
        eventually("the log says it", || async { times_logged(server, "storage_free") == 1 }).await;
        assert_eq!(self.bob.messages("").await.len(), 2, "what was refused is not there");
        Person::register(&self.ann.client).await;
    }
}

fn times_logged(server: &Server, event: &str) -> usize {
    let event = format!(r#""event":"{event}""#);
    server.log().iter().filter(|line| line.contains(&event)).count()
}

async fn on_a_full_disk_reads_and_what_protects_people_go_on(context: Arc<Context>) {
    let site = context.site();
    let Some(disk) = SmallDisk::mount(site.folder.path()) else { return };
    let server = site.start_ready().await;
    let talk = Talk::begin(&server).await;
    disk.fill();
    talk.only_reads(&server).await;
    talk.are_protected(10).await;
    // The reserve is open; now that is filled too, and the process begins anew.
    server.kill();
    let server = site.start_ready().await;
    let talk = Talk { phone: talk.at(&server).ann.log_in_again().await, ..talk.at(&server) };
    talk.only_reads(&server).await;
    talk.are_protected(1).await;
    disk.leave_a_mebibyte();
    talk.only_reads(&server).await;
    disk.clear();
    talk.goes_on(&server).await;
    server.stop().await;
}

async fn files_that_may_not_grow_are_a_full_disk(context: Arc<Context>) {
    let site = context.site();
    let server = site.start_ready().await;
    let talk = Talk::begin(&server).await;
    let limit = |soft: &str| {
        let limited = Command::new("prlimit").args(["--pid", &server.pid().to_string(), &format!("--fsize={soft}:unlimited")]).status();
        limited.is_ok_and(|status| status.success())
    };
    let present = std::fs::metadata(site.folder.path().join("data/chat.db-wal")).expect("a log").len();
    if !limit(&present.to_string()) {
        return not_run("the limit of another process's files cannot be set here").unwrap_or_default();
    }
    talk.only_reads(&server).await;
    talk.are_protected(10).await;
    assert!(limit("unlimited"));
    talk.goes_on(&server).await;
    server.stop().await;
}

/// How a server answers what would add data when it has no room: MongoDB and Azure DocumentDB, one whose writes are blocked, and
/// Atlas, which refuses a document and not the command.
const REFUSALS: [fn(&str) -> Option<Document>; 3] = [
    |command| is_change(command, &["delete", "createIndexes"]).then(|| refusal(14_031, "OutOfDiskSpace", "The database disk is full")),
    |command| is_change(command, &["delete"]).then(|| refusal(371, "UserWritesBlocked", "User writes blocked: DiskUseThresholdExceeded")),
    |command| {
        let text = "you are over your space quota, using 513 MB of 512 MB";
        let refused = || doc! { "ok": 1.0, "n": 0, "writeErrors": [{ "index": 0, "code": 8_000, "errmsg": text }] };
        match command {
            "findAndModify" => Some(refusal(8_000, "AtlasError", text)),
            command => is_change(command, &[]).then(refused),
        }
    },
];

fn is_change(command: &str, others: &[&str]) -> bool {
    ["insert", "update", "findAndModify"].contains(&command) || others.contains(&command)
}

async fn a_database_without_room_is_read_from(context: Arc<Context>) {
    for refuse in REFUSALS {
        let mut site = context.site();
        let database = site.database.as_ref().expect("a database");
        let is_full = Arc::new(AtomicBool::new(false));
        let answered = Arc::clone(&is_full);
        let answer = move |command: &Document| {
            let name = command.keys().next().filter(|_| answered.load(Ordering::SeqCst))?;
            refuse(name)
        };
        let uri = database.uri_through(wire::start(database.address(), answer).await);
        site.environment = site.environment.with("MONGODB_URI", uri);
        let server = site.start_ready().await;
        let talk = Talk::begin(&server).await;
        is_full.store(true, Ordering::SeqCst);
        talk.only_reads(&server).await;
        talk.ann.client.log_in(&talk.ann.email, PASSWORD).await.fails(503, "storage_full");
        // One that is started meanwhile serves as well.
        server.stop().await;
        let (_, checked, _) = run_to_end(&site.environment, site.folder.path(), &["--check"]);
        assert!(checked.contains("to do   store: the mongodb store takes no further data"), "{checked}");
        let server = site.start_ready().await;
        let talk = talk.at(&server);
        talk.only_reads(&server).await;
        is_full.store(false, Ordering::SeqCst);
        talk.goes_on(&server).await;
        server.stop().await;
        site.clear().await;
    }
}
