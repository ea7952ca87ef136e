//! The second stage of the quick way: whether a line's tokens are one object, and what its members are.
//!
//! Lines of one origin have few shapes: the same tokens in the same order, whatever the texts and
//! numbers are. A shape that was judged is kept, so that the next line that has it needs no more
//! than a comparison of all its tokens; the kept ones are bounded, and a new one takes the place of
//! an old one. A line of very many tokens is judged each time.

use crate::limits::NESTING_MAX;

use super::tokens::{KINDS_LEN, Kind, Kinds, Tokens};

/// Top-level members of a line that the quick way knows.
pub(super) const MEMBERS_MAX: usize = 24;

/// Tokens of a shape that is kept: so many that a bit for each of them can be shifted by all of them.
pub(super) const TOKENS_MAX: usize = 2 * KINDS_LEN - 1;

/// Shapes that are kept.
const SHAPES: usize = 256;

/// The shapes of the last lines, each with what its user knows of it.
pub(super) struct Shapes<K> {
    shapes: Box<[Shape<K>]>,
}

/// The tokens of lines that are one object.
#[derive(Debug, Clone)]
pub(super) struct Shape<K> {
    count: usize,
    kinds: [Kinds; 2],
    /// Where the members of its top level meet.
    pub(super) joints: Joints,
    /// One bit for each token: it is a number or a word.
    pub(super) scalars: u128,
    /// What else is known of such lines.
    pub(super) known: K,
}

const _: () = assert!(TOKENS_MAX < u128::BITS as usize);

impl<K: Default + Clone> Default for Shapes<K> {
    fn default() -> Self {
        let none = Shape {
            count: usize::MAX,
            kinds: Default::default(),
            joints: Joints::NONE,
            scalars: 0,
            known: K::default(),
        };
        Self {
            shapes: vec![none; SHAPES].into(),
        }
    }
}

impl<K: Default> Shapes<K> {
    /// The shape of a line; `None`: it is not one object, or of too many tokens or members.
    #[inline(always)]
    pub(super) fn find(&mut self, tokens: &Tokens) -> Option<&mut Shape<K>> {
        let (count, kinds) = (tokens.count(), tokens.first_kinds());
        let shape = &mut self.shapes[place_of(count, kinds)];
        if shape.count != count || shape.kinds != *kinds {
            *shape = Shape::learn(tokens)?;
        }
        Some(shape)
    }
}

impl<K: Default> Shape<K> {
    #[cold]
    #[inline(never)]
    fn learn(tokens: &Tokens) -> Option<Self> {
        if tokens.count() > TOKENS_MAX {
            return None;
        }
        let mut scalars = 0;
        let joints = judge(tokens, |token| {
            scalars |= 1 << token;
            true
        });
        Some(Self {
            count: tokens.count(),
            kinds: *tokens.first_kinds(),
            joints: joints?,
            scalars,
            known: K::default(),
        })
    }
}

/// Where a shape is, if it is kept.
#[inline(always)]
fn place_of(count: usize, [first, second]: &[Kinds; 2]) -> usize {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |kinds: &Kinds| kinds[0] ^ kinds[1].rotate_left(21) ^ kinds[2].rotate_left(42);
    let mixed = mix(first) ^ mix(second).rotate_left(7) ^ count as u64;
    (mixed.wrapping_mul(SPREAD) >> (u64::BITS - SHAPES.ilog2())) as usize
}

/// Which tokens are the opening brace, the commas of the top level and the closing brace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joints {
    tokens: [u16; MEMBERS_MAX + 1],
    count: u8,
}

impl Joints {
    const NONE: Self = Self {
        tokens: [0; MEMBERS_MAX + 1],
        count: 0,
    };

    fn push(&mut self, token: usize) -> Option<()> {
        *self.tokens.get_mut(usize::from(self.count))? = token as u16;
        self.count += 1;
        Some(())
    }

    /// Each member of the top level.
    pub(super) fn members(&self) -> impl Iterator<Item = Member> {
        let joints = &self.tokens[..usize::from(self.count)];
        let pairs = joints.windows(2);
        // In an empty object the second one follows on the first.
        pairs
            .filter(|pair| pair[1] > pair[0] + 1)
            .map(|pair| Member {
                key: usize::from(pair[0]) + 1,
                colon: usize::from(pair[0]) + 2,
                value: usize::from(pair[0]) + 3,
                end: usize::from(pair[1]),
            })
    }
}

/// Which tokens are a member's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) key: usize,
    pub(super) colon: usize,
    /// The value, or the bracket that opens it.
    pub(super) value: usize,
    /// The comma or the brace behind it.
    pub(super) end: usize,
}

/// What may come next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Key,
    KeyOrEnd,
    Colon,
    Value,
    ValueOrEnd,
    CommaOrEnd,
}

/// Judges whether tokens are one object; `is_scalar` judges each number or word on the way. `None`:
/// they are not, or have too many members.
pub(super) fn judge(tokens: &Tokens, mut is_scalar: impl FnMut(usize) -> bool) -> Option<Joints> {
    let mut joints = Joints::NONE;
    let mut around = Brackets::default();
    let mut next = Next::Value;
    for token in 0..tokens.count() {
        let kind = tokens.kind(token);
        if around.depth == 0 && kind != Kind::Object {
            return None;
        }
        next = match (next, kind) {
            (Next::Value | Next::ValueOrEnd, Kind::Text) => Next::CommaOrEnd,
            (Next::Value | Next::ValueOrEnd, Kind::Scalar) if is_scalar(token) => Next::CommaOrEnd,
            (Next::Value | Next::ValueOrEnd, Kind::Object | Kind::List) => {
                if around.depth == 0 {
                    joints.push(token)?;
                }
                around.open(kind)?;
                match kind {
                    Kind::Object => Next::KeyOrEnd,
                    _ => Next::ValueOrEnd,
                }
            }
            (Next::Key | Next::KeyOrEnd, Kind::Text) => Next::Colon,
            (Next::Colon, Kind::Colon) => Next::Value,
            (Next::CommaOrEnd, Kind::Comma) => {
                if around.depth == 1 {
                    joints.push(token)?;
                }
                if around.is_object() {
                    Next::Key
                } else {
                    Next::Value
                }
            }
            (
                Next::CommaOrEnd | Next::KeyOrEnd | Next::ValueOrEnd,
                Kind::ObjectEnd | Kind::ListEnd,
            ) => {
                around.close(kind)?;
                if around.depth == 0 {
                    joints.push(token)?;
                    return (token + 1 == tokens.count()).then_some(joints);
                }
                Next::CommaOrEnd
            }
            _ => return None,
        };
    }
    None
}

/// The brackets that are open.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    /// One bit for each, the innermost lowest: it is an object's.
    objects: u128,
}

const _: () = assert!(NESTING_MAX <= u128::BITS as usize);

impl Brackets {
    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn open(&mut self, kind: Kind) -> Option<()> {
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(kind == Kind::Object);
        (self.depth <= NESTING_MAX).then_some(())
    }

    fn close(&mut self, kind: Kind) -> Option<()> {
        let matches = self.is_object() == (kind == Kind::ObjectEnd);
        self.depth -= 1;
        self.objects >>= 1;
        matches.then_some(())
    }
}
