//! The grammar of JSON by bit masks: 64 bytes in some hundred instructions, whatever they are.
//!
//! The outline feeds it blocks, in order; it gives back what the outline must look at one by one:
//! brackets, commas, the first bytes of numbers and words. What follows what is said of all bytes
//! at once. Additions do the walking: a bit that is added at the beginning of a run of ones comes out
//! behind the run, and the carry takes it into the next block.
//!
//! ```text
//! bytes      {"a" : 1 , "b":[ ]}
//! spaces     ....1.1.1.1.....1..
//! x = colon  .....1........1....
//! behind x   .......1.......1...    spaces + (x << 1), where no space stands
//! ```
//! Rules that two neighbours decide are decided here. What depends on whether an object or a list
//! is around is gathered between two brackets and judged at the second: a colon speaks for an
//! object, an element without one for a list. In an object nothing but spaces and text stands
//! between the opening brace, or a comma, and the next colon.

use super::blocks::Block;

/// What the outline must look at: bit n speaks of byte n of the block.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// `{` and `[` that stand in no string, as all marks.
    pub(super) open: u64,
    /// Those, `}` and `]`.
    pub(super) brackets: u64,
    /// Commas.
    pub(super) commas: u64,
    /// First bytes of what can only be a number or a word.
    pub(super) scalars: u64,
    /// Brackets that only an object can have around them: between their predecessor and them
    /// stands a colon.
    pub(super) in_object: u64,
    /// Brackets that only a list can have around them; or the end of an empty object.
    pub(super) in_list: u64,
}

/// What the blocks so far hand on to the next one.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    /// All ones: the block begins in a string.
    in_string: u64,
    /// The first byte is escaped.
    escaped: u64,
    /// Carries, in the order of [`Grammar::step`].
    after_value: u64,
    after_separator: u64,
    after_opening: u64,
    colons: u64,
    lists: u64,
    scalar: u64,
    /// Where rules were broken.
    faults: u64,
    /// A backslash stands somewhere.
    pub(super) has_backslash: bool,
}

impl Grammar {
    /// The next block.
    #[inline(always)]
    pub(super) fn step(&mut self, block: &Block) -> Marks {
        if self.in_string != 0 && block.quote | block.backslash | self.escaped == 0 {
            // All of it is text: nothing is marked, and nothing is behind anything but text.
            self.faults |= u64::from(block.has_control);
            return Marks::default();
        }
        let quote = block.quote & !self.escapes(block.backslash);
        // From each opening quote up to its closing one.
        let string = xor_of_all_before(quote) ^ self.in_string;
        self.in_string = ((string as i64) >> 63) as u64;
        let [open, close, colon, comma] =
            [block.open, block.close, block.colon, block.comma].map(|it| it & !string);
        let brackets = open | close;
        let separators = colon | comma;
        let scalar = !(string | block.quote | block.space | brackets | separators);
        let scalars = scalar & !(scalar << 1 | self.scalar);
        self.scalar = scalar >> 63;

        // Values end with a closing quote, a closing bracket, or the last byte of a scalar.
        let value = !(string | block.space | open | separators);
        let behind_value = behind(value, block.space, &mut self.after_value);
        let behind_separator = behind(separators, block.space, &mut self.after_separator);
        let beginnings = quote & string | scalars | open;
        self.faults |= beginnings & behind_value;
        self.faults |= separators & !behind_value;
        self.faults |= close & behind_separator;
        self.faults |= block.backslash & !string;
        self.faults |= u64::from(block.has_control);

        // Without spaces and strings: what follows an opening bracket or a comma.
        let others = !(brackets | separators | scalar);
        let behind_opening = behind(open | comma, others, &mut self.after_opening);
        self.faults |= colon & !behind_opening;
        let of_list = behind_opening & !colon;
        let in_object = next(colon, brackets, &mut self.colons);
        let in_list = next(of_list & !brackets, brackets, &mut self.lists) | of_list & brackets;
        Marks {
            open,
            brackets,
            commas: comma,
            scalars,
            in_object,
            in_list,
        }
    }

    /// Whether no rule was broken, and no string is left open.
    #[inline]
    pub(super) fn is_kept(&self) -> bool {
        self.faults == 0 && self.in_string == 0
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

/// The first bytes behind `marks` that are not of `run`. No mark stands in the run.
#[inline(always)]
fn behind(marks: u64, run: u64, carry: &mut u64) -> u64 {
    let starts = marks << 1 | *carry;
    let (sum, carried) = run.overflowing_add(starts);
    *carry = marks >> 63 | u64::from(carried);
    sum & !run
}

/// For each mark the next of `ends`; no mark is an end itself.
#[inline(always)]
fn next(marks: u64, ends: u64, carry: &mut u64) -> u64 {
    let run = !ends;
    let (sum, first) = run.overflowing_add(marks);
    let (sum, second) = sum.overflowing_add(*carry);
    *carry = u64::from(first | second);
    sum & ends
}

/// Bit n of the result: whether an odd number of ones stands in the bits up to n.
#[inline(always)]
fn xor_of_all_before(mut bits: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << distance;
    }
    bits
}
