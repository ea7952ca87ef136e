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
pub(super) type Values = [Value; FIELDS + 1];

/// Where a field's value stands in the line; empty: the field is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Value {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Value {
    /// The value whose first token begins at `start`, and which a comma or brace at `end` follows.
    #[inline(always)]
    fn between(start: usize, end: usize, line: &[u8]) -> Self {
        Self {
            start: start as u32,
            end: skip_spaces_back(line, end) as u32,
        }
    }
}

/// What stood between the tokens of a shape's last line, and which of its members were fields.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The tokens to look at: what stands below are their numbers among these.
    picked: u128,
    /// The first ones, in the order of the line.
    members: [Option<OrderedMember>; ORDERED_MAX],
    /// Numbers and words that no field's own rules judge.
    scalars: [u8; SCALARS_MAX],
    scalar_count: u8,
}

/// Members of an order.
const ORDERED_MAX: usize = 12;

/// Numbers and words of an order.
const SCALARS_MAX: usize = 64;

/// A member of an order.
#[derive(Debug, Clone, Copy)]
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
) -> Option<Values> {
    let Some(shape) = shape else {
        return find_shapeless(tokens, line, vectors);
    };
    if let Some(order) = &shape.known {
        tokens.pick(|token| (order.picked >> token) as u64, vectors);
        if let Some(values) = order.values(tokens, line) {
            return order
                .are_scalars_good(tokens, line, vectors)
                .then_some(values);
        }
    }
    find_anew(tokens, shape, line, vectors)
}

/// The same where the order of the shape's last line is not this line's.
#[cold]
#[inline(never)]
fn find_anew(
    tokens: &mut Tokens,
    shape: &mut Shape<Option<Order>>,
    line: &[u8],
    vectors: impl Vectors,
) -> Option<Values> {
    tokens.pick(|_| u64::MAX, vectors);
    let mut scalars = ones(shape.scalars);
    if !scalars.all(|token| is_scalar(line, tokens.place(token), vectors)) {
        return None;
    }
    let values = find_values(tokens, &shape.joints, line)?;
    if let Some(order) = Order::learn(tokens, shape, line) {
        shape.known = Some(order);
    }
    Some(values)
}

/// The same where the shape is not kept.
#[cold]
#[inline(never)]
fn find_shapeless(tokens: &mut Tokens, line: &[u8], vectors: impl Vectors) -> Option<Values> {
    tokens.pick(|_| u64::MAX, vectors);
    let is_scalar = |token| is_scalar(line, tokens.place(token), vectors);
    find_values(tokens, &judge(tokens, is_scalar)?, line)
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
        let mut members = [None; ORDERED_MAX];
        let mut scalars = shape.scalars;
        let mut joints = 1_u128;
        for (index, member) in shape.joints.members().enumerate() {
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
            let head = tokens.place(member.key - 1) + 1..tokens.place(member.value);
            *members.get_mut(index)? = Some(OrderedMember {
                value: field.map_or(FIELDS as u8, |field| field as u8),
                head: Head::of(&line[head])?,
                end: member.end as u8,
            });
            joints |= 1 << member.end;
        }
        let picked = joints | scalars;
        let pick_of = |token: usize| (picked & ((1 << token) - 1)).count_ones() as u8;
        for member in members.iter_mut().flatten() {
            member.end = pick_of(usize::from(member.end));
        }
        let mut order = Self {
            picked,
            members,
            scalars: [0; SCALARS_MAX],
            scalar_count: 0,
        };
        for token in ones(scalars) {
            *order.scalars.get_mut(usize::from(order.scalar_count))? = pick_of(token);
            order.scalar_count += 1;
        }
        Some(order)
    }

    /// The values of the line whose tokens are picked; `None`: it has another order.
    #[inline(always)]
    fn values(&self, tokens: &Tokens, line: &[u8]) -> Option<Values> {
        let mut values = Values::default();
        let mut differences = Head::default().bytes;
        let mut is_same = true;
        let mut joint = tokens.place(0_usize);
        for member in self.members.iter().map_while(Option::as_ref) {
            is_same &= member.head.compare(line, joint + 1, &mut differences);
            let start = joint + 1 + usize::from(member.head.len);
            // Here may be more spaces than there were.
            is_same &= line.get(start) != Some(&b' ');
            joint = tokens.place(member.end);
            values[usize::from(member.value)] = Value::between(start, joint, line);
        }
        (is_same & (differences == Head::default().bytes)).then_some(values)
    }

    #[inline(always)]
    fn are_scalars_good(&self, tokens: &Tokens, line: &[u8], vectors: impl Vectors) -> bool {
        let scalars = &self.scalars[..usize::from(self.scalar_count)];
        // Not `all`, which would end where the processor cannot foresee it.
        scalars.iter().fold(true, |are_good, pick| {
            are_good & is_scalar(line, tokens.place(*pick), vectors)
        })
    }
}

/// What stands between a joint and a value: a key, a colon, and spaces.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    /// The bytes, and as many ones; zeros behind them.
    bytes: [u64; 4],
    mask: [u64; 4],
    len: u8,
}

impl Head {
    /// `None`: it is too long.
    fn of(head: &[u8]) -> Option<Self> {
        let (mut bytes, mut mask) = ([0; 32], [0; 32]);
        bytes.get_mut(..head.len())?.copy_from_slice(head);
        mask[..head.len()].fill(u8::MAX);
        let words = |bytes: [u8; 32]| {
            let words = bytes.as_chunks::<8>().0;
            std::array::from_fn(|index| u64::from_le_bytes(words[index]))
        };
        Some(Self {
            bytes: words(bytes),
            mask: words(mask),
            len: head.len() as u8,
        })
    }

    /// Whether the line has the same bytes at `at`; in place of `false`, bits may be set in
    /// `differences`, which remain vectors while many heads are compared.
    #[inline(always)]
    fn compare(&self, line: &[u8], at: usize, differences: &mut [u64; 4]) -> bool {
        let Some(bytes) = line.get(at..).and_then(<[u8]>::first_chunk::<32>) else {
            return self.is_at(line, at);
        };
        let words = bytes.as_chunks::<8>().0;
        for index in 0..4 {
            let word = u64::from_le_bytes(words[index]);
            differences[index] |= (word ^ self.bytes[index]) & self.mask[index];
        }
        true
    }

    #[cold]
    fn is_at(&self, line: &[u8], at: usize) -> bool {
        let bytes = self.bytes.map(u64::to_le_bytes);
        let head = &bytes.as_flattened()[..usize::from(self.len)];
        line.get(at..).is_some_and(|rest| rest.starts_with(head))
    }
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
