//! Lookups: the names and patterns of a `subscribe` line become destinations, some each duty cycle,
//! and these go to the scheduler in batches.
//!
//! A subscriber's lines feed it, and names that messages create. Values only.
//!
//! ```text
//!  {"subscribe":[...]} -> names, patterns -> destinations -> Subscribe, Subscribe, last
//!  {"subscribed":[...],"standby":[...]}  <------------------ Assigned,  Assigned,  last
//! ```

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

use super::report::Subscribe;
use crate::access::User;
use crate::counters::{Counter, Counters};
use crate::limits::{NAME_LEN_MAX, NAMES_PER_CYCLE, PATTERNS_MAX};
use crate::message::{DestinationIndex, Directory, Found, Pattern};

/// Destinations that an error names.
const NAMES_SHOWN: usize = 10;

/// Names that are compared in the time that it takes to create one.
const CREATION_NAMES: usize = 16;

/// What one line asks for, or what is new for patterns of earlier ones.
#[derive(Debug)]
pub(super) struct Lookup {
    wanted: VecDeque<Wanted>,
    /// Destinations that the connection had not asked for before.
    found: VecDeque<DestinationIndex>,
    /// The subscriber waits for an answer, though nothing be found.
    is_asked: bool,
}

#[derive(Debug)]
enum Wanted {
    Name(String),
    Matching {
        pattern: Pattern,
        /// Names of lower numbers were compared.
        next: u64,
        /// One of them fits.
        fits: bool,
    },
}

impl Lookup {
    /// What a line asks for.
    pub(super) fn of_line(names: Vec<String>) -> Self {
        let wanted = names.into_iter().map(|name| match Pattern::parse(&name) {
            Some(pattern) => Wanted::matching(pattern, 0),
            None => Wanted::Name(name),
        });
        Self {
            wanted: wanted.collect(),
            found: VecDeque::new(),
            is_asked: true,
        }
    }

    /// Names with numbers from `first` on that fit one of these patterns.
    pub(super) fn of_new(patterns: &[Pattern], first: u64) -> Self {
        let wanted = patterns.iter().cloned();
        Self {
            wanted: wanted.map(|it| Wanted::matching(it, first)).collect(),
            found: VecDeque::new(),
            is_asked: false,
        }
    }

    /// Turns some more of what is wanted into destinations; returns how many names it has compared. A
    /// name that may be about to go is waited for.
    ///
    /// # Errors
    /// There is no such destination.
    pub(super) fn find(
        &mut self,
        requested: &mut Requested,
        directory: &mut Directory,
        counters: &Counters,
        names_max: usize,
    ) -> Result<usize, String> {
        let mut looked_at = 0;
        while looked_at < names_max {
            let Some(wanted) = self.wanted.pop_front() else {
                break;
            };
            looked_at += 1;
            match wanted {
                Wanted::Name(name) => {
                    if !requested.may_receive(&name) {
                        counters.add(Counter::RightsRefused, 1);
                        return Err(not_for_user(&name));
                    }
                    let before = directory.next_number();
                    let found = find(directory, &name, counters);
                    let found = match requested.user {
                        Some(_) => found.map_err(|_| not_for_user(&name))?,
                        None => found?,
                    };
                    let Some(index) = found else {
                        self.wanted.push_front(Wanted::Name(name));
                        break;
                    };
                    if directory.next_number() > before {
                        looked_at += CREATION_NAMES;
                    }
                    self.take(requested, index, Via::Name);
                }
                Wanted::Matching {
                    pattern,
                    next,
                    fits,
                } => {
                    if !self.compare(pattern, (next, fits), requested, directory)? {
                        break;
                    }
                }
            }
        }
        Ok(looked_at)
    }

    /// Compares a pattern with the next name; `false`: that is waited for.
    fn compare(
        &mut self,
        pattern: Pattern,
        (next, fits): (u64, bool),
        requested: &mut Requested,
        directory: &Directory,
    ) -> Result<bool, String> {
        let Some(created) = directory.next_created(next) else {
            if self.is_asked {
                if !fits && !directory.may_create() {
                    let pattern = pattern.as_str();
                    if requested.user.is_some() {
                        return Err(not_for_user(pattern));
                    }
                    let why = format!("no destination matches {pattern:?}");
                    return Err(with_names(directory, why));
                }
                requested.add_pattern(pattern)?;
            }
            return Ok(true);
        };
        let is_match = pattern.matches(&created.name) && requested.may_receive(&created.name);
        let may_take = is_match && !created.is_retiring;
        if may_take {
            self.take(requested, created.index, Via::Pattern);
        }
        let is_done = may_take || !is_match;
        self.wanted.push_front(Wanted::Matching {
            pattern,
            next: if is_done { created.number + 1 } else { next },
            fits: fits || is_match,
        });
        Ok(is_done)
    }

    /// Whether all names and patterns were looked up.
    pub(super) fn is_found(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The next batch for the scheduler, once all is found; `None`: nothing is left to be sent.
    pub(super) fn next_batch(&mut self, ack: bool) -> Option<Subscribe> {
        let count = self.found.len().min(NAMES_PER_CYCLE);
        let destinations: Vec<_> = self.found.drain(..count).collect();
        if destinations.is_empty() && !self.is_asked {
            return None;
        }
        Some(Subscribe {
            destinations,
            ack,
            is_last: self.found.is_empty(),
        })
    }

    fn take(&mut self, requested: &mut Requested, index: DestinationIndex, via: Via) {
        match requested.destinations.entry(index) {
            Entry::Vacant(entry) => {
                entry.insert(via);
                self.found.push_back(index);
            }
            Entry::Occupied(mut entry) if via == Via::Name => {
                entry.insert(via);
            }
            Entry::Occupied(_) => {}
        }
    }
}

impl Wanted {
    fn matching(pattern: Pattern, next: u64) -> Self {
        Self::Matching {
            pattern,
            next,
            fits: false,
        }
    }
}

/// By what a connection has asked for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    /// By its name, perhaps by a pattern too.
    Name,
    /// By a pattern alone: the name may go, and the pattern still waits for it.
    Pattern,
}

/// What a connection has asked for.
#[derive(Debug, Default)]
pub(super) struct Requested {
    /// Who asks; `None`: nobody is asked.
    pub(super) user: Option<Arc<User>>,
    destinations: HashMap<DestinationIndex, Via, ahash::RandomState>,
    pub(super) patterns: Vec<Pattern>,
}

impl Requested {
    /// How many destinations.
    pub(super) fn len(&self) -> usize {
        self.destinations.len()
    }

    fn may_receive(&self, name: &str) -> bool {
        self.user.as_ref().is_none_or(|it| it.may_receive(name))
    }

    /// Whether a destination was asked for by its name.
    pub(super) fn is_named(&self, destination: DestinationIndex) -> bool {
        self.destinations.get(&destination) == Some(&Via::Name)
    }

    /// Whether a destination was asked for.
    pub(super) fn has(&self, destination: DestinationIndex) -> bool {
        self.destinations.contains_key(&destination)
    }

    /// All destinations that were asked for.
    pub(super) fn indices(&self) -> impl Iterator<Item = DestinationIndex> {
        self.destinations.keys().copied()
    }

    /// The name of a destination is gone.
    pub(super) fn remove(&mut self, destination: DestinationIndex) {
        self.destinations.remove(&destination);
    }

    fn add_pattern(&mut self, pattern: Pattern) -> Result<(), String> {
        if self.patterns.contains(&pattern) {
            return Ok(());
        }
        if self.patterns.len() == PATTERNS_MAX {
            return Err(format!(
                "more than {PATTERNS_MAX} patterns on one connection; subscribe to fewer and wider ones"
            ));
        }
        self.patterns.push(pattern);
        Ok(())
    }
}

/// The index of a destination, which is created where that is allowed; `None`: it may be about to go.
fn find(
    directory: &mut Directory,
    name: &str,
    counters: &Counters,
) -> Result<Option<DestinationIndex>, String> {
    let is_name = (1..=NAME_LEN_MAX).contains(&name.len());
    let found = match is_name {
        true => directory.look_or_create(name),
        false => Found::Nowhere,
    };
    if found != Found::Nowhere {
        return Ok(found.index());
    }
    let why = format!("unknown destination {name:?}");
    if is_name && directory.may_create_this(name) {
        counters.add(Counter::DestinationsFull, 1);
        return Err(format!(
            "{why}, and no more are created: [scheduler] max_destinations is reached"
        ));
    }
    Err(with_names(directory, why))
}

/// What a user is told of a destination, whether there is one or not.
fn not_for_user(name: &str) -> String {
    format!("no destination {name:?} that this user may receive")
}

/// An error, with some of the destinations that there are.
fn with_names(directory: &Directory, why: String) -> String {
    let names = directory.first(NAMES_SHOWN);
    let shown: Vec<&str> = names.iter().map(|it| &**it).collect();
    let more = if directory.count() > shown.len() {
        ", ..."
    } else {
        ""
    };
    format!("{why}; there are {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lookup: &mut Lookup, requested: &mut Requested, directory: &mut Directory, step: usize) {
        while !lookup.wanted.is_empty() {
            let found = lookup.find(requested, directory, &Counters::default(), step);
            found.expect("all are there");
        }
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|it| format!("table{it}")).collect()
    }

    fn directory(names: &[String], may_create: bool) -> Directory {
        Directory::new(names.iter().map(String::as_str), may_create, 1_000)
    }

    #[test]
    fn whatever_the_step_each_destination_is_found_once() {
        let all = names(30);
        for step in 1..40 {
            let mut directory = directory(&all, false);
            let wanted = ["table7", "table1*", "table7", "*", "table1*"];
            let mut lookup = Lookup::of_line(wanted.map(str::to_owned).to_vec());
            let mut requested = Requested::default();
            run(&mut lookup, &mut requested, &mut directory, step);
            let mut found: Vec<_> = lookup.found.iter().copied().collect();
            assert_eq!(found[..3], [7, 1, 10], "in the order asked for");
            found.sort_unstable();
            assert_eq!(found, (0..30).collect::<Vec<_>>());
            assert_eq!((requested.len(), requested.patterns.len()), (30, 2));
            let mut again = Lookup::of_line(vec!["table*".to_owned(), "table3".to_owned()]);
            run(&mut again, &mut requested, &mut directory, step);
            assert!(again.found.is_empty(), "a later line adds nothing");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let mut directory = directory(&names(11), false);
        for wanted in ["table99", "chair*", "", &"x".repeat(51)] {
            let mut lookup = Lookup::of_line(vec![wanted.to_owned()]);
            let (requested, counters) = (&mut Requested::default(), &Counters::default());
            let why = lookup.find(requested, &mut directory, counters, 100);
            let why = why.expect_err("there is none");
            assert!(why.contains(&format!("{wanted:?}")), "{why}");
            assert!(why.contains("there are table0, ") && why.ends_with("table9, ..."));
        }
    }

    #[test]
    fn where_names_are_created_a_pattern_waits_for_them() {
        let mut directory = directory(&[], true);
        let mut requested = Requested::default();
        let mut lookup = Lookup::of_line(vec!["t*".to_owned()]);
        run(&mut lookup, &mut requested, &mut directory, 1);
        assert!(lookup.found.is_empty());
        for name in ["other", "table1", "t"] {
            directory.find_or_create(name);
        }
        let mut new = Lookup::of_new(&requested.patterns, 0);
        run(&mut new, &mut requested, &mut directory, 1);
        assert_eq!(new.found, [1, 2]);
    }

    #[test]
    fn a_name_that_may_be_about_to_go_is_waited_for() {
        for wanted in ["table1", "table*"] {
            for keeps in [true, false] {
                let mut directory = directory(&names(1), true);
                directory.find_or_create("table1");
                directory.begin_retiring(1);
                directory.forget(1);
                let mut lookup = Lookup::of_line(vec![wanted.to_owned()]);
                let (requested, counters) = (&mut Requested::default(), &Counters::default());
                for _ in 0..3 {
                    let looked_at = lookup.find(requested, &mut directory, counters, 100);
                    assert!(looked_at.is_ok_and(|it| it > 0), "it is work, and goes on");
                    assert!(!lookup.is_found());
                }
                if keeps {
                    directory.keep(1);
                } else {
                    directory.retire(1);
                    directory.find_or_create("other");
                }
                run(&mut lookup, requested, &mut directory, 100);
                let expected: &[_] = match (wanted, keeps) {
                    ("table1", true) => &[1],
                    ("table1", false) => &[3],
                    (_, true) => &[0, 1],
                    (_, false) => &[0],
                };
                assert_eq!(lookup.found, expected, "{wanted} {keeps}");
                assert_eq!(requested.is_named(expected[0]), wanted == "table1");
            }
        }
    }

    #[test]
    fn what_was_asked_for_by_pattern_and_by_name_is_asked_for_by_name() {
        let mut directory = directory(&names(3), true);
        let mut requested = Requested::default();
        for line in ["table*", "table1"] {
            let mut lookup = Lookup::of_line(vec![line.to_owned()]);
            run(&mut lookup, &mut requested, &mut directory, 100);
        }
        let named = [0, 1, 2].map(|it| requested.is_named(it));
        assert_eq!(named, [false, true, false]);
        requested.remove(0);
        assert_eq!(requested.len(), 2);
    }

    #[test]
    fn patterns_are_bounded() {
        let mut directory = directory(&names(100), false);
        let patterns = (0..=PATTERNS_MAX).map(|it| format!("table{}*", it % 100));
        let mut lookup = Lookup::of_line(patterns.collect());
        let (requested, counters) = (&mut Requested::default(), &Counters::default());
        let why = lookup.find(requested, &mut directory, counters, usize::MAX);
        assert!(why.expect_err("one too many").contains("patterns"));
    }
}
