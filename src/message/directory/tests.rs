//! Names come and go, and no agent takes one for another.

use proptest::prelude::*;

use super::*;
use crate::message::Pattern;

mod model;

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
    assert_eq!(one.place("c"), Placed::At(2));
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
    assert_eq!(one.place("b"), Placed::At(1));
    assert!(one.configure(|_| true).is_empty());
    assert_eq!(one.next_created(next).map(|it| it.index), Some(1));
    assert_eq!(one.find("b"), Some(1));
}

#[test]
fn names_of_the_settings_do_not_go_and_closed_ones_give_their_room_back() {
    let mut one = Directory::new(["a", "b"], false, 1);
    assert_eq!(one.indices_max(), 4, "two for each that is there");
    one.configure(|it| it == 0);
    assert!(!one.begin_retiring(0) && one.begin_retiring(1));
    assert_eq!(one.place("b"), Placed::Retiring);
    assert_eq!(
        (one.place("c"), one.place("d")),
        (Placed::At(2), Placed::At(3))
    );
    assert_eq!(one.place("e"), Placed::NoRoom);
    one.retire(1);
    one.release(1);
    assert_eq!(one.place("e"), Placed::At(1));
    one.configure(|_| true);
    assert_eq!(
        (one.find("e"), one.find("b"), one.count()),
        (Some(1), None, 4)
    );
}

#[test]
fn where_names_are_created_one_that_leaves_the_settings_is_a_created_one() {
    let mut one = Directory::new(["a"], true, 9);
    one.configure(|_| true);
    assert_eq!(one.find_or_create("b"), Some(1));
    assert_eq!(
        (one.place("b"), one.place("c")),
        (Placed::At(1), Placed::At(2))
    );
    assert_eq!(one.find("c"), Some(2));
    assert!(one.configure(|it| it == 1).is_empty());
    assert_eq!(one.find("a"), Some(0));
    assert!(!one.begin_retiring(1) && one.begin_retiring(0));
}

fn fitting(patterns: &[&str]) -> Creation {
    let patterns = patterns.iter().filter_map(|it| Pattern::parse(it));
    Creation::Fitting(patterns.collect())
}

#[test]
fn a_name_that_fits_no_pattern_is_closed_where_only_those_that_do_are_created() {
    let mut one = Directory::new(["a", "t1"], false, 9).creating(fitting(&["t*"]));
    one.configure(|it| it < 2);
    assert_eq!(one.find_or_create("t2"), Some(2));
    assert_eq!(one.configure(|_| false), [0]);
    one.forget(0);
    let found = ["a", "t1", "t2"].map(|it| one.find(it));
    assert_eq!(found, [None, Some(1), Some(2)]);
    assert_eq!(one.place("b"), Placed::At(3));
    assert_eq!(one.find("b"), None, "it is not open yet");
}

#[test]
fn names_that_are_created_no_more_are_closed_and_found_again_when_they_are() {
    let one = Directory::new(["a"], false, 9);
    let mut other = one.clone();
    one.configure(|it| it == 0);
    assert_eq!(other.find_or_create("t1"), None);
    assert!(
        one.configure_creating(fitting(&["t*"]), |it| it == 0)
            .is_empty()
    );
    assert_eq!(other.find_or_create("t1"), Some(1));
    assert_eq!(other.find_or_create("u1"), None);
    // Another pattern, and what it has closed is forgotten.
    assert_eq!(one.configure_creating(fitting(&["u*"]), |it| it == 0), [1]);
    other.forget(1);
    assert_eq!((other.find_or_create("t1"), other.count()), (None, 1));
    assert_eq!(other.find_or_create("u1"), Some(2));
    assert!(
        one.configure_creating(Creation::All, |it| it == 0)
            .is_empty()
    );
    assert_eq!(
        (other.find("t1"), other.find_or_create("v")),
        (Some(1), Some(3))
    );
    let closed = one.configure_creating(Creation::None, |it| it == 3);
    assert_eq!(closed, [0, 1, 2]);
    assert!(!one.may_create() && one.count() == 1);
}

#[test]
fn closed_names_leave_no_more_indices_than_there_may_be_and_may_go() {
    let mut one = Directory::new(["a"], false, 2).creating(Creation::All);
    assert_eq!(one.find_or_create("t1"), Some(1));
    assert!(one.is_full());
    one.configure_creating(fitting(&["u*"]), |_| false);
    (0..2).for_each(|it| one.forget(it));
    assert_eq!(one.find_or_create("u1"), Some(2));
    assert_eq!(one.find_or_create("u2"), Some(3));
    let closed = one.configure_creating(fitting(&["v*"]), |_| false);
    closed.iter().for_each(|it| one.forget(*it));
    assert_eq!(one.count(), 0);
    assert_eq!(one.find_or_create("v1"), None, "no index is left");
    assert!(one.is_full() && one.may_retire(0), "those that went may go");
    one.begin_retiring(0);
    one.retire(0);
    one.release(0);
    assert_eq!(one.find_or_create("v1"), Some(0));
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
