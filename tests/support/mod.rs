//! What the test programs share.

pub mod harness;
pub mod mongodb;
