//! What the test programs share.

#[allow(dead_code, reason = "not every test program makes accounts past the application")]
pub mod accounts;
#[allow(dead_code, reason = "not every test program opens pages")]
pub mod browser;
#[allow(dead_code, reason = "not every test program goes by chance")]
pub mod chance;
#[allow(dead_code, reason = "not every test program moves a server's clock")]
pub mod clock_proxy;
#[allow(dead_code, reason = "not every test program kills servers")]
pub mod database_server;
#[allow(dead_code, reason = "not every test program runs in several ways")]
pub mod harness;
#[allow(dead_code, reason = "not every test program puts the real one behind a host")]
pub mod hosted;
#[allow(dead_code, reason = "not every test program asks how many wait")]
pub mod metrics;
pub mod mongodb;
#[allow(dead_code, reason = "not every test program may lack something")]
pub mod not_run;
#[allow(dead_code, reason = "not every test program puts something in between")]
pub mod proxy;
#[allow(dead_code, reason = "not every test program starts the real one")]
pub mod server;
#[allow(dead_code, reason = "not every test program gets mail")]
pub mod smtp;
#[allow(dead_code, reason = "not every test program speaks TLS")]
pub mod tls;
#[allow(dead_code, reason = "not every test program answers for a database")]
pub mod wire;
