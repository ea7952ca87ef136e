//! Latency: how long each stage took, by level and destination, and what each customer got.
//!
//! ```text
//! SCHEDULER agent                                  MONITOR thread
//! Recorder { active } --full interval-->   ring --> Collector --merge--> Totals --> text, JSON,
//!                     <-- ring <--empty interval--          |                       .hgrm files
//!                                                           +--> IntervalLog --> .hlog files
//! ```
//!
//! The scheduler agent feeds it: it owns one [`Interval`] and records into it without a lock, an
//! atomic or an allocation. The monitor (`admin`) asks for it by sending an empty one,
//! adds it to [`Totals`], and sends it back cleared. Nothing here reads a clock or opens a socket;
//! the only IO is [`write_all`] and [`IntervalLog`], which write the histogram files.

mod bins;
pub(crate) mod curve;
mod customer;
mod encodings;
mod exchange;
mod files;
mod grid;
mod hgrm;
mod hlog;
mod interval;
mod interval_log;
mod log_lines;
pub mod log_reader;
pub(crate) mod plot;
mod readable;
mod recent;
pub(crate) mod timeline;
mod totals;
mod view;
mod waiting;

pub use customer::{CustomerTotals, Delivered, Last};
pub use exchange::{Collector, Recorder, exchange};
pub use files::{FilesError, write_all};
pub(crate) use hgrm::write_curve;
pub use hgrm::write_hgrm;
pub use hlog::{HlogEncoder, Span};
pub use interval::Interval;
pub use interval_log::{IntervalLog, LogError, LogLimits};
pub(crate) use readable::{readable, readable_time};
pub(crate) use recent::{ROWS_PER_DECADE, Recent, RecentStep};
pub use totals::{Summary, Totals};
pub use view::View;

use crate::message::{DestinationIndex, TypeIndex};

/// A part of a message's way through the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Stage {
    /// From the read that completed the frame to its sequence.
    Ingest,
    /// From its sequence to the journal's word that it is recorded.
    Journal,
    /// From recorded to handed to delivery: the wait for its turn and for credit.
    Queue,
    /// From handed to delivery to the write that completed it.
    Delivery,
    /// From the read that completed the frame to the write that completed its delivery.
    Total,
}

impl Stage {
    /// All stages, in the order of the way.
    pub const ALL: [Stage; 5] = [
        Stage::Ingest,
        Stage::Journal,
        Stage::Queue,
        Stage::Delivery,
        Stage::Total,
    ];

    /// The name that users see.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Stage::Ingest => "ingest",
            Stage::Journal => "journal",
            Stage::Queue => "queue",
            Stage::Delivery => "delivery",
            Stage::Total => "total",
        }
    }
}

/// What the indexes stand for; asked off the path only.
pub trait Names: Send + Sync {
    /// The destination's id.
    fn destination(&self, index: DestinationIndex) -> String;
    /// The message type's name.
    fn message_type(&self, index: TypeIndex) -> String;
}
