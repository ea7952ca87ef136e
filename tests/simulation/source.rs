//! A simulated message server: says its lines, again those that were not acknowledged.

use std::sync::Arc;

use crate::dice::Dice;
use crate::history::{Event, LineId};
use crate::plan::{Faults, SourcePlan};
use crate::script::{Kind, Line, Script};
use crate::tap::{is_refusal, lines, number_of};
use crate::time::Time;
use crate::wire::{LinkId, Peer, Wire};

/// A producer dials again after this long at most, in ns.
const REDIAL_NS_MAX: u64 = 200_000_000;

/// One source.
#[derive(Debug)]
pub struct Source {
    number: usize,
    script: Arc<Script>,
    wire: Wire,
    time: Time,
    dice: Dice,
    dials_in: bool,
    acks: bool,
    burst: usize,
    pause_ns: u64,
    is_in_crowd: bool,
    link: Option<LinkId>,
    /// The connection before, which the engine may still read from.
    former: Option<LinkId>,
    /// Lines that it may say at most; the others are another day's.
    upto: usize,
    /// Lines that it need not send any more.
    taken: usize,
    /// The first line of this connection.
    base: usize,
    /// The next line to send.
    next: usize,
    /// Bytes of what it is sending that found no room.
    unsent: Vec<u8>,
    heard: Vec<u8>,
    /// What it is sending is the last of this connection, and ends without a newline or within a line.
    is_ending: bool,
    /// It has ended its side.
    has_ended: bool,
    /// This connection, or the one before, has ended within a line, or may have.
    has_cut: bool,
    rests_until_ns: u64,
}

impl Source {
    /// Not connected yet.
    pub fn new(
        number: usize,
        (plan, is_in_crowd): (&SourcePlan, bool),
        script: Arc<Script>,
        wire: Wire,
        time: Time,
        dice: Dice,
    ) -> Self {
        Self {
            number,
            script,
            wire,
            time,
            dice,
            dials_in: plan.dials_in,
            acks: plan.acks,
            burst: plan.burst,
            pause_ns: plan.pause_ns,
            is_in_crowd,
            link: None,
            former: None,
            upto: usize::MAX,
            taken: 0,
            base: 0,
            next: 0,
            unsent: Vec::new(),
            heard: Vec::new(),
            is_ending: false,
            has_ended: false,
            has_cut: false,
            rests_until_ns: 0,
        }
    }

    /// It may say so many lines.
    pub fn allow(&mut self, upto: usize) {
        self.upto = upto;
    }

    /// It ends its connection in an orderly way.
    pub fn hang_up(&mut self) {
        if let Some(link) = self.link {
            self.wire.leave(link, true);
            self.part();
        }
    }

    /// It has said everything that it may, and was told so where it wants to be.
    pub fn is_done(&self) -> bool {
        let all = self.script.of(self.number).len().min(self.upto);
        let upto = if self.acks { self.taken } else { self.next };
        upto == all && self.unsent.is_empty()
    }

    /// Whether it may wait until a line that its connection's end has cut off is kept.
    pub fn has_cut(&self) -> bool {
        self.has_cut
    }

    /// How far it is, for people.
    pub fn state(&self) -> String {
        format!(
            "source {}: {} of {} lines sent, {} need not be sent again, link {:?}",
            self.number,
            self.next,
            self.script.of(self.number).len(),
            self.taken,
            self.link,
        )
    }

    /// One turn: listens, and says something. Returns whether it did anything.
    pub fn turn(&mut self, faults: &Faults, events: &mut Vec<Event>) -> bool {
        let Some(link) = self.link else {
            return self.meet();
        };
        if self.dice.chance(faults.reset) {
            self.wire.leave(link, false);
            self.has_cut = true;
            self.part();
            return true;
        }
        let Some(bytes) = self.wire.take(link, 1 << 16) else {
            self.note_dismissed(link, events);
            self.wire.leave(link, true);
            self.part();
            return true;
        };
        self.listen(&bytes, events);
        if self.time.ns() >= self.rests_until_ns {
            self.speak(faults.half_close);
        }
        self.push(link) || !bytes.is_empty()
    }

    fn note_dismissed(&self, link: LinkId, events: &mut Vec<Event>) {
        if let Some(unread) = self.wire.dismissed(link).filter(|_| self.has_ended) {
            let untold = if self.acks { self.next - self.taken } else { 0 };
            events.push(Event::Dismissed {
                source: self.number,
                unread,
                untold,
            });
        }
    }

    fn meet(&mut self) -> bool {
        if self.dials_in {
            // Two connections of one producer at once would be two sources.
            let is_read_still = self.former.is_some_and(|it| self.wire.is_held(it));
            if is_read_still || self.time.ns() < self.rests_until_ns || self.is_done() {
                return false;
            }
            self.link = Some(self.wire.connect(Peer::Source(self.number)));
            let word = format!("{{\"producer\":{{\"ack\":{}}}}}\n", self.acks);
            if self.acks || self.dice.flip() {
                self.unsent = word.into_bytes();
            }
        } else {
            self.link = self.wire.accept_dial(self.number);
        }
        self.has_cut &= self.link.is_none();
        self.link.is_some()
    }

    fn part(&mut self) {
        self.former = self.link.take();
        self.unsent.clear();
        self.heard.clear();
        (self.is_ending, self.has_ended) = (false, false);
        // Who is not acknowledged does not know what arrived, and goes on.
        if self.acks {
            self.next = self.taken;
        } else {
            self.taken = self.next;
        }
        self.base = self.next;
        self.rests_until_ns = self.time.ns() + self.dice.long(0..=REDIAL_NS_MAX);
    }

    fn listen(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.heard.extend_from_slice(bytes);
        for line in lines(&mut self.heard) {
            let count = number_of(&line, "{\"ack\":").filter(|_| self.acks);
            let upto = count.map(|it| self.base + it);
            match upto.filter(|&it| it >= self.taken && it <= self.next) {
                Some(upto) => {
                    let of = |line| LineId {
                        source: self.number,
                        line,
                    };
                    events.extend((self.taken..upto).map(of).map(Event::Acknowledged));
                    self.taken = upto;
                }
                // It comes again when others have gone.
                None if self.is_in_crowd && is_refusal(&line) => {}
                None => {
                    let line = String::from_utf8_lossy(&line);
                    let what = format!("{} was told {line}", self.state());
                    events.push(Event::Nonsense(what));
                }
            }
        }
    }

    fn speak(&mut self, half_closes: u32) {
        let may_speak = self.unsent.is_empty() && !self.is_ending;
        let Some(link) = self.link.filter(|_| may_speak) else {
            return;
        };
        let script = Arc::clone(&self.script);
        let lines = script.of(self.number);
        let burst = self.dice.pick(1..=self.burst);
        let upto = lines.len().min(self.upto).min(self.next + burst);
        for (line, it) in lines.iter().enumerate().take(upto).skip(self.next) {
            let source = self.number;
            self.wire.announce(link, LineId { source, line });
            self.unsent.extend_from_slice(&it.text);
            let end: &[u8] = self.dice.of(&[b"\n", b"\n", b"\r\n", b"\n \n"]);
            self.unsent.extend_from_slice(end);
        }
        let ends = upto > self.next && half_closes > 0 && self.dice.chance(half_closes);
        // Without its newline a wrong line may be the beginning of a right one.
        if ends && !is_part(&lines[upto - 1]) {
            match self.dice.flip().then(|| lines.get(upto)).flatten() {
                Some(next) if matches!(next.kind, Kind::Message { .. }) => {
                    // Its process dies while it writes this one.
                    let begin = next.text.len() - next.text.trim_ascii_start().len();
                    let end = self
                        .dice
                        .pick(begin + 1..=next.text.trim_ascii_end().len() - 1);
                    self.unsent.extend_from_slice(&next.text[..end]);
                    self.has_cut = true;
                }
                _ => {
                    let end = self.unsent.trim_ascii_end().len();
                    self.unsent.truncate(end);
                }
            }
            self.is_ending = true;
        }
        self.next = upto;
        self.rests_until_ns = self.time.ns() + self.dice.long(0..=self.pause_ns);
    }

    fn push(&mut self, link: LinkId) -> bool {
        if self.unsent.is_empty() {
            return false;
        }
        let taken = self.wire.send(link, &self.unsent).unwrap_or(0);
        self.unsent.drain(..taken);
        if self.unsent.is_empty() && self.is_ending {
            self.has_ended = true;
            self.wire.end_sending(link);
        }
        taken > 0
    }
}

fn is_part(line: &Line) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&line.text).is_err_and(|it| it.is_eof())
}
