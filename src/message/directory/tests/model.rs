//! Three agents' directories beside a naive model, while names come, go, are closed and opened.

use proptest::prelude::*;

use super::fitting;
use crate::message::directory::{Creation, Directory, Found};

/// What an agent, or whoever retires names, does next.
#[derive(Debug, Clone)]
enum Step {
    Ask {
        agent: usize,
        name: String,
        creates: bool,
    },
    Begin(usize),
    Forget {
        agent: usize,
    },
    End {
        keeps: bool,
    },
    Release,
    /// From now on these are created; the settings name none.
    Create(Creates),
}

/// Which names are created.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Creates {
    All,
    /// Those that begin with `a`.
    Some,
    None,
}

impl Creates {
    fn allows(self, name: &str) -> bool {
        self == Self::All || self == Self::Some && name.starts_with('a')
    }

    fn creation(self) -> Creation {
        match self {
            Self::All => Creation::All,
            Self::Some => fitting(&["a*"]),
            Self::None => Creation::None,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, "[a-d]{1,2}|[a-d]{20}", any::<bool>())
            .prop_map(|(agent, name, creates)| Step::Ask { agent, name, creates }),
        2 => (0..9_usize).prop_map(Step::Begin),
        3 => (0..3_usize).prop_map(|agent| Step::Forget { agent }),
        2 => any::<bool>().prop_map(|keeps| Step::End { keeps }),
        1 => Just(Step::Release),
        1 => prop_oneof![Just(Creates::All), Just(Creates::Some), Just(Creates::None)]
            .prop_map(Step::Create),
    ]
}

/// The naive model: which name each index has, who has not forgotten the one that is retiring.
#[derive(Debug)]
struct Model {
    creates: Creates,
    names: Vec<Option<String>>,
    retiring: Option<(usize, Vec<usize>)>,
    vacant: Vec<usize>,
}

impl Model {
    fn at(&self, name: &str) -> Option<usize> {
        let is_it = |it: &Option<String>| it.as_deref() == Some(name);
        self.names.iter().position(is_it)
    }

    /// Those that may not be created are closed.
    fn count(&self) -> usize {
        let names = self.names.iter().flatten();
        names.filter(|it| self.creates.allows(it)).count()
    }

    fn may_add(&self, name: &str, max: usize) -> bool {
        let is_free =
            |(at, it): (usize, &Option<String>)| it.is_none() && !self.vacant.contains(&at);
        let has_index = self.names.len() < 2 * max || self.names.iter().enumerate().any(is_free);
        self.creates.allows(name) && self.count() < max && has_index
    }
}

/// Three agents' directories beside the model.
struct Rig {
    agents: [Directory; 3],
    model: Model,
    max: usize,
}

impl Rig {
    fn new(max: usize) -> Self {
        let first = Directory::new([], true, max);
        Self {
            agents: [first.clone(), first.clone(), first],
            model: Model {
                creates: Creates::All,
                names: Vec::new(),
                retiring: None,
                vacant: Vec::new(),
            },
            max,
        }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Ask {
                agent,
                name,
                creates,
            } => self.ask(agent, name, creates)?,
            Step::Begin(at) => self.begin(at),
            Step::Forget { agent } => {
                if let Some((at, left)) = &mut self.model.retiring {
                    self.agents[agent].forget(*at as u32);
                    left.retain(|it| *it != agent);
                }
            }
            Step::End { keeps } => self.end(keeps),
            Step::Release => {
                if let Some(at) = self.model.vacant.pop() {
                    self.agents[0].release(at as u32);
                }
            }
            Step::Create(creates) => {
                let closed = self.agents[0].configure_creating(creates.creation(), |_| false);
                for (agent, index) in (0..3).flat_map(|it| closed.iter().map(move |at| (it, *at))) {
                    self.agents[agent].forget(index);
                }
                self.model.creates = creates;
            }
        }
        Ok(())
    }

    fn ask(&mut self, agent: usize, name: String, creates: bool) -> Result<(), TestCaseError> {
        let found = match creates {
            true => self.agents[agent].look_or_create(&name),
            false => self.agents[agent].look(&name),
        };
        let (model, max) = (&mut self.model, self.max);
        let may_add = model.may_add(&name, max);
        match (found, model.at(&name), &model.retiring) {
            (found, Some(_), _) if !model.creates.allows(&name) => {
                prop_assert_eq!(found, Found::Nowhere, "it is closed");
            }
            (Found::At(index), Some(at), Some((retiring, left))) if at == *retiring => {
                prop_assert_eq!(index as usize, at);
                prop_assert!(left.contains(&agent), "it has forgotten it");
            }
            (Found::Retiring, Some(at), Some((retiring, _))) => prop_assert_eq!(at, *retiring),
            (Found::At(index), Some(at), _) => prop_assert_eq!(index as usize, at),
            (Found::At(index), None, _) => {
                prop_assert!(creates && may_add);
                let at = index as usize;
                model.names.resize(model.names.len().max(at + 1), None);
                prop_assert_eq!(&model.names[at], &None, "it is another's");
                prop_assert!(!model.vacant.contains(&at));
                model.names[at] = Some(name);
            }
            (Found::Nowhere, None, _) => prop_assert!(!creates || !may_add),
            other => prop_assert!(false, "{:?}", other),
        }
        Ok(())
    }

    fn begin(&mut self, at: usize) {
        let is_there = self.model.names.get(at).is_some_and(Option::is_some);
        if self.model.retiring.is_none() && is_there {
            self.agents[0].begin_retiring(at as u32);
            self.model.retiring = Some((at, vec![0, 1, 2]));
        }
    }

    fn end(&mut self, keeps: bool) {
        let Some((at, left)) = self.model.retiring.take() else {
            return;
        };
        if keeps {
            self.agents[0].keep(at as u32);
        } else if left.is_empty() {
            self.agents[0].retire(at as u32);
            self.model.names[at] = None;
            self.model.vacant.push(at);
        } else {
            self.model.retiring = Some((at, left));
        }
    }
}

proptest! {
    /// One name at a time is retired, as slowly as the steps will have it.
    #[test]
    fn names_that_come_and_go_are_never_taken_for_each_other(
        steps in prop::collection::vec(step(), 1..300),
        max in 1..9_usize,
    ) {
        let mut rig = Rig::new(max);
        for step in steps {
            rig.take(step)?;
            let (one, model) = (&rig.agents[0], &rig.model);
            prop_assert_eq!(one.count(), model.count());
            let used = model.names.iter().flatten().count() + model.vacant.len();
            prop_assert_eq!(one.is_full(), model.count() >= max || used >= 2 * max);
            let may_retire = model.vacant.len() + 1 < max;
            prop_assert_eq!(one.may_retire(1), may_retire);
        }
    }
}
