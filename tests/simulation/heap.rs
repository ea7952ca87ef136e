//! What the engine has of the heap, block by block: each block knows whose it is, so that a leak is seen
//! whoever frees it, and on whichever thread.
//!
//! ```text
//! world's thread:  [ world ][ engine's turn [ disk, wire, database ] ][ world ]
//! blocks are       nobody's  the engine's     nobody's                 nobody's
//! ```
//! A block carries the number of its account in front of it.
#![allow(
    unsafe_code,
    reason = "an allocator that counts is an implementation of an unsafe trait"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Worlds at once that have an account of their own: as many as a test process runs threads.
const ACCOUNTS: usize = 256;
/// Nobody's account.
const NOBODY: usize = 0;

static BYTES: [AtomicI64; ACCOUNTS] = [const { AtomicI64::new(0) }; ACCOUNTS];
static BLOCKS: [AtomicI64; ACCOUNTS] = [const { AtomicI64::new(0) }; ACCOUNTS];
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whose the blocks are that this thread allocates.
    static CURRENT: Cell<usize> = const { Cell::new(NOBODY) };
}

/// The account of the engines of one world.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    number: usize,
    /// What a former world has left under this number.
    before: Held,
}

/// What an account has of the heap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub bytes: i64,
    pub blocks: i64,
}

impl Account {
    /// An account that no other world of late has.
    pub fn open() -> Self {
        let number = 1 + NEXT.fetch_add(1, Ordering::Relaxed) % (ACCOUNTS - 1);
        let before = booked(number);
        Self { number, before }
    }

    /// What is allocated while `work` runs is this account's.
    pub fn within<R>(self, work: impl FnOnce() -> R) -> R {
        let _inside = Outside::of(self.number, ());
        work()
    }

    /// What it has now.
    pub fn held(self) -> Held {
        let now = booked(self.number);
        Held {
            bytes: now.bytes - self.before.bytes,
            blocks: now.blocks - self.before.blocks,
        }
    }
}

fn booked(account: usize) -> Held {
    Held {
        bytes: BYTES[account].load(Ordering::Relaxed),
        blocks: BLOCKS[account].load(Ordering::Relaxed),
    }
}

/// A guard of a part of the world: while it lives, nothing that is allocated is the engine's.
#[derive(Debug)]
pub struct Outside<G> {
    guard: G,
    before: usize,
}

/// See [`Outside`].
pub fn outside<G>(guard: G) -> Outside<G> {
    Outside::of(NOBODY, guard)
}

impl<G> Outside<G> {
    fn of(account: usize, guard: G) -> Self {
        let before = CURRENT.replace(account);
        Self { guard, before }
    }
}

impl<G> Drop for Outside<G> {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

impl<G: Deref> Deref for Outside<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Outside<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// The system's allocator, with an account's number in front of each block.
struct Accounting;

#[global_allocator]
static ALLOCATOR: Accounting = Accounting;

/// The block that is asked of the system, and where in it the caller's begins.
fn framed(layout: Layout) -> (Layout, usize) {
    let front = layout.align().max(size_of::<usize>());
    let len = layout.size().checked_add(front).expect("it fits memory");
    let framed = Layout::from_size_align(len, front).expect("as large as the caller's, nearly");
    (framed, front)
}

fn book(account: usize, layout: Layout, sign: i64) {
    BYTES[account].fetch_add(sign * layout.size() as i64, Ordering::Relaxed);
    BLOCKS[account].fetch_add(sign, Ordering::Relaxed);
}

/// Notes whose block this is, and returns the caller's part of it.
///
/// # Safety
/// `block` is null, or begins `framed(layout)`.
unsafe fn open(block: *mut u8, layout: Layout, front: usize) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // A thread that is ending has no cell any more, and is not the engine's.
    let account = CURRENT.try_with(Cell::get).unwrap_or(NOBODY);
    book(account, layout, 1);
    // SAFETY: the block begins with `front` bytes, which are aligned for and as long as a number at
    // least, and the caller's part follows them.
    unsafe {
        block.cast::<usize>().write(account);
        block.add(front)
    }
}

// SAFETY: each block is the system's, `front` bytes longer than asked for: a multiple of the alignment,
// so that what follows is aligned as the caller wants; `dealloc` goes back by as much to find it.
unsafe impl GlobalAlloc for Accounting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (framed, front) = framed(layout);
        // SAFETY: `framed` is not empty, and the block is of that layout.
        unsafe { open(System.alloc(framed), layout, front) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (framed, front) = framed(layout);
        // SAFETY: as in `alloc`; the caller's part stays zero.
        unsafe { open(System.alloc_zeroed(framed), layout, front) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let (framed, front) = framed(layout);
        // SAFETY: `pointer` came from `open` with the same layout, so its block begins `front` bytes
        // before it, with the account's number.
        unsafe {
            let block = pointer.sub(front);
            book(block.cast::<usize>().read(), layout, -1);
            System.dealloc(block, framed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_its_account_s_until_it_is_freed_anywhere() {
        let account = Account::open();
        let before = account.held();
        let (mut inside, outside_of_it) = account.within(|| {
            let inside = vec![1_u8; 1_000];
            let _guard = outside(());
            (inside, vec![2_u8; 5_000])
        });
        assert_eq!(account.held().bytes - before.bytes, 1_000);
        // What grows outside is nobody's from then on.
        inside.reserve_exact(10_000);
        assert_eq!(account.held(), before);
        let other = account.within(|| vec![0_u64; 10]);
        std::thread::spawn(move || drop(other))
            .join()
            .expect("it ends");
        assert_eq!(account.held(), before);
        drop((inside, outside_of_it));
    }
}
