//! Parts of pipeline updates. Values stand in them as literals, lest a `$` in what somebody typed be read as the name of
//! a field.

use mongodb::bson::{Bson, Document, doc};

/// A value as it is.
pub(super) fn literal(value: impl Into<Bson>) -> Document {
    doc! { "$literal": value }
}

/// An array of the document, empty when it has none: older documents lack some.
pub(super) fn array(field: &str) -> Document {
    doc! { "$ifNull": [format!("${field}"), []] }
}
