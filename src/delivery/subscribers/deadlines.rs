//! Who is disconnected for what it does not do in time, and patterns that new names fit.

use tracing::warn;

use super::Subscribers;
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::lookup::Lookup;
use crate::delivery::subscriber::{Parting, Phase};
use crate::net::Key;

/// How often deadlines are checked, in ns.
const TICK_NS: u64 = 50_000_000;

impl Subscribers {
    /// Destinations may have been created that fit a subscriber's patterns.
    fn match_new_names(&mut self) {
        let next = self.destinations.next_number();
        let first = std::mem::replace(&mut self.matched_names, next);
        if first == next {
            return;
        }
        for (key, subscriber) in self.table.iter_mut().enumerate() {
            if let Some(subscriber) = subscriber
                && !subscriber.requested.patterns.is_empty()
            {
                if subscriber.lookups.is_empty() {
                    self.lookups.push_back(key);
                }
                let lookup = Lookup::of_new(&subscriber.requested.patterns, first);
                subscriber.lookups.push_back(lookup);
            }
        }
    }

    /// Looks at all deadlines, now and then.
    pub(in crate::delivery) fn tick(&mut self, now: Now) {
        if now.ns < self.tick_at_ns {
            return;
        }
        self.tick_at_ns = now.ns + TICK_NS;
        self.match_new_names();
        if let Some(more) = self.log_cut.overdue(now) {
            warn!(
                count = more.count,
                "subscribers were cut that acknowledged, or read, nothing for too long"
            );
        }
        self.log_left_out(now);
        for key in 0..self.table.len() {
            self.check_deadlines(key, now);
        }
    }

    fn check_deadlines(&mut self, key: Key, now: Now) {
        let Some(subscriber) = &mut self.table[key] else {
            return;
        };
        if !subscriber.is_writable && std::mem::replace(&mut subscriber.was_blocked, true) {
            let end = |lease| self.ended_leases.add(lease);
            subscriber.outbox.detach(&self.view, end);
        }
        let is_unread = subscriber.is_unread(now.ns, self.timeouts.unread_ns);
        match subscriber.phase {
            Phase::Greeting(until_ns) if until_ns <= now.ns => self.end_greeting(key, now),
            Phase::Leaving(until_ns) if until_ns <= now.ns => self.end(key, &"it was refused"),
            // A frame is half written, and its socket takes no more: no word would reach it.
            Phase::Leaving(_) if subscriber.parting == Parting::None && !subscriber.is_writable => {
                self.end(key, &"it was refused, and reads nothing");
            }
            _ if is_unread => self.cut_unread(key, now),
            _ if subscriber.is_overdue(now.ns, self.timeouts.ack_ns) => self.cut_overdue(key, now),
            _ => {}
        }
    }

    /// It has not said in time what it wants.
    fn end_greeting(&mut self, key: Key, now: Now) {
        let Some(mut subscriber) = self.table[key].take() else {
            return;
        };
        let seconds = self.timeouts.greeting_ns as f64 / 1e9;
        self.counters.add(Counter::GreetingTimeouts, 1);
        let expectation = subscriber.expectation();
        let why = format!("nothing was asked for in {seconds} s; {expectation}");
        self.reject(&mut subscriber, &why, now);
        self.put_back(key, subscriber);
    }

    /// Its socket takes nothing: its messages go to the next one. No line would reach it.
    fn cut_unread(&mut self, key: Key, now: Now) {
        let Some(subscriber) = &self.table[key] else {
            return;
        };
        let seconds = self.timeouts.unread_ns.unwrap_or_default() as f64 / 1e9;
        let destinations = self.destination_words(subscriber);
        if let Some(more) = self.log_cut.admit(now) {
            warn!(
                subscriber = %subscriber.peer,
                destinations = ?destinations,
                "nothing was read for {seconds} s: cut{more}"
            );
        }
        self.counters.add(Counter::UnreadTimeouts, 1);
        self.end(key, &"it reads nothing");
    }

    /// It owes acknowledgements: it is sent an error where it still reads, and its messages go to the next
    /// one.
    fn cut_overdue(&mut self, key: Key, now: Now) {
        let Some(mut subscriber) = self.table[key].take() else {
            return;
        };
        let owed = subscriber.written - subscriber.acknowledged;
        let seconds = self.timeouts.ack_ns as f64 / 1e9;
        if let Some(more) = self.log_cut.admit(now) {
            let (peer, destinations) = (subscriber.peer, self.destination_words(&subscriber));
            warn!(subscriber = %peer, ?destinations, owed, "nothing acknowledged for {seconds} s: cut{more}");
        }
        self.counters.add(Counter::AckTimeouts, 1);
        if !subscriber.is_writable {
            self.table[key] = Some(subscriber);
            self.end(key, &"it acknowledges nothing");
            return;
        }
        let why = format!(
            "nothing acknowledged for {seconds} s, and {owed} frame(s) are owed: they go to the next \
             subscriber; send {{\"ack\":N}} sooner, or raise [delivery] ack_timeout"
        );
        self.reject(&mut subscriber, &why, now);
        self.put_back(key, subscriber);
    }
}
