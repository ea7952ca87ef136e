//! A bucket of the table, compared as a whole: sixteen words at once.

/// Words of a bucket: a cache line.
pub(super) const BUCKET: usize = 16;

/// The words.
pub(super) type Bucket = [u32; BUCKET];

/// One bit for each word that is zero.
#[inline]
pub(super) fn zeros(bucket: &Bucket) -> u32 {
    equals(bucket, 0, 0)
}

/// One bit for each word that is `value` when it is shifted right by `shift` bits, less than 32.
#[inline]
pub(super) fn equals(bucket: &Bucket, shift: u32, value: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    #[allow(
        unsafe_code,
        reason = "left to itself, the compiler takes twice as many instructions"
    )]
    // SAFETY: every x86-64 processor has SSE2.
    return unsafe { equals_by_sse2(bucket, shift, value) };
    #[cfg(not(target_arch = "x86_64"))]
    one_by_one(bucket, shift, value)
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn equals_by_sse2(bucket: &Bucket, shift: u32, value: u32) -> u32 {
    use std::arch::x86_64::*;
    let [a, b, c, d] = [0, 4, 8, 12].map(|at| {
        let word = |index: usize| bucket[at + index].cast_signed();
        let words = _mm_set_epi32(word(3), word(2), word(1), word(0));
        let shifted = _mm_srl_epi32(words, _mm_cvtsi32_si128(shift.cast_signed()));
        _mm_cmpeq_epi32(shifted, _mm_set1_epi32(value.cast_signed()))
    });
    let bytes = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
    _mm_movemask_epi8(bytes).cast_unsigned()
}

/// The same without vectors.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn one_by_one(bucket: &Bucket, shift: u32, value: u32) -> u32 {
    let hits = (bucket.iter().enumerate()).filter(|(_, word)| **word >> shift == value);
    hits.fold(0, |bits, (at, _)| bits | 1 << at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_word_has_its_bit(
            words in prop::collection::vec(prop_oneof![Just(0), 0_u32..9, any::<u32>()], BUCKET),
            shift in 0_u32..32,
            at in 0..BUCKET,
        ) {
            let bucket: Bucket = words.try_into().expect("its length");
            let value = bucket[at] >> shift;
            prop_assert_eq!(equals(&bucket, shift, value), one_by_one(&bucket, shift, value));
            prop_assert_eq!(equals(&bucket, shift, value) >> at & 1, 1);
            prop_assert_eq!(zeros(&bucket), one_by_one(&bucket, 0, 0));
        }
    }
}
