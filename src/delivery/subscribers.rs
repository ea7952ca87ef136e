//! The core of a delivery agent: all its subscribers.
//!
//! The agent feeds it what sockets gave and took, the scheduler's commands and the time; it gives what
//! is to be read and written, events for the scheduler, and what is to be done with sockets. It owns
//! no socket, and keeps no message for later: what it was handed and could not deliver, the scheduler
//! still has.
//!
//! ```text
//!  ToDelivery --> [ outboxes ] --gather--> bytes    bytes --read_next-> [ lines, lookups ]
//!  FromDelivery <-- next_event -- [ reports ]       next_action --> shut down, close
//! ```

mod changing;
mod connection_log;
mod deadlines;
mod leaving;
#[cfg(test)]
mod model;
#[cfg(test)]
mod peer;
mod reading;
mod retiring;
#[cfg(test)]
mod tests;
mod users;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::connection_log::{ConnectionLog, DESTINATIONS_LOGGED};
use super::protocol::{Consent, FromDelivery, SubscriberKey, ToDelivery};
use super::subscriber::{Phase, Subscriber};
use crate::access::Users;
use crate::arena::{EndedLeases, Lease, View};
use crate::clock::Now;
use crate::config::Delivery;
use crate::counters::{Counter, Counters};
use crate::limits::{RETIRING_MAX, SUBSCRIBER_LINE_LEN_MAX, SUBSCRIBER_LONG_READ_LEN_MAX};
use crate::log_limit::LogLimit;
use crate::message::{DestinationIndex, Directory};
use crate::net::Key;
use crate::net::framer::ReadBuffer;
use crate::net::misdirected::Ports;

/// After how long a subscriber is disconnected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// It has not subscribed.
    pub(crate) greeting_ns: u64,
    /// It owes acknowledgements.
    pub(crate) ack_ns: u64,
    /// Its socket has taken nothing; `None`: it stays.
    pub(crate) unread_ns: Option<u64>,
}

impl Timeouts {
    /// As the settings say.
    pub(crate) fn new(settings: &Delivery) -> Self {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            greeting_ns: ns(settings.greeting_timeout),
            ack_ns: ns(settings.ack_timeout),
            unread_ns: Some(ns(settings.unread_timeout)).filter(|ns| *ns > 0),
        }
    }
}

/// What is to be done with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketAction {
    /// To end the engine's side.
    ShutDown(Key),
    /// To close it; the key is free then.
    Close(Key, Option<SocketAddr>),
}

/// See the module.
///
/// A subscriber stands in `readable`, `lookups`, `write_pending` and `reporting` once at most, as its
/// own flags say. Its key stays taken from `Gone` until the scheduler's `Forget`, for frames for it may be
/// in the ring meanwhile, and until its socket is closed: one that is sent away may read why.
pub(super) struct Subscribers {
    timeouts: Timeouts,
    ports: Ports,
    view: View,
    destinations: Directory,
    counters: Arc<Counters>,
    table: Vec<Option<Subscriber>>,
    /// Subscribers that may have something to read, in turn.
    readable: VecDeque<Key>,
    /// Subscribers whose subscriptions are on their way, in turn.
    lookups: VecDeque<Key>,
    write_pending: VecDeque<Key>,
    /// Subscribers with events for the scheduler.
    reporting: VecDeque<Key>,
    actions: VecDeque<SocketAction>,
    /// Leases that have ended and are not on their way.
    ended_leases: EndedLeases,
    /// Names of lower numbers were compared with the subscribers' patterns.
    matched_names: u64,
    /// Destinations that are forgotten, of which the scheduler was not told.
    released: VecDeque<(DestinationIndex, Consent)>,
    /// Bytes of unfinished long lines.
    long_len: usize,
    buffer: ReadBuffer,
    tick_at_ns: u64,
    log_cut: LogLimit,
    log_refused: LogLimit,
    /// Who may subscribe.
    users: Arc<Users>,
    log: ConnectionLog,
}

impl Subscribers {
    pub(super) fn new(
        timeouts: Timeouts,
        ports: Ports,
        view: View,
        destinations: Directory,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            timeouts,
            ports,
            ended_leases: EndedLeases::new(&view),
            view,
            destinations,
            counters,
            table: Vec::new(),
            readable: VecDeque::with_capacity(1024),
            lookups: VecDeque::new(),
            write_pending: VecDeque::with_capacity(1024),
            reporting: VecDeque::with_capacity(1024),
            actions: VecDeque::with_capacity(1024),
            matched_names: 0,
            released: VecDeque::with_capacity(RETIRING_MAX),
            long_len: 0,
            buffer: ReadBuffer::new(SUBSCRIBER_LONG_READ_LEN_MAX, SUBSCRIBER_LINE_LEN_MAX),
            tick_at_ns: 0,
            log_cut: LogLimit::default(),
            log_refused: LogLimit::default(),
            users: Arc::default(),
            log: ConnectionLog::default(),
        }
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Subscriber> {
        self.table.get_mut(key)?.as_mut()
    }

    /// Somebody has connected.
    pub(super) fn on_accept(&mut self, key: Key, peer: SocketAddr, now: Now) {
        self.counters.add(Counter::SubscriberConnects, 1);
        self.counters.add(Counter::SubscribersConnected, 1);
        if self.table.len() <= key {
            self.table.resize_with(key + 1, || None);
        }
        let until_ns = now.ns + self.timeouts.greeting_ns;
        self.table[key] = Some(Subscriber::new(peer, until_ns));
        self.queue_read(key);
    }

    /// A socket has become ready.
    pub(super) fn on_ready(&mut self, key: Key, readable: bool, writable: bool) {
        let Some(subscriber) = self.get_mut(key) else {
            return;
        };
        if writable {
            subscriber.is_writable = true;
            subscriber.was_blocked = false;
            self.queue_write(key);
        }
        if readable {
            self.queue_read(key);
        }
    }

    /// What the scheduler has sent.
    #[inline]
    pub(super) fn on_command(&mut self, command: ToDelivery) {
        match command {
            ToDelivery::Frame {
                subscriber,
                lease,
                redelivered,
            } => self.on_frame(subscriber as Key, lease, redelivered),
            ToDelivery::Assigned {
                subscriber,
                active,
                standby,
                is_last,
            } => self.on_assigned(subscriber as Key, &active, &standby, is_last),
            ToDelivery::Forget { subscriber } => {
                self.on_forget(subscriber as Key);
            }
            ToDelivery::Retire {
                destination,
                subscribers,
            } => self.on_retire(destination, &subscribers),
            ToDelivery::Retired {
                destination,
                subscribers,
            } => self.on_retired(destination, &subscribers),
        }
    }

    #[inline]
    fn on_frame(&mut self, key: Key, lease: Lease, redelivered: bool) {
        let subscriber = self.table.get_mut(key).and_then(Option::as_mut);
        let Some(subscriber) = subscriber.filter(|it| it.is_subscribed()) else {
            // It is gone; the scheduler gets `Gone`, and hands the message to another.
            self.ended_leases.add(lease);
            return;
        };
        if redelivered && subscriber.phase == (Phase::Subscribed { ack: true }) {
            subscriber.outbox.push_redelivered(lease);
        } else {
            subscriber.outbox.push_frame(lease);
        }
        if !subscriber.is_write_pending && subscriber.is_writable {
            subscriber.is_write_pending = true;
            self.write_pending.push_back(key);
        }
    }

    fn on_assigned(
        &mut self,
        key: Key,
        active: &[DestinationIndex],
        standby: &[DestinationIndex],
        is_last: bool,
    ) {
        let subscriber = self.table.get_mut(key).and_then(Option::as_mut);
        let Some(subscriber) = subscriber.filter(|it| it.is_subscribed()) else {
            return;
        };
        let room = DESTINATIONS_LOGGED - subscriber.first_destinations.len();
        let first = active.iter().chain(standby).take(room);
        subscriber.first_destinations.extend(first);
        subscriber.standby_count += standby.len();
        for (list, is_active) in [(active, true), (standby, false)] {
            for &index in list {
                if let Some(name) = self.destinations.name(index)
                    && let Some(line) = subscriber.answer.add(&name, is_active)
                {
                    subscriber.outbox.push_line(line);
                }
            }
        }
        if is_last {
            let line = subscriber.answer.take_line();
            subscriber.outbox.push_line(line);
            self.log_connected(key);
        }
        self.queue_write(key);
    }

    /// Puts a subscriber into the queue of those to be read, unless a subscription of it is on its way.
    fn queue_read(&mut self, key: Key) {
        if let Some(subscriber) = self.table.get_mut(key).and_then(Option::as_mut)
            && !subscriber.is_queued
            && subscriber.lookups.is_empty()
        {
            subscriber.is_queued = true;
            self.readable.push_back(key);
        }
    }

    /// A subscriber that was taken out is in its place again; what it is to be sent, and what the scheduler
    /// is to hear of it, goes.
    fn put_back(&mut self, key: Key, subscriber: Subscriber) {
        self.table[key] = Some(subscriber);
        self.queue_write(key);
        self.queue_report(key);
    }

    /// Puts a subscriber into the queue of those to be written to, if something can be written.
    fn queue_write(&mut self, key: Key) {
        if let Some(subscriber) = self.table.get_mut(key).and_then(Option::as_mut)
            && !subscriber.is_write_pending
            && subscriber.is_writable
            && !subscriber.outbox.is_empty()
        {
            subscriber.is_write_pending = true;
            self.write_pending.push_back(key);
        }
    }

    /// Puts a subscriber into the queue of those with events for the scheduler.
    fn queue_report(&mut self, key: Key) {
        if let Some(subscriber) = self.table.get_mut(key).and_then(Option::as_mut)
            && !subscriber.report.is_queued
            && !subscriber.report.is_empty()
        {
            subscriber.report.is_queued = true;
            self.reporting.push_back(key);
        }
    }

    /// Who is to be written to next; [`Self::end_write`] follows.
    pub(super) fn next_write(&mut self) -> Option<Key> {
        loop {
            let key = self.write_pending.pop_front()?;
            if let Some(subscriber) = &mut self.table[key] {
                subscriber.is_write_pending = false;
                return Some(key);
            }
        }
    }

    /// Fills `slices` with what a subscriber is to be sent next; returns how many.
    #[inline]
    pub(super) fn gather<'a>(&'a self, key: Key, slices: &mut [IoSlice<'a>]) -> usize {
        let subscriber = self.table[key].as_ref();
        subscriber.map_or(0, |it| it.outbox.gather(&self.view, slices))
    }

    /// Its socket took so many bytes of what was gathered.
    #[inline]
    pub(super) fn on_written(&mut self, key: Key, taken: usize) {
        let Some(subscriber) = &mut self.table[key] else {
            return;
        };
        let completed = subscriber
            .outbox
            .advance(taken, |lease| self.ended_leases.add(lease));
        self.counters.add(Counter::BytesOut, taken as u64);
        subscriber.completed.frames += completed.frames;
        subscriber.completed.bytes += completed.bytes;
    }

    /// A subscriber's write is over, for nothing is left or its socket takes no more, as `result` says;
    /// `uncounted` bytes of it are on their way. `now_ns` is asked where a frame was completed.
    pub(super) fn end_write(
        &mut self,
        key: Key,
        (result, uncounted): (io::Result<()>, usize),
        now_ns: impl FnOnce() -> u64,
    ) {
        let Some(subscriber) = &mut self.table[key] else {
            return;
        };
        let completed = std::mem::take(&mut subscriber.completed);
        if completed.frames > 0 {
            let at_ns = now_ns();
            subscriber.note_written(completed.frames, at_ns);
            let report = &mut subscriber.report;
            report.add_written(completed.frames, completed.bytes, at_ns);
        }
        let broken = match result {
            Ok(()) => None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                subscriber.is_writable = false;
                subscriber.outbox.freeze(uncounted);
                None
            }
            Err(error) => Some(error),
        };
        if subscriber.is_leaving() {
            subscriber.part();
        }
        let is_told = subscriber.is_leaving() && subscriber.outbox.is_empty();
        self.queue_report(key);
        if let Some(error) = broken {
            self.end(key, &error);
        } else if is_told {
            self.actions.push_back(SocketAction::ShutDown(key));
        }
    }

    /// Whether there is something for the scheduler.
    #[inline]
    pub(super) fn has_events(&self) -> bool {
        !self.reporting.is_empty() || !self.ended_leases.is_empty() || !self.released.is_empty()
    }

    /// The next event for the scheduler; each must be sent.
    #[must_use]
    pub(super) fn next_event(&mut self) -> Option<FromDelivery> {
        while let Some(&key) = self.reporting.front() {
            let subscriber = self.table[key].as_mut();
            let subscriber = subscriber.expect("its key stays taken until `Gone` was sent");
            let event = subscriber
                .report
                .take(key as SubscriberKey, subscriber.peer);
            if subscriber.report.is_empty() {
                subscriber.report.is_queued = false;
                self.reporting.pop_front();
            }
            if event.is_some() {
                return event;
            }
        }
        // Behind all subscriptions that were found before.
        if let Some((destination, consent)) = self.released.pop_front() {
            return Some(FromDelivery::Released {
                destination,
                consent,
            });
        }
        self.ended_leases.take().map(FromDelivery::Returned)
    }

    /// What is to be done with a socket, in order.
    #[must_use]
    pub(super) fn next_action(&mut self) -> Option<SocketAction> {
        self.actions.pop_front()
    }
}
