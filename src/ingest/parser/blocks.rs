//! The first look at a line: which of 64 bytes are what, as bit masks.
//!
//! The grammar asks, block by block, and `simd` answers. Here is what it has to answer, and for tests
//! the same without vector instructions.

/// Bytes of a block.
pub(super) const BLOCK_LEN: usize = 64;

/// What stands where in a block: bit n speaks of byte n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// The space character alone: other white space is a control character.
    pub(super) space: u64,
    /// `{` and `[`
    pub(super) open: u64,
    /// `}` and `]`
    pub(super) close: u64,
    /// `:`
    pub(super) colon: u64,
    /// `,`
    pub(super) comma: u64,
    /// A byte below the space is among them.
    pub(super) has_control: bool,
}

/// The class of each byte: bits in the order of [`Block`]'s masks.
#[cfg(test)]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'"' => 1,
            b'\\' => 1 << 1,
            b' ' => 1 << 2,
            b'{' | b'[' => 1 << 3,
            b'}' | b']' => 1 << 4,
            b':' => 1 << 5,
            b',' => 1 << 6,
            0..b' ' => 1 << 7,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
impl Block {
    /// Looks at a block, eight bytes at a time.
    pub(super) fn of(bytes: &[u8; BLOCK_LEN]) -> Self {
        let mut masks = [0; 8];
        for (index, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let classes = u64::from_le_bytes(eight.map(|byte| CLASSES[usize::from(byte)]));
            for (class, mask) in masks.iter_mut().enumerate() {
                *mask |= gather(classes >> class) << (8 * index);
            }
        }
        let [quote, backslash, space, open, close, colon, comma, control] = masks;
        Self {
            quote,
            backslash,
            space,
            open,
            close,
            colon,
            comma,
            has_control: control != 0,
        }
    }
}

/// The lowest bit of each of eight bytes, side by side: the product moves the bit of byte n to the
/// place 56 + n, and no two of its terms meet.
#[cfg(test)]
fn gather(bytes: u64) -> u64 {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const SPREAD: u64 = 0x0102_0408_1020_4080;
    (bytes & LOWEST).wrapping_mul(SPREAD) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, said as simply as it can be.
    fn model(bytes: &[u8; BLOCK_LEN]) -> Block {
        let mask = |wanted: &[u8]| {
            (0..BLOCK_LEN)
                .filter(|at| wanted.contains(&bytes[*at]))
                .fold(0, |mask, at| mask | 1 << at)
        };
        Block {
            quote: mask(b"\""),
            backslash: mask(b"\\"),
            space: mask(b" "),
            open: mask(b"{["),
            close: mask(b"}]"),
            colon: mask(b":"),
            comma: mask(b","),
            has_control: bytes.iter().any(|byte| *byte < b' '),
        }
    }

    #[test]
    fn every_byte_is_known_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK_LEN {
                let mut bytes = [b'x'; BLOCK_LEN];
                bytes[at] = byte;
                assert_eq!(Block::of(&bytes), model(&bytes), "{byte} at {at}");
                #[cfg(target_arch = "x86_64")]
                if let Some(block) = super::super::simd::tests::block(&bytes) {
                    assert_eq!(block, model(&bytes), "{byte} at {at}, by vectors");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_are_those_of_the_model(bytes in proptest::collection::vec(any::<u8>(), BLOCK_LEN)) {
            let bytes: [u8; BLOCK_LEN] = bytes.try_into().expect("its length");
            prop_assert_eq!(Block::of(&bytes), model(&bytes));
            #[cfg(target_arch = "x86_64")]
            if let Some(block) = super::super::simd::tests::block(&bytes) {
                prop_assert_eq!(block, model(&bytes));
            }
        }
    }
}
