//! The vectors of this processor against the same bit by bit.

use proptest::prelude::*;

use super::super::avx2::Avx2;
use super::*;

/// A block, whether it has a control character, and whether all of it is ASCII.
fn look(vectors: impl Vectors, bytes: &[u8; BLOCK_LEN]) -> (Block, bool, bool) {
    let seen = vectors.see(vectors.nothing_seen(), bytes);
    let (has_control, is_ascii) = (vectors.has_control(seen), vectors.is_ascii(seen));
    (vectors.block(bytes), has_control, is_ascii)
}

fn compare_blocks(bytes: &[u8; BLOCK_LEN]) {
    let Some(avx2) = Avx2::detect() else {
        return;
    };
    let (seen, by_bits) = (look(avx2, bytes), look(BitByBit, bytes));
    assert_eq!(seen, by_bits, "{bytes:?}");
    assert_eq!(
        avx2.backslash(bytes),
        BitByBit.backslash(bytes),
        "{bytes:?}"
    );
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
        assert_eq!(block.quote(), expected.quote());
        assert_eq!(block.operator(), expected.operator());
        assert_eq!(block.delimiter, expected.delimiter);
        assert_ne!(block.backslash_in_half, 0);
        let there = u64::MAX >> skipped;
        assert_eq!(block.kind_bits, expected.kind_bits.map(|bits| bits & there));
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
            let byte = some[5];
            prop_assert_eq!(avx2.equal(some, byte), BitByBit.equal(some, byte));
        }
    }
}
