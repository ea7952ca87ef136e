//! What the fast path asks of a processor: which of 64 bytes are what, as bit masks.
//!
//! `tokens` asks, block by block, and `avx2` answers. For tests, the same stands here without
//! vector instructions.

/// Bytes of a block.
pub(super) const BLOCK_LEN: usize = 64;

/// Which bits of an operator are its kind, in the order of [`Block::kind_bits`].
pub(super) const KIND_BITS: [u32; 3] = [5, 1, 6];

/// The bit that operators have, and neither quote nor space.
pub(super) const OPERATOR_BIT: u32 = 3;

/// What stands where in a block: bit n speaks of byte n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `"`, the space character, or one of `{}[]:,`; or a control character that is one of them but
    /// for its bit 5.
    pub(super) delimiter: u64,
    /// [`OPERATOR_BIT`] is set.
    pub(super) operator_bit: u64,
    /// For each of [`KIND_BITS`]: it is set.
    pub(super) kind_bits: [u64; 3],
    /// `\`: bit n speaks of the bytes n and n + 32, and of the first ones that it is without, too.
    pub(super) backslash_in_half: u64,
}

impl Block {
    /// `"`
    #[inline(always)]
    pub(super) fn quote(&self) -> u64 {
        // The space has neither of the two bits.
        self.delimiter & !self.operator_bit & self.kind_bits[1]
    }

    /// One of `{}[]:,`
    #[inline(always)]
    pub(super) fn operator(&self) -> u64 {
        self.delimiter & self.operator_bit
    }

    /// The same block without its first bytes; spaces follow on the others.
    #[inline(always)]
    pub(super) fn without(self, skipped: usize) -> Self {
        let rest = |mask: u64| mask >> skipped;
        Self {
            delimiter: !rest(!self.delimiter),
            operator_bit: rest(self.operator_bit),
            kind_bits: self.kind_bits.map(rest),
            backslash_in_half: self.backslash_in_half,
        }
    }
}

/// The questions; a value is the proof that this processor answers them.
pub(super) trait Vectors: Copy {
    /// What is kept of all bytes of a line, to be asked once.
    type Seen: Copy;

    /// Before the first block.
    fn nothing_seen(self) -> Self::Seen;

    /// And when this block is, too.
    fn see(self, seen: Self::Seen, bytes: &[u8; BLOCK_LEN]) -> Self::Seen;

    /// Whether there was a control character below the space.
    fn has_control(self, seen: Self::Seen) -> bool;

    /// Whether all bytes were ASCII.
    fn is_ascii(self, seen: Self::Seen) -> bool;

    /// Looks at a block.
    fn block(self, bytes: &[u8; BLOCK_LEN]) -> Block;

    /// Where `\` stands.
    fn backslash(self, bytes: &[u8; BLOCK_LEN]) -> u64;

    /// Bit n of the result: whether an odd number of ones stands in the bits up to n.
    fn xor_of_all_before(self, bits: u64) -> u64;

    /// The bits at the ones of the mask, side by side from the lowest.
    fn extract(self, bits: u64, mask: u64) -> u64;

    /// The lowest bits, in their order, at the ones of the mask.
    fn deposit(self, bits: u64, mask: u64) -> u64;

    /// Which bytes are digits: bit n speaks of byte n.
    fn digits(self, bytes: &[u8; 16]) -> u16;

    /// Which bytes are this one: bit n speaks of byte n.
    fn equal(self, bytes: &[u8; 16], byte: u8) -> u16;
}

/// Work that is compiled anew for the vectors that it runs on.
pub(super) trait Work {
    /// What it comes to.
    type Output;

    /// Does it. Implementations are inlined always, so that the vectors' instructions are, too.
    fn run(self, vectors: impl Vectors) -> Self::Output;
}

/// The same bit by bit, for tests to compare with.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Clone, Copy)]
pub(super) struct BitByBit;

#[cfg(any(test, fuzzing))]
fn mask(bytes: &[u8; BLOCK_LEN], is_wanted: impl Fn(u8) -> bool) -> u64 {
    (0..BLOCK_LEN)
        .filter(|at| is_wanted(bytes[*at]))
        .fold(0, |mask, at| mask | 1 << at)
}

#[cfg(any(test, fuzzing))]
impl Vectors for BitByBit {
    /// The lowest byte and the highest.
    type Seen = [u8; 2];

    fn nothing_seen(self) -> [u8; 2] {
        [u8::MAX, 0]
    }

    fn see(self, seen: [u8; 2], bytes: &[u8; BLOCK_LEN]) -> [u8; 2] {
        let bytes = bytes.iter();
        bytes.fold(seen, |[lowest, highest], byte| {
            [lowest.min(*byte), highest.max(*byte)]
        })
    }

    fn block(self, bytes: &[u8; BLOCK_LEN]) -> Block {
        let bit = |bit| mask(bytes, |byte| byte >> bit & 1 == 1);
        Block {
            delimiter: mask(bytes, |byte| b"{}[]:,\" \x1a\x0c\x02\0".contains(&byte)),
            operator_bit: bit(OPERATOR_BIT),
            kind_bits: KIND_BITS.map(bit),
            backslash_in_half: {
                let backslash = self.backslash(bytes);
                (backslash | backslash >> 32) & u64::from(u32::MAX)
            },
        }
    }

    fn has_control(self, [lowest, _]: [u8; 2]) -> bool {
        lowest < b' '
    }

    fn is_ascii(self, [_, highest]: [u8; 2]) -> bool {
        highest.is_ascii()
    }

    fn backslash(self, bytes: &[u8; BLOCK_LEN]) -> u64 {
        mask(bytes, |byte| byte == b'\\')
    }

    fn xor_of_all_before(self, bits: u64) -> u64 {
        let is_odd = |at: u32| (bits << (63 - at)).count_ones() % 2 == 1;
        (0..64).fold(0, |all, at| all | u64::from(is_odd(at)) << at)
    }

    fn extract(self, bits: u64, mask: u64) -> u64 {
        let places = (0..64).filter(|at| mask >> at & 1 == 1).enumerate();
        places.fold(0, |all, (to, from)| all | (bits >> from & 1) << to)
    }

    fn deposit(self, bits: u64, mask: u64) -> u64 {
        let places = (0..64).filter(|at| mask >> at & 1 == 1).enumerate();
        places.fold(0, |all, (from, to)| all | (bits >> from & 1) << to)
    }

    fn digits(self, bytes: &[u8; 16]) -> u16 {
        (0..16).fold(0, |all, at| {
            all | u16::from(bytes[at].is_ascii_digit()) << at
        })
    }

    fn equal(self, bytes: &[u8; 16], byte: u8) -> u16 {
        (0..16).fold(0, |all, at| all | u16::from(bytes[at] == byte) << at)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
