//! The subscriptions of HTTP, by the beginning of their events' ids: those that are open, for whoever
//! acknowledges, and for a while those that have ended, for a client that reconnects.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use super::feed::{Feed, Left};
use crate::counters::{Counter, Counters};
use crate::limits::HTTP_RESUME_MAX;
use crate::message::frame_mark::FrameMarker;
use crate::net::bridge::Bridge;

/// Whose a subscription is, and of what: nobody else may acknowledge it or go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// `None`: users are not asked for.
    pub(super) user: Option<Box<str>>,
    pub(super) destination: String,
}

/// An open subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) owner: Owner,
    pub(super) bridge: Bridge,
    feed: Mutex<Feed>,
    /// Frames whose events were handed to the client's connection.
    handed: AtomicU64,
    /// Of the task that waits for an acknowledgement.
    waker: Mutex<Option<Waker>>,
    /// Its client has come again on another connection.
    is_superseded: AtomicBool,
}

impl Subscription {
    pub(super) fn new(id: u64, owner: Owner, bridge: Bridge, feed: Feed) -> Self {
        Self {
            id,
            owner,
            bridge,
            feed: Mutex::new(feed),
            handed: AtomicU64::new(0),
            waker: Mutex::default(),
            is_superseded: AtomicBool::new(false),
        }
    }

    pub(super) fn feed(&self) -> MutexGuard<'_, Feed> {
        lock(&self.feed)
    }

    /// The events of all frames so far go to the client's connection.
    pub(super) fn note_handed(&self) {
        self.handed.store(self.feed().last(), Ordering::Relaxed);
    }

    /// All that was handed to the client's connection is in its socket, and it wants to acknowledge
    /// nothing by itself.
    pub(super) fn note_written(&self) {
        let handed = self.handed.load(Ordering::Relaxed);
        self.feed().acknowledge(handed);
        // An agent that takes nothing now is asked again behind the next write.
        let _ = self.try_send_due();
        self.wake();
    }

    /// Whether nothing more is to be taken from the agent; the task is woken when that changes.
    pub(super) fn poll_full(&self, cx: &Context<'_>) -> bool {
        if !self.feed().is_full() {
            return false;
        }
        *lock(&self.waker) = Some(cx.waker().clone());
        // An acknowledgement may have come between the two.
        self.feed().is_full()
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.is_superseded.load(Ordering::Relaxed)
    }

    /// Passes an acknowledgement on that the agent has not got. `false`: the agent takes none now.
    ///
    /// # Errors
    /// The agent is gone.
    pub(super) fn try_send_due(&self) -> io::Result<bool> {
        let Some(through) = self.feed().take_due() else {
            return Ok(true);
        };
        // So few bytes are taken whole or not at all.
        let line = format!("{{\"ack\":{through}}}\n");
        match self.bridge.stream().try_write(line.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.feed().owe_again(through);
                Ok(false)
            }
            written => written.map(|_| true),
        }
    }

    /// The same, as soon as the agent takes it.
    pub(super) async fn send_due(&self) -> io::Result<()> {
        while !self.try_send_due()? {
            self.bridge.stream().writable().await?;
        }
        Ok(())
    }

    /// Some frames were acknowledged: more may be taken.
    pub(super) fn wake(&self) {
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
    }

    /// Ends it, for its client has come again; returns once the engine has taken its acknowledgements and
    /// what it owes is handed out anew.
    pub(super) async fn supersede(&self) -> io::Result<Left> {
        self.send_due().await?;
        self.is_superseded.store(true, Ordering::Relaxed);
        self.wake();
        self.bridge.shut_down();
        let mut unsent = Vec::new();
        while self.bridge.read(&mut unsent).await? > 0 {
            unsent.clear();
        }
        Ok(self.feed().leave())
    }
}

/// What is known of a subscription by its id.
pub(super) enum Known {
    Open(Arc<Subscription>),
    Ended(Left),
    No,
}

#[derive(Debug)]
struct Ended {
    id: u64,
    owner: Owner,
    at: Instant,
    left: Left,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Subscriptions {
    open: Mutex<HashMap<u64, Arc<Subscription>>>,
    /// Oldest first.
    ended: Mutex<VecDeque<Ended>>,
    ended_max: usize,
    pub(super) marker: FrameMarker,
    counters: Arc<Counters>,
}

impl Subscriptions {
    /// None yet; at most `ended_max` are remembered that have ended.
    pub(super) fn new(ended_max: usize, counters: Arc<Counters>) -> Self {
        Self {
            open: Mutex::default(),
            ended: Mutex::default(),
            ended_max,
            marker: FrameMarker::default(),
            counters,
        }
    }

    pub(super) fn add(&self, subscription: &Arc<Subscription>) {
        self.counters.add(Counter::HttpSubscribers, 1);
        lock(&self.open).insert(subscription.id, Arc::clone(subscription));
    }

    /// A subscription is over: its client is gone, or the agent.
    pub(super) fn remove(&self, subscription: &Subscription) {
        self.counters.subtract(Counter::HttpSubscribers, 1);
        lock(&self.open).remove(&subscription.id);
        if !subscription.is_superseded() {
            let left = subscription.feed().leave();
            self.remember(subscription.id, subscription.owner.clone(), left);
        }
    }

    /// It may be gone on with.
    pub(super) fn remember(&self, id: u64, owner: Owner, left: Left) {
        let mut ended = lock(&self.ended);
        let at = Instant::now();
        ended.push_back(Ended {
            id,
            owner,
            at,
            left,
        });
        while ended.len() > self.ended_max
            || (ended.front()).is_some_and(|it| at.duration_since(it.at) > HTTP_RESUME_MAX)
        {
            ended.pop_front();
        }
    }

    /// The open one that has this id.
    pub(super) fn open(&self, id: u64) -> Option<Arc<Subscription>> {
        lock(&self.open).get(&id).cloned()
    }

    /// Whether one that had this id has ended.
    pub(super) fn has_ended(&self, id: u64) -> bool {
        lock(&self.ended).iter().any(|it| it.id == id)
    }

    /// The subscription that its owner goes on with. One that has ended is forgotten by that.
    pub(super) fn take(&self, id: u64, owner: &Owner) -> Known {
        if let Some(open) = self.open(id).filter(|it| it.owner == *owner) {
            return Known::Open(open);
        }
        let mut ended = lock(&self.ended);
        let at = ended
            .iter()
            .position(|it| it.id == id && it.owner == *owner && it.at.elapsed() <= HTTP_RESUME_MAX);
        let found = at.and_then(|at| ended.remove(at));
        found.map_or(Known::No, |it| Known::Ended(it.left))
    }
}

/// A task that died while it held the lock has ended the process.
fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
