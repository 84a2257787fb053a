//! The change stream: the database tells the changes of all processes by itself, where it can.
//!
//! The driver reopens a stream that broke where it had got to. What it cannot mend is left here and opened anew after a pause.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::{Binary, Document, RawDocumentBuf, doc};
use mongodb::options::FullDocumentType;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::documents::{ACCESS_CHANGED_AT, CHATS, USERS};
use super::progress::{access_change, chat_change};
use super::reason::Reason;
use crate::logging;
use crate::store::Change;
use crate::store::changes::Listeners;

/// How long the server waits for a change before it says that there is none.
const AWAIT: Duration = Duration::from_secs(2);
/// A stream that has said nothing for so long is not to be relied on.
pub(super) const SILENCE: Duration = AWAIT.saturating_add(Duration::from_secs(3));
/// One that has said nothing for so long is given up.
const LOST: Duration = Duration::from_secs(30);
/// How long after its opening a stream is not relied on yet: of changes from just before, the majority may hear late.
const SETTLING: Duration = Duration::from_secs(3);
/// Pauses between attempts to open a stream, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether a stream tells all changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is being opened, or was just now.
    Opening,
    /// It tells all changes.
    Steady,
    /// There is none, or nothing is heard of it.
    Broken,
}

/// The one stream of a process.
pub(super) struct ChangeStream {
    reader: Option<Reader>,
    next_try: Instant,
    pause: Duration,
    /// What was last said in the log of how changes are heard of.
    told: Standing,
}

/// A stream that was opened, or is being opened. Dropped, it ends by itself once its next answer is there: the driver must not be
/// left half-way.
struct Reader {
    pulse: Arc<Pulse>,
    task: JoinHandle<mongodb::error::Result<()>>,
}

/// When something was heard of a stream.
struct Pulse {
    begun: Instant,
    /// When the stream was opened, and its last answer came.
    heard: Mutex<Option<(Instant, Instant)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    ns: Namespace,
    document_key: DocumentKey,
    full_document: Option<RawDocumentBuf>,
}

#[derive(Deserialize)]
struct Namespace {
    coll: String,
}

#[derive(Deserialize)]
struct DocumentKey {
    #[serde(rename = "_id")]
    id: Binary,
}

impl Default for ChangeStream {
    fn default() -> Self {
        Self { reader: None, next_try: Instant::now(), pause: FIRST_PAUSE, told: Standing::Opening }
    }
}

impl ChangeStream {
    /// Sees to the stream, opening it when it is time to; tells how it is.
    pub(super) async fn tend(&mut self, database: &Database, listeners: &Arc<Listeners>) -> Standing {
        let standing = match self.reader.take() {
            None if Instant::now() < self.next_try => Standing::Broken,
            None => {
                self.reader = Some(Reader::start(database.clone(), Arc::clone(listeners)));
                Standing::Opening
            }
            Some(reader) if reader.task.is_finished() => {
                let reason = reader.ending().await;
                self.give_up(&reason)
            }
            Some(reader) if reader.pulse.silence() > LOST => self.give_up("it has not answered for long"),
            Some(reader) => {
                let standing = reader.pulse.standing();
                self.reader = Some(reader);
                standing
            }
        };
        if standing == Standing::Steady {
            self.pause = FIRST_PAUSE;
        }
        self.tell(standing, "it does not answer");
        standing
    }

    fn give_up(&mut self, reason: &str) -> Standing {
        self.next_try = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.tell(Standing::Broken, reason);
        Standing::Broken
    }

    /// Says in the log how changes are heard of, when that is another way than before; for what reason there is no stream.
    fn tell(&mut self, standing: Standing, reason: &str) {
        if standing == Standing::Opening || standing == self.told {
            return;
        }
        self.told = standing;
        if standing == Standing::Steady {
            log::info!(event = "changes_by_stream"; "the database tells changes of other processes by itself");
        } else {
            log::info!(event = "changes_by_query", error = reason; "no change stream; changes are asked for while somebody waits");
        }
    }
}

impl Reader {
    fn start(database: Database, listeners: Arc<Listeners>) -> Self {
        let pulse = Arc::new(Pulse { begun: Instant::now(), heard: Mutex::new(None) });
        let task = tokio::spawn(read(database, listeners, Arc::downgrade(&pulse)));
        Self { pulse, task }
    }

    /// Why it ended.
    async fn ending(self) -> String {
        match self.task.await {
            Ok(Ok(())) => "the server has ended it".to_owned(),
            Ok(Err(error)) => Reason::from(&error).to_string(),
            Err(panic) => logging::causes(&panic),
        }
    }
}

impl Pulse {
    fn beat(&self) {
        let now = Instant::now();
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((now, now)).1 = now;
    }

    fn heard(&self) -> Option<(Instant, Instant)> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self) -> Duration {
        self.heard().map_or(self.begun, |(_, last)| last).elapsed()
    }

    fn standing(&self) -> Standing {
        match self.heard() {
            _ if self.silence() > SILENCE => Standing::Broken,
            Some((opened, _)) if opened.elapsed() > SETTLING => Standing::Steady,
            _ => Standing::Opening,
        }
    }
}

/// Tells what a stream brings, until it breaks or nobody cares for it any more.
async fn read(database: Database, listeners: Arc<Listeners>, pulse: Weak<Pulse>) -> mongodb::error::Result<()> {
    let watch = database.watch().pipeline(pipeline()).full_document(FullDocumentType::UpdateLookup).max_await_time(AWAIT);
    let mut stream = watch.await?.with_type::<RawDocumentBuf>();
    while stream.is_alive() {
        let Some(pulse) = pulse.upgrade() else { break };
        pulse.beat();
        drop(pulse);
        if let Some(change) = stream.next_if_any().await?.as_ref().and_then(change) {
            listeners.tell(&change);
        }
    }
    Ok(())
}

/// Has the server pick the changes that count, and of them no more than what tells how far a chat has got.
fn pipeline() -> [Document; 2] {
    let marked = format!("updateDescription.updatedFields.{ACCESS_CHANGED_AT}");
    let of_chats = doc! { "ns.coll": CHATS, "operationType": { "$in": ["insert", "update", "replace"] } };
    let of_people = doc! { "ns.coll": USERS, "operationType": "update", marked: { "$exists": true } };
    [
        doc! { "$match": { "$or": [of_chats, of_people] } },
        doc! { "$project": { "ns.coll": 1, "documentKey": 1, "fullDocument.lastMessage.seq": 1, "fullDocument.readSeq": 1 } },
    ]
}

/// What an event tells; `None` when the document is gone already, or does not decode.
fn change(event: &RawDocumentBuf) -> Option<Change> {
    let event: Event = mongodb::bson::deserialize_from_slice(event.as_bytes()).ok()?;
    let key = &event.document_key.id;
    if event.ns.coll == USERS { access_change(key) } else { chat_change(key, event.full_document.as_deref()?) }
}
