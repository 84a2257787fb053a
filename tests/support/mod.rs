//! What the test programs share.

pub mod harness;
pub mod mongodb;
#[allow(dead_code, reason = "not every test program puts something in between")]
pub mod proxy;
#[allow(dead_code, reason = "not every test program starts the real one")]
pub mod server;
