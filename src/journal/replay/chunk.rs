//! The chunk that records are read into; the scheduler lends it.

use crate::arena::{Committed, Writer};
use crate::journal::protocol::FromReplay;
use crate::message::Record;
use crate::ring::{Permit, Receiver};

/// Entries that one record takes at most: itself, and the chunk that had no room for it.
pub(super) const ENTRIES_PER_FETCH: usize = 2;

pub(super) struct Chunk {
    /// Empty ones.
    from_scheduler: Receiver<Writer>,
    writer: Option<Writer>,
}

impl Chunk {
    pub(super) fn new(from_scheduler: Receiver<Writer>) -> Self {
        Self {
            from_scheduler,
            writer: None,
        }
    }

    /// Room for a record of `len` bytes. A chunk that has none goes back; `None`: no empty one is
    /// there yet.
    pub(super) fn room_for(
        &mut self,
        len: usize,
        out: &mut Permit<'_, FromReplay>,
    ) -> Option<Room<'_>> {
        let fits = |writer: &Writer| writer.room() >= len;
        if !self.writer.as_ref().is_some_and(fits) {
            let empty = self.from_scheduler.poll()?;
            if let Some(full) = self.writer.replace(empty) {
                out.send(FromReplay::Sealed(full));
            }
        }
        self.writer.as_mut().map(Room)
    }
}

/// Room in a chunk for one record.
pub(super) struct Room<'a>(&'a mut Writer);

impl Room<'_> {
    pub(super) fn copy(self, record: &Record<'_>) -> Committed {
        let claim = self.0.claim(record.frame());
        let mut claim = claim.expect("`Chunk::room_for` has found as much room");
        record.header().encode(claim.header_mut());
        claim.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Ledger;
    use crate::journal::testing::TestMessage;
    use crate::limits::CHUNK_LEN;
    use crate::ring::{Wake, ring};

    #[test]
    fn a_chunk_without_room_goes_back_where_an_empty_one_is_there() {
        let wake = Wake::new().expect("a descriptor");
        let (mut lend, from_scheduler) = ring(2, &wake);
        let (mut to_scheduler, mut answers) = ring(ENTRIES_PER_FETCH, &wake);
        let mut ledger = Ledger::new(CHUNK_LEN, 2);
        let mut chunk = Chunk::new(from_scheduler);
        let bytes = TestMessage::new(1).record();
        let record = Record::parse(&bytes).expect("a record");
        let len = record.record_len();

        let mut out = to_scheduler.claim(ENTRIES_PER_FETCH).expect("empty");
        assert!(chunk.room_for(len, &mut out).is_none(), "none was lent");
        let writer = ledger.writer().expect("a free one");
        lend.claim(1).expect("empty").send(writer);
        let mut copied = 0;
        while let Some(room) = chunk.room_for(len, &mut out) {
            let committed = room.copy(&record);
            assert_eq!(ledger.view().record(&committed), bytes);
            ledger.discard(committed);
            copied += 1;
        }
        assert!(copied > 0 && (CHUNK_LEN - copied * len) < len, "it is full");
        let writer = ledger.writer().expect("a free one");
        lend.claim(1).expect("empty").send(writer);
        let room = chunk.room_for(len, &mut out).expect("the other one");
        ledger.discard(room.copy(&record));
        drop(out);
        assert!(matches!(answers.poll(), Some(FromReplay::Sealed(_))));
        assert!(answers.poll().is_none());
    }
}
