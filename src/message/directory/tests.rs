//! Names come and go, and no agent takes one for another.

use proptest::prelude::*;

use super::*;

#[test]
fn clones_learn_of_names_that_others_created() {
    let mut one = Directory::new(["table1"], true, 3);
    let mut other = one.clone();
    assert_eq!(one.find_or_create("table1"), Some(0));
    assert_eq!(one.find_or_create("table2"), Some(1));
    assert_eq!(other.find_or_create("table2"), Some(1));
    assert_eq!(other.find_or_create("table3"), Some(2));
    assert_eq!(one.find_or_create("table4"), None, "three is the bound");
    assert_eq!(one.name(2).as_deref(), Some("table3"));
}

#[test]
fn a_closed_directory_creates_nothing() {
    let mut directory = Directory::new(["a", "b"], false, 100);
    assert_eq!(directory.find_or_create("c"), None);
    assert_eq!(directory.len(), 2);
    assert_eq!(directory.adopt("c"), 2, "messages wait for it");
    assert_eq!(directory.clone().find("c"), Some(2));
}

#[test]
fn what_is_kept_at_start_has_indices_without_holes() {
    let mut directory = Directory::new(["a", "b"], true, 100);
    assert_eq!((directory.adopt("c"), directory.adopt("d")), (2, 3));
    let indices = directory.retain(|index| index != 2);
    assert_eq!(indices, [Some(0), Some(1), None, Some(2)]);
    assert_eq!(directory.find("d"), Some(2));
    assert_eq!((directory.find("c"), directory.len()), (None, 3));
    assert_eq!(directory.find_or_create("c"), Some(3));
    assert_eq!(directory.name(2).as_deref(), Some("d"));
}

proptest! {
    #[test]
    fn agents_that_create_names_agree_with_one_table(
        steps in prop::collection::vec((0..3_usize, "[a-d]{1,3}|[a-d]{20}", any::<bool>()), 1..300),
        max in 1..60_usize,
    ) {
        let first = Directory::new(["a"], true, max);
        let mut agents = [first.clone(), first.clone(), first];
        let mut model = vec!["a".to_owned()];
        for (agent, name, creates) in steps {
            let found = match creates {
                true => agents[agent].find_or_create(&name),
                false => agents[agent].find(&name),
            };
            let at = model.iter().position(|it| *it == name);
            let at = at.or_else(|| {
                (creates && model.len() < max).then(|| {
                    model.push(name.clone());
                    model.len() - 1
                })
            });
            prop_assert_eq!(found, at.map(|it| it as u32));
            prop_assert_eq!(agents[agent].count(), model.len());
            prop_assert_eq!(agents[agent].is_full(), model.len() >= max);
        }
        let names = agents[0].first(usize::MAX);
        prop_assert!(names.iter().map(|it| &**it).eq(model.iter().map(String::as_str)));
    }
}

#[test]
fn a_name_that_leaves_the_settings_is_found_no_more_and_has_its_index_when_it_comes_back() {
    let mut one = Directory::new(["a", "b"], false, 9);
    assert!(one.configure(|it| it < 2).is_empty());
    assert_eq!((one.find("a"), one.find("b")), (Some(0), Some(1)));
    assert_eq!(one.place("c", 9), Placed::At(2));
    assert_eq!(
        (one.find("c"), one.count()),
        (None, 2),
        "it is not open yet"
    );
    assert_eq!(one.configure(|it| it != 1), [1]);
    one.forget(1);
    assert_eq!((one.find("b"), one.find("c")), (None, Some(2)));
    assert_eq!((one.count(), one.name(1).as_deref()), (2, Some("b")));
    let names: Vec<_> = one.first(9).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "c"]);
    // Those who look for new names find it when it comes back.
    let next = one.next_number();
    assert_eq!(one.place("b", 9), Placed::At(1));
    assert!(one.configure(|_| true).is_empty());
    assert_eq!(one.next_created(next).map(|it| it.index), Some(1));
    assert_eq!(one.find("b"), Some(1));
}

#[test]
fn names_of_the_settings_do_not_go_and_closed_ones_give_their_room_back() {
    let mut one = Directory::new(["a", "b"], false, 2);
    one.configure(|it| it == 0);
    assert!(!one.begin_retiring(0) && one.begin_retiring(1));
    assert_eq!(one.place("b", 2), Placed::Retiring);
    assert_eq!(one.place("c", 2), Placed::NoRoom);
    one.retire(1);
    one.release(1);
    assert_eq!(one.place("c", 2), Placed::At(1));
    one.configure(|_| true);
    assert_eq!(
        (one.find("c"), one.find("b"), one.count()),
        (Some(1), None, 2)
    );
}

#[test]
fn where_names_are_created_one_that_leaves_the_settings_is_a_created_one() {
    let mut one = Directory::new(["a"], true, 9);
    one.configure(|_| true);
    assert_eq!(one.find_or_create("b"), Some(1));
    assert_eq!(
        (one.place("b", 9), one.place("c", 9)),
        (Placed::At(1), Placed::At(2))
    );
    assert_eq!(one.find("c"), Some(2));
    assert!(one.configure(|it| it == 1).is_empty());
    assert_eq!(one.find("a"), Some(0));
    assert!(!one.begin_retiring(1) && one.begin_retiring(0));
}

#[test]
fn a_name_that_fits_no_pattern_is_closed_where_only_those_that_do_are_created() {
    let patterns = [Pattern::parse("t*").expect("a pattern")];
    let mut one = Directory::new(["a", "t1"], false, 9).creating(&patterns);
    one.configure(|it| it < 2);
    assert_eq!(one.find_or_create("t2"), Some(2));
    assert_eq!(one.configure(|_| false), [0]);
    one.forget(0);
    let found = ["a", "t1", "t2"].map(|it| one.find(it));
    assert_eq!(found, [None, Some(1), Some(2)]);
    assert_eq!(one.place("b", 9), Placed::At(3));
    assert_eq!(one.find("b"), None, "it is not open yet");
}

#[test]
fn an_index_whose_name_went_is_used_again_when_it_is_released() {
    let mut one = Directory::new(["a"], true, 3);
    let mut other = one.clone();
    assert_eq!(one.find_or_create("b"), Some(1));
    assert_eq!(other.find("b"), Some(1));
    one.begin_retiring(1);
    assert_eq!(one.look("b"), Found::At(1), "it has not forgotten it");
    one.forget(1);
    other.forget(1);
    assert_eq!(one.look("b"), Found::Retiring);
    assert_eq!(other.look_or_create("b"), Found::Retiring);
    one.keep(1);
    assert_eq!(
        (one.look("b"), other.look("b")),
        (Found::At(1), Found::At(1))
    );
    one.begin_retiring(1);
    one.forget(1);
    other.forget(1);
    one.retire(1);
    assert_eq!((one.look("b"), one.count()), (Found::Nowhere, 1));
    assert_eq!(one.name(1).as_deref(), Some("b"), "whoever shows it does");
    assert_eq!(other.find_or_create("c"), Some(2));
    assert_eq!(other.find_or_create("b"), Some(3), "it takes no room");
    assert_eq!(other.look_or_create("d"), Found::Nowhere, "three at most");
    one.begin_retiring(0);
    one.forget(0);
    other.forget(0);
    one.retire(0);
    one.release(1);
    assert_eq!(other.find_or_create("d"), Some(1));
    assert_eq!((one.find("d"), one.find("a")), (Some(1), None));
    let names = one.first(9);
    assert!(names.iter().map(|it| &**it).eq(["c", "b", "d"]));
}

#[test]
fn who_goes_through_names_by_their_numbers_meets_each_new_one_once() {
    let mut directory = Directory::new(["a"], true, 9);
    let mut next = 0;
    let mut all_new = |directory: &Directory| {
        let mut new = Vec::new();
        while let Some(created) = directory.next_created(next) {
            new.push((created.name.to_string(), created.index, created.is_retiring));
            next = created.number + 1;
        }
        assert_eq!(next, directory.next_number());
        new
    };
    directory.find_or_create("b");
    let new = all_new(&directory);
    assert_eq!(
        new,
        [("a".to_owned(), 0, false), ("b".to_owned(), 1, false)]
    );
    directory.begin_retiring(1);
    directory.forget(1);
    directory.retire(1);
    directory.release(1);
    assert!(all_new(&directory).is_empty());
    directory.find_or_create("c");
    directory.begin_retiring(1);
    assert_eq!(all_new(&directory), [("c".to_owned(), 1, true)]);
}

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
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, "[a-d]{1,2}|[a-d]{20}", any::<bool>())
            .prop_map(|(agent, name, creates)| Step::Ask { agent, name, creates }),
        2 => (0..9_usize).prop_map(Step::Begin),
        3 => (0..3_usize).prop_map(|agent| Step::Forget { agent }),
        2 => any::<bool>().prop_map(|keeps| Step::End { keeps }),
        1 => Just(Step::Release),
    ]
}

/// The naive model: which name each index has, who has not forgotten the one that is retiring.
#[derive(Debug, Default)]
struct Model {
    names: Vec<Option<String>>,
    retiring: Option<(usize, Vec<usize>)>,
    vacant: Vec<usize>,
}

impl Model {
    fn at(&self, name: &str) -> Option<usize> {
        let is_it = |it: &Option<String>| it.as_deref() == Some(name);
        self.names.iter().position(is_it)
    }

    fn count(&self) -> usize {
        self.names.iter().flatten().count()
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
            model: Model::default(),
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
        }
        Ok(())
    }

    fn ask(&mut self, agent: usize, name: String, creates: bool) -> Result<(), TestCaseError> {
        let found = match creates {
            true => self.agents[agent].look_or_create(&name),
            false => self.agents[agent].look(&name),
        };
        let (model, max) = (&mut self.model, self.max);
        let count = model.count();
        match (found, model.at(&name), &model.retiring) {
            (Found::At(index), Some(at), Some((retiring, left))) if at == *retiring => {
                prop_assert_eq!(index as usize, at);
                prop_assert!(left.contains(&agent), "it has forgotten it");
            }
            (Found::Retiring, Some(at), Some((retiring, _))) => prop_assert_eq!(at, *retiring),
            (Found::At(index), Some(at), _) => prop_assert_eq!(index as usize, at),
            (Found::At(index), None, _) => {
                prop_assert!(creates && count < max);
                let at = index as usize;
                model.names.resize(model.names.len().max(at + 1), None);
                prop_assert_eq!(&model.names[at], &None, "it is another's");
                prop_assert!(!model.vacant.contains(&at));
                model.names[at] = Some(name);
            }
            (Found::Nowhere, None, _) => prop_assert!(!creates || count >= max),
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
            prop_assert_eq!(one.is_full(), model.count() >= max);
            let may_retire = model.vacant.len() + 1 < max;
            prop_assert_eq!(one.may_retire(1), may_retire);
        }
    }
}

#[test]
fn a_hundred_thousand_names_grow_no_table() {
    const COUNT: usize = 100_000;
    let mut one = Directory::new([], true, COUNT);
    let mut other = one.clone();
    let mut agent = one.clone();
    let room = |it: &Directory| (it.known.capacity(), it.names().capacities());
    let before = room(&agent);
    for number in 0..COUNT {
        let name = format!("table{number}");
        assert_eq!(agent.find_or_create(&name), Some(number as u32));
        // Another agent takes over one name at a time.
        assert_eq!(other.find(&name), Some(number as u32));
        assert_eq!(other.known.len(), number + 1);
    }
    assert_eq!(room(&agent), before);
    assert_eq!(one.find("table7"), Some(7));
}
