//! Refusing: a wrong line goes to the rejects agent, or stays with its connection where there is no
//! room for it; and it takes its share of the time.
//!
//! Judging says which lines are wrong.

use super::hold::Wait;
use super::judge::Fate;
use super::share::Share;
use super::source::Connection;
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::message::Reason;
use crate::rejects::protocol::{RejectSender, Rejected};

/// What ingest remembers of wrong lines.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Those that the scheduler was not told of, by reason.
    pub(super) counts: [u32; Reason::ALL.len()],
    /// How much of the time they may take, of all connections together.
    pub(super) share: Share,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self {
            counts: [0; Reason::ALL.len()],
            share: Share::new(0),
        }
    }

    /// Hands a line to the rejects agent, and counts it.
    pub(super) fn refuse(
        &mut self,
        (rejects, counters): (&mut RejectSender, &Counters),
        connection: &mut Connection,
        line: &[u8],
        reason: Reason,
        now: Now,
    ) -> Fate {
        let rejected = Rejected {
            reason,
            source: connection.name.as_bytes(),
            epoch_us: now.epoch_us,
            is_awaited: connection.ack,
            line,
        };
        let Ok(end) = rejects.offer(&rejected) else {
            return Fate::Held(Wait::Rejects);
        };
        counters.add(Counter::RejectedWaiting, 1);
        connection.note_rejected(end);
        self.counts[reason as usize] += 1;
        self.share.charge(line.len(), now.ns);
        connection.share.charge(line.len(), now.ns);
        match connection.share.is_spent() {
            true => Fate::Last,
            false => Fate::Taken,
        }
    }
}
