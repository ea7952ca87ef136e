//! The keys of `[journal]`.

use crate::config::key::{Section, key, set};
use crate::limits;

pub(super) const JOURNAL: Section = Section {
    name: "journal",
    meaning: "The log on disk.",
    keys: &[
        key(
            "segment",
            "\"64MiB\"",
            "Bytes of one segment file, 4MiB to 1GiB; disk space comes back a segment at a time.",
            |c, v| {
                let (min, max) = (limits::SEGMENT_LEN_MIN, limits::SEGMENT_LEN_MAX);
                set(&mut c.journal.segment, v.size(min, max)?)
            },
        ),
        key(
            "max_bytes",
            "\"64GiB\"",
            "Bytes that the journal may take on disk, 8 segments at least. At the limit the engine \
             stops reading from sources, goes on delivering, and resumes when old segments have \
             gone.",
            |c, v| {
                let min = limits::JOURNAL_SEGMENTS_MIN * limits::SEGMENT_LEN_MIN;
                let max = limits::JOURNAL_LEN_MAX_CEILING;
                set(&mut c.journal.max_bytes, v.size(min, max)?)
            },
        ),
    ],
};
