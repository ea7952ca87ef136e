//! What happened, as seen from outside: what checkers judge and traces show.

use std::collections::BTreeSet;

/// A message, whatever lines carry it: its number is in its `messageId`.
pub type MessageId = usize;

/// A line of a source's script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId {
    /// Which source.
    pub source: usize,
    /// Which of its lines.
    pub line: usize,
}

/// How a life of the engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// It was told to stop, and everything that could be delivered was.
    Orderly,
    /// The process died; what the operating system had is there.
    Killed,
    /// The machine lost power; what was not synced may be gone.
    PowerLost,
}

/// What the journal holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Surviving {
    /// Messages that were ever found in it.
    pub recorded: BTreeSet<MessageId>,
    /// Those of them that were ever found settled.
    pub settled: BTreeSet<MessageId>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// An engine runs.
    Started,
    /// An engine did not start.
    Refused(String),
    /// An agent gave up; whether the world gave it a reason to.
    Failed {
        /// What it said.
        error: String,
        /// A write, read or sync had failed.
        has_reason: bool,
    },
    /// A life is over.
    Ended {
        /// How.
        how: End,
        /// What is left of it.
        surviving: Surviving,
        /// No fault was put into the storage since then.
        storage_well_since_ns: u64,
    },
    /// The engine has read a whole line.
    Read(LineId),
    /// The engine has seen a reset of a source's connection, and had read this much of its next line.
    CutOff(Vec<u8>),
    /// The engine has closed the connection of a source that had ended its side.
    Dismissed {
        /// Which source.
        source: usize,
        /// So many of its lines the engine had not read.
        unread: usize,
        /// Of so many it was not told that they were taken, and wants to be.
        untold: usize,
    },
    /// A source was told that its line was taken.
    Acknowledged(LineId),
    /// A frame is wholly in a subscriber's socket.
    Handed {
        /// Which connection.
        link: usize,
        /// The subscriber acknowledges.
        ack: bool,
        /// Which frame.
        line: LineId,
        /// An `again` spoke of it.
        announced: bool,
    },
    /// A subscriber has a whole frame.
    Received(LineId),
    /// The engine has read the acknowledgement of a frame.
    Settled {
        /// Which frame.
        line: LineId,
        /// The subscriber cannot have been cut by then.
        is_certain: bool,
    },
    /// A row was committed.
    Row {
        /// Of this sequence.
        sequence: u64,
        /// And this message.
        message: MessageId,
    },
    /// A row was committed as DELIVERED, or made so.
    RowDelivered {
        /// Of this sequence.
        sequence: u64,
    },
    /// A delivery agent has stood still for a while; the subscribers of these destinations were with
    /// another one all the time.
    StoodStill {
        /// The destinations.
        spared: Vec<usize>,
    },
    /// A part of the engine had to do with the stream of its log.
    Logged(&'static str),
    /// A listener holds more connections than it may.
    Crowded {
        /// So many.
        held: usize,
        /// And so many it may.
        limit: usize,
    },
    /// The store follows no more.
    StoreStopped(String),
    /// Something that should not be possible on a wire.
    Nonsense(String),
}
