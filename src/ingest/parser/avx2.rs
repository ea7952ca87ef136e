//! The vectors of an x86-64 processor: AVX2 looks at 32 bytes a step.
//!
//! `vectors` says what they are asked, and has the same bit by bit; tests hold the two together.
//! What they are used for, this does not know: [`Avx2::run`] takes any work.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::vectors::{BLOCK_LEN, Block, KIND_BITS, OPERATOR_BIT, Vectors, Work};

/// A witness that this processor has what the functions below are compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt");
        (has_all && !is_bmi2_slow()).then_some(Self(()))
    }

    /// Does work by these vectors.
    #[inline]
    pub(super) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: `detect`, which alone makes this witness, has seen every feature that it needs.
        unsafe { run(self, work) }
    }
}

/// AMD's processors before Zen 3 take hundreds of cycles for the extraction and deposit of bits.
fn is_bmi2_slow() -> bool {
    let vendor = __cpuid(0);
    let is_of = |name: &[u8; 12]| {
        let words = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        words.as_flattened() == name
    };
    let signature = __cpuid(1).eax;
    let family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    is_of(b"HygonGenuine") || is_of(b"AuthenticAMD") && family < 0x19
}

#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq,popcnt")]
fn run<W: Work>(avx2: Avx2, work: W) -> W::Output {
    work.run(avx2)
}

// Inlined always, into `run`: there alone the functions below can be inlined, too.
impl Vectors for Avx2 {
    type Seen = Seen;

    #[inline(always)]
    fn nothing_seen(self) -> Seen {
        // SAFETY: the witness is there, here and below.
        unsafe { nothing_seen() }
    }

    #[inline(always)]
    fn see(self, seen: Seen, bytes: &[u8; BLOCK_LEN]) -> Seen {
        // SAFETY: as above.
        unsafe { see(seen, bytes) }
    }

    #[inline(always)]
    fn has_control(self, seen: Seen) -> bool {
        // SAFETY: as above.
        unsafe { has_control(seen) }
    }

    #[inline(always)]
    fn is_ascii(self, seen: Seen) -> bool {
        // SAFETY: as above.
        unsafe { is_ascii(seen) }
    }

    #[inline(always)]
    fn block(self, bytes: &[u8; BLOCK_LEN]) -> Block {
        // SAFETY: as above.
        unsafe { block(bytes) }
    }

    #[inline(always)]
    fn backslash(self, bytes: &[u8; BLOCK_LEN]) -> u64 {
        // SAFETY: as above.
        unsafe { backslash(bytes) }
    }

    #[inline(always)]
    fn xor_of_all_before(self, bits: u64) -> u64 {
        // SAFETY: as above.
        unsafe { xor_of_all_before(bits) }
    }

    #[inline(always)]
    fn extract(self, bits: u64, mask: u64) -> u64 {
        // SAFETY: as above.
        unsafe { _pext_u64(bits, mask) }
    }

    #[inline(always)]
    fn deposit(self, bits: u64, mask: u64) -> u64 {
        // SAFETY: as above.
        unsafe { _pdep_u64(bits, mask) }
    }

    #[inline(always)]
    fn digits(self, bytes: &[u8; 16]) -> u16 {
        // SAFETY: as above.
        unsafe { digits(bytes) }
    }

    #[inline(always)]
    fn equal(self, bytes: &[u8; 16], byte: u8) -> u16 {
        // SAFETY: as above.
        unsafe { equal(bytes, byte) }
    }
}

/// What was seen of all blocks of a line, byte by byte of half a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    lowest: __m256i,
    /// The bits that any of them has.
    any: __m256i,
}

#[inline]
#[target_feature(enable = "avx2")]
fn nothing_seen() -> Seen {
    Seen {
        lowest: _mm256_set1_epi8(-1),
        any: _mm256_setzero_si256(),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn see(seen: Seen, bytes: &[u8; BLOCK_LEN]) -> Seen {
    let [low, high] = halves(bytes);
    Seen {
        lowest: _mm256_min_epu8(_mm256_min_epu8(seen.lowest, low), high),
        any: _mm256_or_si256(_mm256_or_si256(seen.any, low), high),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn has_control(seen: Seen) -> bool {
    let space = all(b' ');
    let lowest = _mm256_min_epu8(seen.lowest, space);
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(lowest, space)) != -1
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_ascii(seen: Seen) -> bool {
    _mm256_movemask_epi8(seen.any) == 0
}

/// For the low half of a byte which delimiter it may be, with its bit 5 set. For the
/// others it is what no byte with that bit can be.
const DELIMITERS: [u8; 32] = {
    let mut delimiters = [0; 32];
    let mut index = 0;
    while index < 6 {
        let byte = b"{}:,\" "[index];
        let low_half = (byte & 0xf) as usize;
        delimiters[low_half] = byte;
        delimiters[16 + low_half] = byte;
        index += 1;
    }
    delimiters
};

#[inline]
#[target_feature(enable = "avx2")]
fn block(bytes: &[u8; BLOCK_LEN]) -> Block {
    let [low, high] = halves(bytes);
    // `[` and `{`, and `]` and `}`, differ in bit 5 alone, which the others have, too. Where a
    // byte's highest bit is set, the shuffle gives zero.
    let delimiters = load(&DELIMITERS);
    let is_delimiter = |bytes| {
        let candidates = _mm256_shuffle_epi8(delimiters, bytes);
        _mm256_cmpeq_epi8(candidates, _mm256_or_si256(bytes, all(1 << 5)))
    };
    const { assert!(matches!((KIND_BITS, OPERATOR_BIT), ([5, 1, 6], 3))) };
    Block {
        delimiter: mask(is_delimiter(low), is_delimiter(high)),
        // Each bit becomes the highest of its byte.
        operator_bit: mask(_mm256_slli_epi16::<4>(low), _mm256_slli_epi16::<4>(high)),
        kind_bits: [
            mask(_mm256_slli_epi16::<2>(low), _mm256_slli_epi16::<2>(high)),
            mask(_mm256_slli_epi16::<6>(low), _mm256_slli_epi16::<6>(high)),
            mask(_mm256_slli_epi16::<1>(low), _mm256_slli_epi16::<1>(high)),
        ],
        backslash_in_half: {
            let is_backslash = |bytes| _mm256_cmpeq_epi8(bytes, all(b'\\'));
            half_mask(_mm256_or_si256(is_backslash(low), is_backslash(high)))
        },
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn backslash(bytes: &[u8; BLOCK_LEN]) -> u64 {
    let [low, high] = halves(bytes).map(|half| _mm256_cmpeq_epi8(half, all(b'\\')));
    mask(low, high)
}

#[inline]
#[target_feature(enable = "avx2")]
fn halves(bytes: &[u8; BLOCK_LEN]) -> [__m256i; 2] {
    let halves = bytes.as_chunks().0;
    [load(&halves[0]), load(&halves[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference covers the 32 bytes that are read, at any alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The highest bits of 64 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(low: __m256i, high: __m256i) -> u64 {
    half_mask(low) | half_mask(high) << 32
}

/// The highest bits of 32 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn half_mask(bytes: __m256i) -> u64 {
    u64::from(_mm256_movemask_epi8(bytes).cast_unsigned())
}

/// The product without carries by a number of ones alone.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn xor_of_all_before(bits: u64) -> u64 {
    let bits = _mm_set_epi64x(0, bits.cast_signed());
    let product = _mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn digits(bytes: &[u8; 16]) -> u16 {
    let values = _mm_sub_epi8(load_some(bytes), _mm_set1_epi8(b'0'.cast_signed()));
    let at_most_nine = _mm_min_epu8(values, _mm_set1_epi8(9));
    _mm_movemask_epi8(_mm_cmpeq_epi8(at_most_nine, values)) as u16
}

#[inline]
#[target_feature(enable = "avx2")]
fn equal(bytes: &[u8; 16], byte: u8) -> u16 {
    let byte = _mm_set1_epi8(byte.cast_signed());
    _mm_movemask_epi8(_mm_cmpeq_epi8(load_some(bytes), byte)) as u16
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_some(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference covers the 16 bytes that are read, at any alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
