//! Where ingest's lines go: accepted frames into arena chunks and the scheduler's ring, rejected
//! lines into the ring to the rejects agent.
//!
//! A turn begins with [`Output::claim`]: the permit is the proof that whatever the turn reads finds
//! room. The scheduler feeds it empty chunks. It does not know what a line says.

use super::protocol::{Arrival, FromIngest};
use crate::arena::{Committed, Writer};
use crate::limits::{
    CHUNKS_PER_READ, LINE_LEN_MAX, LINE_LEN_MIN, READ_LEN_MAX, RECORD_LEN_MAX, RETIRING_MAX,
};
use crate::message::layout::RecordHeader;
use crate::message::{DestinationIndex, Reason};
use crate::rejects::protocol::{RejectSender, Rejected, RingFull};
use crate::ring::{Permit, Sender};

/// Ring entries that a turn may need: its lines, its chunks, and the sums of what was rejected.
const ENTRIES_PER_TURN: usize =
    (READ_LEN_MAX + LINE_LEN_MAX) / LINE_LEN_MIN + CHUNKS_PER_READ + Reason::ALL.len();

/// Ingest's ends of the rings, and its chunks.
pub(super) struct Output {
    to_scheduler: Sender<FromIngest>,
    rejects: RejectSender,
    chunks: Chunks,
    /// Destinations that are forgotten, of which the scheduler was not told.
    forgotten: Vec<DestinationIndex>,
}

/// The chunk that is being filled, and empty ones.
struct Chunks {
    writer: Option<Writer>,
    spare: Vec<Writer>,
}

impl Output {
    pub(super) fn new(to_scheduler: Sender<FromIngest>, rejects: RejectSender) -> Self {
        Self {
            to_scheduler,
            rejects,
            chunks: Chunks {
                writer: None,
                spare: Vec::with_capacity(2 * CHUNKS_PER_READ),
            },
            forgotten: Vec::with_capacity(RETIRING_MAX),
        }
    }

    /// The scheduler gives a chunk to fill.
    pub(super) fn add_chunk(&mut self, writer: Writer) {
        self.chunks.spare.push(writer);
    }

    /// Room for all that a turn may bring; `None`: the pipeline is full.
    pub(super) fn claim(&mut self) -> Option<TurnOutput<'_>> {
        if self.chunks.spare.len() < CHUNKS_PER_READ {
            return None;
        }
        Some(TurnOutput {
            permit: self.to_scheduler.claim(ENTRIES_PER_TURN)?,
            rejects: &mut self.rejects,
            chunks: &mut self.chunks,
            rejected: [0; Reason::ALL.len()],
        })
    }

    /// Whether the ring to the rejects agent has room for any line.
    pub(super) fn has_room_for_rejects(&self) -> bool {
        self.rejects.has_room()
    }

    /// Up to where rejected lines are durable.
    pub(super) fn rejects_durable(&self) -> u64 {
        self.rejects.durable()
    }

    /// Gives the chunk that is being filled to the scheduler; `false`: its ring is full.
    pub(super) fn seal(&mut self) -> bool {
        let Some(mut permit) = self.to_scheduler.claim(1) else {
            return false;
        };
        if let Some(writer) = self.chunks.writer.take() {
            permit.send(FromIngest::Sealed(writer));
        }
        true
    }

    /// The scheduler is to be told that a destination is forgotten: behind all that was accepted for
    /// it.
    pub(super) fn confirm_forgotten(&mut self, destination: DestinationIndex) {
        self.forgotten.push(destination);
    }

    /// Ends a duty cycle: wakes whoever was sent something.
    pub(super) fn flush(&mut self) {
        while !self.forgotten.is_empty()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(destination) = self.forgotten.pop()
        {
            permit.send(FromIngest::Forgotten { destination });
        }
        self.rejects.flush();
        self.to_scheduler.flush();
    }
}

/// Room for one turn.
pub(super) struct TurnOutput<'a> {
    permit: Permit<'a, FromIngest>,
    rejects: &'a mut RejectSender,
    chunks: &'a mut Chunks,
    /// Rejected lines of the turn, by reason.
    rejected: [u32; Reason::ALL.len()],
}

impl TurnOutput<'_> {
    /// Copies an accepted frame into a chunk, behind its header, and sends what `arrival` makes of
    /// it.
    #[inline]
    pub(super) fn accept(
        &mut self,
        frame: &[u8],
        header: &RecordHeader,
        arrival: impl FnOnce(Committed) -> Arrival,
    ) {
        let writer = match &mut self.chunks.writer {
            Some(writer) if writer.room() >= RECORD_LEN_MAX => writer,
            _ => self.change_chunk(),
        };
        let claim = writer.claim(frame);
        let mut claim = claim.expect("a chunk with room for any line");
        header.encode(claim.header_mut());
        let arrival = arrival(claim.commit());
        self.permit.send(FromIngest::Arrived(arrival));
    }

    #[cold]
    fn change_chunk(&mut self) -> &mut Writer {
        if let Some(full) = self.chunks.writer.take() {
            self.permit.send(FromIngest::Sealed(full));
        }
        let next = self.chunks.spare.pop();
        self.chunks
            .writer
            .insert(next.expect("`claim` saw enough chunks for the turn"))
    }

    /// Hands a line to the rejects agent; returns up to where the log must be durable for this one
    /// to be.
    ///
    /// # Errors
    /// The ring has no room.
    pub(super) fn reject(&mut self, rejected: &Rejected<'_>) -> Result<u64, RingFull> {
        let end = self.rejects.offer(rejected)?;
        self.rejected[rejected.reason as usize] += 1;
        Ok(end)
    }

    /// Ends the turn: the scheduler counts what was rejected.
    pub(super) fn end(mut self) {
        for reason in Reason::ALL {
            let count = self.rejected[reason as usize];
            if count > 0 {
                self.permit.send(FromIngest::Rejected { reason, count });
            }
        }
    }
}
