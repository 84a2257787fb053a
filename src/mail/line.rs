//! The line to a mail server, in clear or encrypted, on which replies are ASCII whatever the server says: the three digits decide,
//! and what is no UTF-8 behind them must not look like a broken line.

#![allow(deprecated, reason = "lettre offers no other way to read above its TLS")]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::{AsyncNetworkStream, AsyncTokioStream, TlsParameters};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to a mail server. Clones are the same one; it is nobody's while it is being encrypted.
#[derive(Debug, Clone)]
pub(super) struct Line(Arc<Mutex<Option<AsyncNetworkStream>>>);

/// What is said on a [`Line`].
#[derive(Debug)]
struct Talk {
    line: Line,
    /// What is read first.
    beginning: &'static [u8],
}

impl Line {
    /// Connects to the first address that answers within `patience`; encrypted at once if there are parameters.
    pub(super) async fn connect(host: &str, port: u16, patience: Duration, tls: Option<TlsParameters>) -> Result<Self, SmtpError> {
        let stream = AsyncNetworkStream::connect_tokio1((host, port), Some(patience), tls, None).await?;
        Ok(Self(Arc::new(Mutex::new(Some(stream)))))
    }

    /// Encrypts what follows. After a failure the line is dead.
    pub(super) async fn encrypt(&self, tls: TlsParameters) -> Result<(), SmtpError> {
        let taken = self.stream().take();
        if let Some(mut stream) = taken {
            stream.upgrade_tls(tls).await?;
            *self.stream() = Some(stream);
        }
        Ok(())
    }

    /// A stream for lettre, on which `beginning` is read before anything that the server says.
    pub(super) fn talk(&self, beginning: &'static str) -> Box<dyn AsyncTokioStream> {
        Box::new(Talk { line: self.clone(), beginning: beginning.as_bytes() })
    }

    fn stream(&self) -> MutexGuard<'_, Option<AsyncNetworkStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll<T>(&self, act: impl FnOnce(Pin<&mut AsyncNetworkStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.stream() {
            Some(stream) => act(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Talk {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.beginning.is_empty() {
            let (now, later) = self.beginning.split_at(self.beginning.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.beginning = later;
            return Poll::Ready(Ok(()));
        }
        let free = buffer.initialize_unfilled();
        let count = ready!(self.line.poll(|stream| stream.poll_read(context, free)))?;
        free.iter_mut().take(count).filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Talk {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line.poll(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.poll(|stream| stream.poll_close(context))
    }
}

impl AsyncTokioStream for Talk {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.line.stream().as_ref().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), AsyncNetworkStream::peer_addr)
    }
}
