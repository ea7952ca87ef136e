//! A member of a group: segments go when all agree, and what waits is carried.

use super::*;

#[test]
fn in_a_group_a_segment_goes_when_all_agree_and_nothing_is_compacted() {
    let mut scene = Scene::new();
    let low = Arc::new(Low::default());
    scene.agent.core.group = Some(Arc::clone(&low));
    let segments = |scene: &Scene| scene.storage.segments().expect("memory");
    // The message of segment 2 waits.
    scene.unsettled = vec![needed::Word {
        number: 0,
        bits: 1 << 3,
    }];
    scene.turn_full(8);
    assert_eq!((low.proposed(), low.agreed()), (2, 0));
    assert_eq!(segments(&scene), [0, 1, 2, 3], "nobody has agreed");
    low.agree(1);
    scene.turn_full(4);
    assert_eq!(segments(&scene), [1, 2, 3]);
    low.agree(2);
    scene.turn_full(8);
    assert_eq!(segments(&scene), [2, 3]);
    let names = scene.storage.list().expect("memory");
    let is_compacted = |it: &Name| matches!(it, Name::Compacted(..) | Name::Unfinished(..));
    assert!(!names.iter().any(is_compacted), "{names:?}");
    assert!(!names.contains(&reserve::COMPACTED), "{names:?}");
    scene.unsettled.clear();
    scene.turn_full(8);
    assert_eq!(low.proposed(), 3, "the open one stays");
    assert_eq!(segments(&scene), [2, 3]);
}

/// A group's, in which message 2 of four waits.
fn group_with_one_that_waits() -> (Scene, Arc<Low>) {
    let low = Arc::new(Low::default());
    let window = Window::new(0, Duration::ZERO);
    let mut scene = Scene::of(Watched::default(), window, Some(Arc::clone(&low)));
    scene.unsettled = vec![needed::Word {
        number: 0,
        bits: 1 << 2,
    }];
    (scene, low)
}

#[test]
fn in_a_group_a_message_that_holds_segments_is_carried_and_they_go_once_all_agree() {
    let (mut scene, low) = group_with_one_that_waits();
    (0..8).for_each(|_| scene.turn());
    assert_eq!(low.proposed(), 1, "replay reads from where it was");
    let Some(Moved::Carried(index)) = scene.to_replay.poll() else {
        panic!("nothing was carried");
    };
    let stood = SEGMENT + 64;
    assert!(index.place_of(2, stood) > 9 * SEGMENT);
    scene.switch();
    assert_eq!(low.proposed(), 3);
    assert_eq!(scene.agent.counters.get(Counter::JournalCarried), 1);
    let is_segment = |it: &Name| matches!(it, Name::Segment(_));
    let segments = |it: &Scene| {
        it.names()
            .into_iter()
            .filter(is_segment)
            .collect::<Vec<_>>()
    };
    assert_eq!(segments(&scene).len(), 8, "the group has not agreed");
    low.agree(2);
    (0..4).for_each(|_| scene.turn());
    low.agree(3);
    (0..4).for_each(|_| scene.turn());
    assert_eq!(segments(&scene)[0], Name::Segment(3));
    assert!(scene.to_replay.poll().is_none(), "once is enough");
    // More segments are filled, and what is carried stands behind them.
    for number in 4..7 {
        let mut permit = scene.to_agent.claim(1).expect("an empty ring");
        permit.send(ToRetention::Started(started(number)));
        scene.to_agent.flush();
    }
    (0..8).for_each(|_| scene.turn());
    let Some(Moved::Carried(again)) = scene.to_replay.poll() else {
        panic!("what is carried is kept");
    };
    assert_eq!(again.place_of(2, stood), index.place_of(2, stood));
    scene.switch();
    assert_eq!(low.proposed(), 6);
    assert_eq!(scene.agent.counters.get(Counter::JournalCarried), 1);
}

#[test]
fn in_a_group_what_could_not_be_carried_stays_and_is_tried_again_later() {
    let (mut scene, low) = group_with_one_that_waits();
    scene.fate = Fate::Refused;
    (0..5).for_each(|_| scene.turn());
    assert!(scene.to_replay.poll().is_none());
    assert_eq!(low.proposed(), 1);
    scene.fate = Fate::Recorded(9 * SEGMENT);
    (0..12).for_each(|_| scene.turn());
    assert!(matches!(scene.to_replay.poll(), Some(Moved::Carried(_))));
}

#[test]
fn in_a_group_what_waits_just_behind_the_segments_that_go_does_not_keep_them() {
    let (mut scene, low) = group_with_one_that_waits();
    // The scheduler answers by words: message 4, of the open segment, is in that of message 2.
    scene.unsettled[0].bits |= 1 << 4;
    (0..8).for_each(|_| scene.turn());
    assert!(matches!(scene.to_replay.poll(), Some(Moved::Carried(_))));
    scene.switch();
    assert_eq!(low.proposed(), 3);
}

#[test]
fn what_comes_back_of_a_set_that_was_given_up_is_no_answer_to_the_next_question() {
    let (mut scene, _) = group_with_one_that_waits();
    let rest = 1..4;
    let core = &mut scene.agent.core;
    let mut asked = |task: Task<Watched>, from, carry| {
        core.task = task;
        let mut query = query::UnsettledQuery::new();
        (query.from, query.to, query.reached) = (from, rest.end, rest.end);
        query.carry = carry;
        core.take_answer(query, scene.now);
        match &core.task {
            Task::Query { rest, .. } => rest.start,
            _ => panic!("it is asked no more"),
        }
    };
    let question = || Task::Query {
        ripe: 3,
        rest: rest.clone(),
        needed: Needed::default(),
    };
    let carry = Some((Body::default(), Fate::Recorded(0)));
    assert_eq!(asked(question(), 3, carry), 1);
    assert_eq!(asked(question(), 3, None), 1, "the rest of an earlier one");
    assert_eq!(asked(question(), 1, None), 4);
}
