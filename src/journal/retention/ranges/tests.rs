//! What may go, what is ripe, and which run is worth rewriting.

use std::time::Duration;

use super::*;
use crate::journal::retention::needed::Word;

const LEN: u64 = 1_000;

/// Segments 0 to 4 with ten messages each; segment `n` ends at `n + 1` seconds.
fn list(window: Window) -> SegmentRanges {
    let mut list = SegmentRanges::new(LEN, window);
    for number in 0..5 {
        list.push(SegmentRange {
            segments: number..number + 1,
            sequences: 10 * number + 1..10 * number + 11,
            end_ms: (number + 1) * 1_000,
            len: LEN,
            compacted: None,
        });
    }
    list
}

fn gone(window: Window, state: State) -> usize {
    let mut list = list(window);
    while list.first_to_go(&state).is_some() {
        list.pop();
    }
    5 - list.count()
}

const ALL: State = State {
    first_unsettled: 51,
    next_sequence: 51,
    stored: u64::MAX,
    now_ms: u64::MAX,
};
/// Before any time has passed.
const EARLY: State = State { now_ms: 0, ..ALL };
const NONE: Window = Window { messages: 0, ms: 0 };
const BOUNDS: Bounds = Bounds {
    room: 2 * LEN,
    margin: 1,
    gain: LEN,
};

#[test]
fn a_stretch_goes_when_its_last_message_is_settled() {
    for (first_unsettled, expected) in [(0, 0), (10, 0), (11, 1), (50, 4), (51, 5)] {
        let state = State {
            first_unsettled,
            ..ALL
        };
        assert_eq!(gone(NONE, state), expected, "{first_unsettled}");
    }
}

#[test]
fn a_stretch_goes_when_the_store_is_behind_it() {
    for (stored, expected) in [(0, 0), (999, 0), (1_000, 1), (4_999, 4), (5_000, 5)] {
        let state = State { stored, ..ALL };
        assert_eq!(gone(NONE, state), expected, "{stored}");
    }
}

#[test]
fn a_stretch_goes_when_its_ids_are_forgotten_by_number_or_by_time() {
    let window = Window::new(20, Duration::from_secs(2));
    for (next_sequence, expected) in [(30, 0), (31, 1), (71, 5)] {
        let state = State {
            next_sequence,
            now_ms: 0,
            ..ALL
        };
        assert_eq!(gone(window, state), expected, "{next_sequence}");
    }
    for (now_ms, expected) in [(3_000, 0), (3_007, 0), (3_008, 1), (7_008, 5)] {
        let state = State {
            next_sequence: 0,
            now_ms,
            ..ALL
        };
        assert_eq!(gone(window, state), expected, "{now_ms}");
    }
}

#[test]
fn a_window_that_is_off_holds_nothing() {
    for (messages, s) in [(0, 600), (1_000_000, 0)] {
        let window = Window::new(messages, Duration::from_secs(s));
        let state = State { now_ms: 0, ..ALL };
        assert_eq!(gone(window, state), 5);
    }
}

#[test]
fn the_run_that_frees_most_is_rewritten_and_one_that_frees_little_is_not() {
    let list = list(NONE);
    assert_eq!(list.ripe(false, &ALL), 5);
    let run = |sequences: &[Sequence], ripe| {
        let mut words: Vec<Word> = Vec::new();
        for &sequence in sequences {
            let (number, bit) = (sequence / 64, 1 << (sequence % 64));
            match words.last_mut() {
                Some(last) if last.number == number => last.bits |= bit,
                _ => words.push(Word { number, bits: bit }),
            }
        }
        let mut needed = Needed::default();
        needed.extend(&words);
        list.run(ripe, &needed, &ALL, BOUNDS)
    };
    assert_eq!(run(&[1], 5), Some(0..5), "one message holds all");
    assert_eq!(run(&[1], 1), None, "less than a segment would be freed");
    let first: Vec<_> = (1..=10).collect();
    assert_eq!(
        run(&first, 5),
        Some(1..5),
        "what must stay whole is left alone"
    );
    let all: Vec<_> = (1..=50).collect();
    assert_eq!(run(&all, 5), None);
    let many: Vec<_> = (1..=50).filter(|it| it % 10 < 7).collect();
    assert_eq!(run(&many, 5), None, "more than half must stay");
}

#[test]
fn where_room_is_short_remembered_ids_hold_no_segment_and_a_part_of_one_is_worth_it() {
    let window = Window::new(20, Duration::from_secs(600));
    let list = list(window);
    assert_eq!(list.ripe(false, &EARLY), 3, "the last 20 are remembered");
    assert_eq!(list.ripe(true, &EARLY), 5);
    let run = |ripe, bounds| list.run(ripe, &Needed::default(), &EARLY, bounds);
    assert_eq!(run(5, BOUNDS), Some(0..5));
    let short = Bounds {
        room: LEN / 4,
        margin: 2,
        gain: LEN / 16,
    };
    assert_eq!(run(5, short), Some(0..4), "ids take a quarter at most");
    let none = Bounds { room: 0, ..short };
    assert_eq!(run(5, none), Some(0..3), "what is forgotten takes no room");
    let stored = State {
        stored: 3 * LEN,
        ..EARLY
    };
    assert_eq!(list.ripe(true, &stored), 3, "what is not stored stays");
}

#[test]
fn a_file_of_ids_is_as_long_as_what_stays_of_it() {
    let mut list = list(Window::new(1_000, Duration::from_secs(600)));
    let mut index = CompactedIndex::empty(list.header(&(0..2)));
    (index.len, index.ids_len) = (400, 200);
    list.replace(&Arc::new(index));
    let one = Bounds {
        room: 200 + LEN / 4,
        margin: 2,
        gain: LEN / 2,
    };
    let run = |bounds| list.run(4, &Needed::default(), &EARLY, bounds);
    assert_eq!(run(one), Some(0..2), "with the segment behind it");
    let none = Bounds { room: 200, ..one };
    assert_eq!(run(none), None, "by itself it frees nothing");
}

#[test]
fn a_kept_file_takes_the_place_of_its_run() {
    let mut list = list(NONE);
    let index = Arc::new(CompactedIndex::empty(list.header(&(1..4))));
    assert_eq!(list.replace(&index).len(), 3);
    let segments: Vec<_> = list.iter().map(|it| it.segments.clone()).collect();
    assert_eq!(segments, [0..1, 1..4, 4..5]);
    assert_eq!(
        list.iter().nth(1).map(SegmentRange::name),
        Some(Name::Compacted(1, 4))
    );
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let window = Window::new(usize::MAX, Duration::MAX);
    let range = SegmentRange {
        segments: u64::MAX - 1..u64::MAX,
        sequences: u64::MAX - 1..u64::MAX,
        end_ms: u64::MAX,
        len: u64::MAX,
        compacted: None,
    };
    assert_eq!(list(window).held_by(&range, &ALL), Some(HeldBy::Unsettled));
}

#[test]
fn a_compacted_file_is_not_rewritten_by_itself_for_its_successor_would_have_its_name() {
    let mut list = list(NONE);
    let mut index = CompactedIndex::empty(list.header(&(0..2)));
    (index.len, index.entries) = (10 * LEN, 20);
    list.replace(&Arc::new(index));
    let run = |ripe| list.run(ripe, &Needed::default(), &ALL, BOUNDS);
    assert_eq!(run(1), None, "though nothing of it is needed");
    assert_eq!(run(2), Some(0..2), "with the segment behind it");
}

#[test]
fn ids_of_few_long_messages_need_little_room() {
    let mut list = SegmentRanges::new(1 << 20, Window::new(1_000, Duration::from_secs(600)));
    for number in 0..3 {
        list.push(SegmentRange {
            segments: number..number + 1,
            sequences: 10 * number + 1..10 * number + 11,
            end_ms: 0,
            len: 1 << 20,
            compacted: None,
        });
    }
    let bounds = Bounds {
        room: 3 * 10 * ID_LEN_MAX,
        margin: 2,
        gain: 1,
    };
    let state = State {
        next_sequence: 31,
        ..EARLY
    };
    let needed = Needed::default();
    assert_eq!(list.run(3, &needed, &state, bounds), Some(0..3));
    let bounds = Bounds {
        room: bounds.room - 1,
        ..bounds
    };
    assert_eq!(list.run(3, &needed, &state, bounds), Some(0..2));
}
