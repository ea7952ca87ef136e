//! Records are read as they were made, and not otherwise.

use proptest::prelude::*;

use super::*;
use crate::cluster::testing::{announcement, batches_at, place, settlements};
use crate::journal::format::BATCH_HEADER_LEN;
use crate::limits::RECORD_MESSAGE_LEN_MAX;

fn beat() -> Vec<u8> {
    encode(&place(Kind::Beat), Some(&announcement()), &[]).expect("it is one")
}

fn full() -> Vec<u8> {
    let place = place(Kind::Batches);
    let batches = batches_at(place.position, &[&[1, 2], &[3]]);
    encode(&place, None, &batches).expect("it is one")
}

fn kinds() -> impl Strategy<Value = (Place, Option<Announcement>, Vec<u8>)> {
    let numbers = (any::<[u64; 10]>(), any::<u128>(), any::<u32>());
    let bodies = proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..9), 1..5);
    let addresses = proptest::collection::vec("[a-z0-9.:]{0,40}", 0..=8);
    (0..5_usize, numbers, bodies, "[a-zé]{0,20}", addresses).prop_map(
        |(kind, (n, group, lease_ms), bodies, node, addresses)| {
            let kinds = [
                Kind::Beat,
                Kind::Batches,
                Kind::Claim,
                Kind::Goodbye,
                Kind::Carried,
            ];
            let term = |at: usize| Term {
                epoch: n[at],
                random: n[at + 1],
            };
            let place = Place {
                kind: kinds[kind],
                group,
                sequence: n[0],
                term: term(1),
                before: Before {
                    sequence: n[3],
                    term: term(4),
                },
                lease_ms,
                low: n[6],
                position: n[7] >> 8,
                next_message: n[8],
                time_us: n[9],
            };
            let bodies: Vec<&[u64]> = bodies.iter().map(Vec::as_slice).collect();
            let batches = match place.kind {
                Kind::Batches => batches_at(place.position, &bodies),
                Kind::Carried => crate::cluster::testing::carried(n[9] >> 8, bodies.len()),
                _ => Vec::new(),
            };
            let announcement = (!place.kind.has_batches()).then_some(Announcement {
                node,
                segment_len: n[6],
                addresses,
            });
            (place, announcement, batches)
        },
    )
}

proptest! {
    #[test]
    fn what_is_made_is_read_back((place, announcement, batches) in kinds()) {
        let bytes = encode(&place, announcement.as_ref(), &batches).expect("its parts fit");
        let read = Record::decode(&bytes).expect("it was made");
        prop_assert_eq!(read.place, place);
        prop_assert_eq!(read.announcement, announcement);
        prop_assert_eq!(read.batches, batches);
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused(
        (place, announcement, batches) in kinds(),
        at in any::<proptest::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let mut bytes = encode(&place, announcement.as_ref(), &batches).expect("its parts fit");
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(Record::decode(&bytes).is_err(), "byte {} of {}", at, bytes.len());
    }

    #[test]
    fn any_bytes_are_refused_or_read_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Record::decode(&bytes);
    }
}

#[test]
fn each_bit_of_a_record_is_covered() {
    for bytes in [beat(), full()] {
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&changed).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn a_record_that_is_cut_or_longer_is_refused_at_every_length() {
    for bytes in [beat(), full()] {
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Record::decode(&longer),
            Err(RecordError::Length(longer.len()))
        );
    }
}

/// Signs a place again after a change in it.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body_len = u32::from_le_bytes(bytes[8..12].try_into().expect("four")) as usize;
    let crc = crc32fast::hash(&bytes[8..BATCH_HEADER_LEN + body_len]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut bytes = beat();
    bytes[BATCH_HEADER_LEN] = 2;
    let refused = Record::decode(&signed(bytes)).expect_err("it is newer");
    assert_eq!(refused, RecordError::Format(2));
    assert!(refused.to_string().contains("upgrade"), "{refused}");
}

#[test]
fn what_no_engine_writes_is_refused_though_its_crc_is_right() {
    for (at, value) in [
        (BATCH_HEADER_LEN + 2, 5_u8), // a kind that there is not
        (BATCH_HEADER_LEN + 3, 1),    // a byte that must be zero
        (BATCH_HEADER_LEN + 20, 1),   // the same
        (BATCH_HEADER_LEN + 8, 0),    // an announcement that is not there
        (16, 1),                      // entries
        (20, 1),                      // behind the beginning of its write
        (13, 1),
    ] {
        let mut bytes = beat();
        bytes[at] = value;
        assert!(Record::decode(&signed(bytes)).is_err(), "byte {at}");
    }
}

#[test]
fn a_batch_stands_where_it_says_or_the_record_is_refused() {
    let place = place(Kind::Batches);
    let elsewhere = batches_at(place.position + 8, &[&[1]]);
    let refused = encode(&place, None, &elsewhere);
    assert_eq!(refused, Err(RecordError::Batch(PLACE_LEN)));
    let whole = batches_at(place.position, &[&[1], &[2]]);
    let half = whole.len() / 2;
    let swapped = [&whole[half..], &whole[..half]].concat();
    assert!(encode(&place, None, &swapped).is_err());
}

#[test]
fn a_record_has_batches_or_an_announcement() {
    let batches = batches_at(place(Kind::Batches).position, &[&[1]]);
    assert!(encode(&place(Kind::Batches), None, &[]).is_err());
    assert!(encode(&place(Kind::Beat), None, &[]).is_err());
    assert!(encode(&place(Kind::Beat), Some(&announcement()), &batches).is_err());
    assert!(encode(&place(Kind::Batches), Some(&announcement()), &batches).is_err());
}

#[test]
fn a_record_is_as_long_as_it_may_be_and_no_longer() {
    let place = place(Kind::Batches);
    let entries = (RECORD_MESSAGE_LEN_MAX - PLACE_LEN - BATCH_HEADER_LEN) / 12;
    let batches = settlements(
        place.position + PLACE_LEN as u64,
        PLACE_LEN,
        &vec![7; entries],
    );
    let bytes = encode(&place, None, &batches).expect("it fits");
    assert!(bytes.len() <= RECORD_MESSAGE_LEN_MAX && bytes.len() + 12 > RECORD_MESSAGE_LEN_MAX);
    Record::decode(&bytes).expect("it was made");
    let batches = settlements(
        place.position + PLACE_LEN as u64,
        PLACE_LEN,
        &vec![7; entries + 1],
    );
    assert!(matches!(
        encode(&place, None, &batches),
        Err(RecordError::TooLong(_))
    ));
}

#[test]
fn an_announcement_is_bounded() {
    let long = Announcement {
        node: "n".repeat(51),
        ..announcement()
    };
    assert!(encode(&place(Kind::Claim), Some(&long), &[]).is_err());
    let many = Announcement {
        addresses: vec!["a:1".into(); 9],
        ..announcement()
    };
    assert!(encode(&place(Kind::Claim), Some(&many), &[]).is_err());
}

#[test]
fn a_record_never_crosses_a_segment() {
    assert_eq!(
        position_of(0, 100, 4096),
        64,
        "a segment begins with its header"
    );
    assert_eq!(position_of(3996, 100, 4096), 3996, "it just fits");
    assert_eq!(position_of(3997, 100, 4096), 4096 + 64);
    assert_eq!(position_of(4096, 100, 4096), 4096 + 64);
    assert_eq!(next_segment(64, 4096), 4096 + 64);
    assert_eq!(next_segment(4096, 4096), 4096 + 64);
}
