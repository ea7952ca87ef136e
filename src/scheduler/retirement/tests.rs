use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::scheduler::testing::now_at;

const CONFIGURED: DestinationIndex = 2;
const MINUTE_MS: u64 = RETIRE_UNUSED_NS / 1_000_000;

fn unused(accepted: u64) -> Option<Use> {
    Some(Use {
        accepted,
        is_idle: true,
    })
}

/// A retirement by two agents, in which the hand has passed each of five names once.
fn passed_once() -> Retirement {
    let mut retirement = Retirement::new(CONFIGURED, 1);
    assert_eq!(retirement.next(5, false, now_at(0), |_| unused(7)), None);
    assert_eq!(retirement.next(5, false, now_at(1), |_| unused(7)), None);
    retirement
}

#[test]
fn who_was_not_used_for_a_round_may_go_and_configured_names_stay() {
    let mut retirement = passed_once();
    let mut look = |ms, accepted: [u64; 5]| {
        let mut found = Vec::new();
        while let Some(it) =
            retirement.next(5, false, now_at(ms), |it| unused(accepted[it as usize]))
        {
            found.push(it);
        }
        found
    };
    assert!(look(MINUTE_MS - 1, [7; 5]).is_empty(), "the round is over");
    assert_eq!(look(MINUTE_MS, [7, 7, 7, 8, 7]), [2, 4]);
    assert_eq!(look(2 * MINUTE_MS, [7, 7, 9, 8, 7]), [3, 4]);
}

#[test]
fn where_room_is_short_rounds_follow_each_other() {
    let mut retirement = passed_once();
    let ms = RETIRE_UNUSED_OVER_HALF_NS / 1_000_000;
    assert_eq!(
        retirement.next(5, true, now_at(ms - 1), |_| unused(7)),
        None
    );
    assert_eq!(
        retirement.next(5, true, now_at(ms), |_| None),
        None,
        "they are gone"
    );
    assert_eq!(
        retirement.next(5, true, now_at(2 * ms), |_| unused(7)),
        None
    );
    let busy = Use {
        accepted: 7,
        is_idle: false,
    };
    let found = retirement.next(5, true, now_at(3 * ms), |it| {
        if it == 2 { Some(busy) } else { unused(7) }
    });
    assert_eq!(found, Some(3));
}

#[test]
fn the_hand_rests_after_some_looks() {
    const COUNT: usize = 10 * RETIRING_LOOKS;
    let mut retirement = Retirement::new(CONFIGURED, 1);
    let mut looks = 0;
    for ms in 0..10 {
        for _ in 0..3 {
            let all = COUNT as DestinationIndex + CONFIGURED;
            let found = retirement.next(all, true, now_at(ms), |_| {
                looks += 1;
                unused(1)
            });
            assert_eq!(found, None);
        }
        assert_eq!(looks, (ms as usize + 1) * RETIRING_LOOKS);
    }
}

#[test]
fn a_name_stays_that_an_agent_needs_or_does_not_answer_for_in_time() {
    for (answers, refused, stays_at_ms) in [
        (&[true, false][..], false, 0),
        (&[true, true], true, 0),
        (&[true], false, RETIRE_ANSWER_NS / 1_000_000),
        (&[], false, RETIRE_ANSWER_NS / 1_000_000),
    ] {
        let mut retirement = passed_once();
        retirement.ask(3, now_at(0));
        answers.iter().for_each(|&it| retirement.answer(3, it));
        if refused {
            retirement.refuse(3);
        }
        if stays_at_ms > 0 {
            assert_eq!(retirement.decide(now_at(stays_at_ms - 1)), None);
        }
        assert_eq!(
            retirement.decide(now_at(stays_at_ms)),
            Some(Decision::Stays(3))
        );
        assert_eq!(retirement.decide(now_at(stays_at_ms)), None);
        // It is not asked about again before the last answer has come.
        let found = retirement.next(4, false, now_at(MINUTE_MS), |_| unused(7));
        assert_eq!(found, Some(2));
        let next = retirement.next(4, false, now_at(MINUTE_MS), |_| unused(7));
        assert_eq!(next, (answers.len() == 2).then_some(3));
        for _ in answers.len()..2 {
            retirement.answer(3, true);
        }
        assert_eq!(retirement.decide(now_at(MINUTE_MS)), None);
        assert!(retirement.is_empty());
    }
}

#[test]
fn an_index_is_free_when_the_agents_of_its_subscribers_know() {
    let mut retirement = passed_once();
    retirement.ask(3, now_at(0));
    (0..2).for_each(|_| retirement.answer(3, true));
    assert_eq!(retirement.decide(now_at(0)), Some(Decision::MayGo(3)));
    retirement.end(3, 1);
    assert_eq!(retirement.decide(now_at(MINUTE_MS)), None);
    retirement.answer(3, true);
    assert_eq!(
        retirement.decide(now_at(MINUTE_MS)),
        Some(Decision::Free(3))
    );
    assert!(retirement.is_empty());
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A message comes, and is settled at once.
    Use(DestinationIndex),
    /// A name is created anew at an index that is free.
    Create(DestinationIndex),
    /// Of a name, the next of the agents that have not answered does.
    Answer(DestinationIndex, bool),
    Refuse(DestinationIndex),
    Cycle,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let at = CONFIGURED..CONFIGURED + 4;
    prop_oneof![
        1 => at.clone().prop_map(Event::Use),
        1 => at.clone().prop_map(Event::Create),
        8 => (at.clone(), prop::bool::weighted(0.8)).prop_map(|(at, may)| Event::Answer(at, may)),
        1 => at.prop_map(Event::Refuse),
        8 => Just(Event::Cycle),
        4 => (1..200_u64).prop_map(Event::Pass),
    ]
}

/// What the naive model knows of an index; `accepted`: `None`: it has no name.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    accepted: Option<u64>,
    used_ms: u64,
    answers_left: usize,
    consents: bool,
    asked_ms: Option<u64>,
    is_ending: bool,
}

/// The retirement of four names beside the model.
struct Rig {
    retirement: Retirement,
    model: BTreeMap<DestinationIndex, Known>,
    now_ms: u64,
}

impl Rig {
    fn new() -> Self {
        let known = Known {
            accepted: Some(0),
            ..Known::default()
        };
        Self {
            retirement: Retirement::new(CONFIGURED, 2),
            model: (CONFIGURED..CONFIGURED + 4).map(|it| (it, known)).collect(),
            now_ms: 0,
        }
    }

    fn take(&mut self, event: Event) -> Result<(), TestCaseError> {
        let now_ms = self.now_ms;
        match event {
            Event::Use(at) => {
                let known = self.known(at);
                known.used_ms = now_ms;
                known.accepted = known.accepted.map(|it| it + 1);
            }
            Event::Create(at) => {
                let known = self.known(at);
                if known.accepted.is_none() && !known.is_ending {
                    *known = Known {
                        accepted: Some(0),
                        used_ms: now_ms,
                        ..Known::default()
                    };
                }
            }
            Event::Answer(at, may_go) => {
                let known = self.known(at);
                if known.answers_left > 0 {
                    known.answers_left -= 1;
                    known.consents &= may_go;
                    self.retirement.answer(at, may_go);
                }
            }
            Event::Refuse(at) => {
                let known = self.known(at);
                if known.asked_ms.is_some() {
                    known.consents = false;
                    self.retirement.refuse(at);
                }
            }
            Event::Pass(ms) => self.now_ms += ms,
            Event::Cycle => {
                while let Some(decision) = self.retirement.decide(now_at(now_ms)) {
                    self.decided(decision)?;
                }
                self.ask_about_next()?;
            }
        }
        Ok(())
    }

    fn known(&mut self, at: DestinationIndex) -> &mut Known {
        self.model.get_mut(&at).expect("one of four")
    }

    fn decided(&mut self, decision: Decision) -> Result<(), TestCaseError> {
        let now_ms = self.now_ms;
        match decision {
            Decision::MayGo(at) => {
                let agents = at as usize % 3;
                let known = self.known(at);
                prop_assert!(known.asked_ms.is_some() && known.consents);
                prop_assert_eq!(known.answers_left, 0);
                (known.accepted, known.asked_ms) = (None, None);
                (known.is_ending, known.answers_left) = (true, agents);
                self.retirement.end(at, agents);
            }
            Decision::Stays(at) => {
                let known = self.known(at);
                let asked_ms = known.asked_ms.take();
                let waited_ms = now_ms - asked_ms.expect("it was asked about");
                let is_late = waited_ms >= RETIRE_ANSWER_NS / 1_000_000;
                prop_assert!(is_late || !known.consents);
            }
            Decision::Free(at) => {
                let known = self.known(at);
                prop_assert!(known.is_ending && known.answers_left == 0);
                known.is_ending = false;
            }
        }
        Ok(())
    }

    fn ask_about_next(&mut self) -> Result<(), TestCaseError> {
        let now_ms = self.now_ms;
        let (all, model) = (CONFIGURED + 4, &self.model);
        let look = |at| {
            let accepted = model[&at].accepted?;
            Some(Use {
                accepted,
                is_idle: true,
            })
        };
        let Some(at) = self.retirement.next(all, true, now_at(now_ms), look) else {
            return Ok(());
        };
        self.retirement.ask(at, now_at(now_ms));
        let known = self.known(at);
        prop_assert!(known.asked_ms.is_none() && known.answers_left == 0);
        let unused_ms = now_ms - known.used_ms;
        prop_assert!(unused_ms >= RETIRE_UNUSED_OVER_HALF_NS / 1_000_000);
        (known.asked_ms, known.answers_left) = (Some(now_ms), 3);
        known.consents = true;
        Ok(())
    }
}

proptest! {
    /// Three agents and four names.
    #[test]
    fn a_name_goes_only_with_everybodys_consent_and_unused(
        events in prop::collection::vec(event(), 1..400),
    ) {
        let mut rig = Rig::new();
        for event in events {
            rig.take(event)?;
        }
    }
}
