//! Hints to the processor and the system about memory: they change when things are at hand, and
//! nothing else.
//!
//! All unsafe code of these hints is here.
#![allow(unsafe_code)]

/// Has what stands behind `place` fetched into the cache, and does not wait for it.
///
/// A plain read that nobody needs would do the same only until the processor's window of
/// instructions is full: flat out, it took an eighth of the time of the engine's two threads (`perf
/// record`, ids of a dedup window of a million, some 240 ns a message).
#[inline(always)]
pub(crate) fn prefetch<T: ?Sized>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees, and the reference is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(place);
}

/// The same for all of `place`, however long it is.
#[inline(always)]
pub(crate) fn prefetch_all<T: ?Sized>(place: &T) {
    const LINE_LEN: usize = 64;
    let start = std::ptr::from_ref(place).cast::<u8>();
    let len = size_of_val(place);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let last = start.wrapping_add(len.saturating_sub(1));
        for line in (0..len).step_by(LINE_LEN) {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line).cast()) };
        }
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(last.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box((start, len));
}

/// Asks the system to back memory that is read here and there with huge pages, where it does so on
/// demand: each place that is looked up in a table of megabytes otherwise misses the processor's
/// table of pages too. Whether it does is its own business.
pub(crate) fn prefer_huge_pages<T>(memory: &[T]) {
    const PAGE: usize = 4096;
    let start = memory.as_ptr() as usize;
    let (first, end) = (start.next_multiple_of(PAGE), start + size_of_val(memory));
    let Some(len) = (end - end % PAGE).checked_sub(first).filter(|&len| len > 0) else {
        return;
    };
    let advice = rustix::mm::Advice::LinuxHugepage;
    let place = (memory.as_ptr().cast::<u8>()).wrapping_add(first - start);
    // SAFETY: the range lies within `memory`, and the advice changes no content.
    let _ = unsafe { rustix::mm::madvise(place.cast_mut().cast(), len, advice) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_change_nothing() {
        let memory: Vec<u32> = (0..3_000_000).collect();
        for len in [0, 1, 1_000, 1_024, 3_000_000] {
            prefer_huge_pages(&memory[..len]);
        }
        memory.iter().step_by(1_000).for_each(prefetch);
        assert!((0..).zip(&memory).all(|(number, found)| number == *found));
    }
}
