//! Judging: what becomes of a line.
//!
//! Reading feeds it. An accepted frame goes to the scheduler as a record in a chunk; a rejected one is
//! kept aside; one whose destination has no room is held, or rejected, as the settings say.

use std::ops::Range;

use serde::Deserialize;
use tracing::warn;

use super::framer::Line;
use super::names::Addressee;
use super::parser::{PADDING, Parsed};
use super::rejected::RejectedLog;
use super::source::Connection;
use super::{Arrival, FromIngest, IngestAgent, PAUSE_NS};
use crate::clock::Now;
use crate::config::WhenFull;
use crate::counters::Counter;
use crate::limits::LINE_LEN_MAX;
use crate::message::{DestinationIndex, Reason, TypeIndex};
use crate::net::Network;
use crate::scheduler::queue::clamp_timestamp;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the engine's.
    Taken,
    /// Its destination has no room: it was not read yet, so to say.
    Held(DestinationIndex),
    /// Its destination is new, and enough were created in this turn: it was not read yet either.
    Postponed,
}

/// The first line of a producer that dials in, if it has wishes. With any other field it is a
/// message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    producer: Producer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Producer {
    #[serde(default)]
    ack: bool,
}

/// Understands a producer's wishes. An array is none: serde would fill a struct from it too.
fn hello(line: &[u8]) -> Option<Hello> {
    let is_object = line.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice(line).ok().filter(|_| is_object)
}

impl<N: Network> IngestAgent<N> {
    pub(super) fn take_line(&mut self, connection: &mut Connection, line: Line, now: Now) -> Fate {
        let is_first = std::mem::replace(&mut connection.is_new, false);
        let range = match line {
            Line::Oversize(range) => {
                connection.lines += 1;
                let (log, counts) = (&mut self.parts.rejected, &mut self.rejections);
                let start = &self.buffer[range];
                return refuse(log, counts, connection, start, Reason::Oversize, now);
            }
            Line::Whole(range) => range,
        };
        if is_first
            && connection.configured.is_none()
            && let Some(Hello { producer }) = hello(&self.buffer[range.clone()])
        {
            connection.ack = producer.ack;
            return Fate::Taken;
        }
        connection.lines += 1;
        if self
            .writer
            .as_ref()
            .is_none_or(|it| it.room() < LINE_LEN_MAX + 128)
        {
            self.change_chunk();
        }
        self.judge(connection, range, now)
    }

    fn change_chunk(&mut self) {
        if let Some(full) = self.writer.take() {
            let permit = self.parts.to_scheduler.claim(1);
            let mut permit = permit.expect("`has_room` saw room for this read");
            permit.send(FromIngest::Sealed(full));
        }
        self.writer = self.spare.pop();
    }

    fn judge(&mut self, connection: &mut Connection, range: Range<usize>, now: Now) -> Fate {
        let writer = self
            .writer
            .as_mut()
            .expect("`has_room` saw enough chunks for this read");
        let mut claim = writer
            .claim(&self.buffer[range.clone()])
            .expect("a chunk with room for any line");
        let line = &mut self.buffer[range.start..range.end + PADDING];
        let mut refuse = |connection: &mut Connection, frame: &[u8], reason: Reason| {
            let (log, counts) = (&mut self.parts.rejected, &mut self.rejections);
            refuse(log, counts, connection, frame, reason, now)
        };
        let judged = self.parser.parse(line, claim.frame());
        let parsed = match &judged {
            Ok(parsed) => parsed,
            Err(reason) => return refuse(connection, claim.frame(), *reason),
        };
        let (directory, counters) = (&mut self.parts.destinations, &self.parts.counters);
        let names = &mut self.new_names;
        let destination = match names.find(directory, parsed.destination, counters, now) {
            Addressee::Known(destination) => destination,
            Addressee::Unknown => {
                return refuse(connection, claim.frame(), Reason::UnknownDestination);
            }
            Addressee::Later => {
                self.buffer[range.clone()].copy_from_slice(claim.frame());
                connection.put_off(&range);
                return Fate::Postponed;
            }
        };
        if !self.parts.allowances.claim(destination) {
            if self.when_full != WhenFull::Wait {
                return refuse(connection, claim.frame(), Reason::QueueFull);
            }
            // The parser has changed it.
            self.buffer[range.clone()].copy_from_slice(claim.frame());
            connection.put_off(&range);
            return Fate::Held(destination);
        }
        let types = &mut self.parts.message_types;
        let message_type = types
            .find_or_create(parsed.message_type)
            .unwrap_or(types.len() as u32);
        connection.floor_ms = place_in_time(parsed, connection.floor_ms, now);
        connection.forwarded = connection.lines;
        let id = self.parts.hasher.hash(parsed.id.as_bytes());
        let priority = parsed.priority;
        let header = parsed.header(now.epoch_us);
        header.encode(claim.header_mut());
        let arrival = Arrival {
            id,
            frame: claim.commit(),
            destination,
            source: connection.source,
            connection: connection.number,
            line: if connection.ack { connection.lines } else { 0 },
            message_type: message_type as TypeIndex,
            priority,
            bucket_ms: connection.floor_ms,
            read_ns: now.ns,
        };
        let permit = self.parts.to_scheduler.claim(1);
        let mut permit = permit.expect("`has_room` saw room for this read");
        permit.send(FromIngest::Arrived(arrival));
        Fate::Taken
    }

    /// A line that a reset has cut off: nobody knows what it would have been.
    pub(super) fn refuse_cut_off(
        &mut self,
        connection: &mut Connection,
        range: Range<usize>,
        now: Now,
    ) {
        connection.lines += 1;
        let (log, counts) = (&mut self.parts.rejected, &mut self.rejections);
        let line = &self.buffer[range];
        let _ = refuse(log, counts, connection, line, Reason::BadJson, now);
        self.tell_rejections();
    }

    pub(super) fn tell_rejections(&mut self) {
        for reason in Reason::ALL {
            let count = std::mem::take(&mut self.rejections[reason as usize]);
            if count > 0 {
                let permit = self.parts.to_scheduler.claim(1);
                let mut permit = permit.expect("`has_room` saw room for this read");
                permit.send(FromIngest::Rejected { reason, count });
            }
        }
    }

    pub(super) fn flush_rejected(&mut self, now: Now) {
        if self.parts.rejected.pending() == 0 || now.ns < self.flush_at_ns {
            return;
        }
        if let Err(error) = self.parts.rejected.flush() {
            if self.flush_at_ns == 0 {
                warn!(%error, "rejected.ndjson cannot be written; sources wait until it can");
            }
            self.parts.counters.add(Counter::RejectedUnwritable, 1);
            self.flush_at_ns = now.ns + PAUSE_NS;
        } else {
            self.flush_at_ns = 0;
        }
    }
}

/// Keeps a line that is rejected, and counts it.
fn refuse(
    log: &mut RejectedLog,
    counts: &mut [u32; Reason::ALL.len()],
    connection: &mut Connection,
    line: &[u8],
    reason: Reason,
    now: Now,
) -> Fate {
    log.push(reason, &connection.name, now, line);
    connection.note_rejected(log.end());
    counts[reason as usize] += 1;
    Fate::Taken
}

/// A message's bucket, by the engine's own time: its timestamp within the window around its arrival,
/// never before that of its predecessor from the same source.
fn place_in_time(parsed: &Parsed<'_>, floor_ms: u64, now: Now) -> u64 {
    let own_ms = parsed.timestamp_ms.and_then(|it| u64::try_from(it).ok());
    let bucket_ms = own_ms.map_or(now.steady_ms(), |it| now.steady_ms_of(it));
    clamp_timestamp(bucket_ms, floor_ms, now.steady_ms())
}
