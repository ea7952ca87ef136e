//! Which members of a line's top level are the fields that the engine knows.
//!
//! The quick way asks, with the line's shape at hand. Where the last line of a shape had its fields,
//! the next one has them too, nearly always: then seven comparisons find all keys to be the same.

use super::blocks::Vectors;
use super::scalars::{is_scalar, skip_spaces_back};
use super::shapes::{Joints, MEMBERS_MAX, Shape, judge};
use super::tokens::{Kind, Tokens};
use super::{FIELDS, Field};

/// The values of a line's fields.
pub(super) type Values = [Value; FIELDS];

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

/// What is known of the members of a shape's lines.
#[derive(Debug, Clone, Default)]
pub(super) enum Known {
    /// No line was looked at.
    #[default]
    Nothing,
    /// Of the last line that was looked at.
    Order(Order),
    /// There was a line with members that are no fields, or are wrong.
    Others,
}

/// Which members are which fields, in lines where all members are fields of the right kind.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// The tokens to look at: what stands below are their numbers among these.
    picked: u128,
    fields: [FieldPicks; FIELDS],
    /// Numbers and words that the fields' own rules do not judge.
    scalars: [u8; SCALARS_MAX],
    scalar_count: u8,
}

/// A field's key, its value, and the joint behind it; `end` zero: the field is absent.
#[derive(Debug, Clone, Copy, Default)]
struct FieldPicks {
    key: u8,
    value: u8,
    end: u8,
}

/// Numbers and words of an order.
const SCALARS_MAX: usize = 64;

/// Finds the fields of a line whose tokens are drawn. All numbers and words are judged but those of
/// fields. `None`: the line is wrong, or unusual.
#[inline(always)]
pub(super) fn find(
    tokens: &mut Tokens,
    shape: Option<&mut Shape<Known>>,
    line: &[u8],
    vectors: impl Vectors,
) -> Option<Values> {
    let Some(shape) = shape else {
        return find_shapeless(tokens, line, vectors);
    };
    if let Known::Order(order) = &shape.known {
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
    shape: &mut Shape<Known>,
    line: &[u8],
    vectors: impl Vectors,
) -> Option<Values> {
    tokens.pick(|_| u64::MAX, vectors);
    if !matches!(shape.known, Known::Others) {
        let order = Order::learn(tokens, shape, line);
        shape.known = order.map_or(Known::Others, Known::Order);
    }
    let mut scalars = ones(shape.scalars);
    let are_good = scalars.all(|token| is_scalar(line, tokens.place(token), vectors));
    are_good.then(|| find_values(tokens, &shape.joints, line))?
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
    /// The order of a line, all of whose tokens are picked; `None`: it has none.
    fn learn(tokens: &Tokens, shape: &Shape<Known>, line: &[u8]) -> Option<Self> {
        let mut members = [None; FIELDS];
        let (mut picked, mut of_fields) = (shape.scalars, 0_u128);
        for member in shape.joints.members() {
            let field = Field::at_start(&line[tokens.place(member.key) + 1..])?;
            let kind = match field {
                Field::Priority | Field::Timestamp => Kind::Scalar,
                Field::Payload => Kind::Object,
                _ => Kind::Text,
            };
            let is_second = members[field as usize].replace(member).is_some();
            if is_second || tokens.kind(member.value) != kind {
                return None;
            }
            picked |= 1 << member.key | 1 << member.value | 1 << member.end;
            of_fields |= 1 << member.value;
        }
        let pick_of = |token: usize| (picked & ((1 << token) - 1)).count_ones() as u8;
        let mut order = Self {
            picked,
            fields: members.map(|member| {
                member.map_or(FieldPicks::default(), |member| FieldPicks {
                    key: pick_of(member.key),
                    value: pick_of(member.value),
                    end: pick_of(member.end),
                })
            }),
            scalars: [0; SCALARS_MAX],
            scalar_count: 0,
        };
        for token in ones(shape.scalars & !of_fields) {
            *order.scalars.get_mut(usize::from(order.scalar_count))? = pick_of(token);
            order.scalar_count += 1;
        }
        Some(order)
    }

    /// The values of the line whose tokens are picked; `None`: it has another order.
    #[inline(always)]
    fn values(&self, tokens: &Tokens, line: &[u8]) -> Option<Values> {
        let mut differences = 0;
        let mut values = Values::default();
        for ((field, value), key) in self.fields.iter().zip(&mut values).zip(&KEYS) {
            if field.end == 0 {
                continue;
            }
            let bytes = sixteen_bytes(line, tokens.place(field.key) + 1)?;
            differences |= (bytes ^ key.bytes) & key.mask;
            *value = Value::between(tokens.place(field.value), tokens.place(field.end), line);
        }
        (differences == 0).then_some(values)
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

/// The first bytes of a field's key behind its quote, the closing quote included.
struct Key {
    bytes: u128,
    mask: u128,
}

/// In the order of [`Field`].
const KEYS: [Key; FIELDS] = [
    Key::of("messageId\""),
    Key::of("sourceServerId\""),
    Key::of("destinationId\""),
    Key::of("messageType\""),
    Key::of("priority\""),
    Key::of("timestamp\""),
    Key::of("payload\""),
];

impl Key {
    const fn of(key: &str) -> Self {
        let (mut bytes, mut mask) = (0, 0);
        let mut at = 0;
        while at < key.len() {
            bytes |= (key.as_bytes()[at] as u128) << (8 * at);
            mask |= 0xff << (8 * at);
            at += 1;
        }
        Self { bytes, mask }
    }
}

/// The next sixteen bytes, the first of them lowest; zeros behind the line. `None`: the whole line
/// is shorter.
#[inline(always)]
fn sixteen_bytes(line: &[u8], at: usize) -> Option<u128> {
    if let Some(bytes) = line.get(at..).and_then(<[u8]>::first_chunk) {
        return Some(u128::from_le_bytes(*bytes));
    }
    let last = u128::from_le_bytes(*line.last_chunk()?);
    let before = at - (line.len() - size_of::<u128>());
    Some(last.checked_shr(8 * before as u32).unwrap_or(0))
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
