//! What the sources have to say: every line of a run, drawn before it begins.
//!
//! A frame carries in its payload which line of which source it is, so that whoever sees it knows
//! which copy was taken where several lines have the same `messageId`.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::history::{LineId, MessageId};
use crate::plan::{Month, Plan, SourcePlan};

/// When sources believe the world begins, in ms since the epoch.
const BEGINNING_MS: usize = 1_769_842_800_000;
/// Longest line of every run, in bytes.
pub const LINE_LEN_MAX: usize = 4_096;

/// One line.
#[derive(Debug)]
pub struct Line {
    /// Without its newline.
    pub text: Vec<u8>,
    /// What the engine must make of it.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A good frame.
    Message {
        /// Several lines may have the same.
        id: MessageId,
        /// Whom it is for.
        destination: usize,
        /// Its level when it is accepted.
        level: u8,
    },
    /// It breaks a rule.
    Wrong,
}

/// All lines of all sources.
#[derive(Debug)]
pub struct Script {
    sources: Vec<Vec<Line>>,
    /// How many different messages there are.
    pub messages: usize,
    /// Copies are of messages from this one on: in a month, those of the shift are remembered.
    copied_from: usize,
}

impl Script {
    /// Draws the lines.
    pub fn draw(plan: &Plan) -> Self {
        let mut dice = Dice::new(plan.seed, "script");
        let mut script = Self {
            sources: Vec::new(),
            messages: 0,
            copied_from: 0,
        };
        for (source, source_plan) in plan.sources.iter().enumerate() {
            script.sources.push(Vec::new());
            for line in 0..source_plan.lines {
                if plan.month.is_some() && Month::is_first(line) {
                    script.copied_from = script.messages;
                }
                let line = script.draw_line(source, source_plan, plan, &mut dice);
                script.sources[source].push(line);
            }
        }
        script
    }

    /// The lines of a source.
    pub fn of(&self, source: usize) -> &[Line] {
        &self.sources[source]
    }

    /// A line.
    pub fn line(&self, id: LineId) -> &Line {
        &self.sources[id.source][id.line]
    }

    /// Lines, each with its newline, that carry different messages; so many at most.
    pub fn messages_once(&self, count: usize) -> Vec<Vec<u8>> {
        let mut lines = BTreeMap::new();
        for line in self.sources.iter().flatten() {
            if let Kind::Message { id, .. } = line.kind {
                lines.insert(id, [&line.text[..], b"\n"].concat());
            }
        }
        lines.into_values().take(count).collect()
    }

    /// The message that a line carries.
    pub fn message(&self, id: LineId) -> Option<MessageId> {
        match self.line(id).kind {
            Kind::Message { id, .. } => Some(id),
            Kind::Wrong => None,
        }
    }

    /// Bytes on the wire of the shortest frame for a destination.
    pub fn shortest_for(&self, destination: usize) -> usize {
        let lines = self.sources.iter().flatten();
        let is_for_it = |it: &&Line| matches!(it.kind, Kind::Message { destination: to, .. } if to == destination);
        let lens = lines.filter(is_for_it).map(|it| it.text.len() + 1);
        lens.min().unwrap_or(1)
    }

    /// Which line a frame is, byte for byte.
    pub fn find(&self, frame: &[u8]) -> Option<LineId> {
        let at = memchr::memmem::find(frame, b"\"line\":[")?;
        let text = std::str::from_utf8(&frame[at + 8..]).ok()?;
        let (source, line) = text.split_once(']')?.0.split_once(',')?;
        let id = LineId {
            source: source.parse().ok()?,
            line: line.parse().ok()?,
        };
        let known = self.sources.get(id.source)?.get(id.line)?;
        (known.text == frame).then_some(id)
    }

    fn draw_line(
        &mut self,
        source: usize,
        source_plan: &SourcePlan,
        plan: &Plan,
        dice: &mut Dice,
    ) -> Line {
        let mark = format!("\"line\":[{source},{}]", self.sources[source].len());
        if dice.chance(source_plan.wrong) {
            return wrong_line(&mark, dice);
        }
        let is_copy = self.messages > self.copied_from && dice.chance(source_plan.duplicates);
        let id = if is_copy {
            dice.pick(self.copied_from..=self.messages - 1)
        } else {
            self.messages
        };
        self.messages = self.messages.max(id + 1);
        // Copies of a message agree on whom it is for, and how urgent it is.
        let mut of_message = Dice::new(plan.seed ^ id as u64, "message");
        let destination = of_message.pick(0..=plan.destinations - 1);
        let priority = of_message.pick(1..=usize::from(plan.levels)) as u8;
        let timestamp = match dice.pick(0..=3) {
            0 => String::new(),
            1 => format!("\"timestamp\":{},", dice.pick(0..=2 * BEGINNING_MS)),
            _ => {
                let line = self.sources[source].len();
                format!("\"timestamp\":{},", BEGINNING_MS + line * 10)
            }
        };
        let fill_len = match plan.is_heavy {
            true => plan.fill_max,
            false => dice.skewed(plan.fill_max),
        };
        let fill = "x".repeat(fill_len);
        let text = format!(
            "{{\"messageId\":\"m{id}\",\"sourceServerId\":\"server{source}\",\
             \"destinationId\":\"table{destination}\",\"messageType\":\"breakfast\",\
             \"priority\":{priority},{timestamp}\"payload\":{{\"fill\":\"{fill}\",{mark}}}}}"
        );
        let is_vip = plan.has_vip && destination == 0;
        let level = if is_vip { 1 } else { priority };
        let kind = Kind::Message {
            id,
            destination,
            level,
        };
        Line {
            text: text.into_bytes(),
            kind,
        }
    }
}

fn wrong_line(mark: &str, dice: &mut Dice) -> Line {
    let text = match dice.pick(0..=4) {
        0 => format!("{{{mark}").into_bytes(),
        1 => format!("{{{mark},\"messageId\":7}}").into_bytes(),
        2 => format!("[{{{mark}}}]").into_bytes(),
        3 => [format!("{{{mark},\"a\":\"").as_bytes(), b"\xff\"}"].concat(),
        _ => format!("{{{mark},\"a\":\"{}\"}}", "y".repeat(2 * LINE_LEN_MAX)).into_bytes(),
    };
    Line {
        text,
        kind: Kind::Wrong,
    }
}

/// The message of a `messageId`.
pub fn message_of(id: &str) -> Option<MessageId> {
    id.strip_prefix('m')?.parse().ok()
}
