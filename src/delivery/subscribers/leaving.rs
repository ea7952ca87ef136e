//! Subscribers that go: sent away with words, or gone by themselves.
//!
//! Their destinations are free at once: the scheduler gets `Gone`, and others take over. The socket of one
//! that is sent away stays for a while, so that its peer can read why; its key with it.
//!
//! ```text
//! Subscribed --reject--> Leaving --end--> Gone --Forget--> closed
//!                           '--Forget--> ... --end------------^
//! ```

use std::fmt;

use super::{SocketAction, Subscribers};
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::subscriber::{Parting, Phase, Subscriber};
use crate::limits::LEAVING_NS_MAX;
use crate::net::{Key, error_line};

impl Subscribers {
    /// Says what is wrong, and lets the subscriber read that before it is closed.
    pub(super) fn reject(&mut self, subscriber: &mut Subscriber, why: &str, now: Now) {
        self.leave_with(subscriber, error_line(why), now);
    }

    /// The last words to it are these. Its destinations are free at once, however long it holds its socket.
    pub(super) fn leave_with(&mut self, subscriber: &mut Subscriber, line: String, now: Now) {
        self.counters.add(Counter::SubscriberErrors, 1);
        subscriber.lookups.clear();
        subscriber.phase = Phase::Leaving(now.ns + LEAVING_NS_MAX);
        let outbox = &mut subscriber.outbox;
        outbox.take_back(|lease| self.ended_leases.add(lease));
        outbox.push_line(line);
        subscriber.part();
    }

    /// The connection is over, and why: `Gone` goes to the scheduler, unless it has gone before.
    pub(super) fn end(&mut self, key: Key, why: &dyn fmt::Display) {
        let Some(mut subscriber) = self.table[key].take() else {
            return;
        };
        self.log_disconnected(&subscriber, why);
        subscriber
            .outbox
            .clear(|lease| self.ended_leases.add(lease));
        subscriber.lookups.clear();
        subscriber.framer.clear();
        self.note_long(&mut subscriber);
        self.counters.add(Counter::SubscriberDisconnects, 1);
        self.counters.subtract(Counter::SubscribersConnected, 1);
        self.actions.push_back(SocketAction::ShutDown(key));
        subscriber.phase = Phase::Gone;
        subscriber.part();
        let is_forgotten = subscriber.parting == Parting::Forgotten;
        self.table[key] = Some(subscriber);
        if is_forgotten {
            self.close(key);
        } else {
            self.queue_report(key);
        }
    }

    /// All connections are over, and why.
    pub(in crate::delivery) fn end_all(&mut self, why: &dyn fmt::Display) {
        for key in 0..self.table.len() {
            if self.table[key]
                .as_ref()
                .is_some_and(|it| it.phase != Phase::Gone)
            {
                self.end(key, why);
            }
        }
    }

    /// Its key is free, once its socket is.
    pub(super) fn on_forget(&mut self, key: Key) {
        match self.get_mut(key) {
            Some(leaving) if leaving.phase != Phase::Gone => leaving.parting = Parting::Forgotten,
            _ => self.close(key),
        }
    }

    fn close(&mut self, key: Key) {
        let peer = self.table[key].take().map(|it| it.peer);
        self.actions.push_back(SocketAction::Close(key, peer));
    }
}
