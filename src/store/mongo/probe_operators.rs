//! The operators that the [probe](super::probe) tries, each with what it has to come to on the probe's document.

use mongodb::bson::{Bson, DateTime, Document, Uuid, doc};

/// A condition that the document fulfils.
pub(super) struct Condition {
    pub(super) name: &'static str,
    pub(super) of: fn() -> Document,
}

/// A change of one field.
pub(super) struct Try {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    /// The operator of an update with its operand, or an expression as `e`.
    change: fn() -> Document,
    /// What the field is then; `None` when it is not there.
    outcome: fn() -> Option<Bson>,
}

/// A field whose value is an instant that the server chooses.
const SOME_INSTANT: Bson = Bson::DateTime(DateTime::MAX);

impl Try {
    pub(super) fn is_done(&self, document: &Document) -> bool {
        match ((self.outcome)(), document.get(self.field)) {
            (None, None) => true,
            (Some(expected), Some(found)) => is_same(found, &expected),
            _ => false,
        }
    }
}

/// Whether two values are the same, whatever number types the server computes with. Of an instant that the server chooses only the type
/// is compared.
pub(super) fn is_same(found: &Bson, expected: &Bson) -> bool {
    match (found, expected) {
        (Bson::DateTime(_), Bson::DateTime(DateTime::MAX)) => true,
        (Bson::Array(found), Bson::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| is_same(found, expected))
        }
        (Bson::Document(found), Bson::Document(expected)) => {
            found.len() == expected.len() && expected.iter().all(|(name, value)| found.get(name).is_some_and(|found| is_same(found, value)))
        }
        _ => found == expected || number(found).zip(number(expected)).is_some_and(|(found, expected)| found.total_cmp(&expected).is_eq()),
    }
}

fn number(value: &Bson) -> Option<f64> {
    match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Double(number) => Some(*number),
        // Those here are small.
        Bson::Int64(number) => i32::try_from(*number).ok().map(f64::from),
        _ => None,
    }
}

/// The document that all is tried on.
pub(super) fn document(id: Uuid, expires_at: DateTime) -> Document {
    doc! {
        "_id": id,
        "run": id,
        "key": id.to_string(),
        "n": 1,
        "text": "Ab",
        "at": DateTime::from_millis(1_000),
        "list": [{ "n": 1, "at": DateTime::from_millis(1_000) }, { "n": 2, "at": DateTime::from_millis(2_000) }],
        "numbers": [1, 2, 3],
        "pushed": [{ "n": 1 }],
        "pulled": [1, 2],
        "gone": 1,
        "expiresAt": expires_at,
    }
}

/// An update by operators, all of those at once.
pub(super) fn update(tries: &[Try]) -> Document {
    let mut update = Document::new();
    for (operator, operand) in tries.iter().flat_map(|one| (one.change)()) {
        match (update.get_document_mut(&operator), operand) {
            (Ok(operands), Bson::Document(operand)) => operands.extend(operand),
            (_, operand) => {
                update.insert(operator, operand);
            }
        }
    }
    update
}

/// An update by a pipeline that gives each field its expression.
pub(super) fn pipeline(tries: &[Try]) -> Vec<Document> {
    let fields: Document = tries.iter().filter_map(|one| (one.change)().remove("e").map(|value| (one.field.to_owned(), value))).collect();
    vec![doc! { "$set": fields }]
}

pub(super) const CONDITIONS: &[Condition] = &[
    Condition { name: "$eq, $ne, $in and $nin", of: || doc! { "n": { "$eq": 1, "$ne": 2, "$in": [1, 2], "$nin": [2] } } },
    Condition { name: "$gt, $gte, $lt and $lte", of: || doc! { "n": { "$gt": 0, "$gte": 1, "$lt": 2, "$lte": 1 } } },
    Condition { name: "$exists", of: || doc! { "list.1": { "$exists": true }, "list.2": { "$exists": false } } },
    Condition { name: "$not", of: || doc! { "nothing.at": { "$not": { "$gt": DateTime::from_millis(0) } } } },
    Condition { name: "null for what is not there", of: || doc! { "nothing": null } },
    Condition { name: "$elemMatch", of: || doc! { "list": { "$elemMatch": { "n": 2, "at": DateTime::from_millis(2_000) } } } },
    Condition { name: "$elemMatch of a value", of: || doc! { "numbers": { "$elemMatch": { "$eq": 2 } } } },
    Condition { name: "a value of an array", of: || doc! { "numbers": 2, "list.n": { "$ne": 3 } } },
    Condition { name: "$or and $and", of: || doc! { "$or": [{ "n": 2 }, { "$and": [{ "n": 1 }, { "text": "Ab" }] }] } },
];

pub(super) const UPDATES: &[Try] = &[
    Try { name: "$set", field: "set", change: || doc! { "$set": { "set": 1 } }, outcome: || Some(1.into()) },
    Try {
        name: "$set of the element that matched",
        field: "list",
        change: || doc! { "$set": { "list.$.at": DateTime::from_millis(3_000) } },
        outcome: || {
            let entry = |n: i32, at: i64| doc! { "n": n, "at": DateTime::from_millis(at) };
            Some(Bson::from([entry(1, 3_000), entry(2, 2_000)]))
        },
    },
    Try { name: "$unset", field: "gone", change: || doc! { "$unset": { "gone": "" } }, outcome: || None },
    Try { name: "$max", field: "max", change: || doc! { "$max": { "max": { "n": 1 } } }, outcome: || Some(doc! { "n": 1 }.into()) },
    Try { name: "$min", field: "min", change: || doc! { "$min": { "min": 1 } }, outcome: || Some(1.into()) },
    Try { name: "$inc", field: "inc", change: || doc! { "$inc": { "inc": 1 } }, outcome: || Some(1.into()) },
    Try { name: "$currentDate", field: "now", change: || doc! { "$currentDate": { "now": true } }, outcome: || Some(SOME_INSTANT) },
    Try { name: "$pull", field: "pulled", change: || doc! { "$pull": { "pulled": { "$gte": 2 } } }, outcome: || Some([1].to_vec().into()) },
    Try {
        name: "$push with $each, $sort and $slice",
        field: "pushed",
        change: || doc! { "$push": { "pushed": { "$each": [{ "n": 2 }], "$sort": { "n": -1 }, "$slice": 1 } } },
        outcome: || Some(Bson::from([doc! { "n": 2 }])),
    },
];

pub(super) const EXPRESSIONS: &[Try] = &[
    Try { name: "$literal", field: "e1", change: || doc! { "e": { "$literal": "$a" } }, outcome: || Some("$a".into()) },
    Try {
        name: "$ifNull",
        field: "e2",
        change: || doc! { "e": { "$ifNull": ["$nothing", []] } },
        outcome: || Some(Bson::Array(Vec::new())),
    },
    Try { name: "$$REMOVE", field: "e3", change: || doc! { "e": { "$ifNull": ["$nothing", "$$REMOVE"] } }, outcome: || None },
    Try { name: "$$NOW", field: "e4", change: || doc! { "e": "$$NOW" }, outcome: || Some(SOME_INSTANT) },
    Try {
        name: "$cond, $and, $or, $not, $eq, $ne, $gt, $gte, $lt and $lte",
        field: "e5",
        change: || {
            let both = doc! { "$and": [{ "$eq": ["$n", 1] }, { "$ne": ["$n", 2] }, { "$lt": ["$n", 2] }, { "$gte": ["$n", 1] }] };
            let either = doc! { "$or": [{ "$not": [both.clone()] }, { "$and": [both, { "$gt": ["$n", 0] }, { "$lte": ["$n", 1] }] }] };
            doc! { "e": { "$cond": [either, 1, 2] } }
        },
        outcome: || Some(1.into()),
    },
    Try {
        name: "$map and $mergeObjects",
        field: "e6",
        change: || {
            let merged = doc! { "$mergeObjects": [{ "n": "$$one" }, { "m": 1 }] };
            doc! { "e": { "$map": { "input": "$numbers", "as": "one", "in": merged } } }
        },
        outcome: || Some(Bson::from([1, 2, 3].map(|n| doc! { "n": n, "m": 1 }))),
    },
    Try {
        name: "$filter",
        field: "e7",
        change: || doc! { "e": { "$filter": { "input": "$numbers", "as": "one", "cond": { "$ne": ["$$one", 2] } } } },
        outcome: || Some([1, 3].to_vec().into()),
    },
    Try {
        name: "$concatArrays and $slice",
        field: "e8",
        change: || doc! { "e": { "$slice": [{ "$concatArrays": ["$numbers", [4]] }, 2] } },
        outcome: || Some([1, 2].to_vec().into()),
    },
    Try {
        name: "$let, $arrayElemAt, $indexOfArray, $min and $max",
        field: "e9",
        change: || {
            let place = doc! { "$indexOfArray": ["$numbers", { "$max": ["$n", { "$min": "$numbers" }, 3] }] };
            doc! { "e": { "$let": { "vars": { "one": { "$arrayElemAt": ["$numbers", place] } }, "in": "$$one" } } }
        },
        outcome: || Some(3.into()),
    },
    Try { name: "$size", field: "e10", change: || doc! { "e": { "$size": "$numbers" } }, outcome: || Some(3.into()) },
    Try {
        name: "$toLower and $concat",
        field: "e11",
        change: || doc! { "e": { "$concat": [{ "$toLower": "$text" }, "c"] } },
        outcome: || Some("abc".into()),
    },
    Try {
        name: "$in, and $slice from the end",
        field: "e13",
        change: || {
            let last = doc! { "$slice": ["$numbers", -2] };
            doc! { "e": { "$filter": { "input": last, "as": "one", "cond": { "$in": ["$$one", [1, 3]] } } } }
        },
        outcome: || Some([3].to_vec().into()),
    },
    Try {
        name: "a date compared to another",
        field: "e12",
        change: || doc! { "e": { "$gt": ["$at", DateTime::from_millis(0)] } },
        outcome: || Some(true.into()),
    },
];
