//! The events and decisions of a member's core.

use std::sync::Arc;

use crate::cluster::record::{Kind, Place, Term};
use crate::journal::format::Position;

/// A message of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its number in the stream.
    pub sequence: u64,
    /// Its subject.
    pub subject: Arc<str>,
    /// What it holds: a record, or anything.
    pub bytes: Arc<[u8]>,
}

/// Why a publish was refused by a server that has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The stream's end, or the subject's, is not the expected one.
    WrongLast,
    /// Anything else, in the server's words: no room, a limit, missing rights.
    Other(String),
}

/// Why nothing is known of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// No answer in time.
    TimedOut,
    /// Nobody is there for the stream (503).
    NoResponders,
    /// The connection went.
    ConnectionLost,
}

/// What the stream's leader says of message n and the one behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The stream's first and last sequence; `None`: no answer.
    pub bounds: Option<(u64, u64)>,
    /// Message n; `None`: no answer, or "not found", which is none either.
    pub at: Option<Message>,
    /// Message n+1, alike.
    pub next: Option<Message>,
}

/// What a look at the stream shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The server knows no such stream.
    Missing,
    /// It is there.
    Found {
        /// Sequence of its first message, one behind the last where it is empty.
        first: u64,
        /// Sequence of its last message, 0 before the first.
        last: u64,
        /// What is wrong with its settings, each with the command that corrects it.
        wrong: Vec<String>,
    },
}

/// Batches of one write of the journal, made for a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What their record is: of batches, or a carried one.
    pub kind: Kind,
    /// Where their record stands in the journal: [`crate::cluster::record::position_of`] the end, or the
    /// beginning of the next segment.
    pub position: Position,
    /// The batches, which stand [`crate::cluster::record::PLACE_LEN`] bytes behind it.
    pub batches: Arc<[u8]>,
    /// The sequence of the next message behind them.
    pub next_message: u64,
    /// The engine's own time.
    pub time_us: u64,
}

/// What a core takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream was read on.
    Message(Message),
    /// A PubAck, and the sequence that it names.
    Acked {
        /// Of which publish.
        flight: u64,
        /// What the stream gave it.
        sequence: u64,
    },
    /// A publish was refused.
    Refused {
        /// Which.
        flight: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing is known of a publish.
    Unknown {
        /// Which.
        flight: u64,
        /// Why.
        why: Unknown,
    },
    /// The answer to [`Decision::Ask`].
    Answer {
        /// The n that was asked for.
        asked: u64,
        /// What the leader said.
        answer: Answer,
    },
    /// The answer to [`Decision::Check`]; none comes while nobody answers.
    Checked(Check),
    /// The answer to [`Decision::Fetch`].
    Fetched {
        /// The sequence that was asked for.
        asked: u64,
        /// The record there in the own journal, or the last one before.
        record: Option<Arc<[u8]>>,
    },
    /// A record stands in the own journal, synced.
    Written {
        /// Its sequence in the stream.
        sequence: u64,
    },
    /// Batches to be published: only where [`super::Member::wants_batches`].
    Offer(Offer),
    /// What nobody needs any more. Both only grow.
    Unneeded {
        /// The segments below this one: records say so from now on.
        low: u64,
        /// The stream's messages before this one.
        before: u64,
    },
    /// Whether the own journal takes writes.
    CanWrite(bool),
    /// When the path last turned, which serves: without it no beat is sent.
    Path(u64),
    /// A clean end: sources are stopped, deliveries drained, connections closed.
    Finish,
    /// Behind the clean end that follows, this standby is to serve; others wait a lease for it.
    HandOver(Arc<str>),
    /// Time has passed.
    Tick,
}

/// Bytes to be published, for the third time as for the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// What answers name.
    pub flight: u64,
    /// Where to.
    pub subject: Arc<str>,
    /// What.
    pub bytes: Arc<[u8]>,
    /// Expected-last-sequence, and expected-last-subject-sequence of the subject below.
    pub expected_last: u64,
    /// The subject of the message of that sequence.
    pub expected_subject: Arc<str>,
}

/// Why a run of the engine ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Why {
    /// The stream gave a record another sequence: it is void to all.
    OtherSequence(u64),
    /// Another member's term has begun.
    Fenced,
    /// The stream went on otherwise than the own files.
    Diverged,
    /// Its place in the stream was purged.
    Purged,
    /// Its journal takes nothing, and another member is ready.
    CannotWrite,
    /// It said goodbye, or never served.
    Finished,
}

/// Something people are told, and counters count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A message counts for nobody.
    Void {
        /// Which.
        sequence: u64,
        /// Why.
        why: String,
    },
    /// Something is wrong for now: sources wait.
    Trouble(String),
    /// The trouble is over.
    Well,
    /// The servers lost what they had confirmed: so many messages are published again.
    Republishing {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
}

/// What a core wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Publish exactly this.
    Publish(Publish),
    /// Give the connection up, with all that is queued in it, and take another server.
    Reconnect,
    /// Ask the stream's leader for message n, n+1 and the bounds.
    Ask(u64),
    /// Look at the stream's settings and bounds.
    Check,
    /// Make the stream.
    Create,
    /// Remove the stream's messages before this one.
    Purge(u64),
    /// Read the stream from this sequence on.
    Read(u64),
    /// Read no more.
    StopReading,
    /// Write this record to the own journal, at the position that it names, and sync.
    Write {
        /// Its place.
        place: Place,
        /// The record.
        bytes: Arc<[u8]>,
    },
    /// Read the record of this sequence, or the last one before it, from the own journal.
    Fetch(u64),
    /// All up to this position is confirmed and written: gate, acknowledgements, store.
    Open(Position),
    /// Build the state from the files, and serve.
    Activate {
        /// The own term.
        term: Term,
        /// Where the journal ends.
        end: Position,
        /// The sequence of the next message.
        next_message: u64,
        /// The engine's own time goes on from here.
        time_us: u64,
    },
    /// Hand out nothing more, and close all connections.
    Pause,
    /// Serve on; what was in flight is `again`.
    Resume,
    /// Keep the files behind this record (0: all) in a directory of their own; count it.
    SetAside {
        /// The last record that stays.
        behind: u64,
    },
    /// End this run; a new one starts from the files.
    StepDown(Why),
    /// Stop: a person has to decide.
    Refuse(String),
    /// Tell people, and count.
    Tell(Notice),
}
