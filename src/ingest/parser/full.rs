//! The full path: parses any line, and knows the reason against it and all that JSON allows.
//!
//! The parser asks where the fast path falls back. simd-json makes a tape of the whole line; only
//! the top level of it is walked. What simd-json refuses is validated again, exactly and without
//! haste, in `exact`.

use std::cmp::Ordering;
use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};

use super::exact;
use super::spans::Spans;
use super::{FIELDS, Field, Parsed, REQUIRED};
use crate::limits::{LINE_LEN_MAX, MESSAGE_ID_LEN_MAX, NAME_LEN_MAX, NESTING_MAX};
use crate::message::Reason;
use crate::message::layout::Span;

/// Parses lines by their tape; its buffers are reused, so it allocates only until it is warm.
pub(super) struct FullPath {
    reader: TapeReader,
    /// A copy of the line, in which simd-json resolves escapes, with its padding.
    line: Vec<u8>,
    /// The same of a line with numbers that simd-json refuses, once they are replaced.
    tamed: Vec<u8>,
}

impl FullPath {
    /// For priorities from 1 to `levels`.
    pub(super) fn new(levels: u8) -> Self {
        Self {
            reader: TapeReader {
                levels,
                tape: Tape(Vec::new()),
                buffers: Buffers::with_max_depth(LINE_LEN_MAX, NESTING_MAX),
                unknown: Vec::new(),
            },
            line: Vec::new(),
            tamed: Vec::new(),
        }
    }

    /// As [`super::Parser::parse`].
    pub(super) fn parse(&mut self, frame: &[u8]) -> Result<Parsed<'_>, Reason> {
        copy(frame, &mut self.line);
        if let Some(parsed) = self.reader.read(&mut self.line, frame) {
            return parsed;
        }
        // If it is valid all the same, a number in it is beyond simd-json: such numbers give way to
        // `-1`, which is right nowhere that a number is looked at.
        exact::check(frame)?;
        copy(frame, &mut self.tamed);
        exact::tame_numbers(&mut self.tamed[..frame.len()]);
        let parsed = self.reader.read(&mut self.tamed, frame);
        debug_assert!(parsed.is_some(), "valid JSON was refused");
        parsed.unwrap_or(Err(Reason::BadJson))
    }
}

fn copy(frame: &[u8], line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(frame);
    line.resize(frame.len() + INPUT_PADDING, 0);
}

/// Has simd-json make a line's tape, and reads it.
struct TapeReader {
    levels: u8,
    /// Empty between two lines.
    tape: Tape<'static>,
    buffers: Buffers,
    /// Tape positions of a line's unknown keys.
    unknown: Vec<u32>,
}

impl TapeReader {
    /// `line` begins as the frame, and goes on with padding. `None`: simd-json refuses it.
    fn read<'a>(&mut self, line: &'a mut [u8], frame: &[u8]) -> Option<Result<Parsed<'a>, Reason>> {
        let base = line.as_ptr() as usize;
        let mut tape = mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let (len, buffers) = (frame.len(), &mut self.buffers);
        let filled = simd_json::fill_tape_padded(line, len, buffers, &mut tape);
        let spans = Spans { base, frame };
        let parsed = filled
            .is_ok()
            .then(|| read(&tape.0, spans, self.levels, &mut self.unknown));
        self.tape = tape.reset();
        parsed
    }
}

/// A field's value on the tape, and the key after it; zero: the field is absent, for the tape
/// begins with the object itself.
#[derive(Clone, Copy, Default)]
struct Place {
    value: u32,
    next: u32,
}

/// Reads the top level of a whole line's tape.
fn read<'a>(
    nodes: &[Node<'a>],
    spans: Spans<'_>,
    levels: u8,
    unknown: &mut Vec<u32>,
) -> Result<Parsed<'a>, Reason> {
    let mut places = [Place::default(); FIELDS];
    find_places(nodes, &mut places, unknown)?;
    if places[..REQUIRED].iter().any(|place| place.value == 0) {
        return Err(Reason::MissingField);
    }
    let top = Top {
        nodes,
        places,
        spans,
    };
    let (id, id_span) = top.text(Field::Id, MESSAGE_ID_LEN_MAX)?;
    let (source, source_span) = top.text(Field::Source, NAME_LEN_MAX)?;
    let (destination, destination_span) = top.text(Field::Destination, NAME_LEN_MAX)?;
    let (message_type, message_type_span) = top.text(Field::MessageType, NAME_LEN_MAX)?;
    let values_len = id.len() + source.len() + destination.len() + message_type.len();
    let spans_len = u32::from(id_span.len)
        + u32::from(source_span.len)
        + u32::from(destination_span.len)
        + u32::from(message_type_span.len);
    Ok(Parsed {
        id,
        source,
        destination,
        message_type,
        priority: top.priority(levels)?,
        timestamp_ms: top.timestamp()?,
        escaped: spans_len as usize != values_len,
        id_span,
        source_span,
        destination_span,
        message_type_span,
        payload_span: top.payload()?,
        frame_len: spans.frame.len() as u32,
    })
}

/// Finds the known fields, and refuses keys that stand there twice.
#[inline]
fn find_places(
    nodes: &[Node<'_>],
    places: &mut [Place; FIELDS],
    unknown: &mut Vec<u32>,
) -> Result<(), Reason> {
    if !matches!(nodes.first(), Some(Node::Object { .. })) {
        return Err(Reason::NotAnObject);
    }
    unknown.clear();
    let mut at = 1;
    while at + 1 < nodes.len() {
        let next = at + 2 + inner_count(&nodes[at + 1]);
        match Field::of_key(key_at(nodes, at)) {
            Some(field) => {
                let place = &mut places[field as usize];
                if place.value != 0 {
                    return Err(Reason::DuplicateField);
                }
                place.value = at as u32 + 1;
                place.next = next as u32;
            }
            None => unknown.push(at as u32),
        }
        at = next;
    }
    if unknown.len() > 1 && any_twice(unknown, |one, other| compare_keys(nodes, one, other)) {
        return Err(Reason::DuplicateField);
    }
    Ok(())
}

fn compare_keys(nodes: &[Node<'_>], one: u32, other: u32) -> Ordering {
    let order = |at: u32| {
        let key = key_at(nodes, at as usize);
        (key.len(), key)
    };
    order(one).cmp(&order(other))
}

#[inline]
fn key_at<'a>(nodes: &[Node<'a>], at: usize) -> &'a str {
    match nodes[at] {
        Node::String(key) => key,
        _ => unreachable!("every key of a tape is a string"),
    }
}

#[inline]
fn inner_count(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => *count,
        Node::String(_) | Node::Static(_) => 0,
    }
}

/// Whether two keys are equal. Sorting keeps a hostile line of thousands of keys harmless.
fn any_twice(keys: &mut [u32], mut compare: impl FnMut(u32, u32) -> Ordering) -> bool {
    keys.sort_unstable_by(|&one, &other| compare(one, other));
    keys.windows(2)
        .any(|pair| compare(pair[0], pair[1]).is_eq())
}

/// The top level of a tape, with its known fields found.
struct Top<'n, 'a> {
    nodes: &'n [Node<'a>],
    places: [Place; FIELDS],
    spans: Spans<'n>,
}

// Inlined always: results that go through memory are stored in halves and loaded whole, which a
// processor cannot forward. The walk cost 62 ns a frame with such loads, and costs 44 without.
impl<'a> Top<'_, 'a> {
    #[inline]
    fn node(&self, field: Field) -> Option<Node<'a>> {
        match self.places[field as usize].value {
            0 => None,
            value => Some(self.nodes[value as usize]),
        }
    }

    /// Where the bytes of `field`'s value end.
    #[inline(always)]
    fn value_end(&self, field: Field) -> usize {
        let next = self.places[field as usize].next as usize;
        let next_key = (next < self.nodes.len()).then(|| key_at(self.nodes, next));
        self.spans.value_end(next_key)
    }

    #[inline(always)]
    fn text(&self, field: Field, len_max: usize) -> Result<(&'a str, Span), Reason> {
        match self.node(field) {
            Some(Node::String(text)) if !text.is_empty() && text.len() <= len_max => {
                Ok((text, self.spans.of_text(text, self.value_end(field))))
            }
            _ => Err(Reason::BadField),
        }
    }

    #[inline(always)]
    fn priority(&self, levels: u8) -> Result<u8, Reason> {
        match self.node(Field::Priority) {
            Some(Node::Static(StaticNode::U64(priority)))
                if (1..=u64::from(levels)).contains(&priority) =>
            {
                Ok(priority as u8)
            }
            _ => Err(Reason::BadField),
        }
    }

    #[inline(always)]
    fn timestamp(&self) -> Result<Option<i64>, Reason> {
        match self.node(Field::Timestamp) {
            None => Ok(None),
            Some(Node::Static(StaticNode::U64(timestamp))) => i64::try_from(timestamp)
                .map(Some)
                .map_err(|_| Reason::BadField),
            Some(_) => Err(Reason::BadField),
        }
    }

    #[inline(always)]
    fn payload(&self) -> Result<Span, Reason> {
        match self.node(Field::Payload) {
            None => Ok(Span::default()),
            Some(Node::Object { .. }) => {
                let key_at_tape = self.places[Field::Payload as usize].value as usize - 1;
                let key = key_at(self.nodes, key_at_tape);
                Ok(self.spans.of_object(key, self.value_end(Field::Payload)))
            }
            Some(_) => Err(Reason::BadField),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comparisons that it takes to see that no key stands twice.
    fn comparisons(mut keys: Vec<u32>) -> usize {
        let mut count = 0;
        let found = any_twice(&mut keys, |one, other| {
            count += 1;
            one.cmp(&other)
        });
        assert!(!found);
        count
    }

    #[test]
    fn thousands_of_keys_cost_no_square() {
        for len in [1_000, 8_000, 64_000_u32] {
            let in_order = (0..len).collect();
            let reversed = (0..len).rev().collect();
            // Odd and below 2^32: each key comes once, in no order.
            let mixed = (0..len).map(|key| key.wrapping_mul(0x9e37_79b1)).collect();
            let halves = (0..len / 2).chain((len / 2..len).rev()).collect();
            for keys in [in_order, reversed, mixed, halves] {
                let count = comparisons(keys);
                let bound = 3 * len as usize * len.ilog2() as usize;
                assert!(count <= bound, "{len} keys: {count} comparisons");
            }
        }
    }
}
