//! For tests: the parts of a journal agent, and the other ends of its rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::parts::JournalParts;
use crate::arena::{Lease, Ledger, Writer};
use crate::clock::BootTie;
use crate::counters::Counters;
use crate::journal::protocol::{FromJournal, ToJournal, ToRetention};
use crate::limits::CHUNK_LEN;
use crate::message::{Record, Sequence};
use crate::ring::{Receiver, Sender, Wake, ring};

/// What the agent's neighbours have.
pub(super) struct Ends {
    pub(super) ledger: Ledger,
    chunk: Writer,
    pub(super) to_journal: Sender<ToJournal>,
    pub(super) from_journal: Receiver<FromJournal>,
    pub(super) to_retention: Receiver<ToRetention>,
    pub(super) free_files: Sender<u64>,
    pub(super) recorded: Arc<AtomicU64>,
    pub(super) may_compact: Arc<AtomicBool>,
    pub(super) counters: Arc<Counters>,
}

impl Ends {
    /// Leases a record in the arena.
    pub(super) fn lease(&mut self, record: &[u8]) -> Lease {
        let record = Record::parse(record).expect("a record");
        let mut claim = self.chunk.claim(record.frame()).expect("a chunk has room");
        record.header().encode(claim.header_mut());
        let place = self.ledger.place(claim.commit());
        self.ledger.lend(place).expect("it is there")
    }

    /// Leases a frame in the arena, whose record has no header.
    pub(super) fn lease_frame(&mut self, frame: &[u8]) -> Lease {
        let claim = self.chunk.claim(frame).expect("a chunk has room");
        let place = self.ledger.place(claim.commit());
        self.ledger.lend(place).expect("it is there")
    }
}

pub(super) fn parts<S>(
    storage: S,
    segment_len: u64,
    reserve: Option<u64>,
    next_sequence: Sequence,
) -> (JournalParts<S>, Ends) {
    let wake = Wake::new().expect("a descriptor");
    let mut ledger = Ledger::new(CHUNK_LEN, 2);
    let chunk = ledger.writer().expect("a free chunk");
    let (to_journal, from_scheduler) = ring(128, &wake);
    let (to_scheduler, from_journal) = ring(128, &wake);
    let (started, to_retention) = ring(128, &wake);
    let (free_files, freed) = ring(8, &wake);
    let may_compact = Arc::new(AtomicBool::new(true));
    let (recorded, counters) = (Arc::default(), Arc::new(Counters::default()));
    let parts = JournalParts {
        from_scheduler,
        to_scheduler,
        to_retention: started,
        free_files: freed,
        reserve,
        may_compact: Arc::clone(&may_compact),
        view: ledger.view(),
        storage,
        segment_len,
        position: 0,
        next_sequence,
        shares_disk: false,
        synced: false,
        recorded: Arc::clone(&recorded),
        tie: BootTie::default(),
        counters: Arc::clone(&counters),
    };
    let ends = Ends {
        ledger,
        chunk,
        to_journal,
        from_journal,
        to_retention,
        free_files,
        recorded,
        may_compact,
        counters,
    };
    (parts, ends)
}
