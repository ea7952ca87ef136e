//! Reading: a read of each connection in turn, where all that it may bring finds room downstream.

use std::io;

use super::agent::IngestAgent;
use super::confirm::Confirmation;
use super::connection::{Connection, Origin};
use super::pace::TurnLimits;
use super::read_len::ReadLen;
use super::turn::{TurnCore, TurnEnd};
use super::waits::Wait;
use crate::clock::Now;
use crate::config::MaxRate;
use crate::counters::Counter;
use crate::limits::{LINE_LEN_MAX, LINE_LEN_MIN, READS_PER_CYCLE, SHORT_READ_LEN, TURN_LINES_MAX};
use crate::net::{Key, Network};

impl<N: Network> IngestAgent<N> {
    pub(super) fn read(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        self.release_waiting(now);
        // Each once: whether there is more can wait until what was read is on its way.
        for _ in 0..READS_PER_CYCLE.min(self.connections.readable_len()) {
            match self.read_next(now) {
                Some(count) => work_count += count,
                None => break,
            }
        }
        if work_count > 0 {
            let counts = self.turns.intake.parser.take_counts();
            self.counters.add(Counter::LinesFastPath, counts.fast);
            self.counters.add(Counter::LinesFullPath, counts.full);
        }
        if self.confirmations.are_due(now) {
            self.confirm();
        }
        match work_count {
            // Here is the time that no read takes.
            0 => self.confirm(),
            _ => work_count,
        }
    }

    /// Reads the next connection. Returns the work count; `None`: the pipeline is full.
    fn read_next(&mut self, now: Now) -> Option<usize> {
        let Some(mut core) = self.turns.begin(&self.counters, now) else {
            self.counters.add(Counter::IngestBackPressure, 1);
            return None;
        };
        let key = self.connections.next_readable()?;
        let Some(connection) = self.connections.get_mut(key) else {
            return Some(0);
        };
        if connection.is_leaving() {
            core.output.end();
            self.leave(key, now);
            return Some(1);
        }
        let limits = limits(&self.read_len, &self.max_rate, &core, connection, now);
        let (limits, len_max) = match limits {
            Ok(limits) => limits,
            Err(wait) => {
                self.wait(key, wait, now);
                return Some(0);
            }
        };
        let before = connection.lines.last();
        let mut turn = connection.framer.turn(&mut self.buffer);
        let read_len = if turn.is_resumed() {
            self.read_len.release(turn.filled_len());
            0
        } else {
            let read = turn.read(len_max, |into| self.net.read(key, into));
            let read = read.map(|read_len| read_len.expect("there is room for a read"));
            let (lines, sender) = (&connection.lines, &mut connection.sender);
            core.look_at_certificate(lines, sender, || self.net.certificate(key));
            match connection.peer.note_read(read) {
                Ok(0) => {
                    self.answering.note_leaving(key);
                    0
                }
                Ok(read_len) => read_len,
                Err(error) => {
                    drop(turn);
                    self.note_unread(key, error, now);
                    return Some(0);
                }
            }
        };
        if read_len > 0 {
            self.counters.add(Counter::BytesIn, read_len as u64);
            self.pressure.note(read_len);
            self.read_len.note_read(read_len, now);
            connection.confirmation.note_read();
            connection.read_at_ns = now.ns;
            if connection.origin == Origin::Removed {
                connection.last_len = connection.last_len.saturating_sub(read_len);
            }
        }
        if connection.peer.has_ended {
            turn.finish();
        }
        let (lines, sender) = (&mut connection.lines, &mut connection.sender);
        let end = core.take_lines(&mut turn, lines, sender, limits);
        let (count, bytes) = (lines.last() - before, turn.consumed_len() as u64);
        (connection.pace).charge(&self.max_rate, count, bytes, now.ns);
        let work_count = turn.consumed_len().max(read_len).div_ceil(LINE_LEN_MIN);
        // Where it goes on there is work, though its first line be for a name that may be about to go.
        let work_count = work_count.max(usize::from(end == TurnEnd::Limit));
        turn.suspend();
        core.output.end();
        self.end_turn(key, read_len, end, now);
        Some(work_count)
    }

    /// A turn has ended: the connection waits, or has another one soon.
    fn end_turn(&mut self, key: Key, read_len: usize, end: TurnEnd, now: Now) {
        if let TurnEnd::Wait(wait) = end {
            self.wait(key, wait, now);
        }
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let has_lines = connection.framer.is_suspended();
        if has_lines {
            self.read_len.hold(connection.framer.partial_len());
        }
        if let TurnEnd::WrongGreeting(why) = end {
            return self.close_greeting(key, why, now);
        }
        if connection.is_owed() {
            self.answering.owe(key);
        }
        // Behind a longer read there may be more: it is read again.
        let is_short = (1..SHORT_READ_LEN).contains(&read_len);
        if is_short || connection.waits_for.is_some() {
            let confirmation = &mut connection.confirmation;
            self.confirmations.add(key, confirmation, true, now);
        }
        // Lines that were put off need no look at the socket.
        if has_lines || !is_short || connection.origin == Origin::Removed {
            self.connections.enqueue(key);
        }
    }

    /// A read has failed: there is nothing now, or the connection is over.
    fn note_unread(&mut self, key: Key, error: io::Error, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if error.kind() == io::ErrorKind::WouldBlock {
            let is_removed = connection.origin == Origin::Removed;
            let confirmation = &mut connection.confirmation;
            self.confirmations.add(key, confirmation, false, now);
            if is_removed {
                self.leave(key, now);
            }
        } else if self.reject_cut_off(key, now) {
            self.end(key, &error, now);
        } else if let Some(connection) = self.connections.get_mut(key) {
            connection.peer.broken = Some(error.kind());
            self.wait(key, Wait::Rejects, now);
        }
    }

    /// The connection is over: the line that this cuts off is kept, for its source may not have it
    /// any more. What was not consumed was not acknowledged. `false`: there is
    /// no room.
    pub(super) fn reject_cut_off(&mut self, key: Key, now: Now) -> bool {
        let Some(connection) = self.connections.get_mut(key) else {
            return true;
        };
        if connection.framer.is_suspended() || connection.framer.partial_len() == 0 {
            return true;
        }
        let Some(mut core) = self.turns.begin(&self.counters, now) else {
            return false;
        };
        let mut turn = connection.framer.turn(&mut self.buffer);
        let (lines, sender) = (&mut connection.lines, &mut connection.sender);
        let is_kept = core.reject_cut_off(&mut turn, lines, sender);
        drop(turn);
        if !is_kept {
            self.read_len.hold(connection.framer.partial_len());
        }
        core.output.end();
        is_kept
    }

    /// Tells peers that what was read of them has come, and reads on where there may be more.
    fn confirm(&mut self) -> usize {
        let mut listed = self.confirmations.take();
        let work_count = listed.len();
        for key in listed.drain(..) {
            let Some(connection) = self.connections.get_mut(key) else {
                continue;
            };
            let before = std::mem::replace(&mut connection.confirmation, Confirmation::Told);
            self.net.confirm(key);
            if before != (Confirmation::Listed { reads_again: false }) {
                self.connections.enqueue(key);
            }
        }
        self.confirmations.give_back(listed);
        work_count
    }

    /// The connection is not read on before it has what it waits for.
    pub(super) fn wait(&mut self, key: Key, wait: Wait, now: Now) {
        let (connections, destinations) = (&mut self.connections, &self.turns.intake.destinations);
        (self.waiting).add((key, wait), connections, destinations, &self.counters, now);
    }

    /// Has connections read on for whose wrong lines there is room, or time, again.
    fn release_waiting(&mut self, now: Now) {
        let connections = &mut self.connections;
        self.waiting.release_until(connections, now);
        if self.turns.output.has_room_for_rejects() {
            (self.waiting).release_for_rejects(connections, &self.counters);
        }
        if self.turns.rejects_budget.is_refilled(now.ns) {
            self.waiting.release_for_budget(connections, now);
        }
    }
}

/// What the connection's turn may take, and how much may be read for it: less where its lines were wrong, or
/// duplicates, a moment ago.
///
/// # Errors
/// It must wait first.
#[inline]
fn limits(
    read_len: &ReadLen,
    rate: &MaxRate,
    core: &TurnCore<'_>,
    connection: &mut Connection,
    now: Now,
) -> Result<(TurnLimits, usize), Wait> {
    let lines_max = connection.lines.room();
    if lines_max == 0 {
        return Err(Wait::Answers);
    }
    let mut len_max = read_len.max(now);
    let mut limits = TurnLimits {
        lines: lines_max.min(TURN_LINES_MAX),
        bytes: len_max + LINE_LEN_MAX,
    };
    let of_lines = core.shares(&mut connection.sender)?;
    let of_rate = connection.share(rate, now.ns)?;
    for share in of_lines.into_iter().chain([of_rate]).flatten() {
        share.bound(&mut limits, &mut len_max);
    }
    Ok((limits, len_max))
}
