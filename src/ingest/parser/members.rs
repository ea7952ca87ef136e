//! Which members of a line's top level are the fields that the engine knows.
//!
//! The quick way asks, with the line's shape at hand. Where the last good line of a shape had its
//! fields, the next one has them too, nearly always. Then it is enough to see that the same bytes
//! stand before each value: so the keys are the same, and no two of them are.

use super::blocks::Vectors;
use super::scalars::{is_scalar, skip_spaces_back};
use super::shapes::{Joints, MEMBERS_MAX, Shape, judge};
use super::tokens::{Kind, Tokens};
use super::{FIELDS, Field};

/// The values of a line's fields; and one of a member that is none, if there is one.
pub(super) type Values = [Value; VALUES];

const VALUES: usize = FIELDS + 1;

/// Where a field's value stands in the line; empty: the field is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Value {
    /// The value whose first token begins at `start`, and which a comma or brace at `end` follows.
    #[inline(always)]
    fn between(start: usize, end: usize, line: &[u8]) -> Self {
        Self {
            start,
            end: skip_spaces_back(line, end),
        }
    }
}

/// What stood between the tokens of a shape's last line, and which of its members were fields.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The tokens to look at: what stands below are their numbers among these.
    picked: u128,
    /// The first ones, in the order of the line.
    members: [OrderedMember; ORDERED_MAX],
    member_count: u8,
    /// Numbers and words that no field's own rules judge.
    scalars: [u8; SCALARS_MAX],
    scalar_count: u8,
}

/// Members of an order.
const ORDERED_MAX: usize = 12;

/// Numbers and words of an order.
const SCALARS_MAX: usize = 64;

/// A member of an order.
#[derive(Debug, Clone, Copy, Default)]
struct OrderedMember {
    /// Its place among the values: without a branch, also if it is no field.
    value: u8,
    /// From the joint before it up to its value.
    head: Head,
    /// The joint behind it.
    end: u8,
}

/// Finds the fields of a line whose tokens are drawn. All numbers and words are judged but those of
/// fields. `None`: the line is wrong, or unusual.
#[inline(always)]
pub(super) fn find(
    tokens: &mut Tokens,
    shape: Option<&mut Shape<Option<Order>>>,
    line: &[u8],
    vectors: impl Vectors,
    values: &mut Values,
) -> Option<()> {
    let Some(shape) = shape else {
        return find_shapeless(tokens, line, vectors, values);
    };
    if let Some(order) = &shape.known {
        let picked = order.picked;
        tokens.pick(|token| (picked >> token) as u64, vectors);
        if order.has_values(tokens, line, values) {
            return order.are_scalars_good(tokens, line, vectors).then_some(());
        }
    }
    find_anew(tokens, shape, line, vectors, values)
}

/// The same where the order of the shape's last line is not this line's.
#[cold]
#[inline(never)]
fn find_anew(
    tokens: &mut Tokens,
    shape: &mut Shape<Option<Order>>,
    line: &[u8],
    vectors: impl Vectors,
    values: &mut Values,
) -> Option<()> {
    tokens.pick(|_| u64::MAX, vectors);
    let mut scalars = ones(shape.scalars);
    if !scalars.all(|token| is_scalar(line, tokens.place(token), vectors)) {
        return None;
    }
    *values = find_values(tokens, &shape.joints, line)?;
    if let Some(order) = Order::learn(tokens, shape, line) {
        shape.known = Some(order);
    }
    Some(())
}

/// The same where the shape is not kept.
#[cold]
#[inline(never)]
fn find_shapeless(
    tokens: &mut Tokens,
    line: &[u8],
    vectors: impl Vectors,
    values: &mut Values,
) -> Option<()> {
    tokens.pick(|_| u64::MAX, vectors);
    let is_scalar = |token| is_scalar(line, tokens.place(token), vectors);
    *values = find_values(tokens, &judge(tokens, is_scalar)?, line)?;
    Some(())
}

/// Finds the fields, with all tokens picked; `None`: a key stands there twice, or has escapes.
fn find_values(tokens: &Tokens, joints: &Joints, line: &[u8]) -> Option<Values> {
    let mut values = Values::default();
    let mut unknown: [&[u8]; MEMBERS_MAX] = [&[]; MEMBERS_MAX];
    let mut unknown_count = 0;
    for member in joints.members() {
        let key_at = tokens.place(member.key) + 1;
        if let Some(field) = Field::at_start(&line[key_at..]) {
            let value = &mut values[field as usize];
            if value.end != 0 {
                return None;
            }
            *value = Value::between(tokens.place(member.value), tokens.place(member.end), line);
            continue;
        }
        let key = &line[key_at..skip_spaces_back(line, tokens.place(member.colon))];
        if key.contains(&b'\\') || unknown[..unknown_count].contains(&key) {
            return None;
        }
        unknown[unknown_count] = key;
        unknown_count += 1;
    }
    Some(values)
}

impl Order {
    /// The order of a line whose fields were found, and all of whose tokens are picked; `None`: it
    /// has too many members, or long keys, or a field that is of the wrong kind.
    fn learn(tokens: &Tokens, shape: &Shape<Option<Self>>, line: &[u8]) -> Option<Self> {
        let mut members = [OrderedMember::default(); ORDERED_MAX];
        let mut member_count = 0;
        let mut scalars = shape.scalars;
        let mut joints = 1_u128;
        for member in shape.joints.members() {
            let field = Field::at_start(&line[tokens.place(member.key) + 1..]);
            if let Some(field) = field {
                let kind = match field {
                    Field::Priority | Field::Timestamp => Kind::Scalar,
                    Field::Payload => Kind::Object,
                    _ => Kind::Text,
                };
                if tokens.kind(member.value) != kind {
                    return None;
                }
                scalars &= !(1 << member.value);
            }
            let value = tokens.place(member.value);
            let head = &line[tokens.place(member.key - 1) + 1..value];
            let first = match field {
                None => NOTHING,
                Some(Field::Priority | Field::Timestamp) => NO_SPACE,
                Some(_) => (line[value], u8::MAX),
            };
            *members.get_mut(member_count)? = OrderedMember {
                value: field.map_or(FIELDS as u8, |field| field as u8),
                head: Head::of(head, first)?,
                end: member.end as u8,
            };
            member_count += 1;
            joints |= 1 << member.end;
        }
        let picked = joints | scalars;
        let pick_of = |token: usize| (picked & ((1 << token) - 1)).count_ones() as u8;
        for member in &mut members[..member_count] {
            member.end = pick_of(usize::from(member.end));
        }
        let mut order = Self {
            picked,
            members,
            member_count: member_count as u8,
            scalars: [0; SCALARS_MAX],
            scalar_count: 0,
        };
        for token in ones(scalars) {
            *order.scalars.get_mut(usize::from(order.scalar_count))? = pick_of(token);
            order.scalar_count += 1;
        }
        Some(order)
    }

    /// Finds the values of the line whose tokens are picked, if it has this order.
    #[inline(always)]
    fn has_values(&self, tokens: &Tokens, line: &[u8], values: &mut Values) -> bool {
        let mut differences = Head::default().bytes;
        let mut is_same = true;
        let mut joint = tokens.place(0_u8);
        for member in &self.members[..usize::from(self.member_count)] {
            is_same &= member.head.compare(line, joint + 1, &mut differences);
            let start = joint + 1 + usize::from(member.head.len);
            joint = tokens.place(member.end);
            values[usize::from(member.value) % VALUES] = Value::between(start, joint, line);
        }
        is_same & (differences == Head::default().bytes)
    }

    #[inline(always)]
    fn are_scalars_good(&self, tokens: &Tokens, line: &[u8], vectors: impl Vectors) -> bool {
        let scalars = &self.scalars[..usize::from(self.scalar_count)];
        scalars
            .iter()
            .all(|pick| is_scalar(line, tokens.place(*pick), vectors))
    }
}

/// What stands between a joint and a value: a key, a colon, and spaces. The value's first byte may
/// be told from a space, too: there may be more spaces than there were.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// The bytes, as far as there are ones in the mask.
    bytes: [u64; 4],
    mask: [u64; 4],
    /// Without the value's first byte.
    len: u8,
}

/// Bytes of a head, with the value's first one.
const HEAD_LEN_MAX: usize = 32;

/// What is known of a byte, and the bits that are: of any byte,
const NOTHING: (u8, u8) = (0, 0);

/// and of a digit or a minus, which no space has.
const NO_SPACE: (u8, u8) = (0x10, 0x10);

impl Head {
    /// `None`: it is too long.
    fn of(head: &[u8], (first, first_mask): (u8, u8)) -> Option<Self> {
        let (mut bytes, mut mask) = ([0; HEAD_LEN_MAX], [0; HEAD_LEN_MAX]);
        *bytes.get_mut(head.len())? = first;
        mask[head.len()] = first_mask;
        bytes[..head.len()].copy_from_slice(head);
        mask[..head.len()].fill(u8::MAX);
        Some(Self {
            bytes: words(&bytes),
            mask: words(&mask),
            len: head.len() as u8,
        })
    }

    /// Whether the line has the same bytes at `at`; in place of `false`, bits may be set in
    /// `differences`, which remain vectors while many heads are compared.
    #[inline(always)]
    fn compare(&self, line: &[u8], at: usize, differences: &mut [u64; 4]) -> bool {
        let bytes = line.get(at..at + HEAD_LEN_MAX);
        let Some(bytes) = bytes.and_then(<[u8]>::first_chunk) else {
            return self.is_at(line, at);
        };
        for (difference, more) in differences.iter_mut().zip(self.differences(bytes)) {
            *difference |= more;
        }
        true
    }

    #[inline(always)]
    fn differences(&self, bytes: &[u8; HEAD_LEN_MAX]) -> [u64; 4] {
        let words = words(bytes);
        std::array::from_fn(|index| (words[index] ^ self.bytes[index]) & self.mask[index])
    }

    /// The same at the line's end.
    #[cold]
    fn is_at(&self, line: &[u8], at: usize) -> bool {
        let rest = line.get(at..).unwrap_or_default();
        let mut bytes = [0; HEAD_LEN_MAX];
        let len = rest.len().min(HEAD_LEN_MAX);
        bytes[..len].copy_from_slice(&rest[..len]);
        self.differences(&bytes) == [0; 4]
    }
}

#[inline(always)]
fn words(bytes: &[u8; HEAD_LEN_MAX]) -> [u64; 4] {
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
