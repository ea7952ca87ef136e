//! The body of an event stream: reads the delivery agent as fast as the client takes events, and no
//! faster. Silence is broken by a comment now and then.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep};

use super::server::Shared;
use super::subscriptions::Subscription;
use crate::limits::HTTP_HEARTBEAT;
use crate::net::paused_line;

/// A line that is no event.
const COMMENT: &[u8] = b":\n\n";

pub(super) struct Events {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    /// What comes first.
    first: Vec<u8>,
    bytes: Vec<u8>,
    heartbeat: Pin<Box<Sleep>>,
    /// The client knows why there are no more.
    is_told: bool,
}

impl Events {
    /// Of a subscription that stands; `first` comes before all that the agent sends.
    pub(super) fn new(
        shared: Arc<Shared>,
        subscription: Arc<Subscription>,
        first: Vec<u8>,
    ) -> Self {
        shared.subscriptions.add(&subscription);
        Self {
            shared,
            subscription,
            first,
            bytes: Vec::new(),
            heartbeat: Box::pin(sleep(HTTP_HEARTBEAT)),
            is_told: false,
        }
    }

    /// Events go to the client.
    fn hand(&mut self, events: Vec<u8>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let next = Instant::now() + HTTP_HEARTBEAT;
        self.heartbeat.as_mut().reset(next);
        self.subscription.note_handed();
        Poll::Ready(Some(Ok(events.into())))
    }

    /// Why the agent has ended its side without a word, once.
    fn last_words(&mut self) -> Option<Vec<u8>> {
        if self.is_told || self.subscription.is_superseded() || self.shared.lease.may_serve() {
            return None;
        }
        self.is_told = true;
        let mut events = Vec::new();
        (self.subscription.feed()).close(paused_line().as_bytes(), &mut events);
        Some(events)
    }

    /// What the agent has sent; `None`: it has ended its side.
    fn poll_agent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let subscription = Arc::clone(&self.subscription);
        let mut events = Vec::new();
        while events.is_empty() {
            if subscription.is_superseded() {
                return Poll::Ready(None);
            }
            if subscription.poll_full(cx) {
                return Poll::Pending;
            }
            match subscription.bridge.stream().poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
            self.bytes.clear();
            match subscription.bridge.try_read(&mut self.bytes) {
                Ok(0) => return Poll::Ready(None),
                Ok(_) => subscription.feed().take(&self.bytes, &mut events),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(None),
            }
            // Of what the client was done with before. An agent that is gone is seen by the next read.
            let _ = subscription.try_send_due();
        }
        Poll::Ready(Some(events))
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            return self.hand(first);
        }
        match self.poll_agent(cx) {
            Poll::Ready(Some(events)) => self.hand(events),
            Poll::Ready(None) => match self.last_words() {
                Some(words) => self.hand(words),
                None => Poll::Ready(None),
            },
            Poll::Pending => match self.heartbeat.as_mut().poll(cx) {
                Poll::Ready(()) => self.hand(COMMENT.to_vec()),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.subscriptions.remove(&self.subscription);
    }
}
