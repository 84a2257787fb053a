//! Whether something costs the same however much is stored beside it, and wherever in a list it is.
//!
//! It asks the stores themselves: the cost of HTTP, the same for everything, would hide growth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_functions::domain::Clock;
use chat_functions::http::OwnUser;
use chat_functions::store::{ConversationCursor, MAX_FRIENDS, MessageCursor, Store, Window};

use crate::mongodb_server::TestDatabase;
use crate::numbers::{Times, in_micros};
use crate::operations;
use crate::report::{Goal, Row, Section};
use crate::seed::{Contents, Measured, Seeded, sent_at};
use crate::site::{Kind, Site};

/// What the cost where there is much should be of that where there is little.
const GOAL: Goal = Goal::RatioAtMost(1.3);
/// So many messages should be stored in so many seconds.
const SEEDED: u64 = 1_000_000;
const SEEDED_WITHIN: Goal = Goal::AtMost(60.0);
/// A store that would take longer than this to be filled is left out.
const PATIENCE: Duration = Duration::from_mins(5);

/// How much is measured.
struct Scale {
    /// From little to much.
    contents: &'static [Contents],
    /// Records on a page.
    page: usize,
    rounds: usize,
}

const FULL: Scale =
    Scale { contents: &[full("10 thousand", 10_000), full("1 million", SEEDED), full("10 million", 10_000_000)], page: 50, rounds: 1_000 };
const SHORT: Scale = Scale { contents: &[short("two hundred", 200), short("six hundred", 600)], page: 5, rounds: 3 };

/// Four people are measured, and a tenth of all messages is in a chat of each.
const fn full(name: &'static str, messages: u64) -> Contents {
    Contents { name, messages, people: 100_000, measured: 4, friends: MAX_FRIENDS, chats: OwnUser::MAX_CHATS, largest: messages / 10 }
}

const fn short(name: &'static str, messages: u64) -> Contents {
    Contents { name, messages, people: 40, measured: 2, friends: 20, chats: 20, largest: messages / 4 }
}

/// What is measured, in the order in which it is; of lists, their first page and one deep in them. What follows a send may have to
/// make up for it, so that is nothing which is compared with another operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Send,
    Profile,
    NewestPage,
    /// Before the middle of the largest chat.
    PageBefore,
    OldestPage,
    /// After the middle of the largest chat.
    PageAfter,
    NewestOfAllChats,
    /// Before the middle of the largest chat too.
    PageOfAllChats,
    NewestConversations,
    OldestConversations,
}

/// What is compared where there is little and where there is much.
const GROWING: [(&str, Operation); 6] = [
    ("send", Operation::Send),
    ("newest page of the largest chat", Operation::NewestPage),
    ("page in the middle of it", Operation::PageBefore),
    ("newest page over all chats", Operation::NewestOfAllChats),
    ("newest conversations", Operation::NewestConversations),
    ("profile", Operation::Profile),
];

/// What is compared in one store: a page that is deep in a list, and the first one.
const DEEP: [(&str, Operation, Operation); 4] = [
    ("back through the largest chat", Operation::PageBefore, Operation::NewestPage),
    ("on through the largest chat", Operation::PageAfter, Operation::OldestPage),
    ("back over all chats", Operation::PageOfAllChats, Operation::NewestOfAllChats),
    ("back through conversations", Operation::OldestConversations, Operation::NewestConversations),
];

impl Operation {
    /// Whether it takes the longer where ranges of an index are read to their end, the more there is in one.
    fn is_of_range(self) -> bool {
        !matches!(self, Self::Send | Self::Profile | Self::NewestConversations)
    }
}

/// What one person asks of a store.
struct Caller<'a> {
    store: &'a dyn Store,
    person: &'a Measured,
    /// The number of the message in the middle of their largest chat.
    middle: u64,
    page: usize,
}

impl Caller<'_> {
    /// Does what the product does for a request, and gives the number of records.
    async fn run(&self, operation: Operation) -> usize {
        let Measured { large, small, .. } = self.person;
        match operation {
            Operation::Send => self.send().await,
            Operation::NewestPage => self.read_chat(Window::Newest).await,
            Operation::PageBefore => self.read_chat(Window::Before(self.middle)).await,
            Operation::OldestPage => self.read_chat(Window::After(0)).await,
            Operation::PageAfter => self.read_chat(Window::After(self.middle)).await,
            Operation::NewestOfAllChats => self.read_all_chats(None).await,
            Operation::PageOfAllChats => {
                self.read_all_chats(Some(MessageCursor { sent_at: sent_at(self.middle), chat: *large, seq: self.middle })).await
            }
            Operation::NewestConversations => self.list_conversations(None).await,
            Operation::OldestConversations => {
                // Behind this one there is just a page.
                let cursor = ConversationCursor { sent_at: sent_at(self.page as u64 + 1), chat: small[self.page] };
                self.list_conversations(Some(cursor)).await
            }
            Operation::Profile => operations::read_profile(self.store, &self.person.session).await,
        }
    }

    async fn send(&self) -> usize {
        operations::send(self.store, &self.person.session, self.person.peer).await;
        1
    }

    async fn read_chat(&self, window: Window) -> usize {
        self.store.list_chat_messages(self.person.large, window, self.page).await.expect("a page").len()
    }

    async fn read_all_chats(&self, before: Option<MessageCursor>) -> usize {
        self.store.list_messages(self.person.session.user, before.as_ref(), self.page).await.expect("a page").len()
    }

    async fn list_conversations(&self, before: Option<ConversationCursor>) -> usize {
        let (user, now) = (self.person.session.user, Clock::default().now());
        self.store.list_conversations(user, before.as_ref(), self.page, now).await.expect("a page").len()
    }
}

/// A store that was filled and is open.
struct Filled {
    contents: &'static Contents,
    seeded: Seeded,
    site: Site,
    store: Arc<dyn Store>,
}

impl Filled {
    async fn new(contents: &'static Contents, site: Site) -> Self {
        let seeded = contents.seed(&site).await;
        let store = site.location().open().await;
        Self { contents, seeded, site, store }
    }

    /// How long another one would take to be filled as fast.
    fn would_take(&self, contents: &Contents) -> Duration {
        let times = contents.messages.div_ceil(self.contents.messages);
        self.seeded.took.saturating_mul(u32::try_from(times).expect("not so much more"))
    }

    /// The person whose turn it is in a round.
    fn caller(&self, round: usize, page: usize) -> Caller<'_> {
        let measured = &self.seeded.measured;
        Caller { store: self.store.as_ref(), person: &measured[round % measured.len()], middle: self.contents.largest / 2, page }
    }

    async fn close(self) {
        self.store.close().await;
        self.site.clear().await;
    }
}

/// Fills stores of one kind, as long as that is to be waited for; `None` when there can be none.
async fn fill(kind: Kind, scale: &Scale) -> Option<Vec<Filled>> {
    let mut stores: Vec<Filled> = Vec::new();
    for contents in scale.contents {
        if stores.last().is_some_and(|last| last.would_take(contents) > PATIENCE) {
            break;
        }
        stores.push(Filled::new(contents, Site::open(kind).await?).await);
    }
    Some(stores)
}

/// The times of each operation, on each store.
type Measurements = BTreeMap<Operation, Vec<Times>>;

/// Measures operations on all stores, which take turns in being the first.
async fn measure_in_turn(stores: &[Filled], operations: &BTreeSet<Operation>, scale: &Scale) -> Measurements {
    let mut measurements = Measurements::new();
    for round in 0..scale.rounds {
        for operation in operations {
            let times = measurements.entry(*operation).or_insert_with(|| stores.iter().map(|_| Times::default()).collect());
            let mut records = BTreeSet::new();
            for number in (0..stores.len()).map(|number| (number + round) % stores.len()) {
                let caller = stores[number].caller(round, scale.page);
                let begun = Instant::now();
                records.insert(caller.run(*operation).await);
                times[number].add(begun.elapsed());
            }
            assert!(records.len() == 1 && !records.contains(&0), "{operation:?}: as many records everywhere, not {records:?}");
        }
    }
    measurements
}

/// The operations that tell something on one kind of store.
fn telling_operations(kind: Kind, is_short: bool) -> BTreeSet<Operation> {
    let growing = GROWING.map(|(_, operation)| operation);
    let deep = DEEP.map(|(_, deep, first)| [deep, first]);
    let all = growing.into_iter().chain(deep.into_iter().flatten());
    all.filter(|operation| is_short || !operation.is_of_range() || walks_no_further(kind)).collect()
}

/// Whether the server ends its walk along an index at the limit, as MongoDB does, and servers that stand in for it do not.
fn walks_no_further(kind: Kind) -> bool {
    kind == Kind::Sqlite || TestDatabase::is_on_mongod()
}

/// How it was measured.
fn method(kind: Kind, stores: &[Filled], scale: &Scale) -> String {
    let Contents { people, friends, chats, .. } = scale.contents[0];
    let mut method = format!(
        "Medians of {} times, asked of the stores themselves, without HTTP, in turn. Each store has {people} people. Those who are \
         measured have {friends} friends and {chats} chats, one of them with a tenth of all messages or more. A page is {} records.",
        scale.rounds, scale.page,
    );
    if kind == Kind::Sqlite {
        method += " A send waits for the disk. With each send SQLite drops what it had read of the file, so a list takes longer where the \
                   records of which it is made are on more pages of the file; these come from the system's memory.";
    } else if !walks_no_further(kind) {
        method += " The server stands in for MongoDB and reads every range of an index to its end. Pages that would measure that are left \
                   out; that their queries have MongoDB examine no more than they return is tested by its plans.";
    }
    for contents in &scale.contents[stores.len()..] {
        let _infallible = write!(method, " With {} messages it was not measured: to store them would take too long.", contents.name);
    }
    method
}

fn tell_growth(title: &str, method: &str, stores: &[Filled], measurements: &Measurements) -> Section {
    let little = format!("with {} messages", stores[0].contents.name);
    let mut section = Section::new(title, method, ["with more", &little]);
    println!("{title}");
    for Filled { contents, seeded, .. } in stores {
        let (name, seconds) = (contents.name, seeded.took.as_secs_f64());
        let row = Row::alone(format!("{name} messages stored in bulk"), seconds, "s");
        section.add(if contents.messages == SEEDED { row.aiming_at(SEEDED_WITHIN) } else { row });
        let messages = f64::from(u32::try_from(contents.messages).expect("not so many"));
        section.add(Row::alone(format!("of {name}, in a second"), messages / seconds, "messages"));
    }
    for (name, operation) in GROWING {
        let Some([little, more @ ..]) = measurements.get(&operation).map(Vec::as_slice) else { continue };
        for (times, store) in more.iter().zip(&stores[1..]) {
            let figures = [times, little].map(|times| in_micros(times.median()));
            section.add(Row::beside(format!("{name}, {}", store.contents.name), figures, "µs").aiming_at(GOAL));
        }
    }
    section
}

fn tell_depth(title: &str, method: &str, measurements: &Measurements) -> Section {
    let mut section = Section::new(title, method, ["deep in the list", "first page"]);
    println!("{title}");
    for (name, deep, first) in DEEP {
        let fullest = |operation| measurements.get(&operation).and_then(|times| times.last());
        let Some((deep, first)) = fullest(deep).zip(fullest(first)) else { continue };
        section.add(Row::beside(name, [deep, first].map(|times| in_micros(times.median())), "µs").aiming_at(GOAL));
    }
    section
}

/// Measures both on one kind of store; nothing when there can be none.
async fn measure_on(kind: Kind, store: &str, is_short: bool) -> Vec<Section> {
    let scale = if is_short { SHORT } else { FULL };
    let Some(stores) = fill(kind, &scale).await else { return Vec::new() };
    let measurements = measure_in_turn(&stores, &telling_operations(kind, is_short), &scale).await;
    let fullest = stores.last().map_or("", |store| store.contents.name);
    let growth = tell_growth(&format!("Little and much in the store: {store}"), &method(kind, &stores, &scale), &stores, &measurements);
    let depth = tell_depth(&format!("Deep in a list: {store}"), &format!("As before, with {fullest} messages."), &measurements);
    for store in stores {
        store.close().await;
    }
    [growth, depth].into_iter().filter(|section| !section.rows.is_empty()).collect()
}

/// Measures all.
pub async fn measure(is_short: bool) -> Vec<Section> {
    let mut sections = measure_on(Kind::Sqlite, "SQLite", is_short).await;
    sections.extend(measure_on(Kind::ChangeStream, "MongoDB", is_short).await);
    sections
}
