//! What the kernel is told of the connections of a listener: a client that takes nothing is let go of.
//!
//! The framework knows no time for writing, and asks no body for more while what it has written before is not taken. So the kernel
//! is to keep little for each connection and to give up one whose client takes nothing. Connections inherit both from their listener.

use std::io;
use std::net::TcpListener;

/// Bytes that a connection may have waiting in the kernel, which doubles the number for what it needs itself.
#[cfg(target_os = "linux")]
const BUFFER_BYTES: usize = 64 * 1024;
/// How long a client may take nothing of what waits for it, in milliseconds.
#[cfg(target_os = "linux")]
const PATIENCE_MILLIS: u32 = 30_000;

/// Prepares a listener. Where there are no such options, on a laptop, nothing is told.
#[cfg(target_os = "linux")]
pub(super) fn let_go_of_who_does_not_read(listener: &TcpListener) -> io::Result<()> {
    rustix::net::sockopt::set_socket_send_buffer_size(listener, BUFFER_BYTES)?;
    Ok(rustix::net::sockopt::set_tcp_user_timeout(listener, PATIENCE_MILLIS)?)
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "where there are options they may fail")]
pub(super) fn let_go_of_who_does_not_read(_: &TcpListener) -> io::Result<()> {
    Ok(())
}
