//! The arena's memory as loom sees it: each byte has a cell that notes who reads and who writes it,
//! and a touch that does not happen after an earlier one of another kind fails the model.

use loom::cell::UnsafeCell;

pub(super) struct Memory {
    bytes: Box<[std::cell::UnsafeCell<u8>]>,
    touched: Vec<UnsafeCell<()>>,
}

// SAFETY: `touched` checks what the arena's own rules promise.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn new(len: usize) -> Self {
        Self {
            bytes: (0..len).map(|_| std::cell::UnsafeCell::new(0)).collect(),
            touched: (0..len).map(|_| UnsafeCell::new(())).collect(),
        }
    }

    pub(super) fn read(&self, offset: usize, len: usize) -> *const u8 {
        for cell in &self.touched[offset..offset + len] {
            cell.with(|_| ());
        }
        self.bytes[offset..offset + len].as_ptr().cast()
    }

    pub(super) fn write(&self, offset: usize, len: usize) -> *mut u8 {
        for cell in &self.touched[offset..offset + len] {
            cell.with_mut(|_| ());
        }
        self.bytes[offset..offset + len]
            .as_ptr()
            .cast::<u8>()
            .cast_mut()
    }
}
