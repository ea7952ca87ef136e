use std::collections::HashSet;

use super::*;

const LENS: [usize; 4] = [0, 390, 1024, 8192];

fn book(plan: &Plan) -> FrameBook {
    FrameBook::new(plan, Wire::Bare).expect("frames of this length")
}

fn stamp(number: u64, source: usize, due_ns: u64) -> Stamp {
    Stamp {
        number,
        source,
        due_ns,
    }
}

fn line(book: &FrameBook, stamp: Stamp) -> Vec<u8> {
    let mut line = Vec::new();
    book.append(&mut line, stamp, &Timestamp::new(1_693_123_456_789));
    line
}

#[test]
fn every_frame_is_json_of_the_length_asked_for_and_says_what_its_place_says() {
    for len in LENS {
        let plan = Plan::flat_out(100, len);
        let book = book(&plan);
        assert!(len == 0 || book.line_len() == len + 1);
        for number in 0..100 {
            let stamp = stamp(number, 3, 0);
            let line = line(&book, stamp);
            let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
            let place = book.place(stamp);
            assert_eq!(
                value["destinationId"],
                format!("table{:03}", place.destination + 1)
            );
            assert_eq!(value["priority"], place.level + 1);
            assert_eq!(value["sourceServerId"], "server004");
            assert_eq!(len == 0, value["timestamp"] != 1_693_123_456_789_u64);
            assert_eq!(len == 0, !value["payload"].is_object());
            assert_eq!(book.read(&line), Some(stamp));
        }
    }
}

#[test]
fn the_due_time_is_read_back_where_there_is_a_schedule() {
    let book = book(&Plan::at_rate(1_000, 1, 0, 390));
    let stamp = stamp(9_999_999_999, 998, 123_456_789_012_345_678);
    let line = line(&book, stamp);
    assert_eq!(line.len(), 391);
    assert_eq!(book.read(&line), Some(stamp));
}

#[test]
fn the_shortest_frames_are_short() {
    let len = book(&Plan::flat_out(1, 0)).line_len();
    assert!(len < 140, "{len}");
}

#[test]
fn expectations_are_what_a_count_of_all_places_gives() {
    for messages in [0, 5, 4 * 4096, 30_001] {
        let plan = Plan::flat_out(messages, 390);
        let book = book(&plan);
        let mut counted = vec![0; 4];
        for source in 0..4 {
            for number in 0..plan.messages_of(source) {
                counted[book.place(stamp(number, source, 0)).destination] += 1;
            }
        }
        assert_eq!(book.expected(&plan), counted);
        assert_eq!(counted.iter().sum::<u64>(), messages);
    }
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let book = book(&Plan::at_rate(1_000, 1, 0, 390));
    let stamp = stamp(17, 2, 5);
    let good = line(&book, stamp);
    let mut spare = Vec::new();
    assert!(book.is_verbatim(&good, stamp, &mut spare));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let is_noticed =
            book.read(&bad) != Some(stamp) || !book.is_verbatim(&bad, stamp, &mut spare);
        assert!(is_noticed, "byte {at}");
    }
}

#[test]
fn the_slots_use_every_destination_and_level() {
    let book = book(&Plan::flat_out(1, 390));
    let places = (0..4096).map(|number| book.place(stamp(number, 0, 0)));
    let seen: HashSet<_> = places.map(|it| (it.destination, it.level)).collect();
    assert!(seen.len() >= 9, "{seen:?}");
}

#[test]
fn every_customer_gets_about_as_much_of_each_level() {
    let book = book(&Plan::flat_out(1, 390));
    let mut counts = [[0; 3]; 4];
    for number in 0..4096 {
        let place = book.place(stamp(number, 0, 0));
        counts[place.destination][place.level] += 1;
    }
    for count in counts.as_flattened() {
        assert!((250..450).contains(count), "{counts:?}");
    }
}

#[test]
fn more_and_fewer_levels_are_used_all_and_stand_in_the_frames() {
    for levels in [1, 8] {
        let plan = Plan {
            levels,
            ..Plan::flat_out(1, 390)
        };
        let book = book(&plan);
        let mut seen = HashSet::new();
        for number in 0..1_000 {
            let stamp = stamp(number, 0, 0);
            let line: serde_json::Value =
                serde_json::from_slice(&line(&book, stamp)).expect("JSON");
            let level = book.place(stamp).level;
            assert_eq!(line["priority"], level + 1);
            seen.insert(level);
        }
        assert_eq!(seen.len(), levels);
    }
}

#[test]
fn another_plans_sources_are_not_taken_for_ours() {
    let first = Plan::flat_out(100, 390);
    let second = first.clone().behind(&first);
    let (ours, theirs) = (book(&first), book(&second));
    assert_eq!(theirs.read(&line(&ours, stamp(7, 3, 0))), None);
    assert_eq!(
        theirs.read(&line(&theirs, stamp(7, 3, 0))),
        Some(stamp(7, 3, 0))
    );
    let foreign = ours
        .read(&line(&theirs, stamp(7, 0, 0)))
        .expect("it can be read");
    assert_eq!(foreign.source, 4, "which is none of our four");
}

#[test]
fn a_frame_is_read_and_compared_behind_the_words_of_another_protocol() {
    let plan = Plan::at_rate(1_000, 1, 0, 390);
    let deliver = FrameBook::new(&plan, Wire::NatsDeliver).expect("frames");
    let stamp = stamp(17, 2, 5);
    let mut good = line(&deliver, stamp);
    assert!(good.starts_with(b"MSG table0") && good.ends_with(b"}\n\r\n"));
    assert_eq!(deliver.read(&good), Some(stamp));
    assert!(deliver.is_verbatim(&good, stamp, &mut Vec::new()));
    good[30] ^= 1;
    assert!(!deliver.is_verbatim(&good, stamp, &mut Vec::new()));
}

#[test]
fn digits_are_the_values_last_ones_in_places_of_any_width() {
    for value in [0, 7, 10, 99, 100, 12_345, 999_999_999_999_999_999] {
        for width in [1, 2, 3, 10, 13, 18] {
            let mut place = vec![0; width];
            put_decimal(&mut place, value);
            let all = format!("{value:018}");
            assert_eq!(place, &all.as_bytes()[18 - width..], "{value}, {width}");
        }
    }
}
