//! The chunks' bytes, and the tokens that give the right to touch them.
//!
//! This module and `memory` hold all unsafe code of the arena: it shares bytes between threads
//! without a lock. What makes it sound: a chunk's bytes from the tail on belong to its one
//! `Writer`; a committed record's header belongs to its one `Committed`; everything before that is
//! read-only until the chunk's writer, its `Committed`s and its leases are all returned, which the
//! ledger sees to before it hands the chunk out again. Tokens cross threads through rings, whose
//! release and acquire order the bytes written before with the reads after.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU16, Ordering};

use super::memory::Memory;
use crate::message::layout::{RECORD_HEADER_LEN, record_len};
use crate::sync::Arc;

/// The arena of places that are in none.
const NOWHERE: u16 = u16::MAX;

/// The chunks' memory: one piece, cut into equal chunks.
pub(super) struct Region {
    memory: Memory,
    chunk_len: usize,
    chunk_count: u32,
    /// Told apart from other arenas of the process, so that tokens cannot be mixed up.
    pub(super) id: u16,
}

impl Region {
    pub(super) fn new(chunk_len: usize, chunk_count: u32) -> Self {
        static NEXT_ID: AtomicU16 = AtomicU16::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed) % NOWHERE;
        Self {
            memory: Memory::new(chunk_len, chunk_count as usize),
            chunk_len,
            chunk_count,
            id,
        }
    }

    /// Where the bytes begin, to be read.
    fn read(&self, span: &Span) -> *const u8 {
        self.check(span);
        self.memory.read(span.chunk, span.offset, span.len)
    }

    /// Where the bytes begin, to be written.
    fn write(&self, span: &Span) -> *mut u8 {
        self.check(span);
        self.memory.write(span.chunk, span.offset, span.len)
    }

    fn check(&self, span: &Span) {
        assert!(span.arena == self.id, "a token of another arena");
    }
}

/// A range of bytes in a chunk of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) arena: u16,
    pub(super) chunk: u16,
    pub(super) generation: u32,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Reads what tokens speak of; one an agent.
#[derive(Clone)]
pub(crate) struct View(pub(super) Arc<Region>);

impl fmt::Debug for View {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "View(arena {})", self.0.id)
    }
}

impl View {
    /// The leased bytes: whole records, one behind the other.
    #[must_use]
    pub(crate) fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let start = self.0.read(&lease.0);
        // SAFETY: a lease covers only placed records, which nobody writes; its chunk is not reused
        // before the lease was taken back, which consumes it.
        unsafe { std::slice::from_raw_parts(start, lease.0.len as usize) }
    }

    /// The record's header, to be completed before the record is placed.
    pub(crate) fn header_mut<'a>(
        &'a self,
        committed: &'a mut Committed,
    ) -> &'a mut [u8; RECORD_HEADER_LEN] {
        let header = Span {
            len: RECORD_HEADER_LEN as u32,
            ..committed.0
        };
        let start = self.0.write(&header).cast();
        // SAFETY: this token is the only one for this record, and no lease covers it yet; records
        // are at least a header long.
        unsafe { &mut *start }
    }

    /// The committed record's bytes, header and newline included.
    #[must_use]
    pub(crate) fn record<'a>(&'a self, committed: &'a Committed) -> &'a [u8] {
        let start = self.0.read(&committed.0);
        // SAFETY: as in `header_mut`; the shared borrow keeps `header_mut` out.
        unsafe { std::slice::from_raw_parts(start, committed.0.len as usize) }
    }
}

/// The right to fill a chunk; one a chunk.
pub(crate) struct Writer {
    pub(super) region: Arc<Region>,
    pub(super) chunk: u16,
    pub(super) generation: u32,
    pub(super) tail: u32,
    /// Records committed so far.
    pub(super) committed: u32,
}

impl fmt::Debug for Writer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Writer(chunk {}, tail {})", self.chunk, self.tail)
    }
}

impl Writer {
    /// Bytes that are left.
    #[must_use]
    pub(crate) fn room(&self) -> usize {
        self.region.chunk_len - self.tail as usize
    }

    /// Copies the frame behind an empty header and puts a newline after it; `None`: no room.
    pub(crate) fn claim(&mut self, frame: &[u8]) -> Option<Claim<'_>> {
        let len = record_len(frame.len());
        if len > self.room() {
            return None;
        }
        let span = Span {
            arena: self.region.id,
            chunk: self.chunk,
            generation: self.generation,
            offset: self.tail,
            len: u32::try_from(len).ok()?,
        };
        let start = self.region.write(&span);
        // SAFETY: bytes from the tail on belong to this writer; `at` checked their range.
        unsafe {
            start.write_bytes(0, RECORD_HEADER_LEN);
            let body = start.add(RECORD_HEADER_LEN);
            body.copy_from_nonoverlapping(frame.as_ptr(), frame.len());
            body.add(frame.len()).write(b'\n');
        }
        Some(Claim { writer: self, span })
    }
}

/// A record being made; dropping it gives the room back.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    writer: &'a mut Writer,
    span: Span,
}

impl Claim<'_> {
    /// The frame as it was copied.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn frame(&self) -> &[u8] {
        let start = self.writer.region.read(&self.span);
        let frame_len = self.span.len as usize - record_len(0);
        // SAFETY: initialised by `Writer::claim`, and this claim holds the writer.
        unsafe { std::slice::from_raw_parts(start.add(RECORD_HEADER_LEN), frame_len) }
    }

    /// The record's header.
    pub(crate) fn header_mut(&mut self) -> &mut [u8; RECORD_HEADER_LEN] {
        // SAFETY: as in `frame`, and the borrow is exclusive.
        unsafe { &mut *self.writer.region.write(&self.span).cast() }
    }

    /// The record is whole.
    pub(crate) fn commit(self) -> Committed {
        self.writer.tail += self.span.len;
        self.writer.committed += 1;
        Committed(self.span)
    }
}

/// A whole record on its way from ingest to the ledger; one token a record.
#[derive(Debug)]
#[must_use]
pub(crate) struct Committed(pub(super) Span);

/// Where a record stands, or stood: its chunk may have been evicted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(super) Span);

impl Place {
    /// The place of a record that is in the journal only.
    #[must_use]
    pub(crate) fn nowhere(record_len: u32) -> Self {
        Self(Span {
            arena: NOWHERE,
            chunk: 0,
            generation: 0,
            offset: 0,
            len: record_len,
        })
    }

    /// Bytes of the record.
    #[must_use]
    pub(crate) fn record_len(&self) -> usize {
        self.0.len as usize
    }

    /// Bytes of the frame with its newline: what goes to a subscriber.
    #[must_use]
    pub(crate) fn wire_len(&self) -> usize {
        self.0.len as usize - RECORD_HEADER_LEN
    }
}

/// The right to read some records, and the duty to give it back.
#[derive(Debug)]
#[must_use]
pub(crate) struct Lease(pub(super) Span);

impl Lease {
    /// Bytes that are leased.
    #[must_use]
    pub(crate) fn byte_len(&self) -> usize {
        self.0.len as usize
    }
}

/// Ended leases of one chunk, on their way to the ledger.
#[derive(Debug)]
#[must_use]
pub(crate) struct Returned {
    pub(super) arena: u16,
    pub(super) chunk: u16,
    pub(super) count: u32,
}

impl Returned {
    /// Ends a lease.
    #[cfg(test)]
    pub(crate) fn one(lease: Lease) -> Self {
        let Lease(span) = lease;
        Self {
            arena: span.arena,
            chunk: span.chunk,
            count: 1,
        }
    }
}

/// Gathers ended leases, so that those of one chunk are returned together: an entry a chunk at
/// most.
#[derive(Debug)]
pub(crate) struct EndedLeases {
    arena: u16,
    /// Leases that have ended and are not on their way, by chunk.
    counts: Vec<u32>,
    /// The chunks that have some.
    chunks: Vec<u16>,
}

impl EndedLeases {
    /// None has ended.
    #[must_use]
    pub(crate) fn new(view: &View) -> Self {
        let chunk_count = view.0.chunk_count as usize;
        Self {
            arena: view.0.id,
            counts: vec![0; chunk_count],
            chunks: Vec::with_capacity(chunk_count),
        }
    }

    /// Ends a lease.
    #[inline]
    pub(crate) fn add(&mut self, lease: Lease) {
        let Lease(span) = lease;
        debug_assert_eq!(span.arena, self.arena, "a token of another arena");
        let count = &mut self.counts[usize::from(span.chunk)];
        if *count == 0 {
            self.chunks.push(span.chunk);
        }
        *count += 1;
    }

    /// Whether no lease is to be returned.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The ended leases of a chunk, to be sent to the ledger.
    #[must_use]
    pub(crate) fn take(&mut self) -> Option<Returned> {
        let chunk = self.chunks.pop()?;
        Some(Returned {
            arena: self.arena,
            chunk,
            count: std::mem::take(&mut self.counts[usize::from(chunk)]),
        })
    }
}
