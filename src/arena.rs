//! Frame memory: fixed chunks that are lent down the pipeline and come home.
//!
//! Ingest fills a chunk through a [`Writer`]; each record becomes a [`Committed`], which the
//! scheduler seals and turns into a [`Place`] - the address of a record, good for asking. Who wants
//! to read needs a [`Lease`], which only the [`Ledger`] (the scheduler's) hands out and takes back.
//! A chunk is free again when its writer is home, nobody holds a lease of it, and no message needs
//! it any more - or earlier, if it is evicted: then its places are void, and their messages must be
//! read again from the journal.
//!
//! ```text
//!  Ledger --Writer--> ingest --Committed--> Ledger::place --Place--> (queued)
//!    ^                                        |
//!    +----Returned <-- journal, delivery <----+ Lease
//!
//!  chunk   [ record | record | record |      free        ]
//!            placed   placed   committed ^ tail: only the Writer touches bytes from here on
//! ```
//!
//! This module is the only one that shares bytes between threads without a lock. What makes it
//! sound: a chunk's bytes from the tail on belong to its one `Writer`; a committed record's header
//! belongs to its one `Committed`; everything before that is read-only until the chunk's leases are
//! all home and its writer too, which the ledger asserts. Tokens cross threads through rings, whose
//! release and acquire order the bytes written before with the reads after.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::collections::VecDeque;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bumpalo::Bump;

use crate::journal::record::{RECORD_HEADER_LEN, record_len};

/// The arena of places that are in none.
const NOWHERE: u16 = u16::MAX;

/// The chunks' memory: one piece, cut into equal chunks.
struct Region {
    /// Owns the memory; never touched again after it was made.
    _bump: Bump,
    base: NonNull<u8>,
    chunk_len: usize,
    chunk_count: u32,
    /// Told apart from other arenas of the process, so that tokens cannot be mixed up.
    id: u16,
}

// SAFETY: `_bump` is only kept alive, never used; `base` is only dereferenced under the rules in
// this module's header.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    fn new(chunk_len: usize, chunk_count: u32) -> Self {
        static NEXT_ID: AtomicU16 = AtomicU16::new(0);
        let bump = Bump::new();
        let layout = Layout::from_size_align(chunk_len * chunk_count as usize, 4096)
            .expect("the limits keep the arena far below the address space");
        let base = bump.alloc_layout(layout);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed) % NOWHERE;
        Self {
            _bump: bump,
            base,
            chunk_len,
            chunk_count,
            id,
        }
    }

    /// Where `len` bytes at `offset` of `chunk` begin; checked to lie inside the chunk.
    fn at(&self, span: &Span) -> *mut u8 {
        assert!(span.arena == self.id, "a token of another arena");
        let end = span.offset as usize + span.len as usize;
        assert!(u32::from(span.chunk) < self.chunk_count && end <= self.chunk_len);
        let offset = usize::from(span.chunk) * self.chunk_len + span.offset as usize;
        // SAFETY: checked above to lie inside the one allocation of `new`.
        unsafe { self.base.as_ptr().add(offset) }
    }
}

/// A range of bytes in a chunk's present life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    arena: u16,
    chunk: u16,
    generation: u32,
    offset: u32,
    len: u32,
}

/// Reads what tokens speak of; one an agent.
#[derive(Clone)]
pub struct View(Arc<Region>);

impl fmt::Debug for View {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "View(arena {})", self.0.id)
    }
}

impl View {
    /// The leased bytes: whole records, one behind the other.
    #[must_use]
    pub fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        let start = self.0.at(&lease.0);
        // SAFETY: a lease covers only placed records, which nobody writes; its chunk is not reused
        // before the lease was taken back, which consumes it.
        unsafe { std::slice::from_raw_parts(start, lease.0.len as usize) }
    }

    /// The record's header, to be completed before the record is placed.
    pub fn header_mut<'a>(
        &'a self,
        committed: &'a mut Committed,
    ) -> &'a mut [u8; RECORD_HEADER_LEN] {
        let start = self.0.at(&committed.0).cast();
        // SAFETY: this token is the only one for this record, and no lease covers it yet; records
        // are at least a header long.
        unsafe { &mut *start }
    }

    /// The committed record's bytes, header and newline included.
    #[must_use]
    pub fn record<'a>(&'a self, committed: &'a Committed) -> &'a [u8] {
        let start = self.0.at(&committed.0);
        // SAFETY: as in `header_mut`; the shared borrow keeps `header_mut` out.
        unsafe { std::slice::from_raw_parts(start, committed.0.len as usize) }
    }
}

/// The one who fills a chunk.
pub struct Writer {
    region: Arc<Region>,
    chunk: u16,
    generation: u32,
    tail: u32,
}

impl fmt::Debug for Writer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Writer(chunk {}, tail {})", self.chunk, self.tail)
    }
}

impl Writer {
    /// Bytes that are left.
    #[must_use]
    pub fn room(&self) -> usize {
        self.region.chunk_len - self.tail as usize
    }

    /// Copies the frame behind an empty header and puts a newline after it; `None`: no room.
    pub fn claim(&mut self, frame: &[u8]) -> Option<Claim<'_>> {
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
        let start = self.region.at(&span);
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
pub struct Claim<'a> {
    writer: &'a mut Writer,
    span: Span,
}

impl Claim<'_> {
    /// The frame as it was copied.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        let start = self.writer.region.at(&self.span);
        let frame_len = self.span.len as usize - record_len(0);
        // SAFETY: initialised by `Writer::claim`, and this claim holds the writer.
        unsafe { std::slice::from_raw_parts(start.add(RECORD_HEADER_LEN), frame_len) }
    }

    /// The record's header.
    pub fn header_mut(&mut self) -> &mut [u8; RECORD_HEADER_LEN] {
        // SAFETY: as in `frame`, and the borrow is exclusive.
        unsafe { &mut *self.writer.region.at(&self.span).cast() }
    }

    /// The record is whole.
    pub fn commit(self) -> Committed {
        self.writer.tail += self.span.len;
        Committed(self.span)
    }
}

/// A whole record on its way from ingest to the ledger; one token a record.
#[derive(Debug)]
#[must_use]
pub struct Committed(Span);

/// Where a record stands, or stood: its chunk may have been evicted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(Span);

impl Place {
    /// The place of a record that is in the journal only.
    #[must_use]
    pub fn nowhere(record_len: u32) -> Self {
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
    pub fn record_len(&self) -> usize {
        self.0.len as usize
    }

    /// Bytes of the frame with its newline: what goes to a subscriber.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        self.0.len as usize - RECORD_HEADER_LEN
    }
}

/// The right to read some records, and the duty to give it back.
#[derive(Debug)]
#[must_use]
pub struct Lease(Span);

impl Lease {
    /// Bytes that are leased.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.0.len as usize
    }
}

/// Leases of one chunk on their way home.
#[derive(Debug)]
#[must_use]
pub struct Returned {
    arena: u16,
    chunk: u16,
    count: u32,
}

impl Returned {
    /// Ends a lease.
    pub fn one(lease: Lease) -> Self {
        let Lease(span) = lease;
        Self {
            arena: span.arena,
            chunk: span.chunk,
            count: 1,
        }
    }

    /// Takes others of the same chunk along; gives them back if they are of another.
    ///
    /// # Errors
    /// They are of another chunk.
    pub fn absorb(&mut self, other: Returned) -> Result<(), Returned> {
        if (other.arena, other.chunk) != (self.arena, self.chunk) {
            return Err(other);
        }
        self.count += other.count;
        Ok(())
    }
}

/// Gathers leases that end, so that those of one chunk go home together.
#[derive(Debug, Default)]
pub struct Homebound(Option<Returned>);

impl Homebound {
    /// Ends a lease. What is returned is of another chunk, and shall be sent home.
    #[must_use]
    pub fn add(&mut self, lease: Lease) -> Option<Returned> {
        let one = Returned::one(lease);
        let Some(gathered) = &mut self.0 else {
            self.0 = Some(one);
            return None;
        };
        match gathered.absorb(one) {
            Ok(()) => None,
            Err(other) => self.0.replace(other),
        }
    }

    /// What is gathered, to be sent home.
    #[must_use]
    pub fn take(&mut self) -> Option<Returned> {
        self.0.take()
    }
}

/// What the ledger knows of a chunk.
#[derive(Debug, Clone, Copy, Default)]
struct Chunk {
    /// Counts its lives: places of an earlier one are void.
    generation: u32,
    /// Leases that are out.
    leases: u32,
    /// Messages placed in it that still need it.
    needed: u32,
    /// Its writer is out.
    open: bool,
    /// It is in the pool.
    free: bool,
}

impl Chunk {
    fn is_idle(&self) -> bool {
        !self.open && !self.free && self.leases == 0
    }
}

/// Who may read and write which chunk. Invariant: a chunk is in `free` exactly when `Chunk::free`,
/// and then it has no writer, no lease and no message.
pub struct Ledger {
    region: Arc<Region>,
    chunks: Vec<Chunk>,
    free: Vec<u16>,
    /// Chunks with their generations in the order they were sealed; those that began another life
    /// since are passed over. At most two entries a chunk.
    sealed: VecDeque<(u16, u32)>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "Ledger({} of {} chunks free)",
            self.free.len(),
            self.chunks.len()
        )
    }
}

impl Ledger {
    /// Makes an arena of `chunk_count` chunks of `chunk_len` bytes.
    #[must_use]
    pub fn new(chunk_len: usize, chunk_count: u16) -> Self {
        let region = Arc::new(Region::new(chunk_len, u32::from(chunk_count)));
        let chunk = Chunk {
            free: true,
            ..Chunk::default()
        };
        let chunks = vec![chunk; usize::from(chunk_count)];
        Self {
            region,
            chunks,
            free: (0..chunk_count).rev().collect(),
            sealed: VecDeque::with_capacity(2 * usize::from(chunk_count)),
        }
    }

    /// A view for one agent.
    #[must_use]
    pub fn view(&self) -> View {
        View(Arc::clone(&self.region))
    }

    /// How many chunks are in the pool.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Takes the chunk that came home last: its memory is warm.
    pub fn writer(&mut self) -> Option<Writer> {
        let chunk = self.free.pop()?;
        let state = &mut self.chunks[usize::from(chunk)];
        state.free = false;
        state.open = true;
        let generation = state.generation;
        Some(Writer {
            region: Arc::clone(&self.region),
            chunk,
            generation,
            tail: 0,
        })
    }

    /// The writer is done with its chunk.
    pub fn seal(&mut self, writer: Writer) {
        assert!(
            writer.region.id == self.region.id,
            "a writer of another arena"
        );
        self.chunks[usize::from(writer.chunk)].open = false;
        if self.sealed.len() == self.sealed.capacity() {
            let chunks = &self.chunks;
            self.sealed
                .retain(|&(chunk, life)| chunks[usize::from(chunk)].generation == life);
        }
        self.sealed.push_back((writer.chunk, writer.generation));
        self.free_if_done(writer.chunk);
    }

    /// The record is complete: from now on it is read-only, and a message needs it.
    #[must_use]
    pub fn place(&mut self, committed: Committed) -> Place {
        let Committed(span) = committed;
        self.chunk_mut(&span).needed += 1;
        Place(span)
    }

    /// The record will not be needed: a duplicate.
    pub fn discard(&mut self, committed: Committed) {
        let place = self.place(committed);
        self.release(place);
    }

    /// A lease of a record; `None`: its chunk was evicted.
    pub fn lend(&mut self, place: Place) -> Option<Lease> {
        if !self.is_resident(place) {
            return None;
        }
        self.chunk_mut(&place.0).leases += 1;
        Some(Lease(place.0))
    }

    /// Whether the record is still in memory.
    #[must_use]
    pub fn is_resident(&self, place: Place) -> bool {
        place.0.arena == self.region.id
            && self.chunks[usize::from(place.0.chunk)].generation == place.0.generation
    }

    /// Makes the lease cover the record too, if it stands right behind.
    pub fn extend(&self, lease: &mut Lease, place: Place) -> bool {
        let (run, record) = (&mut lease.0, place.0);
        let adjacent = (run.arena, run.chunk, run.generation, run.offset + run.len)
            == (record.arena, record.chunk, record.generation, record.offset);
        if adjacent {
            run.len += record.len;
        }
        adjacent
    }

    /// Leases come home.
    pub fn take_back(&mut self, returned: Returned) {
        assert!(returned.arena == self.region.id, "leases of another arena");
        let state = &mut self.chunks[usize::from(returned.chunk)];
        assert!(
            state.leases >= returned.count,
            "more leases came home than were out"
        );
        state.leases -= returned.count;
        self.free_if_done(returned.chunk);
    }

    /// The message needs its record no more.
    pub fn release(&mut self, place: Place) {
        if !self.is_resident(place) {
            return;
        }
        let state = self.chunk_mut(&place.0);
        assert!(state.needed > 0, "a record was released twice");
        state.needed -= 1;
        self.free_if_done(place.0.chunk);
    }

    /// Takes the chunk that was sealed first from the messages that wait in it: their places are
    /// void from now on. Only a chunk that nobody reads can go; `false`: there is none.
    pub fn evict(&mut self) -> bool {
        for _ in 0..self.sealed.len() {
            let Some((chunk, life)) = self.sealed.pop_front() else {
                break;
            };
            let state = &mut self.chunks[usize::from(chunk)];
            if state.generation != life {
                continue;
            }
            if state.is_idle() {
                state.needed = 0;
                self.free_if_done(chunk);
                return true;
            }
            self.sealed.push_back((chunk, life));
        }
        false
    }

    fn chunk_mut(&mut self, span: &Span) -> &mut Chunk {
        assert!(span.arena == self.region.id, "a token of another arena");
        &mut self.chunks[usize::from(span.chunk)]
    }

    fn free_if_done(&mut self, chunk: u16) {
        let state = &mut self.chunks[usize::from(chunk)];
        if state.is_idle() && state.needed == 0 {
            state.generation = state.generation.wrapping_add(1);
            state.free = true;
            self.free.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(ledger: &mut Ledger, writer: &mut Writer, frame: &[u8]) -> Place {
        let claim = writer.claim(frame).expect("there is room");
        assert_eq!(claim.frame(), frame);
        let committed = claim.commit();
        ledger.place(committed)
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let mut ledger = Ledger::new(1024, 2);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"hello");
        let lease = ledger.lend(place).expect("resident");
        let bytes = view.bytes(&lease);
        assert_eq!(&bytes[RECORD_HEADER_LEN..], b"hello\n");
        assert_eq!(place.wire_len(), 6);
        ledger.take_back(Returned::one(lease));
    }

    #[test]
    fn a_chunk_is_free_when_writer_leases_and_messages_are_gone() {
        let mut ledger = Ledger::new(1024, 1);
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"a");
        let lease = ledger.lend(place).expect("resident");
        assert!(ledger.writer().is_none());
        ledger.seal(writer);
        ledger.release(place);
        assert_eq!(ledger.free_count(), 0, "the lease is still out");
        ledger.take_back(Returned::one(lease));
        assert_eq!(ledger.free_count(), 1);
        assert!(
            ledger.lend(place).is_none(),
            "its chunk has begun another life"
        );
    }

    #[test]
    fn a_run_covers_adjacent_records_only() {
        let mut ledger = Ledger::new(1024, 2);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let places: Vec<_> = [b"one", b"two", b"six"]
            .map(|it| put(&mut ledger, &mut writer, it))
            .into();
        let mut run = ledger.lend(places[0]).expect("resident");
        assert!(!ledger.extend(&mut run, places[2]));
        assert!(ledger.extend(&mut run, places[1]) && ledger.extend(&mut run, places[2]));
        assert_eq!(view.bytes(&run).len(), 3 * record_len(3));
        ledger.take_back(Returned::one(run));
    }

    #[test]
    fn eviction_takes_only_what_nobody_holds() {
        let mut ledger = Ledger::new(1024, 2);
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"a");
        assert!(!ledger.evict(), "its writer is out");
        ledger.seal(writer);
        let lease = ledger.lend(place).expect("resident");
        assert!(!ledger.evict(), "it is being read");
        ledger.take_back(Returned::one(lease));
        assert!(ledger.evict());
        assert_eq!(ledger.free_count(), 2);
        assert!(!ledger.is_resident(place));
        ledger.release(place);
        assert_eq!(
            ledger.free_count(),
            2,
            "a void place is released without effect"
        );
    }

    #[test]
    fn what_was_sealed_first_is_evicted_first() {
        let mut ledger = Ledger::new(1024, 3);
        let mut places = Vec::new();
        for _ in 0..3 {
            let mut writer = ledger.writer().expect("free");
            places.push(put(&mut ledger, &mut writer, b"a"));
            ledger.seal(writer);
        }
        for gone in 1..=3 {
            assert!(ledger.evict());
            let resident = places.iter().filter(|&&it| ledger.is_resident(it)).count();
            assert_eq!(resident, 3 - gone);
            assert!(!ledger.is_resident(places[gone - 1]));
        }
        assert!(!ledger.evict());
        assert!(ledger.lend(Place::nowhere(100)).is_none());
    }

    #[test]
    fn a_claim_that_is_dropped_leaves_no_trace() {
        let mut ledger = Ledger::new(256, 1);
        let mut writer = ledger.writer().expect("free");
        let room = writer.room();
        assert!(writer.claim(b"rejected").is_some());
        assert_eq!(writer.room(), room);
        assert!(writer.claim(&[b'x'; 256]).is_none());
        assert!(writer.claim(&vec![b'x'; room - record_len(0)]).is_some());
    }

    #[test]
    fn frames_cross_threads() {
        let mut ledger = Ledger::new(64 * 1024, 1);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(16);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..500_u32 {
                    let committed = writer.claim(&number.to_le_bytes()).expect("room").commit();
                    let mut token = Some(committed);
                    while let Some(it) = token.take() {
                        if let Err(rtrb::PushError::Full(back)) = producer.push(it) {
                            token = Some(back);
                            std::thread::yield_now();
                        }
                    }
                }
            });
            let mut expected = 0_u32;
            while expected < 500 {
                let Ok(mut committed) = consumer.pop() else {
                    continue;
                };
                view.header_mut(&mut committed)[0] = 7;
                let place = ledger.place(committed);
                let lease = ledger.lend(place).expect("resident");
                let bytes = view.bytes(&lease);
                assert_eq!(bytes[0], 7);
                assert_eq!(bytes[RECORD_HEADER_LEN..][..4], expected.to_le_bytes());
                ledger.take_back(Returned::one(lease));
                ledger.release(place);
                expected += 1;
            }
        });
    }
}
