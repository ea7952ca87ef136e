//! The frames of a round: the simulator's orders under ids that can be verified in fixed places.
//!
//! The source renders them, the sink derives what it must find from the same book. Every frame of
//! a round has one length, so the sink finds its newline without a search:
//!
//! ```text
//! {"messageId": "0000000042-003-000000123456789012", "sourceServerId": "server003", "destina…
//!                ^ number   ^ source  ^ due, ns: on schedule only    timestamp: patched, too
//! ```
//! Destination, level and order follow from source and number through a table of slots drawn once
//! from a fixed seed. A frame too short for an order has no timestamp and no payload.

use anyhow::{Context as _, Result};
use memchr::memmem;
use message_server_simulator::{FrameMaker, FrameSpec};

use crate::plan::Plan;
use crate::wire::Wire;

const ID_AT: usize = b"{\"messageId\": \"".len();
const NUMBER_LEN: usize = 10;
const SOURCE_AT: usize = ID_AT + NUMBER_LEN + 1;
const SOURCE_LEN: usize = 3;
const DUE_AT: usize = SOURCE_AT + SOURCE_LEN + 1;
/// 31 years of ns.
const DUE_LEN: usize = 18;
const TIMESTAMP_LEN: usize = 13;
/// Orders for each destination: as many of each of three levels, all of eight, and not ten, for the
/// simulator's own numbers, which ours replace, are to have one digit.
const VARIANTS: usize = 9;
/// Slots that source and number choose from: many enough that no pattern can be learnt.
const SLOTS: usize = 4096;
/// How far apart two sources are in the table.
const SOURCE_STRIDE: usize = 977;
/// Chooses the orders and the slots: the same in every round, for both sides.
const SEED: u64 = 0x0f11_99ed;

/// All frames of a round.
#[derive(Debug)]
pub(crate) struct FrameBook {
    templates: Vec<Template>,
    slots: Vec<u16>,
    is_timed: bool,
    /// Bytes before a line's first: what another server's protocol puts there.
    head_len: usize,
    line_len: usize,
    first_source: usize,
}

/// Bytes of a plan's frames, without their newline.
pub(crate) fn frame_len(plan: &Plan) -> Result<usize> {
    Ok(FrameBook::new(plan, Wire::Bare)?.line_len() - 1)
}

#[derive(Debug, Clone, PartialEq)]
struct Template {
    /// The whole line, with its newline; number, source, due and timestamp are to be patched.
    line: Vec<u8>,
    /// Where the frame begins; the other places count from here.
    head_len: usize,
    server_at: usize,
    priority_at: usize,
    timestamp_at: Option<usize>,
    destination: usize,
    level: usize,
}

/// What a frame says of itself in its fixed places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its place in its source's stream, from 0.
    pub(crate) number: u64,
    /// Its source, from 0.
    pub(crate) source: usize,
    /// When it was due; 0 flat out.
    pub(crate) due_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its destination, from 0.
    pub(crate) destination: usize,
    /// Its level, from 0.
    pub(crate) level: usize,
}

impl FrameBook {
    /// The frames of this plan as they travel on this wire.
    pub(crate) fn new(plan: &Plan, wire: Wire) -> Result<Self> {
        let is_timed = plan.rate.is_some();
        let mut templates = Vec::new();
        for (destination, name) in plan.destination_names().iter().enumerate() {
            let lines = orders(plan, name, destination)?.unwrap_or_else(|| bare(plan, name));
            for (variant, line) in lines.iter().enumerate() {
                let mut template = Template::new(line, destination);
                template.set_level(variant % plan.levels);
                templates.push(template.wrapped(wire, name));
            }
        }
        let line_len = templates[0].line.len();
        assert!(templates.iter().all(|it| it.line.len() == line_len));
        let mut rng = fastrand::Rng::with_seed(SEED);
        let draw = |_| u16::try_from(rng.usize(..templates.len())).expect("9 times 999 fit");
        Ok(Self {
            slots: (0..SLOTS).map(draw).collect(),
            head_len: templates[0].head_len,
            templates,
            is_timed,
            line_len,
            first_source: plan.first_source,
        })
    }

    /// Bytes of each line, its newline included.
    pub(crate) fn line_len(&self) -> usize {
        self.line_len
    }

    /// Appends a frame and its newline.
    #[inline]
    pub(crate) fn append(&self, out: &mut Vec<u8>, stamp: Stamp, timestamp: &Timestamp) {
        let start = out.len();
        let template = self.template(stamp);
        out.extend_from_slice(&template.line);
        let line = &mut out[start + self.head_len..];
        put_decimal(&mut line[ID_AT..ID_AT + NUMBER_LEN], stamp.number);
        let source = (self.first_source + stamp.source) as u64 + 1;
        put_decimal(&mut line[SOURCE_AT..SOURCE_AT + SOURCE_LEN], source);
        let server_at = template.server_at;
        put_decimal(&mut line[server_at..server_at + SOURCE_LEN], source);
        if self.is_timed {
            put_decimal(&mut line[DUE_AT..DUE_AT + DUE_LEN], stamp.due_ns);
        }
        if let Some(at) = template.timestamp_at {
            line[at..at + TIMESTAMP_LEN].copy_from_slice(&timestamp.0);
        }
    }

    /// Reads a line's fixed places; `None` when they are not there.
    #[inline]
    pub(crate) fn read(&self, line: &[u8]) -> Option<Stamp> {
        if line.len() != self.line_len || line[self.line_len - 1] != b'\n' {
            return None;
        }
        let line = &line[self.head_len..];
        let number = decimal(&line[ID_AT..ID_AT + NUMBER_LEN])?;
        let source = decimal(&line[SOURCE_AT..SOURCE_AT + SOURCE_LEN])?;
        let first_source = self.first_source as u64;
        let due_ns = match self.is_timed {
            true => decimal(&line[DUE_AT..DUE_AT + DUE_LEN])?,
            false => 0,
        };
        Some(Stamp {
            number,
            source: usize::try_from(source.checked_sub(first_source + 1)?).ok()?,
            due_ns,
        })
    }

    /// Where the frame with this stamp belongs.
    #[inline]
    pub(crate) fn place(&self, stamp: Stamp) -> Place {
        let Template {
            destination, level, ..
        } = *self.template(stamp);
        Place { destination, level }
    }

    /// Whether a line is, byte for byte, the frame with this stamp; its timestamp is its own.
    pub(crate) fn is_verbatim(&self, line: &[u8], stamp: Stamp, spare: &mut Vec<u8>) -> bool {
        let timestamp_at = self.template(stamp).timestamp_at;
        let timestamp_at = timestamp_at.map(|at| at + self.head_len);
        let digits = timestamp_at.and_then(|at| line[at..at + TIMESTAMP_LEN].try_into().ok());
        let timestamp = Timestamp(digits.unwrap_or([b'0'; TIMESTAMP_LEN]));
        spare.clear();
        self.append(spare, stamp, &timestamp);
        timestamp.0.iter().all(u8::is_ascii_digit) && spare == line
    }

    /// How many frames of the plan each destination gets.
    pub(crate) fn expected(&self, plan: &Plan) -> Vec<u64> {
        let mut expected = vec![0; plan.destinations];
        for source in 0..plan.sources {
            let messages = plan.messages_of(source);
            for first in 0..messages.min(SLOTS as u64) {
                let stamp = Stamp {
                    number: first,
                    source,
                    due_ns: 0,
                };
                let times = (messages - first).div_ceil(SLOTS as u64);
                expected[self.place(stamp).destination] += times;
            }
        }
        expected
    }

    #[inline]
    fn template(&self, stamp: Stamp) -> &Template {
        let slot = (stamp.number as usize).wrapping_add(stamp.source * SOURCE_STRIDE) % SLOTS;
        &self.templates[usize::from(self.slots[slot])]
    }
}

impl Template {
    fn new(line: &[u8], destination: usize) -> Self {
        let behind = |key: &str| memmem::find(line, key.as_bytes()).map(|at| at + key.len());
        let priority_at = behind("\"priority\": ").expect("every frame has a priority");
        Self {
            line: line.to_vec(),
            head_len: 0,
            priority_at,
            server_at: behind("\"sourceServerId\": \"server").expect("every frame has a source"),
            timestamp_at: behind("\"timestamp\": "),
            destination,
            level: usize::from(line[priority_at] - b'1'),
        }
    }

    fn set_level(&mut self, level: usize) {
        self.level = level;
        self.line[self.priority_at] = b"12345678"[level];
    }

    fn wrapped(self, wire: Wire, destination: &str) -> Self {
        let (head, tail) = wire.around(destination, self.line.len());
        Self {
            line: [head.as_bytes(), &self.line, tail.as_bytes()].concat(),
            head_len: head.len(),
            ..self
        }
    }
}

/// What stands for the id before it is patched.
fn id(plan: &Plan) -> String {
    let zeros = |len: usize| "0".repeat(len);
    let id = format!("{}-{}", zeros(NUMBER_LEN), zeros(SOURCE_LEN));
    match plan.rate {
        Some(_) => format!("{id}-{}", zeros(DUE_LEN)),
        None => id,
    }
}

/// The simulator's orders for a destination under our id; `None` where the length is too short.
fn orders(plan: &Plan, destination: &str, index: usize) -> Result<Option<Vec<Vec<u8>>>> {
    let make = |len| lines_of_simulator(len, destination, index);
    let drafts = make(DRAFT_LEN).context("the simulator makes no frames")?;
    let draft_len = with_id(&drafts[0], &id(plan)).len();
    let len = (plan.frame_len + DRAFT_LEN + 1).saturating_sub(draft_len);
    let lines = make(len).ok();
    Ok(lines.map(|lines| lines.iter().map(|it| with_id(it, &id(plan))).collect()))
}

/// Long enough for any names.
const DRAFT_LEN: usize = 1_000;

fn lines_of_simulator(
    len: usize,
    destination: &str,
    index: usize,
) -> Result<Vec<Vec<u8>>, message_server_simulator::SimulatorError> {
    let mut maker = FrameMaker::new(FrameSpec {
        server: format!("server{}", "0".repeat(SOURCE_LEN)),
        destinations: vec![destination.to_owned()],
        len: Some(len),
        fresh: true,
        seed: SEED + index as u64,
        run: 0,
    })?;
    let line = |_| {
        let mut line = Vec::new();
        maker.append(&mut line, 0);
        line
    };
    Ok((0..VARIANTS).map(line).collect())
}

fn with_id(line: &[u8], id: &str) -> Vec<u8> {
    let end = ID_AT + memchr::memchr(b'"', &line[ID_AT..]).expect("an id ends with a quote");
    [&line[..ID_AT], id.as_bytes(), &line[end..]].concat()
}

/// The shortest frames there are.
fn bare(plan: &Plan, destination: &str) -> Vec<Vec<u8>> {
    let (id, zeros) = (id(plan), "0".repeat(SOURCE_LEN));
    let line = |_| {
        let line = format!(
            "{{\"messageId\": \"{id}\", \"sourceServerId\": \"server{zeros}\", \
             \"destinationId\": \"{destination}\", \"messageType\": \"meal\", \
             \"priority\": 1}}\n"
        );
        line.into_bytes()
    };
    (0..VARIANTS).map(line).collect()
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamp([u8; TIMESTAMP_LEN]);

impl Timestamp {
    /// Of ms since the epoch.
    pub(crate) fn new(ms: u64) -> Self {
        let mut digits = [0; TIMESTAMP_LEN];
        put_decimal(&mut digits, ms);
        Self(digits)
    }
}

/// All numbers of two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0_u8;
    while value < 100 {
        pairs[value as usize] = [b'0' + value / 10, b'0' + value % 10];
        value += 1;
    }
    pairs
};

/// Fills the place with the value's last digits: two at a time, for each division waits for the one
/// before it.
#[inline]
fn put_decimal(place: &mut [u8], mut value: u64) {
    let mut pairs = place.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if let [digit] = pairs.into_remainder() {
        *digit = b'0' + (value % 10) as u8;
    }
}

/// The number that the digits are; `None` when they are none.
#[inline]
fn decimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    let mut is_wrong = false;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        is_wrong |= digit > 9;
        value = value * 10 + u64::from(digit);
    }
    (!is_wrong).then_some(value)
}

#[cfg(test)]
mod tests;
