//! A client's socket: notices a dead peer, and one that does not read its answer.
//!
//! A subscriber may leave its events unread for as long as it lives, as on TCP; so the socket has no time-out of the kernel's, and is checked now and then (`net::silence`). It lies beneath TLS.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::limits::{HTTP_UNREAD_TIMEOUT, PEER_LOOK_INTERVAL};
use crate::net::{Answers, Silence};

#[derive(Debug)]
pub(super) struct Alive {
    stream: TcpStream,
    /// Its client has subscribed: it may leave unread what it gets.
    is_subscriber: Arc<AtomicBool>,
    silence: Silence,
    began: Instant,
    looks: Interval,
    /// Since when the socket has taken nothing.
    full_since: Option<Instant>,
}

impl Alive {
    pub(super) fn new(stream: TcpStream, is_subscriber: Arc<AtomicBool>) -> Self {
        let mut looks = interval(PEER_LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            stream,
            is_subscriber,
            silence: Silence::default(),
            began: Instant::now(),
            looks,
            full_since: None,
        }
    }

    /// Looks whether the peer lives, where it is time for that.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            ready!(self.looks.poll_tick(cx));
            let now = self.began.elapsed();
            let answers = Answers::of(&self.stream);
            let is_dead = answers.is_ok_and(|it| self.silence.look(it, now));
            let is_unread = !self.is_subscriber.load(Ordering::Relaxed)
                && (self.full_since).is_some_and(|it| it.elapsed() >= HTTP_UNREAD_TIMEOUT);
            if is_dead || is_unread {
                return Poll::Ready(ErrorKind::TimedOut.into());
            }
        }
    }

    /// A write has come to this.
    fn note<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(_) => self.full_since = None,
            Poll::Pending => {
                self.full_since.get_or_insert_with(Instant::now);
            }
        }
        match self.poll_look(cx) {
            Poll::Ready(error) => Poll::Ready(Err(error)),
            Poll::Pending => written,
        }
    }
}

impl AsyncRead for Alive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Alive {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.note(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
