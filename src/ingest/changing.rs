//! Changing: what a reload changes at the agent, between two duty cycles.
//!
//! Connections of sources that stay go on. One whose source is removed is read until nothing is there,
//! or for some MB: its lines go on as others do, it is acknowledged, and then it is closed.

use std::sync::Arc;

use tracing::info;

use super::agent::IngestAgent;
use super::connection::Origin;
use super::reload::{IngestChange, SourceChange};
use super::source::Source;
use super::timeouts::Timeouts;
use super::waits::Wait;
use crate::access::{Senders, Users};
use crate::clock::Now;
use crate::counters::Counter;
use crate::net::{Key, Network, error_line};

impl<N: Network> IngestAgent<N> {
    pub(super) fn poll_control(&mut self, now: Now) -> usize {
        let Some(mut change) = self.control.poll() else {
            return 0;
        };
        self.change_sources(&change.sources, now);
        for &destination in &change.closed {
            self.turns.intake.forget_destination(destination);
        }
        self.change_bounds(&mut change);
        self.timeouts = Timeouts::new(&change.settings).of_users(&change.users);
        self.max_rate = change.settings.max_rate;
        self.change_users(&change.users, now);
        self.control.finish(change);
        1
    }

    fn change_bounds(&mut self, change: &mut IngestChange) {
        let intake = &mut self.turns.intake;
        intake.allowances.set_max(&mut change.max_queued);
        std::mem::swap(&mut intake.when_full, &mut change.when_full);
        // A line that waits may be rejected now, or its destination be closed: it asks again.
        let (connections, counters) = (&mut self.connections, &self.counters);
        self.waiting.release_at_all(connections, counters);
    }

    fn change_sources(&mut self, changes: &[SourceChange], now: Now) {
        for change in changes {
            match change {
                SourceChange::Removed { slot } => {
                    self.dialler.remove(*slot, &mut self.net);
                    if let Some(key) = self.connections.remove_source(*slot) {
                        self.connections.enqueue(key);
                    }
                }
                SourceChange::Added {
                    slot,
                    address,
                    ack,
                    is_within,
                } => {
                    self.connections.add_source(*slot);
                    let source = Source::new(address.clone(), *ack).within(*is_within);
                    self.dialler.add(*slot, source, now);
                }
                SourceChange::Ack { slot, ack } => {
                    self.dialler.set_ack(*slot, *ack);
                    if let Some((key, connection)) = self.connections.of_slot(*slot) {
                        connection.lines.ack = *ack;
                        self.answering.owe(key);
                    }
                }
            }
        }
    }

    /// A connection whose source is removed is read no more: what it holds goes on first.
    pub(super) fn leave(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.framer.is_suspended() {
            self.connections.enqueue(key);
            return;
        }
        if connection.peer.has_ended {
            return;
        }
        if !self.reject_cut_off(key, now) {
            if let Some(connection) = self.connections.get_mut(key)
                && connection.waits_for.is_none()
            {
                self.wait(key, Wait::Rejects, now);
            }
            return;
        }
        if let Some(connection) = self.connections.get_mut(key) {
            connection.peer.has_ended = true;
            self.answering.note_leaving(key);
            self.answering.owe(key);
        }
    }

    /// Whose right went is told, and closed. Who may send less goes on: lines are judged one by one.
    fn change_users(&mut self, users: &Arc<Users>, now: Now) {
        let senders = Senders::new(Arc::clone(users));
        let before = std::mem::replace(&mut self.turns.intake.senders, senders);
        let senders = &self.turns.intake.senders;
        let mut refused = Vec::new();
        for (key, connection) in self.connections.iter_mut() {
            let is_producer = matches!(connection.origin, Origin::DialledIn(_));
            // Who has not greeted is asked when it does.
            if !is_producer || connection.lines.may_greet {
                connection.sender.certificate = None;
                continue;
            }
            match before.follow(connection.sender.user, senders) {
                Ok(user) => connection.sender.user = user,
                Err(why) => refused.push((key, why)),
            }
        }
        if !refused.is_empty() {
            info!(
                producers = refused.len(),
                "closed: their right is not in the settings any more"
            );
        }
        for (key, why) in refused {
            self.counters.add(Counter::RightsRefused, 1);
            self.close_with(key, &error_line(&why), &why, now);
        }
    }
}
