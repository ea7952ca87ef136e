//! The first look at a line: which of 64 bytes are what, as bit masks.
//!
//! The tokens ask, block by block, and `simd` answers. Here is what it has to answer, and for tests
//! the same without vector instructions.

/// Bytes of a block.
pub(super) const BLOCK_LEN: usize = 64;

/// Which bits of a byte tell the operators apart, in the order of [`Block::bits`].
pub(super) const TELLING_BITS: [u32; 3] = [5, 1, 6];

/// What stands where in a block: bit n speaks of byte n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// The space character alone: other white space is a control character.
    pub(super) space: u64,
    /// One of `{}[]:,`; or a control character that is one of them but for its bit 5.
    pub(super) operator: u64,
    /// A control character below the space, or a byte beyond ASCII.
    pub(super) unusual: u64,
    /// For each of [`TELLING_BITS`]: it is set.
    pub(super) bits: [u64; 3],
}

impl Block {
    /// The same block without its first bytes; spaces follow on the others.
    #[inline(always)]
    pub(super) fn without(self, skipped: usize) -> Self {
        let rest = |mask: u64| mask >> skipped;
        Self {
            quote: rest(self.quote),
            backslash: rest(self.backslash),
            space: !rest(!self.space),
            operator: rest(self.operator),
            unusual: rest(self.unusual),
            bits: self.bits.map(rest),
        }
    }
}

/// What the quick way asks of a processor.
pub(super) trait Vectors: Copy {
    /// Looks at a block.
    fn block(self, bytes: &[u8; BLOCK_LEN]) -> Block;

    /// Bit n of the result: whether an odd number of ones stands in the bits up to n.
    fn xor_of_all_before(self, bits: u64) -> u64;

    /// The bits at the ones of the mask, side by side from the lowest.
    fn extract(self, bits: u64, mask: u64) -> u64;

    /// The lowest bits, in their order, at the ones of the mask.
    fn deposit(self, bits: u64, mask: u64) -> u64;

    /// Which bytes are digits: bit n speaks of byte n.
    fn digits(self, bytes: &[u8; 16]) -> u16;
}

/// The same bit by bit, for tests to compare with.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) struct BitByBit;

#[cfg(test)]
impl Vectors for BitByBit {
    fn block(self, bytes: &[u8; BLOCK_LEN]) -> Block {
        let mask = |is_wanted: &dyn Fn(u8) -> bool| {
            (0..BLOCK_LEN)
                .filter(|at| is_wanted(bytes[*at]))
                .fold(0, |mask, at| mask | 1 << at)
        };
        Block {
            quote: mask(&|byte| byte == b'"'),
            backslash: mask(&|byte| byte == b'\\'),
            space: mask(&|byte| byte == b' '),
            operator: mask(&|byte| b"{}[]:,\x1a\x0c".contains(&byte)),
            unusual: mask(&|byte| !(b' '..0x80).contains(&byte)),
            bits: TELLING_BITS.map(|bit| mask(&|byte| byte >> bit & 1 == 1)),
        }
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
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use proptest::prelude::*;

    use super::super::simd::Avx2;
    use super::*;

    fn compare_blocks(bytes: &[u8; BLOCK_LEN]) {
        if let Some(avx2) = Avx2::detect() {
            assert_eq!(avx2.block(bytes), BitByBit.block(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn every_byte_is_known_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK_LEN {
                let mut bytes = [b'x'; BLOCK_LEN];
                bytes[at] = byte;
                compare_blocks(&bytes);
            }
        }
    }

    #[test]
    fn a_block_without_its_first_bytes_goes_on_with_spaces() {
        let bytes: [u8; BLOCK_LEN] = std::array::from_fn(|at| b"{\"a\\ \x01:\xc3"[at % 8]);
        for skipped in 0..BLOCK_LEN {
            let mut rest = [b' '; BLOCK_LEN];
            rest[..BLOCK_LEN - skipped].copy_from_slice(&bytes[skipped..]);
            let expected = BitByBit.block(&rest);
            let block = BitByBit.block(&bytes).without(skipped);
            assert_eq!(
                Block {
                    bits: expected.bits,
                    ..block
                },
                expected
            );
            let there = u64::MAX >> skipped;
            assert_eq!(block.bits, expected.bits.map(|bits| bits & there));
        }
    }

    proptest! {
        #[test]
        fn vectors_say_the_same_as_bit_by_bit(
            bytes in proptest::collection::vec(any::<u8>(), BLOCK_LEN),
            bits in any::<u64>(),
            mask in any::<u64>(),
        ) {
            let bytes: [u8; BLOCK_LEN] = bytes.try_into().expect("its length");
            compare_blocks(&bytes);
            if let Some(avx2) = Avx2::detect() {
                prop_assert_eq!(avx2.xor_of_all_before(bits), BitByBit.xor_of_all_before(bits));
                prop_assert_eq!(avx2.extract(bits, mask), BitByBit.extract(bits, mask));
                prop_assert_eq!(avx2.deposit(bits, mask), BitByBit.deposit(bits, mask));
                let some = bytes.first_chunk().expect("sixteen");
                prop_assert_eq!(avx2.digits(some), BitByBit.digits(some));
            }
        }
    }
}
