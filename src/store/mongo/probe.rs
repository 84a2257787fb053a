//! Tries every kind of command and every operator that this store uses, before anything is served: servers that speak MongoDB's
//! protocol differ in what they have, and what is missing would otherwise show with the first person who needs it.
//!
//! It works on the collection `probe`, on documents with random ids that it removes; what a process leaves there that dies on the way
//! ends by an index. A change stream is not tried, since there is another way to hear of changes (`change_query`).

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ReadConcern, ReturnDocument};
use mongodb::{Collection, Database};

use super::connection::DEADLINE;
use super::failure::{classify_read, classify_write, unless_duplicate};
use super::indexes;
use super::probe_operators::{CONDITIONS, EXPRESSIONS, Try, UPDATES, document, pipeline, update};
use crate::store::StoreError;

const PROBE: &str = "probe";
/// How long documents of a process that died are left.
const KEPT_MILLIS: i64 = 60 * 60 * 1_000;
/// Longest part of a server's message that is told.
const MAX_CHARS: usize = 160;

/// What a server lacks, in words.
#[derive(Debug, thiserror::Error)]
#[error("the server lacks what the program needs: {}", .0.join("; "))]
pub(super) struct Lacking(Vec<String>);

/// What came of a step: an error, or whether it did what it should.
type Tried = mongodb::error::Result<bool>;

/// Fails as unavailable with [`Lacking`] when the server cannot serve, and as any operation when it cannot be asked.
pub(super) async fn run(database: Database) -> Result<(), StoreError> {
    let probe = Probe { documents: database.collection(PROBE), id: Uuid::new(), missing: Vec::new() };
    let missing = probe.run().await.map_err(classify_read)?;
    if missing.is_empty() { Ok(()) } else { Err(StoreError::unavailable(Lacking(missing))) }
}

struct Probe {
    documents: Collection<Document>,
    /// Every document of this run has it.
    id: Uuid,
    missing: Vec<String>,
}

impl Probe {
    async fn run(mut self) -> mongodb::error::Result<Vec<String>> {
        let tried = self.steps().await;
        let removed = self.documents.delete_many(doc! { "run": self.id }).await.map(|removed| removed.deleted_count > 0);
        tried?;
        self.note("deleteMany", removed)?;
        Ok(self.missing)
    }

    async fn steps(&mut self) -> mongodb::error::Result<()> {
        let made = self.documents.create_indexes(indexes::of_the_probe()).max_time(DEADLINE).await.map(|_made| true);
        self.note("createIndexes with unique, partial and expiring ones", made)?;
        let expires_at = DateTime::from_millis(DateTime::now().timestamp_millis() + KEPT_MILLIS);
        let first = document(self.id, expires_at);
        let inserted = self.documents.insert_one(&first).await.map(|_inserted| true);
        if !self.note("insert", inserted)? {
            return Ok(());
        }
        let mut twin = first;
        twin.insert("_id", Uuid::new());
        let refused = unless_duplicate(self.documents.insert_one(twin).await).map(|inserted| inserted.is_none());
        self.note("a unique index that refuses a second document", refused)?;
        self.conditions().await?;
        self.updates().await?;
        self.expressions().await?;
        self.other_commands().await
    }

    async fn conditions(&mut self) -> mongodb::error::Result<()> {
        let all: Vec<Document> = CONDITIONS.iter().map(|condition| (condition.of)()).collect();
        if matches!(self.find(doc! { "$and": all }).await, Ok(true)) {
            return Ok(());
        }
        for condition in CONDITIONS {
            let found = self.find((condition.of)()).await;
            self.note(&format!("find with {}", condition.name), found)?;
        }
        Ok(())
    }

    async fn find(&self, condition: Document) -> Tried {
        let find = self.documents.find(doc! { "_id": self.id, "$and": [condition] }).sort(doc! { "_id": -1 }).limit(1).batch_size(1);
        let projection = doc! { "_id": 1, "list": { "$elemMatch": { "n": 2 } } };
        let found: Vec<Document> = find.projection(projection).max_time(DEADLINE).await?.try_collect().await?;
        let of_list = found.first().and_then(|found| found.get_array("list").ok());
        Ok(of_list.is_some_and(|list| list.len() == 1))
    }

    /// All at once and, where that does not do, each for itself.
    async fn updates(&mut self) -> mongodb::error::Result<()> {
        let filter = doc! { "_id": self.id, "list": { "$elemMatch": { "n": 1 } } };
        let updated = self.documents.update_one(filter.clone(), update(UPDATES)).await;
        if updated.is_ok() && self.has_all(UPDATES).await? {
            return Ok(());
        }
        for one in UPDATES {
            let updated = match self.documents.update_one(filter.clone(), update(std::slice::from_ref(one))).await {
                Ok(_) => self.has_all(std::slice::from_ref(one)).await,
                Err(error) => Err(error),
            };
            self.note(&format!("update with {}", one.name), updated)?;
        }
        Ok(())
    }

    async fn has_all(&self, tries: &[Try]) -> Tried {
        let found = self.documents.find_one(doc! { "_id": self.id }).read_concern(ReadConcern::local()).max_time(DEADLINE).await?;
        Ok(found.is_some_and(|found| tries.iter().all(|one| one.is_done(&found))))
    }

    async fn expressions(&mut self) -> mongodb::error::Result<()> {
        if matches!(self.compute(EXPRESSIONS).await, Ok(true)) {
            return Ok(());
        }
        for one in EXPRESSIONS {
            let computed = self.compute(std::slice::from_ref(one)).await;
            self.note(&format!("findAndModify by a pipeline with {}", one.name), computed)?;
        }
        Ok(())
    }

    async fn compute(&self, tries: &[Try]) -> Tried {
        let update = self.documents.find_one_and_update(doc! { "_id": self.id }, pipeline(tries)).return_document(ReturnDocument::After);
        let projection = tries.iter().map(|one| (one.field.to_owned(), Bson::from(1))).collect::<Document>();
        let computed = update.sort(doc! { "at": 1 }).projection(projection).await?;
        Ok(computed.is_some_and(|computed| tries.iter().all(|one| one.is_done(&computed))))
    }

    async fn other_commands(&mut self) -> mongodb::error::Result<()> {
        let (upserted, on_insert) = (Uuid::new(), doc! { "$setOnInsert": { "run": self.id, "n": 1 } });
        let before = self.documents.find_one_and_update(doc! { "_id": upserted }, on_insert.clone()).upsert(true);
        let made = before.return_document(ReturnDocument::Before).await.map(|before| before.is_none());
        self.note("findAndModify with upsert and $setOnInsert", made)?;
        let again = self.documents.update_one(doc! { "_id": upserted }, on_insert).upsert(true).await;
        self.note("update with upsert", again.map(|again| again.matched_count == 1 && again.modified_count == 0))?;
        let positional = doc! { "$set": { "list.$[entry].n": 9 } };
        let by_filter =
            self.documents.update_one(doc! { "_id": self.id }, positional).array_filters([doc! { "entry.n": { "$gte": 2 } }]).await;
        self.note("update with arrayFilters", by_filter.map(|updated| updated.modified_count == 1))?;
        let many = self.documents.update_many(doc! { "run": self.id }, doc! { "$set": { "n": 2 } }).await;
        self.note("updateMany", many.map(|many| many.matched_count == 2))?;
        let sum = self.sum().await;
        self.note("aggregate with $match, $group and $sum", sum)?;
        let deleted = self.documents.delete_one(doc! { "_id": upserted }).await;
        self.note("deleteOne", deleted.map(|deleted| deleted.deleted_count == 1)).map(drop)
    }

    async fn sum(&self) -> Tried {
        let stages = [doc! { "$match": { "run": self.id } }, doc! { "$group": { "_id": null, "sum": { "$sum": "$n" } } }];
        let sums: Vec<Document> = self.documents.aggregate(stages).max_time(DEADLINE).await?.try_collect().await?;
        Ok(sums.first().and_then(|sum| sum.get("sum")).is_some_and(|sum| super::probe_operators::is_same(sum, &Bson::from(4))))
    }

    /// Whether a step did what it should; if the server refused it or did something else, that is lacking. Any other failure says
    /// nothing about what the server has.
    fn note(&mut self, what: &str, tried: Tried) -> mongodb::error::Result<bool> {
        match tried {
            Ok(true) => return Ok(true),
            Ok(false) => self.missing.push(format!("{what} (it does something else)")),
            Err(error) => match refusal(&error) {
                Some(message) => self.missing.push(format!("{what} ({message})")),
                None => return Err(error),
            },
        }
        Ok(false)
    }
}

/// What a server says that refuses a command for good, in a line. It may quote, since what it got was made up here.
fn refusal(error: &Error) -> Option<String> {
    if !matches!(classify_write(error.clone()), StoreError::Broken(_)) {
        return None;
    }
    let (code, message) = match error.kind.as_ref() {
        // Who may do what is nothing that a server lacks.
        ErrorKind::Command(error) if ![13, 18, 8_000].contains(&error.code) => (error.code, &error.message),
        ErrorKind::Write(WriteFailure::WriteError(error)) => (error.code, &error.message),
        _ => return None,
    };
    let message = message.replace(char::is_control, " ");
    Some(format!("code {code}: {}", message.chars().take(MAX_CHARS).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// The operators and variables that a source names, and the driver's methods that become commands or options of them.
    fn named(source: &str) -> BTreeSet<String> {
        const METHODS: [&str; 20] = [
            "insert_one",
            "insert_many",
            "find_one",
            "find_one_and_update",
            "find_one_and_delete",
            "find_one_and_replace",
            "replace_one",
            "update_one",
            "update_many",
            "delete_one",
            "delete_many",
            "aggregate",
            "create_indexes",
            "count_documents",
            "distinct",
            "upsert",
            "return_document",
            "array_filters",
            "hint",
            "collation",
        ];
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let methods = METHODS.iter().filter(|method| source.contains(&format!(".{method}("))).map(|method| (*method).to_owned());
        let literals = source.split('"').skip(1).step_by(2).zip(source.split('"').skip(2).step_by(2));
        let operators = literals.filter(|(literal, after)| {
            let is_key = after.trim_start().starts_with(':') || after.trim_start().starts_with(", doc!");
            let is_variable = matches!(*literal, "$$NOW" | "$$REMOVE" | "$$ROOT" | "$$CURRENT");
            let is_word =
                literal.strip_prefix('$').is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()) && !word.is_empty());
            is_variable || is_word && is_key
        });
        methods.chain(operators.map(|(literal, _)| literal.to_owned())).collect()
    }

    #[test]
    fn whatever_the_store_uses_is_tried_before() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/mongo");
        let (mut used, mut tried) = (BTreeSet::new(), BTreeSet::new());
        let files = |folder| fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
        let (folders, files_here): (Vec<_>, Vec<_>) = files(folder).partition(|path| path.is_dir());
        for file in files_here.into_iter().chain(folders.into_iter().flat_map(files)) {
            let source = fs::read_to_string(&file).expect("a source");
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            match name.as_str() {
                "probe.rs" | "probe_operators.rs" => tried.extend(named(&source)),
                // It does without the change stream where there is none.
                "change_stream.rs" => {}
                _ => used.extend(named(&source)),
            }
        }
        assert!(used.len() > 40 && used.contains("$indexOfArray") && used.contains("$max") && used.contains("upsert"), "{used:?}");
        assert_eq!(used.difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new(), "add them to probe_operators.rs or probe.rs");
    }
}
