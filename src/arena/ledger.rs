//! The ledger: who uses which chunk, when it is free, and which one is evicted.
//!
//! The scheduler owns it. It reads and writes no frame. `region` relies on it: it never hands a
//! chunk to a writer while anybody may still read or write its former generation.

use std::collections::VecDeque;
use std::fmt;

use super::region::{Committed, Lease, Place, Region, Returned, Span, View, Writer};
use crate::sync::Arc;

/// What the ledger knows of a chunk.
#[derive(Debug, Clone, Copy, Default)]
struct Chunk {
    /// Counts its uses: places of an earlier generation are stale.
    generation: u32,
    /// Leases that are out.
    leases: u32,
    /// Messages placed in it that still need it.
    needed: u32,
    /// Records that were committed in it, known when it is sealed, and records that were placed: as
    /// long as they differ, somebody may still write a header.
    committed: u32,
    placed: u32,
    /// Its writer is out.
    open: bool,
    /// It is in the pool.
    free: bool,
}

impl Chunk {
    fn is_idle(&self) -> bool {
        !self.open && !self.free && self.leases == 0 && self.placed == self.committed
    }
}

/// Who may read and write which chunk. Invariant: a chunk is in `free` exactly when `Chunk::free`,
/// and then it has no writer, no lease and no message.
pub(crate) struct Ledger {
    region: Arc<Region>,
    chunks: Vec<Chunk>,
    free: Vec<u16>,
    /// Chunks with their generations in the order they were sealed; entries of former generations
    /// are skipped. At most two entries a chunk.
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
    pub(crate) fn new(chunk_len: usize, chunk_count: u16) -> Self {
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
    pub(crate) fn view(&self) -> View {
        View(Arc::clone(&self.region))
    }

    /// How many chunks are in the pool.
    #[must_use]
    pub(crate) fn free_count(&self) -> usize {
        self.free.len()
    }

    /// How many are not.
    #[must_use]
    pub(crate) fn used_count(&self) -> usize {
        self.chunks.len() - self.free.len()
    }

    /// Takes the chunk that was freed last: its memory is in the cache.
    pub(crate) fn writer(&mut self) -> Option<Writer> {
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
            committed: 0,
        })
    }

    /// The writer is done with its chunk.
    pub(crate) fn seal(&mut self, writer: Writer) {
        assert!(
            writer.region.id == self.region.id,
            "a writer of another arena"
        );
        let state = &mut self.chunks[usize::from(writer.chunk)];
        state.open = false;
        state.committed = writer.committed;
        if self.sealed.len() == self.sealed.capacity() {
            let chunks = &self.chunks;
            self.sealed
                .retain(|&(chunk, generation)| chunks[usize::from(chunk)].generation == generation);
        }
        self.sealed.push_back((writer.chunk, writer.generation));
        self.free_if_done(writer.chunk);
    }

    /// The record is complete: from now on it is read-only, and a message needs it.
    #[must_use]
    pub(crate) fn place(&mut self, committed: Committed) -> Place {
        let Committed(span) = committed;
        let state = self.chunk_mut(&span);
        state.needed += 1;
        state.placed += 1;
        Place(span)
    }

    /// The record will not be needed: a duplicate.
    pub(crate) fn discard(&mut self, committed: Committed) {
        let place = self.place(committed);
        self.release(place);
    }

    /// A lease of a record; `None`: its chunk was evicted.
    pub(crate) fn lend(&mut self, place: Place) -> Option<Lease> {
        if !self.is_resident(place) {
            return None;
        }
        self.chunk_mut(&place.0).leases += 1;
        Some(Lease(place.0))
    }

    /// Whether the record is still in memory.
    #[must_use]
    pub(crate) fn is_resident(&self, place: Place) -> bool {
        place.0.arena == self.region.id
            && self.chunks[usize::from(place.0.chunk)].generation == place.0.generation
    }

    /// Makes the lease cover the record too, if it stands right behind.
    pub(crate) fn extend(&self, lease: &mut Lease, place: Place) -> bool {
        let (run, record) = (&mut lease.0, place.0);
        let adjacent = (run.arena, run.chunk, run.generation, run.offset + run.len)
            == (record.arena, record.chunk, record.generation, record.offset);
        if adjacent {
            run.len += record.len;
        }
        adjacent
    }

    /// Takes back ended leases.
    pub(crate) fn take_back(&mut self, returned: Returned) {
        assert!(returned.arena == self.region.id, "leases of another arena");
        let state = &mut self.chunks[usize::from(returned.chunk)];
        assert!(
            state.leases >= returned.count,
            "more leases were returned than were out"
        );
        state.leases -= returned.count;
        self.free_if_done(returned.chunk);
    }

    /// The message needs its record no more.
    pub(crate) fn release(&mut self, place: Place) {
        if !self.is_resident(place) {
            return;
        }
        let state = self.chunk_mut(&place.0);
        assert!(state.needed > 0, "a record was released twice");
        state.needed -= 1;
        self.free_if_done(place.0.chunk);
    }

    /// Frees the chunk that was sealed first, though messages wait in it: their places are stale
    /// from now on. Only a chunk that nobody reads can be evicted; `false`: there is none.
    pub(crate) fn evict(&mut self) -> bool {
        for _ in 0..self.sealed.len() {
            let Some((chunk, generation)) = self.sealed.pop_front() else {
                break;
            };
            let state = &mut self.chunks[usize::from(chunk)];
            if state.generation != generation {
                continue;
            }
            if state.is_idle() {
                state.needed = 0;
                self.free_if_done(chunk);
                return true;
            }
            self.sealed.push_back((chunk, generation));
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
            let generation = state.generation.wrapping_add(1);
            *state = Chunk {
                generation,
                free: true,
                ..Chunk::default()
            };
            self.free.push(chunk);
        }
    }
}
