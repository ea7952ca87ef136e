//! The room that is set aside for settlements: where it is lost, or too short.

use super::*;

/// Retention over segments of which nothing may go, and free files of so few bytes.
fn held_over(short_free_files: &[u64]) -> Scene {
    let mut storage = Watched::default();
    for number in short_free_files {
        reserve::make(&mut storage, Name::Free(*number), 10).expect("there is room");
    }
    let mut scene = Scene::over(storage, Window::new(0, Duration::ZERO));
    scene.unsettled = vec![needed::Word {
        number: 0,
        bits: 0b11110,
    }];
    scene
}

#[test]
fn a_reserve_that_the_journal_agent_lost_is_made_again() {
    let mut scene = held_over(&[]);
    let reserve = Name::Free(reserve::SETTLEMENTS);
    scene.turn();
    assert_eq!(scene.freed.poll(), Some(reserve::SETTLEMENTS));
    scene.storage.remove(reserve).expect("it is there");
    scene.turn();
    assert_eq!(scene.freed.poll(), None, "nobody said so");
    let mut permit = scene.to_agent.claim(1).expect("an empty ring");
    permit.send(ToRetention::Lost(1));
    scene.to_agent.flush();
    scene.turn();
    assert_eq!(scene.freed.poll(), Some(reserve::SETTLEMENTS));
}

#[test]
fn a_reserve_that_was_too_short_and_is_completed_stays() {
    let mut scene = held_over(&[7, reserve::SETTLEMENTS]);
    (0..4).for_each(|_| scene.turn());
    assert_eq!(scene.freed.poll(), Some(reserve::SETTLEMENTS));
    let len = reserve::len_if_there(&scene.storage, Name::Free(reserve::SETTLEMENTS));
    assert_eq!(len, reserve::len(SEGMENT));
}

#[test]
fn a_free_file_whose_length_cannot_be_told_is_no_reserve_yet() {
    let mut scene = held_over(&[7, reserve::SETTLEMENTS]);
    let whole = Name::Free(8);
    reserve::make(&mut scene.storage, whole, reserve::len(SEGMENT)).expect("there is room");
    scene.storage.fill();
    scene.storage.refuse_opening(true);
    (0..3).for_each(|_| scene.turn());
    assert_eq!(scene.freed.poll(), None);
    scene.storage.refuse_opening(false);
    (0..3).for_each(|_| scene.turn());
    assert_eq!(scene.freed.poll(), Some(8));
    assert_eq!(scene.freed.poll(), None, "the others are too short");
    assert!(!scene.names().contains(&Name::Free(7)), "and go");
}

#[test]
fn a_segment_whose_length_cannot_be_told_is_removed_and_no_reserve() {
    let mut scene = held_over(&[]);
    scene.turn();
    assert_eq!(scene.freed.poll(), Some(reserve::SETTLEMENTS));
    let mut permit = scene.to_agent.claim(1).expect("an empty ring");
    permit.send(ToRetention::Lost(1));
    scene.to_agent.flush();
    scene.storage.refuse_opening(true);
    scene.storage.fill();
    scene.unsettled.clear();
    (0..4).for_each(|_| scene.turn());
    assert_eq!(scene.freed.poll(), None);
}
