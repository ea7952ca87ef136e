//! What nobody needs: records say it, and the stream is purged of it.

use super::super::*;
use super::rig::{Rig, SECOND};
use crate::cluster::record::{Kind, PLACE_LEN, Record, position_of};
use crate::cluster::testing::{SEGMENT, carried};

fn low_of(publish: &Publish) -> u64 {
    let record = Record::decode(&publish.bytes).expect("a record");
    record.place.low
}

/// The active looks at the stream, and finds these bounds.
fn found(rig: &mut Rig, first: u64, last: u64) {
    rig.member.look(rig.now);
    rig.found(first, last);
}

fn purges(rig: &Rig) -> Vec<u64> {
    let purged = rig.decided.iter().filter_map(|it| match it {
        Decision::Purge(before) => Some(*before),
        _ => None,
    });
    purged.collect()
}

#[test]
fn each_record_says_what_nobody_needs_and_none_takes_it_back() {
    let (mut rig, _) = Rig::active();
    rig.offer(&[1]);
    let publish = rig.published();
    assert_eq!(low_of(&publish), 0);
    rig.confirm(&publish);
    rig.write_all();
    rig.on_event(Event::Unneeded { low: 7, before: 0 });
    rig.offer(&[2]);
    let publish = rig.published();
    assert_eq!(low_of(&publish), 7, "whatever was offered with it");
    rig.confirm(&publish);
    rig.write_all();
    rig.on_event(Event::Unneeded { low: 5, before: 0 });
    rig.pass(2 * SECOND);
    let beat = rig.published();
    assert_eq!(low_of(&beat), 7);
    assert_eq!(rig.member.low(), 7);
}

#[test]
fn an_active_has_the_stream_purged_of_it_but_not_of_its_last_record() {
    let (mut rig, _) = Rig::active();
    for sequence in 1..=3 {
        rig.offer(&[sequence]);
        let publish = rig.published();
        rig.confirm(&publish);
        rig.write_all();
    }
    let last = rig.member.sequence();
    rig.decided.clear();
    found(&mut rig, 1, last);
    assert_eq!(purges(&rig), [] as [u64; 0], "all of it is needed");
    rig.on_event(Event::Unneeded { low: 1, before: 3 });
    found(&mut rig, 1, last);
    found(&mut rig, 3, last);
    assert_eq!(purges(&rig), [3], "once it is gone it is not asked again");
    rig.on_event(Event::Unneeded {
        low: 1,
        before: u64::MAX,
    });
    found(&mut rig, 3, last);
    assert_eq!(purges(&rig), [3, last], "the next record expects it");
}

#[test]
fn nobody_else_purges() {
    let mut chain = crate::cluster::testing::Chain::new();
    let messages = [chain.claim(1), chain.batches(), chain.beat()];
    let mut rig = Rig::standby(&messages);
    rig.on_event(Event::Unneeded { low: 1, before: 3 });
    found(&mut rig, 1, 3);
    assert_eq!(purges(&rig), [] as [u64; 0]);
}

#[test]
fn what_is_carried_becomes_a_carried_record() {
    let (mut rig, _) = Rig::active();
    let batches = carried(1, 2);
    let end = rig.member.tip.end();
    let position = position_of(end, PLACE_LEN + batches.len(), SEGMENT);
    rig.on_event(Event::Offer(Offer {
        kind: Kind::Carried,
        position,
        batches: batches.into(),
        next_message: 1,
        time_us: 2_000,
    }));
    let publish = rig.published();
    let place = Record::decode(&publish.bytes).expect("a record").place;
    assert_eq!((place.kind, place.position), (Kind::Carried, position));
    rig.confirm(&publish);
    assert!(rig.has_to_write(place.sequence, &publish.bytes));
}
