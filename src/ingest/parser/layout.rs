//! The third layer of the fast path: where the fields of a shape's lines stand.
//!
//! It is learned from a line that the full path has accepted. The next line of the same tokens has
//! the same layout if the same bytes stand before each value of its top level: so its keys are the
//! same, and no two of them are.

use super::scalars::{is_scalar, skip_spaces_back};
use super::tokens::{Kind, Tokens};
use super::vectors::Vectors;
use super::{FIELDS, Field};
use crate::limits::SHAPE_TOKENS_MAX;

/// The values of a line's fields; and one of a member that is none, if there is one.
pub(super) type Values = [Value; VALUES];

const VALUES: usize = FIELDS + 1;

/// Top-level members of a layout.
const MEMBERS_MAX: usize = 24;

/// Where a field's value stands in the line; empty: the field is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What stands between the tokens of a shape's lines, and which of their members are fields.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The tokens whose places are found; what stands below are their numbers among these.
    selected: u128,
    members: [Member; MEMBERS_MAX],
    member_count: u8,
    /// Numbers and words that no field's own rules validate.
    scalars: [u8; SHAPE_TOKENS_MAX],
    scalar_count: u8,
}

/// A member of the top level.
#[derive(Debug, Clone, Copy, Default)]
struct Member {
    /// Its place among the values: without a branch, also if it is no field.
    value: u8,
    /// From the separator before it up to its value.
    key: KeyPattern,
    /// The separator behind it.
    end: u8,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            selected: 0,
            members: [Member::default(); MEMBERS_MAX],
            member_count: 0,
            scalars: [0; SHAPE_TOKENS_MAX],
            scalar_count: 0,
        }
    }
}

impl Layout {
    /// The layout of a line of at most [`SHAPE_TOKENS_MAX`] tokens that is one valid object with its
    /// fields in order. `None`: it has too many members, or a key that is long or has escapes.
    pub(super) fn learn(tokens: &mut Tokens, line: &[u8]) -> Option<Self> {
        tokens.select_all();
        let mut layout = Self::default();
        let (separators, mut scalars) = structure(tokens);
        // All separators: the braces and the commas of the top level.
        let mut ends = ones(separators);
        let mut before = ends.next()?;
        for end in ends.filter(|end| *end > 1) {
            let (key, value) = (before + 1, before + 3);
            let field = Field::at_start(&line[tokens.place(key) + 1..]);
            if let Some(Field::Priority | Field::Timestamp) = field {
                scalars &= !(1 << value);
            }
            let pattern = &line[tokens.place(before) + 1..tokens.place(value)];
            *layout.members.get_mut(usize::from(layout.member_count))? = Member {
                value: field.map_or(FIELDS as u8, |field| field as u8),
                key: KeyPattern::of(pattern, first_byte(field, line[tokens.place(value)]))?,
                end: end as u8,
            };
            layout.member_count += 1;
            before = end;
        }
        layout.select(separators, scalars);
        Some(layout)
    }

    /// Has the places of these tokens found, and these scalars validated.
    fn select(&mut self, separators: u128, scalars: u128) {
        let selected = separators | scalars;
        self.selected = selected;
        let number = |token: usize| (selected & ((1 << token) - 1)).count_ones() as u8;
        for member in &mut self.members[..usize::from(self.member_count)] {
            member.end = number(usize::from(member.end));
        }
        for (place, token) in self.scalars.iter_mut().zip(ones(scalars)) {
            *place = number(token);
            self.scalar_count += 1;
        }
    }

    /// Finds the values of a line with this layout's tokens, if it has this layout.
    #[inline(always)]
    pub(super) fn find_values(
        &self,
        tokens: &mut Tokens,
        line: &[u8],
        vectors: impl Vectors,
        values: &mut Values,
    ) -> bool {
        *values = Values::default();
        let selected = self.selected;
        tokens.select(|token| (selected >> token) as u64, vectors);
        let mut differences = KeyPattern::default().bytes;
        let mut is_same = true;
        let mut separator = tokens.place(0_u8);
        for member in &self.members[..usize::from(self.member_count)] {
            is_same &= member.key.compare(line, separator + 1, &mut differences);
            let start = separator + 1 + usize::from(member.key.len);
            separator = tokens.place(member.end);
            let end = skip_spaces_back(line, separator);
            values[usize::from(member.value) % VALUES] = Value { start, end };
        }
        is_same & (differences == KeyPattern::default().bytes)
    }

    /// Whether all numbers and words are good that no field's own rules validate. The values were
    /// found.
    #[inline(always)]
    pub(super) fn are_scalars_good(
        &self,
        tokens: &Tokens,
        line: &[u8],
        vectors: impl Vectors,
    ) -> bool {
        let scalars = &self.scalars[..usize::from(self.scalar_count)];
        scalars
            .iter()
            .all(|number| is_scalar(line, tokens.place(*number), vectors))
    }
}

/// The separators of a valid object's top level, and all its numbers and words: a bit for each
/// token.
fn structure(tokens: &Tokens) -> (u128, u128) {
    let (mut separators, mut scalars, mut depth) = (0, 0, 0_usize);
    for token in 0..tokens.count() {
        let kind = tokens.kind(token);
        depth -= usize::from(matches!(kind, Kind::ObjectEnd | Kind::ListEnd));
        let is_separator = match kind {
            Kind::Comma => depth == 1,
            Kind::Object | Kind::ObjectEnd => depth == 0,
            _ => false,
        };
        depth += usize::from(matches!(kind, Kind::Object | Kind::List));
        separators |= u128::from(is_separator) << token;
        scalars |= u128::from(kind == Kind::Scalar) << token;
    }
    (separators, scalars)
}

/// What stands between a separator and a value: a key, a colon, and spaces. The value's first byte
/// may be told from a space, too: there may be more spaces than there were.
#[derive(Debug, Clone, Copy, Default)]
struct KeyPattern {
    /// The bytes, as far as there are ones in the mask.
    bytes: [u64; 4],
    mask: [u64; 4],
    /// Without the value's first byte.
    len: u8,
}

/// Bytes of a pattern, with the value's first one.
const PATTERN_LEN_MAX: usize = 32;

/// What is known of a value's first byte, and which bits are.
fn first_byte(field: Option<Field>, byte: u8) -> (u8, u8) {
    match field {
        None => (0, 0),
        // A digit or a minus has this bit, and no space has.
        Some(Field::Priority | Field::Timestamp) => (0x10, 0x10),
        Some(_) => (byte, u8::MAX),
    }
}

impl KeyPattern {
    /// `None`: it is too long, or the key has escapes, so that it may be another one.
    fn of(pattern: &[u8], (first, first_mask): (u8, u8)) -> Option<Self> {
        let (mut bytes, mut mask) = ([0; PATTERN_LEN_MAX], [0; PATTERN_LEN_MAX]);
        *bytes.get_mut(pattern.len())? = first;
        mask[pattern.len()] = first_mask;
        bytes[..pattern.len()].copy_from_slice(pattern);
        mask[..pattern.len()].fill(u8::MAX);
        (!pattern.contains(&b'\\')).then_some(Self {
            bytes: words(&bytes),
            mask: words(&mask),
            len: pattern.len() as u8,
        })
    }

    /// Whether the line has the same bytes at `at`; in place of `false`, bits may be set in
    /// `differences`, which remain vectors while many patterns are compared.
    #[inline(always)]
    fn compare(&self, line: &[u8], at: usize, differences: &mut [u64; 4]) -> bool {
        let bytes = line.get(at..at + PATTERN_LEN_MAX);
        let Some(bytes) = bytes.and_then(<[u8]>::first_chunk) else {
            return self.is_at(line, at);
        };
        for (difference, more) in differences.iter_mut().zip(self.differences(bytes)) {
            *difference |= more;
        }
        true
    }

    #[inline(always)]
    fn differences(&self, bytes: &[u8; PATTERN_LEN_MAX]) -> [u64; 4] {
        let words = words(bytes);
        std::array::from_fn(|index| (words[index] ^ self.bytes[index]) & self.mask[index])
    }

    /// The same at the line's end.
    #[cold]
    fn is_at(&self, line: &[u8], at: usize) -> bool {
        let rest = line.get(at..).unwrap_or_default();
        let mut bytes = [0; PATTERN_LEN_MAX];
        let len = rest.len().min(PATTERN_LEN_MAX);
        bytes[..len].copy_from_slice(&rest[..len]);
        self.differences(&bytes) == [0; 4]
    }
}

#[inline(always)]
fn words(bytes: &[u8; PATTERN_LEN_MAX]) -> [u64; 4] {
    let words = bytes.as_chunks().0;
    std::array::from_fn(|index| u64::from_le_bytes(words[index]))
}

/// Which bits are ones, from the lowest.
fn ones(mut bits: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let one = bits.trailing_zeros() as usize;
        let is_there = bits != 0;
        bits &= bits.wrapping_sub(1);
        is_there.then_some(one)
    })
}
