//! Subscriptions on their way: names and patterns become destinations, some each duty cycle, and
//! these go to the scheduler in batches; its answers become one line.
//!
//! A subscriber's `subscribe` lines feed it, and names that messages create. While one is on its way
//! its connection is not read.
//!
//! ```text
//!  {"subscribe":[...]} -> names, patterns -> destinations -> Subscribe, Subscribe, last
//!  {"subscribed":[...],"standby":[...]}  <------------------ Assigned,  Assigned,  last
//! ```

use std::collections::VecDeque;

use super::DeliveryAgent;
use super::subscriber::{Connection, Phase};
use crate::clock::{Clock, Now};
use crate::counters::{Counter, Counters};
use crate::limits::{ANSWER_LEN_MAX, NAME_LEN_MAX, NAMES_PER_CYCLE, PATTERNS_MAX};
use crate::message::{DestinationIndex, Directory, Pattern};
use crate::net::{Key, Network};

/// Destinations that an error names.
const NAMES_SHOWN: usize = 10;

/// Names that could be looked at in the time that it takes to create one.
const CREATION_NAMES: usize = 16;

/// What one line asks for, or what is new for patterns of earlier ones.
#[derive(Debug)]
pub(super) struct Join {
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
        /// Names before this one were looked at.
        next: DestinationIndex,
        /// One of them fits.
        fits: bool,
    },
}

impl Join {
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
    fn of_new(patterns: &[Pattern], first: DestinationIndex) -> Self {
        let wanted = patterns.iter().cloned();
        Self {
            wanted: wanted.map(|it| Wanted::matching(it, first)).collect(),
            found: VecDeque::new(),
            is_asked: false,
        }
    }

    /// Turns some more of what is wanted into destinations; returns how many names it has looked at.
    ///
    /// # Errors
    /// There is no such destination.
    pub(super) fn find(
        &mut self,
        connection: &mut Taken,
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
                    let index = find(directory, &name, counters)?;
                    if directory.len() > before {
                        looked_at += CREATION_NAMES;
                    }
                    self.take(connection, index);
                }
                Wanted::Matching {
                    pattern,
                    next,
                    fits,
                } if (next as usize) < directory.len() => {
                    let is_new = directory.name(next).is_some_and(|it| pattern.matches(&it));
                    if is_new {
                        self.take(connection, next);
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
                        let why = format!("no destination matches {pattern:?}");
                        return Err(told(directory, why));
                    }
                    connection.keep(pattern)?;
                }
                Wanted::Matching { .. } => {}
            }
        }
        Ok(looked_at)
    }

    /// Whether all that was wanted was looked for.
    pub(super) fn is_found(&self) -> bool {
        self.wanted.is_empty()
    }

    fn take(&mut self, connection: &mut Taken, index: DestinationIndex) {
        if connection.destinations.insert(index) {
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
pub(super) struct Taken {
    destinations: std::collections::HashSet<DestinationIndex, ahash::RandomState>,
    patterns: Vec<Pattern>,
}

impl Taken {
    /// How many destinations.
    pub(super) fn len(&self) -> usize {
        self.destinations.len()
    }

    fn keep(&mut self, pattern: Pattern) -> Result<(), String> {
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

/// The scheduler's answers to one line, as the lists of the line that tells them.
#[derive(Debug, Default)]
pub(super) struct Answer {
    active: String,
    standby: String,
}

impl Answer {
    /// The line so far, where another name would make it too long.
    fn add(&mut self, name: &str, is_active: bool) -> Option<String> {
        let name = serde_json::json!(name).to_string();
        let len = self.active.len() + self.standby.len() + name.len();
        let full = (len > ANSWER_LEN_MAX).then(|| self.take_line());
        let list = if is_active {
            &mut self.active
        } else {
            &mut self.standby
        };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&name);
        full
    }

    fn take_line(&mut self) -> String {
        let Self { active, standby } = std::mem::take(self);
        format!("{{\"subscribed\":[{active}],\"standby\":[{standby}]}}")
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
    found.ok_or_else(|| told(directory, format!("unknown destination {name:?}")))
}

/// With some of the destinations that there are.
fn told(directory: &Directory, why: String) -> String {
    let names = directory.first(NAMES_SHOWN);
    let shown: Vec<&str> = names.iter().map(|it| &**it).collect();
    let more = match directory.len() > shown.len() {
        true => ", ...",
        false => "",
    };
    format!("{why}; there are {}{more}", shown.join(", "))
}

impl<N: Network, C: Clock> DeliveryAgent<N, C> {
    /// A subscription is to be worked on.
    pub(super) fn begin_join(&mut self, key: Key, connection: &mut Connection, join: Join) {
        if connection.joins.is_empty() {
            self.joining.push_back(key);
        }
        connection.joins.push_back(join);
    }

    /// Works on some subscriptions.
    pub(super) fn join(&mut self, now: Now) -> usize {
        let mut left = NAMES_PER_CYCLE;
        let mut work_count = 0;
        for _ in 0..self.joining.len() {
            if left == 0 {
                break;
            }
            let Some(key) = self.joining.pop_front() else {
                break;
            };
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            let joined = self.join_one(&mut connection, left);
            let looked_at = joined.unwrap_or_else(|why| {
                connection.joins.clear();
                self.turn_away(&mut connection, &why, now);
                1
            });
            left = left.saturating_sub(looked_at);
            work_count += looked_at;
            let is_over = connection.joins.is_empty();
            self.connections[key] = Some(connection);
            match is_over {
                true => self.enqueue(key),
                false => self.joining.push_back(key),
            }
            self.list(key);
            self.list_news(key);
        }
        work_count
    }

    /// Finds some destinations; where all are found, hands some over.
    fn join_one(&mut self, connection: &mut Connection, names_max: usize) -> Result<usize, String> {
        let Phase::Subscribed { ack } = connection.phase else {
            connection.joins.clear();
            return Ok(0);
        };
        let Some(join) = connection.joins.front_mut() else {
            return Ok(0);
        };
        let directory = &mut self.parts.destinations;
        let counters = &self.parts.counters;
        let looked_at = join.find(&mut connection.taken, directory, counters, names_max)?;
        // What was found before goes first.
        if !join.is_found() || connection.news.subscribe.is_some() {
            return Ok(looked_at);
        }
        let count = join.found.len().min(NAMES_PER_CYCLE);
        let destinations: Vec<_> = join.found.drain(..count).collect();
        let is_last = join.found.is_empty();
        if is_last {
            let is_asked = join.is_asked;
            connection.joins.pop_front();
            if destinations.is_empty() && !is_asked {
                return Ok(looked_at);
            }
        }
        connection.news.subscribe = Some((destinations, ack, is_last));
        Ok(looked_at + count)
    }

    /// Destinations may have been created that fit a subscriber's patterns.
    pub(super) fn match_new_names(&mut self) {
        let count = self.parts.destinations.len() as DestinationIndex;
        let first = std::mem::replace(&mut self.matched_names, count);
        if first == count {
            return;
        }
        for key in 0..self.connections.len() {
            let Some(mut connection) = self.connections[key].take() else {
                continue;
            };
            if !connection.taken.patterns.is_empty() {
                let join = Join::of_new(&connection.taken.patterns, first);
                self.begin_join(key, &mut connection, join);
            }
            self.connections[key] = Some(connection);
        }
    }

    /// The scheduler has assigned a subscriber for some destinations.
    pub(super) fn answer(
        &mut self,
        key: Key,
        active: &[DestinationIndex],
        standby: &[DestinationIndex],
        is_last: bool,
    ) {
        let Some(Some(connection)) = self.connections.get_mut(key) else {
            return;
        };
        if !matches!(connection.phase, Phase::Subscribed { .. }) {
            return;
        }
        if connection.first_destination.is_none() {
            connection.first_destination = active.first().or(standby.first()).copied();
        }
        for (list, is_active) in [(active, true), (standby, false)] {
            for &index in list {
                if let Some(name) = self.parts.destinations.name(index)
                    && let Some(line) = connection.answer.add(&name, is_active)
                {
                    connection.outbox.push_word(line);
                }
            }
        }
        if is_last {
            let line = connection.answer.take_line();
            connection.outbox.push_word(line);
        }
        self.list(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SUBSCRIBER_LINE_LEN_MAX;

    fn run(join: &mut Join, taken: &mut Taken, directory: &mut Directory, step: usize) {
        while !join.wanted.is_empty() {
            let found = join.find(taken, directory, &Counters::default(), step);
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
            let mut join = Join::of_line(wanted.map(str::to_owned).to_vec());
            let mut taken = Taken::default();
            run(&mut join, &mut taken, &mut directory, step);
            let mut found: Vec<_> = join.found.iter().copied().collect();
            assert_eq!(found[..3], [7, 1, 10], "in the order asked for");
            found.sort_unstable();
            assert_eq!(found, (0..30).collect::<Vec<_>>());
            assert_eq!((taken.len(), taken.patterns.len()), (30, 2));
            let mut again = Join::of_line(vec!["table*".to_owned(), "table3".to_owned()]);
            run(&mut again, &mut taken, &mut directory, step);
            assert!(again.found.is_empty(), "a later line adds nothing");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let mut directory = directory(&names(11), false);
        for wanted in ["table99", "chair*", "", &"x".repeat(51)] {
            let mut join = Join::of_line(vec![wanted.to_owned()]);
            let (taken, counters) = (&mut Taken::default(), &Counters::default());
            let why = join.find(taken, &mut directory, counters, 100);
            let why = why.expect_err("there is none");
            assert!(why.contains(&format!("{wanted:?}")), "{why}");
            assert!(why.contains("there are table0, ") && why.ends_with("table9, ..."));
        }
    }

    #[test]
    fn where_names_are_created_a_pattern_waits_for_them() {
        let mut directory = directory(&[], true);
        let mut taken = Taken::default();
        let mut join = Join::of_line(vec!["t*".to_owned()]);
        run(&mut join, &mut taken, &mut directory, 1);
        assert!(join.found.is_empty());
        for name in ["other", "table1", "t"] {
            directory.find_or_create(name);
        }
        let mut new = Join::of_new(&taken.patterns, 0);
        run(&mut new, &mut taken, &mut directory, 1);
        assert_eq!(new.found, [1, 2]);
    }

    #[test]
    fn patterns_are_bounded() {
        let mut directory = directory(&names(100), false);
        let patterns = (0..=PATTERNS_MAX).map(|it| format!("table{}*", it % 100));
        let mut join = Join::of_line(patterns.collect());
        let (taken, counters) = (&mut Taken::default(), &Counters::default());
        let why = join.find(taken, &mut directory, counters, usize::MAX);
        assert!(why.expect_err("one too many").contains("patterns"));
    }

    #[test]
    fn an_answer_is_one_line_until_that_would_be_too_long() {
        let mut answer = Answer::default();
        assert_eq!(answer.add("a", true), None);
        assert_eq!(answer.add("b\"\n", false), None);
        assert_eq!(answer.add("c", true), None);
        let line = answer.take_line();
        assert_eq!(line, r#"{"subscribed":["a","c"],"standby":["b\"\n"]}"#);
        let name = "x".repeat(50);
        let mut lines: Vec<_> = (0..100_000)
            .filter_map(|_| answer.add(&name, true))
            .collect();
        lines.push(answer.take_line());
        assert!(lines.len() > 1);
        let longest = lines.iter().map(String::len).max();
        assert!(longest.is_some_and(|it| it < SUBSCRIBER_LINE_LEN_MAX));
        let count: usize = lines.iter().map(|it| it.matches(&name).count()).sum();
        assert_eq!(count, 100_000);
    }
}
