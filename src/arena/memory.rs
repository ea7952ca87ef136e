//! The arena's memory: one allocation that never moves, reached by ranges of bytes.
//!
//! `region` says who may touch which range; here it is only checked that a range lies inside. The
//! models of `tests/models.rs` put a memory in this one's place that notes who touched what.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

use bumpalo::Bump;

/// A page: pieces of the memory are handed to system calls.
const ALIGN: usize = 4096;

/// One allocation.
pub(super) struct Memory {
    /// Owns the bytes; never touched again after it was made.
    _bump: Bump,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: `_bump` is only kept alive, never used; `base` is dereferenced by `region` alone, under
// the rules in its header.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(len: usize) -> Self {
        let bump = Bump::new();
        let layout = Layout::from_size_align(len, ALIGN)
            .expect("the limits keep the arena far below the address space");
        let base = bump.alloc_layout(layout);
        Self {
            _bump: bump,
            base,
            len,
        }
    }

    /// Where `len` bytes at `offset` begin, to be read.
    #[inline]
    pub(super) fn read(&self, offset: usize, len: usize) -> *const u8 {
        self.at(offset, len).cast_const()
    }

    /// Where `len` bytes at `offset` begin, to be written.
    #[inline]
    pub(super) fn write(&self, offset: usize, len: usize) -> *mut u8 {
        self.at(offset, len)
    }

    #[inline]
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.len && len <= self.len - offset);
        // SAFETY: checked to lie inside the one allocation of `new`.
        unsafe { self.base.as_ptr().add(offset) }
    }
}
