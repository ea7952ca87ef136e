//! Compacted files: what is still needed of segments that shall go.
//!
//! Retention writes them; recovery, replay and the readers of the journal read them. Records keep
//! their sequences and positions, so nobody who holds a position need know that it moved. A file is
//! written under another name, synced and renamed: it is whole, or it is not there.
//!
//! On disk they are called `.kept`, with the magic `FLBKEPT1`: version 0.1 wrote such files, and they
//! must open.
//!
//! ```text
//!  RETENTION --> writer --> | header | batch | batch | ... | end mark | --> reader --> RECOVERY, REPLAY
//!                                                                            index      READERS
//! ```

mod header;
mod index;
mod reader;
mod writer;

pub(crate) use self::header::CompactedHeader;
pub(super) use self::header::{HEADER_LEN, covering, unfinished};
pub(crate) use self::index::CompactedIndex;
pub(crate) use self::reader::CompactedReader;
pub(crate) use self::writer::CompactedWriter;
pub(crate) use self::writer::Entry;
