//! What a server keeps, read and written past the program, for the few tests that cannot do it through the API.

use std::path::PathBuf;

use mongodb::bson::{Bson, DateTime, Document, Uuid as BsonUuid, doc};
use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::client::Person;

/// The database behind a server.
pub enum Database {
    MongoDb(mongodb::Database),
    /// The file, beside the process that has it open.
    Sqlite(PathBuf),
}

impl Database {
    /// How the client programs of a person's sessions named themselves, oldest session first.
    pub async fn db_user_agents(&self, person: &Person) -> Vec<Option<String>> {
        match self {
            Self::MongoDb(database) => {
                let user = users(database).find_one(doc! { "_id": key(person) }).await.expect("an answer").expect("a user");
                let sessions = user.get_array("sessions").expect("the sessions").iter().filter_map(Bson::as_document);
                let mut sessions: Vec<_> = sessions.collect();
                sessions.sort_by_key(|session| session.get_datetime("createdAt").copied().expect("a time"));
                sessions.into_iter().map(|session| session.get_str("userAgent").ok().map(str::to_owned)).collect()
            }
            Self::Sqlite(file) => {
                let connection = open(file);
                let mut query = connection.prepare("SELECT user_agent FROM sessions WHERE user = ? ORDER BY created_at").expect("a query");
                let rows = query.query_map([id(person).as_bytes()], |row| row.get(0)).expect("rows");
                rows.map(|row| row.expect("a row")).collect()
            }
        }
    }

    /// Plants a hash as the one of a person's password.
    pub async fn db_set_password_hash(&self, person: &Person, hash: &str) {
        let changed = match self {
            Self::MongoDb(database) => {
                let update = doc! { "$set": { "passwordHash": hash } };
                users(database).update_one(doc! { "_id": key(person) }, update).await.expect("an answer").modified_count
            }
            Self::Sqlite(file) => {
                let user = id(person);
                let row = params![hash, user.as_bytes()];
                open(file).execute("UPDATE users SET password_hash = ? WHERE id = ?", row).expect("a change") as u64
            }
        };
        assert_eq!(changed, 1);
    }

    /// Gives a person without friends `count` of them, who do not exist.
    pub async fn db_fill_friends(&self, person: &Person, count: usize) {
        let friends: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        match self {
            Self::MongoDb(database) => {
                let friend = |id: &Uuid| doc! { "id": BsonUuid::from_bytes(id.into_bytes()), "addedAt": DateTime::now() };
                let friends: Vec<Document> = friends.iter().map(friend).collect();
                let update = doc! { "$set": { "friends": friends } };
                let updated = users(database).update_one(doc! { "_id": key(person) }, update).await.expect("an answer");
                assert_eq!(updated.modified_count, 1);
            }
            Self::Sqlite(file) => {
                let (user, mut connection) = (id(person), open(file));
                let transaction = connection.transaction().expect("a transaction");
                for friend in friends {
                    let row = params![user.as_bytes(), friend.as_bytes()];
                    transaction.execute("INSERT INTO friends (user, friend, added_at) VALUES (?, ?, 0)", row).expect("a row");
                }
                transaction.commit().expect("committed");
            }
        }
    }
}

impl Database {
    /// Has a person without blocks block `count` people, who do not exist.
    pub async fn db_fill_blocks(&self, person: &Person, count: usize) {
        let blocked: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        match self {
            Self::MongoDb(database) => {
                let blocked: Vec<BsonUuid> = blocked.iter().map(|id| BsonUuid::from_bytes(id.into_bytes())).collect();
                let update = doc! { "$set": { "blocks": blocked } };
                let updated = users(database).update_one(doc! { "_id": key(person) }, update).await.expect("an answer");
                assert_eq!(updated.modified_count, 1);
            }
            Self::Sqlite(file) => {
                let (user, mut connection) = (id(person), open(file));
                let transaction = connection.transaction().expect("a transaction");
                for blocked in blocked {
                    let row = params![user.as_bytes(), blocked.as_bytes()];
                    transaction.execute("INSERT INTO blocks (user, blocked, blocked_at) VALUES (?, ?, 0)", row).expect("a row");
                }
                transaction.commit().expect("committed");
            }
        }
    }
}

/// What is done to the counters of the limits, and to nothing else.
impl Database {
    /// Has every write to them fail.
    pub async fn db_break_counters(&self) {
        self.db_change_counters(doc! { "impossible": { "$exists": true } }, "ALTER TABLE throttle_events RENAME TO broken").await;
    }

    /// Has writes to them succeed again.
    pub async fn db_mend_counters(&self) {
        self.db_change_counters(Document::new(), "ALTER TABLE broken RENAME TO throttle_events").await;
    }

    async fn db_change_counters(&self, validator: Document, statement: &str) {
        match self {
            Self::MongoDb(database) => {
                let command = doc! { "collMod": "throttles", "validator": validator };
                database.run_command(command).await.expect("an answer");
            }
            Self::Sqlite(file) => drop(open(file).execute(statement, []).expect("a statement that is right")),
        }
    }
}

fn users(database: &mongodb::Database) -> mongodb::Collection<Document> {
    database.collection("users")
}

fn id(person: &Person) -> Uuid {
    Uuid::parse_str(&person.id).expect("an id")
}

fn key(person: &Person) -> BsonUuid {
    BsonUuid::from_bytes(id(person).into_bytes())
}

fn open(file: &PathBuf) -> Connection {
    let connection = Connection::open(file).expect("the database file");
    connection.busy_timeout(std::time::Duration::from_secs(10)).expect("a setting");
    connection
}
