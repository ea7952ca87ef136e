//! Reporting: what each source does and waits for, when the monitor asks; some of them a duty cycle.
//!
//! The dialled sources come first, by their slots, then connections that nobody dialled. One that comes or
//! goes meanwhile is in the report or not.

use std::sync::Arc;

use super::agent::IngestAgent;
use super::connection::{Connection, Origin};
use super::source::{Dial, Source};
use super::waits::Wait;
use crate::clock::Now;
use crate::limits::SOURCES_PER_CYCLE;
use crate::net::Network;
use crate::sources::{SourceState, State, WaitsFor, Who};

impl<N: Network> IngestAgent<N> {
    /// Goes on with the report that is asked for. Returns the work count.
    #[inline]
    pub(super) fn report(&mut self, now: Now) -> usize {
        match self.reporter.is_asked() {
            false => 0,
            true => self.report_some(now),
        }
    }

    #[cold]
    fn report_some(&mut self, now: Now) -> usize {
        let slots = self.dialler.slots();
        let end = slots + self.connections.keys_end();
        let next = self.reporter.next;
        let until = end.min(next + SOURCES_PER_CYCLE);
        for number in next..until {
            let state = match number.checked_sub(slots) {
                None => self.dialled(number),
                Some(key) => self.connections.get(key).and_then(|it| self.dialled_in(it)),
            };
            if let Some(state) = state {
                self.reporter.add(state);
            }
        }
        self.reporter.next = until;
        if until == end {
            self.reporter.complete(now);
        }
        1
    }

    /// A source of the settings, with its connection if there is one.
    fn dialled(&mut self, slot: usize) -> Option<SourceState> {
        let mut state = of_source(self.dialler.source(slot))?;
        if let Some((_, connection)) = self.connections.of_slot(slot) {
            state.lines += connection.lines.last();
            state.rejected += connection.lines.rejected();
            state.waits_for = connection.waits_for.map(of_wait);
        }
        Some(state)
    }

    /// A connection that is of no slot.
    fn dialled_in(&self, connection: &Connection) -> Option<SourceState> {
        let who = match connection.origin {
            Origin::Configured(_) => return None,
            Origin::Removed => Who::Removed,
            Origin::DialledIn(peer) => {
                let senders = &self.turns.intake.senders;
                let user = connection
                    .sender
                    .user
                    .map(|it| Arc::clone(senders.user(it)));
                Who::Producer(peer, user)
            }
        };
        Some(SourceState {
            who,
            state: State::Connected,
            since_ns: connection.came_at_ns,
            lines: connection.lines.last(),
            rejected: connection.lines.rejected(),
            connects: 1,
            waits_for: connection.waits_for.map(of_wait),
            why: None,
        })
    }
}

fn of_source(source: &Source) -> Option<SourceState> {
    let state = match source.dial {
        Dial::Resting(_) => State::Resting,
        Dial::Resolving(_) => State::LookedUp,
        Dial::Connecting(_) => State::Connecting,
        Dial::Connected => State::Connected,
        Dial::Removed => return None,
    };
    let past = &source.past;
    Some(SourceState {
        who: Who::Dialled(Arc::clone(&source.address)),
        state,
        since_ns: past.since_ns,
        lines: past.lines,
        rejected: past.rejected,
        connects: past.connects,
        waits_for: None,
        why: past.why.clone(),
    })
}

fn of_wait(wait: Wait) -> WaitsFor {
    match wait {
        Wait::Destination(destination) => WaitsFor::Destination(destination),
        Wait::Rejects => WaitsFor::Rejects,
        Wait::Budget => WaitsFor::Budget,
        Wait::Duplicates(_) => WaitsFor::Duplicates,
        Wait::Rate(_) => WaitsFor::Rate,
        Wait::Answers => WaitsFor::Outcomes,
    }
}
