//! Ids that are remembered outlive their records.

use super::*;
use crate::journal::testing::TestMessage;

/// All ids of messages whose records are gone, and of those that are there, in the order in which
/// recovery tells of them.
fn ids_in_order(told: &Told) -> Vec<String> {
    let records = told.messages.iter().map(|&it| TestMessage::new(it).id);
    let mut ids: Vec<_> = told
        .ids
        .iter()
        .map(|it| it.0.clone())
        .chain(records)
        .collect();
    ids.sort_by_key(|it| sequence_of(it));
    ids
}

fn sequence_of(id: &str) -> Sequence {
    let number = id.split('-').nth(1).expect("`TestMessage` makes them so");
    number.parse().expect("a number")
}

#[test]
fn ids_that_are_remembered_outlive_their_records_and_a_crash_at_any_step_changes_nothing() {
    let survivors = [2, 13, 30, 31, 71];
    let memory = with_survivors(&survivors);
    let mut states = vec![memory.copy()];
    compact_with_ids(&memory, 0..4, &survivors, last(40));
    let compacted = memory.files()[&Name::Compacted(0, 4)].clone();
    for cut in (0..compacted.len()).step_by(7) {
        let killed = states[0].copy();
        let unfinished = compacted[..cut].to_vec();
        killed.files().insert(Name::Unfinished(0, 4), unfinished);
        states.push(killed);
    }
    for number in 0..=4 {
        states.push(memory.copy());
        memory.files().remove(&Name::Segment(number % 4));
    }
    let all: Vec<_> = (33..=72).map(|it| TestMessage::new(it).id).collect();
    for (at, state) in states.iter().enumerate() {
        let (found, told) = recovered(&state.copy());
        assert_eq!(found.origin.next_sequence, 73, "state {at}");
        let ids = ids_in_order(&told);
        assert!(ids.ends_with(&all), "state {at}: {ids:?}");
        assert_eq!(left(state), survivors, "state {at}");
    }
    let (found, told) = recovered(&memory);
    let sequences: Vec<_> = told.ids.iter().map(|it| sequence_of(&it.0)).collect();
    assert_eq!(sequences, (33..=48).collect::<Vec<_>>());
    assert!(told.ids.iter().all(|it| it.1 == TIME_US + 1_000_000));
    assert_eq!(found.compacted[0].entries, 4);
    assert!(found.compacted[0].ids_len > 16 * 15 && found.compacted[0].ids_len < 500);
}

#[test]
fn ids_are_carried_on_until_they_are_forgotten() {
    let memory = with_survivors(&[50]);
    compact_with_ids(&memory, 0..2, &[50], last(72));
    compact_with_ids(&memory, 0..6, &[50], last(60));
    for name in [Name::Compacted(0, 2)]
        .into_iter()
        .chain((0..6).map(Name::Segment))
    {
        memory.files().remove(&name);
    }
    let (_, told) = recovered(&memory);
    let sequences: Vec<_> = told.ids.iter().map(|it| sequence_of(&it.0)).collect();
    let expected: Vec<_> = (13..=72).filter(|&it| it != 50).collect();
    assert_eq!(sequences, expected);
    assert_eq!(left(&memory), [50]);
}
