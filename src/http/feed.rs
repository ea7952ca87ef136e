//! The core of a subscription: a delivery agent's lines in, server-sent events out, and which frames its
//! client has not acknowledged.
//!
//! ```text
//! {"subscribed":["table1"],"standby":[]}      event: subscribed / data: the line
//! {"again":1}                                 event: again      / data: the line
//! frame                                       id: SUBSCRIPTION-NUMBER / data: the frame
//! {"error":"..."}                             event: closed     / data: the line
//! ```
//! A client that comes again says which event it had last. What it had acknowledged by that is handed out
//! again by the engine, to which the old connection was lost: it is known by its bytes, acknowledged, and
//! not sent. Values only.

use std::collections::VecDeque;
use std::io::Write as _;

use memchr::memchr;
use serde_json::Value;

use crate::limits::HTTP_UNACKNOWLEDGED_MAX;
use crate::message::frame_mark::{FrameMark, FrameMarker, FrameMarks};

/// A frame that the agent waits for an acknowledgement of.
#[derive(Debug, Clone, Copy)]
struct Owed {
    mark: FrameMark,
    /// The client was done with it before, and was not sent it again.
    is_done: bool,
}

/// One subscription. Invariant: `acknowledged + owed.len()` is the number of the last frame, and the first
/// of `owed` is the client's.
#[derive(Debug)]
pub(super) struct Feed {
    /// The beginning of its events' ids.
    id: u64,
    marker: FrameMarker,
    acknowledged: u64,
    owed: VecDeque<Owed>,
    done: FrameMarks,
    /// So many frames come that may have been seen.
    again: u64,
    /// The client was told of all of these.
    is_announced: bool,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// An acknowledgement that the agent has not got.
    due: Option<u64>,
}

/// What a subscription leaves that has ended.
#[derive(Debug, Default)]
pub(super) struct Left {
    acknowledged: u64,
    owed: Vec<Owed>,
    done: FrameMarks,
}

/// The engine's own words among the lines of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Subscribed,
    Again(u64),
    Error(String),
}

impl Word {
    /// `None`: it is a frame.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let begins = ["{\"again\":", "{\"subscribed\":", "{\"error\":"];
        if !begins.iter().any(|it| line.starts_with(it.as_bytes())) {
            return None;
        }
        let members: Value = serde_json::from_slice(line).ok()?;
        if members.get("messageId").is_some() {
            return None;
        }
        if let Some(again) = members["again"].as_u64() {
            return Some(Self::Again(again));
        }
        match members["error"].as_str() {
            Some(error) => Some(Self::Error(error.to_owned())),
            None => Some(Self::Subscribed),
        }
    }
}

impl Feed {
    /// Of a new connection to an agent; `done` may come again.
    pub(super) fn new(id: u64, marker: FrameMarker, done: FrameMarks) -> Self {
        Self {
            id,
            marker,
            acknowledged: 0,
            owed: VecDeque::new(),
            done,
            again: 0,
            is_announced: true,
            rest: Vec::new(),
            due: None,
        }
    }

    /// Takes some bytes of the agent's, and adds the events that they make.
    pub(super) fn take(&mut self, mut bytes: &[u8], events: &mut Vec<u8>) {
        while let Some(at) = memchr(b'\n', bytes) {
            if self.rest.is_empty() {
                self.take_line(&bytes[..at], events);
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(&bytes[..at]);
                self.take_line(&line, events);
            }
            bytes = &bytes[at + 1..];
        }
        self.rest.extend_from_slice(bytes);
        self.invariants();
    }

    /// The agent is gone, perhaps in the middle of a line: this one says why.
    pub(super) fn close(&mut self, line: &[u8], events: &mut Vec<u8>) {
        self.rest.clear();
        event("closed", line, events);
    }

    fn take_line(&mut self, line: &[u8], events: &mut Vec<u8>) {
        match Word::of(line) {
            None => self.take_frame(line, events),
            Some(Word::Subscribed) => event("subscribed", line, events),
            Some(Word::Error(_)) => event("closed", line, events),
            Some(Word::Again(count)) => {
                self.again = count;
                self.is_announced = false;
                self.announce(events);
            }
        }
    }

    fn take_frame(&mut self, frame: &[u8], events: &mut Vec<u8>) {
        let mark = self.marker.mark(frame);
        let is_done = self.again > 0 && self.done.take(mark);
        self.owed.push_back(Owed { mark, is_done });
        if is_done {
            self.again -= 1;
            self.settle_front();
            return self.announce(events);
        }
        if self.again > 0 && !self.is_announced {
            event("again", b"{\"again\":1}", events);
        }
        self.again = self.again.saturating_sub(1);
        let (id, number) = (self.id, self.last());
        writeln!(events, "id: {id:016x}-{number}").expect("a vector takes all");
        data(frame, events);
    }

    /// Announces what may have been seen, unless some of it may be left out: then each one is announced by
    /// itself.
    fn announce(&mut self, events: &mut Vec<u8>) {
        if self.done.is_empty() && self.again > 0 && !self.is_announced {
            let line = format!("{{\"again\":{}}}", self.again);
            event("again", line.as_bytes(), events);
            self.is_announced = true;
        }
    }

    /// The number of the last frame.
    pub(super) fn last(&self) -> u64 {
        self.acknowledged + self.owed.len() as u64
    }

    /// Whether nothing more is to be taken until some of it was acknowledged.
    pub(super) fn is_full(&self) -> bool {
        self.owed.len() >= HTTP_UNACKNOWLEDGED_MAX
    }

    /// The client is done with the first so many frames; returns how many that are now. `None`: there
    /// were not so many.
    pub(super) fn acknowledge(&mut self, through: u64) -> Option<u64> {
        if through > self.last() {
            return None;
        }
        if through > self.acknowledged {
            self.owed.drain(..(through - self.acknowledged) as usize);
            self.acknowledged = through;
            self.due = Some(through);
            self.settle_front();
        }
        Some(self.acknowledged)
    }

    /// What was done with before, and is next, is acknowledged.
    fn settle_front(&mut self) {
        while self.owed.front().is_some_and(|it| it.is_done) {
            self.owed.pop_front();
            self.acknowledged += 1;
            self.due = Some(self.acknowledged);
        }
        self.invariants();
    }

    /// The line that the agent is to be sent, if there is one; it counts as sent.
    pub(super) fn take_due(&mut self) -> Option<u64> {
        self.due.take()
    }

    /// It was not sent.
    pub(super) fn owe_again(&mut self, through: u64) {
        self.due = Some(self.due.unwrap_or_default().max(through));
    }

    /// The connection to the agent is over.
    pub(super) fn leave(&mut self) -> Left {
        Left {
            acknowledged: self.acknowledged,
            owed: self.owed.drain(..).collect(),
            done: std::mem::take(&mut self.done),
        }
    }

    fn invariants(&self) {
        debug_assert!(self.owed.front().is_none_or(|it| !it.is_done));
    }
}

impl Left {
    /// A client that has come again could not be served.
    pub(super) fn of(done: FrameMarks) -> Self {
        Self {
            done,
            ..Self::default()
        }
    }

    /// What may come again to the client that had its events up to this number, and is done with. A
    /// number that was never sent acknowledges nothing.
    pub(super) fn done_through(mut self, through: u64) -> FrameMarks {
        let last = self.acknowledged + self.owed.len() as u64;
        let through = if through <= last { through } else { 0 };
        for (number, owed) in (self.acknowledged + 1..).zip(&self.owed) {
            if owed.is_done || number <= through {
                self.done.add(owed.mark);
            }
        }
        self.done
    }
}

/// `event: again` and its data.
fn event(name: &str, line: &[u8], events: &mut Vec<u8>) {
    writeln!(events, "event: {name}").expect("a vector takes all");
    data(line, events);
}

/// A carriage return ends a line of an event, so what it separates stands in lines of its own.
fn data(line: &[u8], events: &mut Vec<u8>) {
    for part in line.split(|it| *it == b'\r') {
        events.extend_from_slice(b"data: ");
        events.extend_from_slice(part);
        events.push(b'\n');
    }
    events.push(b'\n');
}

#[cfg(test)]
mod tests;
