//! Judging: what becomes of a line.
//!
//! Reading feeds it. An accepted frame goes to the scheduler as a record in a chunk; a rejected one is
//! kept aside; one whose destination has no room is held, or rejected, as the settings say.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use super::IngestAgent;
use super::hold::Wait;
use super::names::Addressee;
use super::parser::{PADDING, Parsed};
use super::protocol::{Arrival, FromIngest};
use super::source::Connection;
use crate::clock::Now;
use crate::config::WhenFull;
use crate::limits::LINE_LEN_MAX;
use crate::message::timestamp::clamp_timestamp;
use crate::message::{DestinationIndex, Reason, TypeIndex};
use crate::net::Network;
use crate::net::framer::Line;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the engine's.
    Taken,
    /// It is the engine's, and its connection must let others have a turn.
    Last,
    /// It finds no room: it is as if it had not been read yet.
    Held(Wait),
    /// Its destination is new, and enough were created in this turn: it was not read yet either.
    Postponed,
}

/// Why a line does not become a message now.
enum Refusal {
    /// It breaks a rule.
    Wrong(Reason),
    /// Its destination has no room.
    NoRoom(DestinationIndex),
    /// Its destination is created in another turn.
    Later,
}

/// The first line of a producer that dials in, if it has wishes. With any other field it is a
/// message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    producer: BTreeMap<String, bool>,
}

/// Understands a producer's wishes: whether it wants acknowledgements. An array is none: serde would
/// fill a struct from it too.
pub(super) fn hello(line: &[u8]) -> Option<bool> {
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let hello: Hello = serde_json::from_slice(line).ok().filter(|_| is_object)?;
    let is_known = hello.producer.keys().all(|it| it == "ack");
    is_known.then(|| hello.producer.get("ack").copied().unwrap_or_default())
}

impl<N: Network> IngestAgent<N> {
    pub(super) fn take_line(&mut self, connection: &mut Connection, line: Line, now: Now) -> Fate {
        let range = match &line {
            Line::Blank => return Fate::Taken,
            Line::Oversize(range) | Line::Whole(range) => range.clone(),
        };
        let is_first = std::mem::replace(&mut connection.is_new, false);
        if is_first
            && connection.configured.is_none()
            && matches!(line, Line::Whole(_))
            && let Some(ack) = hello(&self.buffer[range.clone()])
        {
            connection.ack = ack;
            return Fate::Taken;
        }
        connection.lines += 1;
        let fate = match line {
            Line::Oversize(_) => self.refuse(connection, &range, Reason::Oversize, now),
            _ => self.judge(connection, &range, now),
        };
        if let Fate::Held(_) | Fate::Postponed = fate {
            connection.put_off(&range);
        }
        fate
    }

    fn refuse(
        &mut self,
        connection: &mut Connection,
        range: &Range<usize>,
        reason: Reason,
        now: Now,
    ) -> Fate {
        let to = (&mut self.parts.rejects, &*self.parts.counters);
        let line = &self.buffer[range.clone()];
        self.refusals.refuse(to, connection, line, reason, now)
    }

    fn change_chunk(&mut self) {
        if let Some(full) = self.writer.take() {
            let permit = self.parts.to_scheduler.claim(1);
            let mut permit = permit.expect("`has_room` saw room for this read");
            permit.send(FromIngest::Sealed(full));
        }
        self.writer = self.spare.pop();
    }

    fn judge(&mut self, connection: &mut Connection, range: &Range<usize>, now: Now) -> Fate {
        if self
            .writer
            .as_ref()
            .is_none_or(|it| it.room() < LINE_LEN_MAX + 128)
        {
            self.change_chunk();
        }
        let writer = self
            .writer
            .as_mut()
            .expect("`has_room` saw enough chunks for this read");
        let mut claim = writer
            .claim(&self.buffer[range.clone()])
            .expect("a chunk with room for any line");
        let line = &mut self.buffer[range.start..range.end + PADDING];
        let judged = self.parser.parse(line, claim.frame());
        let waits = self.when_full == WhenFull::Wait;
        let (directory, counters) = (&mut self.parts.destinations, &self.parts.counters);
        let (names, allowances) = (&mut self.new_names, &mut self.parts.allowances);
        let placed = judged.map_err(Refusal::Wrong).and_then(|parsed| {
            let found = names.find(directory, parsed.destination, counters, now);
            let destination = match found {
                Addressee::Known(destination) => destination,
                Addressee::Unknown => return Err(Refusal::Wrong(Reason::UnknownDestination)),
                Addressee::Later => return Err(Refusal::Later),
            };
            match allowances.claim(destination) {
                true => Ok((parsed, destination)),
                false if waits => Err(Refusal::NoRoom(destination)),
                false => Err(Refusal::Wrong(Reason::QueueFull)),
            }
        });
        let (parsed, destination) = match placed {
            Ok(placed) => placed,
            Err(refusal) => {
                let frame = claim.frame();
                let fate = match refusal {
                    Refusal::Later => Fate::Postponed,
                    Refusal::NoRoom(destination) => Fate::Held(Wait::Destination(destination)),
                    Refusal::Wrong(reason) => {
                        let to = (&mut self.parts.rejects, &*self.parts.counters);
                        self.refusals.refuse(to, connection, frame, reason, now)
                    }
                };
                if let Fate::Held(_) | Fate::Postponed = fate {
                    // The parser has changed it.
                    self.buffer[range.clone()].copy_from_slice(frame);
                }
                return fate;
            }
        };
        let types = &mut self.parts.message_types;
        let message_type = types
            .find_or_create(parsed.message_type)
            .unwrap_or(types.len() as u32);
        connection.floor_ms = place_in_time(&parsed, connection.floor_ms, now);
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
        range: &Range<usize>,
        now: Now,
    ) -> Fate {
        connection.lines += 1;
        let fate = self.refuse(connection, range, Reason::BadJson, now);
        connection.lines -= u64::from(matches!(fate, Fate::Held(_)));
        self.tell_rejections();
        fate
    }

    pub(super) fn tell_rejections(&mut self) {
        for reason in Reason::ALL {
            let count = std::mem::take(&mut self.refusals.counts[reason as usize]);
            if count > 0 {
                let permit = self.parts.to_scheduler.claim(1);
                let mut permit = permit.expect("`has_room` saw room for this read");
                permit.send(FromIngest::Rejected { reason, count });
            }
        }
    }
}

/// A message's bucket, by the engine's own time: its timestamp within the window around its arrival,
/// never before that of its predecessor from the same source.
fn place_in_time(parsed: &Parsed<'_>, floor_ms: u64, now: Now) -> u64 {
    let own_ms = parsed.timestamp_ms.and_then(|it| u64::try_from(it).ok());
    let bucket_ms = own_ms.map_or(now.steady_ms(), |it| now.steady_ms_of(it));
    clamp_timestamp(bucket_ms, floor_ms, now.steady_ms())
}
