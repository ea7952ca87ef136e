//! The first look at a line by AVX2: 32 bytes a step, where the processor has it.
//!
//! All unsafe code of the parser is here; `blocks` has the same without, and tests hold the two
//! together.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::blocks::{BLOCK_LEN, Block};
use super::outline::Outline;

/// A witness that this processor has what [`outline`] is compiled for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    pub(super) fn detect() -> Option<Self> {
        let has_all = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2");
        has_all.then_some(Self(()))
    }

    /// [`Outline::draw`] by AVX2.
    #[inline]
    pub(super) fn draw(self, outline: &mut Outline, frame: &[u8]) -> bool {
        // SAFETY: `detect`, which alone makes this witness, has seen every feature that it needs.
        unsafe { draw(outline, frame) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2")]
fn draw(outline: &mut Outline, frame: &[u8]) -> bool {
    outline.draw(frame, |bytes| block(bytes))
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn block(bytes: &[u8; BLOCK_LEN]) -> Block {
    let halves = bytes.as_chunks::<32>().0;
    let (low, high) = (load(&halves[0]), load(&halves[1]));
    let equal = |byte: u8| {
        let byte = _mm256_set1_epi8(byte.cast_signed());
        mask(_mm256_cmpeq_epi8(low, byte), _mm256_cmpeq_epi8(high, byte))
    };
    // `[` and `{`, and `]` and `}`, differ in this bit alone.
    let bit = _mm256_set1_epi8(0x20);
    let (low_set, high_set) = (_mm256_or_si256(low, bit), _mm256_or_si256(high, bit));
    let equal_or_square = |byte: u8| {
        let byte = _mm256_set1_epi8(byte.cast_signed());
        mask(
            _mm256_cmpeq_epi8(low_set, byte),
            _mm256_cmpeq_epi8(high_set, byte),
        )
    };
    let least = _mm256_min_epu8(low, high);
    let control = _mm256_cmpeq_epi8(_mm256_min_epu8(least, _mm256_set1_epi8(0x1f)), least);
    Block {
        quote: equal(b'"'),
        backslash: equal(b'\\'),
        space: equal(b' '),
        open: equal_or_square(b'{'),
        close: equal_or_square(b'}'),
        colon: equal(b':'),
        comma: equal(b','),
        has_control: _mm256_testz_si256(control, control) == 0,
    }
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
    let half = |it| u64::from(_mm256_movemask_epi8(it).cast_unsigned());
    half(low) | half(high) << 32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The block by vectors; `None`: this processor has none.
    pub(in super::super) fn block(bytes: &[u8; BLOCK_LEN]) -> Option<Block> {
        // SAFETY: the processor has been asked.
        Avx2::detect().map(|_| unsafe { super::block(bytes) })
    }
}
