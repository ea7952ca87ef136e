//! What a start finds on the disk, and for how long it stays.

use std::time::Duration;

use super::*;
use crate::journal::carried::CarriedRecords;
use crate::journal::compacted::CompactedHeader;
use crate::journal::watched::Watched;

const SEGMENT: u64 = 4_096;
const WINDOW_MS: u64 = 600_000;

fn started(number: u64, first_sequence: Sequence, time_ms: u64) -> SegmentStarted {
    SegmentStarted {
        number,
        first_sequence,
        time_ms,
        taken: 0,
    }
}

/// Segment 0 was filled for as long as nobody knows; of 1 and 2 a compacted file is left.
#[test]
fn ids_of_a_segment_before_a_compacted_file_stay_as_long_as_its_own() {
    let end_ms = 700_000;
    let header = CompactedHeader {
        segments: 1..3,
        segment_len: SEGMENT,
        sequences: 5..9,
        end_ms,
    };
    let parts = CoreParts {
        storage: Watched::default(),
        segment_len: SEGMENT,
        segments: vec![started(0, 1, 0), started(3, 9, end_ms)],
        compacted: vec![Arc::new(CompactedIndex::empty(header))],
        reserve: None,
        next_segment: 4,
        window: Window::new(1_000, Duration::from_millis(WINDOW_MS)),
        max_bytes: u64::MAX,
        group: None,
        carried: CarriedRecords::default(),
    };
    let mut core = Retention::new(parts, Arc::default());
    core.note_recovered();
    let first_to_go = |now_ms| {
        let state = State {
            first_unsettled: 9,
            next_sequence: 9,
            stored: u64::MAX,
            now_ms,
        };
        core.ranges.first_to_go(&state).map(SegmentRange::name)
    };
    assert_eq!(first_to_go(end_ms + WINDOW_MS / 2), None);
    let later = end_ms + 2 * WINDOW_MS;
    assert_eq!(first_to_go(later), Some(Name::Segment(0)));
}
