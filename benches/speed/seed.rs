//! Fills a store with as many messages as is asked for: people come through the store itself, friends and chats past it.

pub mod mongodb;
mod sqlite;

use std::time::{Duration, Instant};

use chat_functions::domain::{ChatId, SessionKey, Timestamp, UserId};
use chat_functions::store::Message;

use crate::people::Person;
use crate::site::{Location, Site};

/// When the first message of every chat was sent at the earliest.
const BEGUN_AT: i64 = 1_700_000_000_000;
/// What every message says: about as long as people write.
pub const CONTENT: &str = "See you at seven, then. I shall bring the maps and something to drink; you have the tent, don't you?";
/// Others with whom somebody has begun a chat, at most.
const BEGUN_CHATS: usize = 16;

/// What a store is filled with.
///
/// A few people are measured: they have as many friends as is said, and many chats, of which one is large and the others have a message
/// each. The rest of the messages is in chats between the others.
pub struct Contents {
    /// How the number of messages is told.
    pub name: &'static str,
    pub messages: u64,
    pub people: usize,
    pub measured: usize,
    /// Friends of each who is measured.
    pub friends: usize,
    /// Chats of each who is measured.
    pub chats: usize,
    /// Messages of the largest chats.
    pub largest: u64,
}

/// Somebody who is measured.
pub struct Measured {
    pub session: SessionKey,
    /// With whom they have a large chat.
    pub peer: UserId,
    pub large: ChatId,
    /// Their chats of one message, which were sent at the numbers 1, 2, 3, … of [`sent_at`].
    pub small: Vec<ChatId>,
}

/// What came of it.
pub struct Seeded {
    pub measured: Vec<Measured>,
    /// How long it took to store the chats; the people were there before.
    pub took: Duration,
}

/// A chat before it is stored. Messages follow each other by a millisecond.
pub struct Chat {
    pub id: ChatId,
    pub messages: u64,
    /// When the last message was sent, as [`sent_at`] numbers it.
    pub last: u64,
}

/// What stores much at once.
enum Loader {
    Sqlite(sqlite::Loader),
    MongoDb(mongodb::Loader),
}

impl Contents {
    /// Fills the store of a site that is empty and not in use.
    pub async fn seed(&self, site: &Site) -> Seeded {
        let mut people = site.people(self.people).await;
        // An id ends with random bits: who is measured, and their friends, are spread over all that is stored.
        people.sort_unstable_by_key(|person| person.id.to_bytes()[12..].to_vec());
        let mut others: Vec<UserId> = people.split_off(self.measured).iter().map(|person| person.id).collect();

        let begun = Instant::now();
        let mut loader = Loader::open(site).await;
        let mut measured = Vec::new();
        for (number, person) in people.iter().enumerate() {
            let peers: Vec<UserId> = others.iter().copied().cycle().skip(number * self.chats).take(self.chats).collect();
            loader.add_friends(person.id, &peers[..self.friends]).await;
            measured.push(self.add_measured(&mut loader, person, &peers).await);
        }
        // Whoever comes in the order of keys is stored at the end of an index, which is fast.
        others.sort_unstable();
        self.add_others(&mut loader, &others).await;
        loader.finish().await;
        Seeded { measured, took: begun.elapsed() }
    }

    /// The chats of somebody who is measured, the first of which is large.
    async fn add_measured(&self, loader: &mut Loader, person: &Person, peers: &[UserId]) -> Measured {
        let chats: Vec<ChatId> = peers.iter().map(|peer| ChatId::between(person.id, *peer).expect("two people")).collect();
        let (large, small) = (chats[0], chats[1..].to_vec());
        loader.add(&Chat { id: large, messages: self.largest, last: self.largest }).await;
        for (id, last) in small.iter().copied().zip(1..) {
            loader.add(&Chat { id, messages: 1, last }).await;
        }
        Measured { session: person.session, peer: peers[0], large, small }
    }

    /// Chats of 1, 10, 100 messages and so on; all of one length together have as many messages as those of another.
    async fn add_others(&self, loader: &mut Loader, people: &[UserId]) {
        let measured = self.measured as u64;
        let mut left = self.messages - measured * (self.largest + self.chats as u64 - 1);
        for number in 0_usize.. {
            if left == 0 {
                break;
            }
            let one = number / BEGUN_CHATS;
            let other = (one + 1 + number % BEGUN_CHATS) % people.len();
            let id = ChatId::between(people[one], people[other]).expect("two people");
            let messages = largest_power_of_ten_in(number as u64 + 1).min(self.largest).min(left);
            loader.add(&Chat { id, messages, last: messages }).await;
            left -= messages;
        }
    }
}

/// The largest power of ten that divides a number.
fn largest_power_of_ten_in(number: u64) -> u64 {
    std::iter::successors(Some(1), |power| Some(power * 10)).take_while(|power| number.is_multiple_of(*power)).last().unwrap_or(1)
}

impl Chat {
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        (1..=self.messages).map(|seq| self.message(seq))
    }

    fn message(&self, seq: u64) -> Message {
        let [low, high] = self.id.members();
        Message {
            chat: self.id,
            seq,
            sender: if seq.is_multiple_of(2) { low } else { high },
            content: CONTENT.to_owned(),
            sent_at: sent_at(self.last - self.messages + seq),
        }
    }

    fn last_message(&self) -> Message {
        self.message(self.messages)
    }

    /// How far both members have read.
    fn read_seq(&self) -> u64 {
        self.messages / 2
    }
}

impl Loader {
    async fn open(site: &Site) -> Self {
        match (site.location(), site.database().await) {
            (Location::Folder(folder), _) => Self::Sqlite(sqlite::Loader::open(&folder)),
            (Location::Database(_), database) => Self::MongoDb(mongodb::Loader::open(&database.expect("a name in the address"))),
        }
    }

    /// Adds all friends of somebody who has none.
    async fn add_friends(&mut self, person: UserId, friends: &[UserId]) {
        match self {
            Self::Sqlite(loader) => loader.add_friends(person, friends),
            Self::MongoDb(loader) => loader.add_friends(person, friends).await,
        }
    }

    async fn add(&mut self, chat: &Chat) {
        match self {
            Self::Sqlite(loader) => loader.add(chat),
            Self::MongoDb(loader) => loader.add(chat).await,
        }
    }

    /// Returns when everything is on the disk.
    async fn finish(self) {
        match self {
            Self::Sqlite(loader) => loader.finish(),
            Self::MongoDb(loader) => loader.finish().await,
        }
    }
}

/// The moment of a number: that many milliseconds after the earliest message.
pub fn sent_at(number: u64) -> Timestamp {
    Timestamp::from_millis(BEGUN_AT).plus_millis(i64::try_from(number).expect("no later than that"))
}

/// The client's name of the message of a number.
fn client_id(seq: u64) -> String {
    format!("client-{seq}")
}
