//! What every stage knows of a message: its record, the hash of its id, its place in time, the names in
//! it with their indices, and how many may wait.

pub(crate) mod allowance;
pub(crate) mod by_destination;
mod compact_id;
mod directory;
pub(crate) mod frame_mark;
mod id_hash;
pub mod layout;
mod pattern;
mod recent;
mod record;
mod text;
pub(crate) mod timestamp;
pub(crate) mod when_full;

pub(crate) use compact_id::CompactId;
pub(crate) use directory::{Creation, Placed};
pub use directory::{Directory, Found};
pub use id_hash::{IdHash, IdHasher};
pub use pattern::Pattern;
pub use record::Record;
pub use text::Text;

/// A message's place in the one unified stream: from 1, no holes.
pub type Sequence = u64;

/// Index of a source: a configured server, or a connection that dialled in.
pub type SourceIndex = u32;

/// Index of a destination in the [`Directory`].
pub type DestinationIndex = u32;

/// Index of a message type; the last one stands for all that found no place.
pub type TypeIndex = u16;
/// That of all types which came when there was no room for more.
pub(crate) const OTHER_TYPES: TypeIndex = TypeIndex::MAX;

/// Effective priority, 1 = most urgent.
pub type Level = u8;

/// Why a line was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Reason {
    /// Longer than `max_line`.
    Oversize,
    /// Not UTF-8.
    BadUtf8,
    /// Not JSON, or nested deeper than [`crate::limits::NESTING_MAX`].
    BadJson,
    /// JSON, but no object.
    NotAnObject,
    /// A top-level key stands there twice.
    DuplicateField,
    /// A required field is absent.
    MissingField,
    /// A field has the wrong type, length or range.
    BadField,
    /// No such destination.
    UnknownDestination,
    /// Its sender may not send there, or not as that source.
    Forbidden,
    /// As many messages wait for its destination as may, and the settings say to reject then.
    QueueFull,
}

/// The field by which a line is forbidden to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForbiddenField {
    /// Its user may not send as that source.
    SourceServerId,
    /// Its user may not send there.
    DestinationId,
}

impl Reason {
    /// All reasons, in the order in which they are checked.
    pub const ALL: [Reason; 10] = [
        Reason::Oversize,
        Reason::BadUtf8,
        Reason::BadJson,
        Reason::NotAnObject,
        Reason::DuplicateField,
        Reason::MissingField,
        Reason::BadField,
        Reason::UnknownDestination,
        Reason::Forbidden,
        Reason::QueueFull,
    ];

    /// The name that users see.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Reason::Oversize => "oversize",
            Reason::BadUtf8 => "bad_utf8",
            Reason::BadJson => "bad_json",
            Reason::NotAnObject => "not_an_object",
            Reason::DuplicateField => "duplicate_field",
            Reason::MissingField => "missing_field",
            Reason::BadField => "bad_field",
            Reason::UnknownDestination => "unknown_destination",
            Reason::Forbidden => "forbidden",
            Reason::QueueFull => "queue_full",
        }
    }
}
