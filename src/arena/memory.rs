//! The arena's memory: one allocation that never moves, reached by ranges of bytes.
//!
//! `region` says who may touch which range; here it is only checked that a range lies inside its
//! chunk. The models of `tests/models.rs` put a memory in this one's place that notes who touched what.
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
    chunk_len: usize,
    chunk_count: usize,
}

// SAFETY: `_bump` is only kept alive, never used; `base` is dereferenced by `region` alone, under
// the rules in its header.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(chunk_len: usize, chunk_count: usize) -> Self {
        let bump = Bump::new();
        let layout = Layout::from_size_align(chunk_len * chunk_count, ALIGN)
            .expect("the limits keep the arena far below the address space");
        let base = bump.alloc_layout(layout);
        Self {
            _bump: bump,
            base,
            chunk_len,
            chunk_count,
        }
    }

    /// Where `len` bytes at `offset` of a chunk begin, to be read.
    #[inline]
    pub(super) fn read(&self, chunk: u16, offset: u32, len: u32) -> *const u8 {
        self.at(chunk, offset, len).cast_const()
    }

    /// Where `len` bytes at `offset` of a chunk begin, to be written.
    #[inline]
    pub(super) fn write(&self, chunk: u16, offset: u32, len: u32) -> *mut u8 {
        self.at(chunk, offset, len)
    }

    #[inline]
    fn at(&self, chunk: u16, offset: u32, len: u32) -> *mut u8 {
        let (chunk, offset) = (usize::from(chunk), offset as usize);
        assert!(chunk < self.chunk_count && offset + len as usize <= self.chunk_len);
        // SAFETY: whole chunks stand one behind the other in the one allocation of `new`, and the
        // range was checked to lie inside one of them.
        unsafe { self.base.as_ptr().add(chunk * self.chunk_len + offset) }
    }
}
