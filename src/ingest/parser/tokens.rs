//! The first layer of the fast path: the tokens of a line.
//!
//! It scans block by block, without a branch that depends on what a block is: the vectors say which
//! bytes are what, and masks of 64 bits tell text from the rest. What a token is like inside -
//! escapes, numbers, UTF-8 - is left to others, and so is their order. Where they begin is listed
//! for those that are selected.
//!
//! ```text
//! line     {"a": [1, true], "b": "x"}
//! masks    11..1.11.11....11..1.1...1    where they begin, a word for each block
//! kinds    {":[0,0],":"}                 one behind the other, however long they are
//! ```

use std::ops::Range;

use crate::limits::LINE_LEN_MAX;

use super::vectors::{BLOCK_LEN, KIND_BITS, Vectors};

/// What a token is; its bits are the [`KIND_BITS`] of its first byte.
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
pub(super) type Kinds = [u64; KIND_BITS.len()];

/// Tokens whose kinds are in one [`Kinds`].
pub(super) const KINDS_LEN: usize = u64::BITS as usize;

/// Places are listed by so many, the last of them in vain.
const STEP: usize = 4;

/// A line's tokens; found anew for each line.
pub(super) struct Tokens {
    /// Where tokens begin, a word for each block.
    masks: Box<[u64; BLOCKS_MAX]>,
    block_count: usize,
    /// What they are.
    kinds: Box<AllKinds>,
    count: usize,
    /// Where those begin that were selected.
    places: Box<[u16; LINE_LEN_MAX + STEP]>,
}

/// Blocks of the longest line.
const BLOCKS_MAX: usize = LINE_LEN_MAX.div_ceil(BLOCK_LEN);

/// The kinds of the longest line's tokens, and those of none.
type AllKinds = [Kinds; LINE_LEN_MAX / KINDS_LEN + 2];

const _: () = assert!(LINE_LEN_MAX <= 1 << u16::BITS);

impl Default for Tokens {
    fn default() -> Self {
        Self {
            masks: all_of(0),
            block_count: 0,
            kinds: all_of(Kinds::default()),
            count: 0,
            places: all_of(0),
        }
    }
}

/// An array that never stands on the stack.
fn all_of<T: Clone + std::fmt::Debug, const LEN: usize>(one: T) -> Box<[T; LEN]> {
    let all = vec![one; LEN].into_boxed_slice();
    all.try_into().expect("its length")
}

impl Tokens {
    /// Finds the tokens of a line; `None`: a text in it has no end, or it is too long.
    #[inline(always)]
    pub(super) fn scan<'a>(
        &mut self,
        frame: &'a [u8],
        vectors: impl Vectors,
    ) -> Option<Scanned<'a>> {
        if frame.len() > LINE_LEN_MAX {
            return None;
        }
        let mut scanner = Scanner::new(&mut self.kinds, vectors);
        let (blocks, rest) = frame.as_chunks::<BLOCK_LEN>();
        for (mask, bytes) in self.masks.iter_mut().zip(blocks) {
            *mask = scanner.scan(bytes, 0);
        }
        if !rest.is_empty() {
            let short;
            let (last, skipped) = match frame.last_chunk() {
                Some(last) => (last, BLOCK_LEN - rest.len()),
                None => {
                    short = padded(rest);
                    (&short, 0)
                }
            };
            self.masks[blocks.len()] = scanner.scan(last, skipped);
        }
        self.block_count = blocks.len() + usize::from(!rest.is_empty());
        self.count = scanner.end();
        (scanner.in_text == 0).then_some(Scanned {
            frame,
            has_backslash: scanner.has_backslash,
            has_control: vectors.has_control(scanner.seen),
            is_ascii: vectors.is_ascii(scanner.seen),
        })
    }

    /// How many there are.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The kinds of the first tokens; zeros behind the last one.
    #[inline(always)]
    pub(super) fn first_kinds(&self) -> &[Kinds; 2] {
        self.kinds.first_chunk().expect("two are there")
    }

    /// What a token is.
    #[inline]
    pub(super) fn kind(&self, token: usize) -> Kind {
        let words = &self.kinds[token / KINDS_LEN];
        let bit = |index: usize| (words[index] >> (token % KINDS_LEN) & 1) as usize;
        Kind::ALL[bit(0) | bit(1) << 1 | bit(2) << 2]
    }

    /// Lists where some tokens begin. `selected` says which, for 64 tokens from one that it is
    /// given.
    #[inline(always)]
    pub(super) fn select(&mut self, selected: impl Fn(usize) -> u64, vectors: impl Vectors) {
        let (mut token, mut number, mut begin) = (0, 0, 0);
        for mask in &self.masks[..self.block_count] {
            let mut left = vectors.deposit(selected(token), *mask);
            token += mask.count_ones() as usize;
            let mut at = number;
            number += left.count_ones() as usize;
            // Few blocks have more of them than a step, and few have none.
            loop {
                let places = self.places[at % LINE_LEN_MAX..].first_chunk_mut::<STEP>();
                for place in places.expect("there is room for a step") {
                    *place = (begin + left.trailing_zeros()) as u16;
                    left &= left.wrapping_sub(1);
                }
                at += STEP;
                if left == 0 {
                    break;
                }
            }
            begin += BLOCK_LEN as u32;
        }
    }

    /// Lists where all tokens begin.
    pub(super) fn select_all(&mut self) {
        let mut places = self.places.iter_mut();
        for (block, mask) in self.masks[..self.block_count].iter().enumerate() {
            let bits = (0..BLOCK_LEN).filter(|bit| mask >> bit & 1 == 1);
            for (bit, place) in bits.zip(&mut places) {
                *place = (block * BLOCK_LEN + bit) as u16;
            }
        }
    }

    /// Where a token begins, by its number among those that were selected.
    #[inline(always)]
    pub(super) fn place(&self, number: impl Into<usize>) -> usize {
        usize::from(self.places[number.into()])
    }
}

/// A block with spaces behind its bytes.
#[cold]
fn padded(rest: &[u8]) -> [u8; BLOCK_LEN] {
    let mut bytes = [b' '; BLOCK_LEN];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

/// A line whose tokens were found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned<'a> {
    frame: &'a [u8],
    /// Texts of the line may contain escapes.
    pub(super) has_backslash: bool,
    /// There is a control character in it.
    pub(super) has_control: bool,
    /// All of it is ASCII.
    is_ascii: bool,
}

impl<'a> Scanned<'a> {
    /// The line, if it is UTF-8 without control characters.
    #[inline(always)]
    pub(super) fn text(self) -> Option<&'a str> {
        if self.has_control {
            return None;
        }
        if self.is_ascii {
            // SAFETY: `scan`, which alone makes this, has seen that each byte of it is ASCII.
            #[allow(
                unsafe_code,
                reason = "to look again would cost a tenth of the parser's time"
            )]
            return Some(unsafe { std::str::from_utf8_unchecked(self.frame) });
        }
        simdutf8::basic::from_utf8(self.frame).ok()
    }
}

/// The text between the quotes that begin and end a part of a line; `None`: there are none.
#[inline(always)]
pub(super) fn unquoted(line: &str, part: Range<usize>) -> Option<&str> {
    let [b'"', text @ .., b'"'] = line.as_bytes().get(part)? else {
        return None;
    };
    // SAFETY: a quote is a character of its own, so all characters between two of them are whole.
    #[allow(
        unsafe_code,
        reason = "to look for the borders of characters would be as much work as all else here"
    )]
    Some(unsafe { std::str::from_utf8_unchecked(text) })
}

/// What the blocks so far hand on to the next one.
struct Scanner<'t, V: Vectors> {
    vectors: V,
    seen: V::Seen,
    /// All ones: the block begins in a text.
    in_text: u64,
    /// One: the first byte is escaped.
    escaped: u64,
    /// One: the first byte begins a number or a word, if it is of one.
    delimited: u64,
    has_backslash: bool,
    /// The kinds of the last tokens, fewer than 64; and how many they are.
    kinds: Kinds,
    kind_count: usize,
    /// The kinds of all tokens before them; and how many times 64 they are.
    full: &'t mut AllKinds,
    full_count: usize,
}

impl<'t, V: Vectors> Scanner<'t, V> {
    #[inline(always)]
    fn new(full: &'t mut AllKinds, vectors: V) -> Self {
        Self {
            vectors,
            seen: vectors.nothing_seen(),
            in_text: 0,
            escaped: 0,
            delimited: 1,
            has_backslash: false,
            kinds: Kinds::default(),
            kind_count: 0,
            full,
            full_count: 0,
        }
    }

    /// Where the next block's tokens begin, without its first bytes: bit n speaks of byte n behind
    /// them.
    #[inline(always)]
    fn scan(&mut self, bytes: &[u8; BLOCK_LEN], skipped: usize) -> u64 {
        let vectors = self.vectors;
        let block = vectors.block(bytes).without(skipped);
        self.seen = vectors.see(self.seen, bytes);
        let mut quote = block.quote();
        if block.backslash_in_half | self.escaped != 0 {
            self.has_backslash = true;
            let escaped;
            let backslash = vectors.backslash(bytes) >> skipped;
            (escaped, self.escaped) = escapes(backslash, self.escaped);
            quote &= !escaped;
        }
        if quote == 0 && self.in_text != 0 {
            // All of it is text.
            return 0;
        }
        // From each opening quote up to its closing one.
        let text = vectors.xor_of_all_before(quote) ^ self.in_text;
        self.in_text = ((text as i64) >> 63) as u64;
        let operators = block.operator() & !text;
        let others = block.delimiter | text;
        let scalars = !others & (others << 1).wrapping_add(self.delimited);
        self.delimited = others >> 63;
        let mask = operators | scalars | quote & text;
        let [curly, opening, bracket] = block.kind_bits;
        // Of a quote, the bit in the middle alone is set.
        let kinds = [curly & operators, opening & !scalars, bracket & operators];
        self.add(kinds.map(|bits| vectors.extract(bits, mask)), mask);
        mask
    }

    /// Adds the kinds of the tokens in the mask.
    #[inline(always)]
    fn add(&mut self, kinds: Kinds, mask: u64) {
        let before = self.kind_count;
        let more = kinds;
        self.kinds[0] |= more[0] << before;
        self.kinds[1] |= more[1] << before;
        self.kinds[2] |= more[2] << before;
        self.kind_count += mask.count_ones() as usize;
        if self.kind_count >= KINDS_LEN {
            self.write();
            self.kind_count -= KINDS_LEN;
            let rest = |more: u64| more >> 1 >> (KINDS_LEN - 1 - before);
            self.kinds[0] = rest(more[0]);
            self.kinds[1] = rest(more[1]);
            self.kinds[2] = rest(more[2]);
        }
    }

    #[inline(always)]
    fn write(&mut self) {
        let full = &mut self.full[self.full_count];
        full[0] = self.kinds[0];
        full[1] = self.kinds[1];
        full[2] = self.kinds[2];
        self.full_count += 1;
    }

    /// Adds the last kinds, and none behind them; returns how many tokens there are.
    #[inline(always)]
    fn end(&mut self) -> usize {
        let count = self.full_count * KINDS_LEN + self.kind_count;
        self.write();
        self.full[self.full_count] = Kinds::default();
        count
    }
}

/// Bytes that a backslash before them escapes; and whether one behind the block is. A run of
/// backslashes escapes every second byte, the one behind it included, if it began where no escaped
/// byte is.
#[inline(always)]
fn escapes(backslash: u64, first: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslash = backslash & !first;
    let followers = backslash << 1 | first;
    let odd_beginnings = backslash & !EVEN & !followers;
    let (ends, carried) = odd_beginnings.overflowing_add(backslash);
    ((EVEN ^ (ends << 1)) & followers, u64::from(carried))
}
