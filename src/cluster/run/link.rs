//! Messages between the journal agent of a term and the member's thread.
//!
//! ```text
//! [ journal agent ] == Filled ====> [ member's thread ]      one pair of buffers goes round
//!                   <= Wanted =====                          the next record can be made
//!                   <= Opened =====                          a record is confirmed and written
//! ```

use std::sync::Arc;

use crate::cluster::record::{Kind, PLACE_LEN};
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SETTLEMENT_LEN, batch_len,
};
use crate::message::Sequence;
use crate::ring::{Receiver, Sender, Wake};

/// Bytes of the batches of one write, without their headers: whose place in the journal is not known yet.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Records of messages, one behind the other.
    pub(crate) messages: Vec<u8>,
    /// Settlements, as they stand on disk.
    pub(crate) settlements: Vec<u8>,
}

/// One write of the journal, on its way to a record.
#[derive(Debug)]
pub(crate) struct Filled {
    /// What its record is to be: of batches, or a carried one, whose batch is in place of the messages.
    pub(crate) kind: Kind,
    pub(crate) buffers: Buffers,
    /// The first message's sequence, or the next one's where there is none.
    pub(crate) first_sequence: Sequence,
    pub(crate) entries: u32,
    /// The engine's own time.
    pub(crate) steady_us: u64,
    /// The wall clock's, of the settlements.
    pub(crate) epoch_us: u64,
}

impl Filled {
    /// Bytes of its batches.
    pub(crate) fn len(&self) -> usize {
        if self.kind == Kind::Carried {
            return self.buffers.messages.len();
        }
        batch_len(self.buffers.messages.len()) + batch_len(self.buffers.settlements.len())
    }

    /// The sequence of the next message behind it.
    pub(crate) fn next_sequence(&self) -> Sequence {
        self.first_sequence + u64::from(self.entries)
    }

    /// Its batches, for a record at this position.
    pub(crate) fn seal(&self, position: Position) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        let Buffers {
            messages,
            settlements,
        } = &self.buffers;
        if self.kind == Kind::Carried {
            out.extend_from_slice(messages);
            return out;
        }
        if !messages.is_empty() {
            let header = BatchHeader {
                crc: 0,
                body_len: messages.len() as u32,
                kind: BatchKind::Messages,
                entries: self.entries,
                position: position + PLACE_LEN as u64,
                first_sequence: self.first_sequence,
                time_us: self.steady_us,
            };
            put(&header, PLACE_LEN, messages, &mut out);
        }
        if !settlements.is_empty() {
            let ahead = PLACE_LEN + out.len();
            let header = BatchHeader {
                crc: 0,
                body_len: settlements.len() as u32,
                kind: BatchKind::Settlements,
                entries: (settlements.len() / SETTLEMENT_LEN) as u32,
                position: position + ahead as u64,
                first_sequence: self.next_sequence(),
                time_us: self.epoch_us,
            };
            put(&header, ahead, settlements, &mut out);
        }
        out
    }
}

fn put(header: &BatchHeader, ahead: usize, body: &[u8], out: &mut Vec<u8>) {
    let mut bytes = [0; BATCH_HEADER_LEN];
    header.encode_behind(ahead as u32, std::iter::once(body), &mut bytes);
    out.extend_from_slice(&bytes);
    out.extend_from_slice(body);
}

/// Messages to the journal agent.
#[derive(Debug)]
pub(crate) enum FromMember {
    /// The next record can be made, of what is there.
    Wanted {
        /// Empty ones.
        buffers: Buffers,
        /// Bytes that its batches may have.
        len_max: usize,
    },
    /// A record is confirmed, and stands in the own journal.
    Opened(Opened),
}

/// A record that stands in the own journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Where it stands.
    pub(crate) position: Position,
    /// It is the agent's oldest write; else one without batches.
    pub(crate) is_write: bool,
    /// The segment that it begins, and the free files that were taken for that.
    pub(crate) begun: Option<super::files::Begun>,
}

/// The journal agent's ends.
#[derive(Debug)]
pub(crate) struct AgentLink {
    pub(crate) from_member: Receiver<FromMember>,
    pub(crate) to_member: Sender<Filled>,
}

/// The member's ends.
#[derive(Debug)]
pub(crate) struct MemberLink {
    pub(crate) to_agent: Sender<FromMember>,
    pub(crate) from_agent: Receiver<Filled>,
    /// Former numbers of free files.
    pub(crate) free_files: Receiver<u64>,
}

/// Commands for the thread.
#[derive(Debug)]
pub(crate) enum Command {
    Attach(MemberLink),
    Finish,
    /// The goodbye names this standby.
    HandOver(Arc<str>),
    /// The run's owner does not want it any more.
    Drop,
}

/// The path's handle of its member.
#[derive(Debug, Clone)]
pub(crate) struct MemberHandle {
    /// Wakes the member's thread.
    pub(crate) wake: Arc<Wake>,
    pub(super) commands: std::sync::mpsc::Sender<Command>,
}

impl MemberHandle {
    /// The path is wired: its batches come from here.
    pub(crate) fn attach(&self, link: MemberLink) {
        self.tell(Command::Attach(link));
    }

    /// The path has ended in an orderly way: all is confirmed, a goodbye follows.
    pub(crate) fn finish(&self) {
        self.tell(Command::Finish);
    }

    /// The same; the goodbye names the standby that is to serve.
    pub(crate) fn hand_over(&self, to: Arc<str>) {
        self.tell(Command::HandOver(to));
        self.finish();
    }

    fn tell(&self, command: Command) {
        // It is gone where the run is over.
        let _ = self.commands.send(command);
        self.wake.notify();
    }
}
