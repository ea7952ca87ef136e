//! The arena's memory as loom sees it: each byte has a cell that notes who reads and who writes it,
//! and a touch that does not happen after an earlier one of another kind fails the model.

use std::ops::Range;

use loom::cell::UnsafeCell;

pub(super) struct Memory {
    chunk_len: usize,
    bytes: Box<[std::cell::UnsafeCell<u8>]>,
    touched: Vec<UnsafeCell<()>>,
}

// SAFETY: `touched` checks what the arena's own rules promise.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(chunk_len: usize, chunk_count: usize) -> Self {
        let len = chunk_len * chunk_count;
        Self {
            chunk_len,
            bytes: (0..len).map(|_| std::cell::UnsafeCell::new(0)).collect(),
            touched: (0..len).map(|_| UnsafeCell::new(())).collect(),
        }
    }

    pub(super) fn read(&self, chunk: u16, offset: u32, len: u32) -> *const u8 {
        let range = self.range(chunk, offset, len);
        for cell in &self.touched[range.clone()] {
            cell.with(|_| ());
        }
        self.bytes[range].as_ptr().cast()
    }

    pub(super) fn write(&self, chunk: u16, offset: u32, len: u32) -> *mut u8 {
        let range = self.range(chunk, offset, len);
        for cell in &self.touched[range.clone()] {
            cell.with_mut(|_| ());
        }
        self.bytes[range].as_ptr().cast::<u8>().cast_mut()
    }

    fn range(&self, chunk: u16, offset: u32, len: u32) -> Range<usize> {
        let start = usize::from(chunk) * self.chunk_len + offset as usize;
        start..start + len as usize
    }
}
