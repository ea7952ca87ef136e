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
use std::sync::Arc;

use super::report::Subscribe;
use crate::access::User;
use crate::counters::{Counter, Counters};
use crate::limits::{NAME_LEN_MAX, NAMES_PER_CYCLE, PATTERNS_MAX};
use crate::message::{DestinationIndex, Directory, Pattern};

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
        /// Names before this one were compared.
        next: DestinationIndex,
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

    /// Names from `first` on that fit one of these patterns.
    pub(super) fn of_new(patterns: &[Pattern], first: DestinationIndex) -> Self {
        let wanted = patterns.iter().cloned();
        Self {
            wanted: wanted.map(|it| Wanted::matching(it, first)).collect(),
            found: VecDeque::new(),
            is_asked: false,
        }
    }

    /// Turns some more of what is wanted into destinations; returns how many names it has compared.
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
                    let before = directory.len();
                    if !requested.may_receive(&name) {
                        counters.add(Counter::RightsRefused, 1);
                        return Err(not_for_user(&name));
                    }
                    let found = find(directory, &name, counters);
                    let index = match requested.user {
                        Some(_) => found.map_err(|_| not_for_user(&name))?,
                        None => found?,
                    };
                    if directory.len() > before {
                        looked_at += CREATION_NAMES;
                    }
                    self.take(requested, index);
                }
                Wanted::Matching {
                    pattern,
                    next,
                    fits,
                } if (next as usize) < directory.len() => {
                    let fits_it = |it: &str| pattern.matches(it) && requested.may_receive(it);
                    let is_new = directory.name(next).is_some_and(|it| fits_it(&it));
                    if is_new {
                        self.take(requested, next);
                    }
                    self.wanted.push_front(Wanted::Matching {
                        pattern,
                        next: next + 1,
                        fits: fits || is_new,
                    });
                }
                Wanted::Matching { pattern, fits, .. } if self.is_asked => {
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
                Wanted::Matching { .. } => {}
            }
        }
        Ok(looked_at)
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

    fn take(&mut self, requested: &mut Requested, index: DestinationIndex) {
        if requested.destinations.insert(index) {
            self.found.push_back(index);
        }
    }
}

impl Wanted {
    fn matching(pattern: Pattern, next: DestinationIndex) -> Self {
        Self::Matching {
            pattern,
            next,
            fits: false,
        }
    }
}

/// What a connection has asked for.
#[derive(Debug, Default)]
pub(super) struct Requested {
    /// Who asks; `None`: nobody is asked.
    pub(super) user: Option<Arc<User>>,
    destinations: std::collections::HashSet<DestinationIndex, ahash::RandomState>,
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

/// The index of a destination, which is created where that is allowed.
fn find(
    directory: &mut Directory,
    name: &str,
    counters: &Counters,
) -> Result<DestinationIndex, String> {
    let before = directory.len();
    let is_name = (1..=NAME_LEN_MAX).contains(&name.len());
    let found = is_name.then(|| directory.find_or_create(name)).flatten();
    let count = directory.len();
    if count > before {
        counters.set(Counter::Destinations, count as u64);
    }
    if is_name && found.is_none() && directory.may_create() {
        counters.add(Counter::DestinationsFull, 1);
    }
    found.ok_or_else(|| with_names(directory, format!("unknown destination {name:?}")))
}

/// What a user is told of a destination, whether there is one or not.
fn not_for_user(name: &str) -> String {
    format!("no destination {name:?} that this user may receive")
}

/// An error, with some of the destinations that there are.
fn with_names(directory: &Directory, why: String) -> String {
    let names = directory.first(NAMES_SHOWN);
    let shown: Vec<&str> = names.iter().map(|it| &**it).collect();
    let more = if directory.len() > shown.len() {
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
    fn patterns_are_bounded() {
        let mut directory = directory(&names(100), false);
        let patterns = (0..=PATTERNS_MAX).map(|it| format!("table{}*", it % 100));
        let mut lookup = Lookup::of_line(patterns.collect());
        let (requested, counters) = (&mut Requested::default(), &Counters::default());
        let why = lookup.find(requested, &mut directory, counters, usize::MAX);
        assert!(why.expect_err("one too many").contains("patterns"));
    }
}
