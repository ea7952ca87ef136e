//! The first stage of the quick way: the tokens of a line.
//!
//! The quick way draws them, block by block, without a branch that depends on what a block is: the
//! vectors say which bytes are what, and masks of 64 bits tell text from the rest. What a token is
//! like inside - escapes, numbers, UTF-8 - is left to be judged, and so is their order. Where they
//! begin is listed for those that are picked.
//!
//! ```text
//! line     {"a": [1, true], "b": "x"}
//! marks    11..1.11.11....11..1.1...1    where they begin, a word for each block
//! kinds    {":[0,0],":"}                 one behind the other, however long they are
//! ```

use crate::limits::LINE_LEN_MAX;

use super::blocks::{BLOCK_LEN, Block, TELLING_BITS, Vectors};

/// What a token is; its bits are those of its first byte that tell: see [`TELLING_BITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number or a word.
    Scalar = 0,
    Comma = 1,
    /// A key or a value in quotes.
    Text = 2,
    Colon = 3,
    ListEnd = 4,
    ObjectEnd = 5,
    List = 6,
    Object = 7,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Scalar,
        Self::Comma,
        Self::Text,
        Self::Colon,
        Self::ListEnd,
        Self::ObjectEnd,
        Self::List,
        Self::Object,
    ];
}

/// The kinds of 64 tokens: bit n of each word is of token n.
pub(super) type Kinds = [u64; TELLING_BITS.len()];

/// Tokens whose kinds are in one [`Kinds`].
pub(super) const KINDS_LEN: usize = u64::BITS as usize;

/// Places are listed by so many, the last of them in vain.
const STEP: usize = 4;

/// A line's tokens; drawn anew for each line.
pub(super) struct Tokens {
    /// Where tokens begin, a word for each block.
    marks: Box<[u64]>,
    block_count: usize,
    /// What they are.
    kinds: Box<[Kinds]>,
    first_kinds: [Kinds; 2],
    count: usize,
    /// Where those begin that were picked.
    places: Box<[u16]>,
}

const _: () = assert!(LINE_LEN_MAX <= 1 << u16::BITS);

impl Default for Tokens {
    fn default() -> Self {
        Self {
            marks: vec![0; LINE_LEN_MAX / BLOCK_LEN + 1].into(),
            block_count: 0,
            kinds: vec![Kinds::default(); LINE_LEN_MAX / KINDS_LEN + 1].into(),
            first_kinds: Default::default(),
            count: 0,
            places: vec![0; LINE_LEN_MAX + STEP].into(),
        }
    }
}

impl Tokens {
    /// Finds the tokens of a line; `None`: a text in it has no end, or it is too long.
    #[inline(always)]
    pub(super) fn draw<'a>(&mut self, frame: &'a [u8], vectors: impl Vectors) -> Option<Drawn<'a>> {
        if frame.len() > LINE_LEN_MAX {
            return None;
        }
        let mut pen = Pen::new(&mut self.kinds);
        let (blocks, rest) = frame.as_chunks::<BLOCK_LEN>();
        for (marks, bytes) in self.marks.iter_mut().zip(blocks) {
            *marks = pen.mark(&vectors.block(bytes), vectors);
        }
        if !rest.is_empty() {
            let block = match frame.last_chunk() {
                Some(last) => vectors.block(last).without(BLOCK_LEN - rest.len()),
                None => vectors.block(&padded(rest)),
            };
            self.marks[blocks.len()] = pen.mark(&block, vectors);
        }
        self.block_count = blocks.len() + usize::from(!rest.is_empty());
        (self.count, self.first_kinds) = pen.end();
        (pen.in_text == 0).then_some(Drawn {
            frame,
            has_backslash: pen.has_backslash,
            is_plain: pen.unusual == 0,
        })
    }

    /// How many there are.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The kinds of the first tokens; zeros behind the last one.
    #[inline(always)]
    pub(super) fn first_kinds(&self) -> [Kinds; 2] {
        self.first_kinds
    }

    /// What a token is.
    #[inline]
    pub(super) fn kind(&self, token: usize) -> Kind {
        let words = &self.kinds[token / KINDS_LEN];
        let bit = |index: usize| (words[index] >> (token % KINDS_LEN) & 1) as usize;
        Kind::ALL[bit(0) | bit(1) << 1 | bit(2) << 2]
    }

    /// Lists where some tokens begin. `picked` says which, for 64 tokens from one that it is given.
    #[inline(always)]
    pub(super) fn pick(&mut self, picked: impl Fn(usize) -> u64, vectors: impl Vectors) {
        let (mut token, mut pick) = (0, 0);
        for (index, marks) in self.marks[..self.block_count].iter().enumerate() {
            let mut left = vectors.deposit(picked(token), *marks);
            token += marks.count_ones() as usize;
            let mut at = pick;
            pick += left.count_ones() as usize;
            while left != 0 {
                let places = self.places[at..].first_chunk_mut::<STEP>();
                for place in places.expect("a line has a byte for each token") {
                    let in_block = left.trailing_zeros() as usize;
                    *place = (index * BLOCK_LEN + in_block) as u16;
                    left &= left.wrapping_sub(1);
                }
                at += STEP;
            }
        }
    }

    /// Where a token begins, by its number among those that were picked.
    #[inline(always)]
    pub(super) fn place(&self, pick: impl Into<usize>) -> usize {
        usize::from(self.places[pick.into()])
    }
}

/// A block with spaces behind its bytes.
#[cold]
fn padded(rest: &[u8]) -> [u8; BLOCK_LEN] {
    let mut bytes = [b' '; BLOCK_LEN];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

/// A line whose tokens are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawn<'a> {
    frame: &'a [u8],
    /// Texts of the line may contain escapes.
    pub(super) has_backslash: bool,
    /// All of the line is ASCII, and none of it a control character.
    is_plain: bool,
}

impl<'a> Drawn<'a> {
    /// The line, if it is UTF-8 without control characters.
    #[inline(always)]
    pub(super) fn text(self) -> Option<&'a str> {
        if self.is_plain {
            // SAFETY: `draw`, which alone makes this, has seen that each byte of it is ASCII.
            #[allow(
                unsafe_code,
                reason = "to look again would cost a tenth of the parser's time"
            )]
            return Some(unsafe { std::str::from_utf8_unchecked(self.frame) });
        }
        self.unusual_text()
    }

    #[inline(never)]
    fn unusual_text(self) -> Option<&'a str> {
        let is_control = |byte: &u8| *byte < b' ';
        let has_control = self
            .frame
            .iter()
            .fold(false, |has, it| has | is_control(it));
        if has_control {
            return None;
        }
        simdutf8::basic::from_utf8(self.frame).ok()
    }
}

/// What the blocks so far hand on to the next one.
struct Pen<'t> {
    /// All ones: the block begins in a text.
    in_text: u64,
    /// The first byte is escaped.
    escaped: u64,
    /// The first byte goes on with a number or a word, if it is of one.
    in_scalar: u64,
    has_backslash: bool,
    unusual: u64,
    /// The kinds of the last tokens, fewer than 64; and how many they are.
    kinds: Kinds,
    kind_count: usize,
    /// The kinds of all tokens before them; and how many times 64 they are.
    full: &'t mut [Kinds],
    full_count: usize,
}

impl<'t> Pen<'t> {
    fn new(full: &'t mut [Kinds]) -> Self {
        Self {
            in_text: 0,
            escaped: 0,
            in_scalar: 0,
            has_backslash: false,
            unusual: 0,
            kinds: Kinds::default(),
            kind_count: 0,
            full,
            full_count: 0,
        }
    }

    /// Where the next block's tokens begin: bit n speaks of byte n.
    #[inline(always)]
    fn mark(&mut self, block: &Block, vectors: impl Vectors) -> u64 {
        self.unusual |= block.unusual;
        if self.in_text != 0 && block.quote | block.backslash | self.escaped == 0 {
            // All of it is text.
            return 0;
        }
        let quote = block.quote & !self.escapes(block.backslash);
        // From each opening quote up to its closing one.
        let text = vectors.xor_of_all_before(quote) ^ self.in_text;
        self.in_text = ((text as i64) >> 63) as u64;
        let operators = block.operator & !text;
        let scalar = !(text | block.quote | block.space | block.operator);
        let scalars = scalar & !(scalar << 1 | self.in_scalar);
        self.in_scalar = scalar >> 63;
        let marks = operators | scalars | quote & text;
        let [curly, opening, bracket] = block.bits;
        // Of a quote, the bit in the middle alone is set.
        let kinds = [curly & operators, opening & !scalars, bracket & operators];
        self.add(kinds.map(|bits| vectors.extract(bits, marks)), marks);
        marks
    }

    /// Adds the kinds of the tokens that are marked.
    #[inline(always)]
    fn add(&mut self, kinds: Kinds, marks: u64) {
        let before = self.kind_count;
        for (all, more) in self.kinds.iter_mut().zip(kinds) {
            *all |= more << before;
        }
        self.kind_count += marks.count_ones() as usize;
        if self.kind_count >= KINDS_LEN {
            self.full[self.full_count] = self.kinds;
            self.full_count += 1;
            self.kind_count -= KINDS_LEN;
            self.kinds = kinds.map(|more| more >> 1 >> (KINDS_LEN - 1 - before));
        }
    }

    /// Adds the last kinds; returns how many tokens there are, and the kinds of the first ones, which
    /// would be read again before they are written.
    #[inline(always)]
    fn end(&mut self) -> (usize, [Kinds; 2]) {
        self.full[self.full_count] = self.kinds;
        let first = match self.full_count {
            0 => [self.kinds, Kinds::default()],
            1 => [self.full[0], self.kinds],
            _ => [self.full[0], self.full[1]],
        };
        (self.full_count * KINDS_LEN + self.kind_count, first)
    }

    /// Bytes that a backslash before them escapes.
    #[inline(always)]
    fn escapes(&mut self, backslash: u64) -> u64 {
        if backslash == 0 {
            return std::mem::take(&mut self.escaped);
        }
        self.has_backslash = true;
        self.escapes_of(backslash)
    }

    /// A run of backslashes escapes every second byte, the one behind it included, if it began where
    /// no escaped byte is.
    fn escapes_of(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslash = backslash & !self.escaped;
        let followers = backslash << 1 | self.escaped;
        let odd_beginnings = backslash & !EVEN & !followers;
        let (ends, carried) = odd_beginnings.overflowing_add(backslash);
        self.escaped = u64::from(carried);
        (EVEN ^ (ends << 1)) & followers
    }
}
