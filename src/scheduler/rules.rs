//! The rules: which level a message gets, from its own priority, its destination and `[[rule]]`s.
//!
//! Intake asks once a message. All that can be decided in advance is: a table by destination class
//! and message type gives the level, the message's own priority, or the few conditional rules that
//! look at the source or the hour. Strings are compared only for those.
//!
//! ```text
//! destination -> class --+
//!                        +--> decision: its own | a level | conditional rules, in the file's order
//! message type -> column +
//! ```
//! The caller interns names; `Rules::message_types` says which types must come first. It knows
//! no clock: the minute of the day is given.

use std::collections::HashMap;

use crate::config;
use crate::message::Text;
use crate::message::{DestinationIndex, Directory, Level, TypeIndex};

/// Class of the destinations that no rule names.
const PLAIN: u16 = 0;
/// Class of the VIP destinations: always level 1.
const VIP: u16 = 1;

/// Of an index that has no name now.
const VACANT: u16 = u16::MAX;

/// What is decided of a class and a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// The message's own priority holds.
    Own,
    /// This level, whatever the source and the hour.
    Level(Level),
    /// The conditional rules at this index.
    Conditional(u16),
}

/// A rule of which only source and hour are left to check.
#[derive(Debug)]
struct ConditionalRule {
    source: Option<Box<str>>,
    hours: Option<(u16, u16)>,
    level: Level,
}

/// All rules, compiled.
#[derive(Debug)]
pub struct Rules {
    /// By destination.
    classes: Vec<u16>,
    /// By class, then column.
    decisions: Vec<Decision>,
    /// Message types that rules name; the column behind theirs is for all others.
    message_types: Vec<String>,
    /// The column of a message type, by its index; types beyond have that of all others.
    columns: Vec<u16>,
    conditional: Vec<Vec<ConditionalRule>>,
    /// Classes of the destinations that rules name, and of the VIP ones.
    named: HashMap<String, u16>,
}

impl Rules {
    /// Compiles `rules` for `destinations`, whose indexes are their places here.
    ///
    /// Levels that a rule sets beyond `levels` count as the least urgent.
    #[must_use]
    pub fn new(rules: &[config::Rule], destinations: &[config::Destination], levels: u8) -> Self {
        let mut compiled = Self {
            classes: Vec::with_capacity(destinations.len()),
            decisions: Vec::new(),
            columns: Vec::new(),
            message_types: distinct(rules.iter().filter_map(|rule| rule.message_type.as_deref())),
            conditional: Vec::new(),
            named: HashMap::new(),
        };
        let names = distinct(rules.iter().filter_map(|rule| rule.destination.as_deref()));
        compiled.add_class(rules, None, levels);
        compiled
            .decisions
            .resize(2 * compiled.columns(), Decision::Level(1));
        for (name, class) in names.into_iter().zip(VIP + 1..) {
            compiled.add_class(rules, Some(&name), levels);
            compiled.named.insert(name, class);
        }
        let vips = destinations.iter().filter(|it| it.vip);
        let vips = vips.map(|it| (it.id.clone(), VIP));
        compiled.named.extend(vips);
        for destination in destinations {
            compiled.classes.push(compiled.class_of(&destination.id));
        }
        let types = 0..compiled.message_types.len() as TypeIndex;
        compiled.with_types(types)
    }

    /// The message types that rules name have these indices.
    pub(crate) fn with_types(mut self, indices: impl Iterator<Item = TypeIndex>) -> Self {
        let others = self.message_types.len() as u16;
        self.columns.clear();
        for (column, index) in (0..).zip(indices) {
            let needed = self.columns.len().max(usize::from(index) + 1);
            self.columns.resize(needed, others);
            self.columns[usize::from(index)] = column;
        }
        self
    }

    /// Rules that others follow: these know the same destinations, by their names. Afterwards `next` has
    /// what was here.
    pub(crate) fn take_over(&mut self, next: &mut Rules, names: &Directory) {
        next.classes.clear();
        for (index, class) in (0..).zip(&self.classes) {
            let name = (*class != VACANT).then(|| names.name(index)).flatten();
            let class = name.map_or(VACANT, |it| next.class_of(&it));
            next.classes.push(class);
        }
        std::mem::swap(self, next);
    }

    /// The message types that rules name. At a start they are interned first, in this order: their
    /// [`TypeIndex`]es are their places here.
    pub(crate) fn message_types(&self) -> &[String] {
        &self.message_types
    }

    /// Whether a destination has this index now.
    #[inline]
    pub(crate) fn knows(&self, destination: DestinationIndex) -> bool {
        let class = self.classes.get(destination as usize);
        class.is_some_and(|&class| class != VACANT)
    }

    /// Takes a destination that was created, at the next index or at one that is vacant.
    pub(crate) fn add_destination(&mut self, destination: DestinationIndex, id: &str) {
        let class = self.class_of(id);
        match self.classes.get_mut(destination as usize) {
            Some(vacant) => *vacant = class,
            None => self.classes.push(class),
        }
    }

    /// The name of a destination is gone.
    pub(crate) fn remove_destination(&mut self, destination: DestinationIndex) {
        self.classes[destination as usize] = VACANT;
    }

    /// The level of a message. Its `context` are asked for only if a rule looks at them: the
    /// local minute of the day, 0 to 1439, and its sourceServerId.
    ///
    /// The first rule whose conditions hold wins; a VIP destination is level 1 before all rules;
    /// where none holds it is `own`.
    #[inline]
    #[must_use]
    pub fn level<'a>(
        &self,
        destination: DestinationIndex,
        message_type: TypeIndex,
        own: Level,
        context: impl FnOnce() -> (u16, Text<'a>),
    ) -> Level {
        let others = self.message_types.len();
        let column = self.columns.get(usize::from(message_type));
        let column = column.map_or(others, |&it| usize::from(it));
        let class = usize::from(self.classes[destination as usize]);
        match self.decisions[class * (others + 1) + column] {
            Decision::Own => own,
            Decision::Level(level) => level,
            Decision::Conditional(at) => self.first_that_holds(at, context()).unwrap_or(own),
        }
    }

    #[cold]
    fn first_that_holds(&self, at: u16, (minute_of_day, source): (u16, Text<'_>)) -> Option<Level> {
        let fits = |rule: &&ConditionalRule| {
            rule.source
                .as_deref()
                .is_none_or(|wanted| source == *wanted)
                && rule
                    .hours
                    .is_none_or(|hours| is_within(hours, minute_of_day))
        };
        self.conditional[usize::from(at)]
            .iter()
            .find(fits)
            .map(|rule| rule.level)
    }

    fn columns(&self) -> usize {
        self.message_types.len() + 1
    }

    fn class_of(&self, id: &str) -> u16 {
        self.named.get(id).copied().unwrap_or(PLAIN)
    }

    /// Decides for all message types of a destination that has this name, or one of no rule.
    fn add_class(&mut self, rules: &[config::Rule], name: Option<&str>, levels: u8) {
        for column in 0..self.columns() {
            let message_type = self.message_types.get(column).map(String::as_str);
            let fits = |rule: &&config::Rule| {
                is_met(rule.destination.as_deref(), name)
                    && is_met(rule.message_type.as_deref(), message_type)
            };
            let mut conditional: Vec<_> = rules
                .iter()
                .filter(fits)
                .map(|rule| ConditionalRule::new(rule, levels))
                .collect();
            if let Some(last) = conditional.iter().position(ConditionalRule::is_certain) {
                conditional.truncate(last + 1);
            }
            let decision = match &conditional[..] {
                [] => Decision::Own,
                [first, ..] if first.is_certain() => Decision::Level(first.level),
                _ => {
                    self.conditional.push(conditional);
                    let at = u16::try_from(self.conditional.len() - 1);
                    Decision::Conditional(at.expect("rules and names in settings are few"))
                }
            };
            self.decisions.push(decision);
        }
    }
}

impl ConditionalRule {
    fn new(rule: &config::Rule, levels: u8) -> Self {
        Self {
            source: rule.source.as_deref().map(Into::into),
            hours: rule.hours,
            level: rule.priority.clamp(1, levels),
        }
    }

    /// Whether nothing is left to check.
    fn is_certain(&self) -> bool {
        self.source.is_none() && self.hours.is_none()
    }
}

/// Whether a condition is absent or names just this.
fn is_met(wanted: Option<&str>, name: Option<&str>) -> bool {
    wanted.is_none() || wanted == name
}

/// Whether a minute lies in `[from, to)`, which may wrap past midnight; where both are the same it
/// is the whole day.
fn is_within((from, to): (u16, u16), minute: u16) -> bool {
    if from < to {
        (from..to).contains(&minute)
    } else {
        minute >= from || minute < to
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.iter().any(|known| known == name) {
            distinct.push(name.to_owned());
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn rule(priority: u8) -> config::Rule {
        config::Rule {
            destination: None,
            source: None,
            message_type: None,
            hours: None,
            priority,
        }
    }

    fn destinations() -> Vec<config::Destination> {
        let of = |id: &&str| config::Destination {
            vip: *id == "a",
            ..config::Destination::to(*id)
        };
        NAMES[..3].iter().map(of).collect()
    }

    /// What the settings say, rule by rule.
    fn naive(rules: &[config::Rule], message: [&str; 3], own: u8, minute: u16) -> u8 {
        let [destination, source, message_type] = message;
        let is_in = |(from, to): (u16, u16)| {
            if from < to {
                from <= minute && minute < to
            } else {
                from <= minute || minute < to
            }
        };
        let holds = |wanted: &Option<String>, name| wanted.as_ref().is_none_or(|it| it == name);
        let fits = |rule: &&config::Rule| {
            holds(&rule.destination, destination)
                && holds(&rule.source, source)
                && holds(&rule.message_type, message_type)
                && rule.hours.is_none_or(is_in)
        };
        if destination == "a" {
            return 1;
        }
        rules
            .iter()
            .find(fits)
            .map_or(own, |rule| rule.priority.min(3))
    }

    fn any_rule() -> impl Strategy<Value = config::Rule> {
        let name = || prop::option::of(prop::sample::select(&NAMES[..]));
        let hours = prop::option::of((0u16..4, 0u16..4));
        (name(), name(), name(), hours, 1u8..5).prop_map(|(to, from, kind, hours, priority)| {
            config::Rule {
                destination: to.map(str::to_owned),
                source: from.map(str::to_owned),
                message_type: kind.map(str::to_owned),
                hours,
                priority,
            }
        })
    }

    proptest! {
        #[test]
        fn compiled_rules_say_what_the_settings_say(
            rules in prop::collection::vec(any_rule(), 0..6),
        ) {
            let mut compiled = Rules::new(&rules, &destinations(), 3);
            compiled.add_destination(3, "x");
            compiled.remove_destination(3);
            prop_assert!(!compiled.knows(3) && !compiled.knows(4) && compiled.knows(2));
            compiled.add_destination(3, "d");
            let mut types = compiled.message_types().to_vec();
            for name in NAMES {
                if !types.iter().any(|known| known == name) {
                    types.push(name.to_owned());
                }
            }
            for (index, destination) in NAMES.iter().enumerate() {
                for source in NAMES {
                    for (type_index, message_type) in types.iter().enumerate() {
                        for (own, minute) in [(1, 0), (2, 1), (3, 2), (2, 3)] {
                            let level = compiled.level(
                                index as u32, type_index as u16, own,
                                || (minute, Text::plain(source.as_bytes())),
                            );
                            let message = [destination, source, message_type];
                            prop_assert_eq!(level, naive(&rules, message, own, minute));
                        }
                    }
                }
            }
        }
    }

    proptest! {
        /// Whatever was there before, and wherever the types are in the directory.
        #[test]
        fn rules_that_follow_others_decide_as_if_they_had_been_there_from_the_start(
            before in prop::collection::vec(any_rule(), 0..6),
            after in prop::collection::vec(any_rule(), 0..6),
            first in prop::sample::subsequence(&NAMES[..], 0..4),
            later_vips in any::<bool>(),
        ) {
            let names = Directory::new(NAMES, false, 4);
            let mut types = Directory::new(first, true, 9);
            let mut rules = Rules::new(&before, &destinations(), 3);
            rules.add_destination(3, "d");
            let mut configured = destinations();
            configured[0].vip = later_vips;
            let mut next = Rules::new(&after, &configured, 3);
            let interned: Vec<_> = next.message_types().iter()
                .map(|it| types.find_or_create(it).expect("there is room") as TypeIndex)
                .collect();
            next = next.with_types(interned.into_iter());
            rules.take_over(&mut next, &names);
            let mut fresh = Rules::new(&after, &configured, 3);
            fresh.add_destination(3, "d");
            for (destination, _) in NAMES.iter().enumerate() {
                for message_type in NAMES {
                    let index = types.find_or_create(message_type).expect("there is room");
                    let at_start = fresh.message_types().iter().position(|it| it == message_type);
                    for (own, minute) in [(1, 0), (3, 2)] {
                        let context = || (minute, Text::plain(b"b"));
                        let level = rules.level(destination as u32, index as u16, own, context);
                        let at_start = at_start.unwrap_or(99) as u16;
                        let expected = fresh.level(destination as u32, at_start, own, context);
                        prop_assert_eq!(level, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn source_and_hour_are_not_asked_for_where_no_rule_looks_at_them() {
        let breakfast = config::Rule {
            message_type: Some("breakfast".to_owned()),
            ..rule(2)
        };
        let from_b = config::Rule {
            source: Some("b".to_owned()),
            ..rule(1)
        };
        let rules = Rules::new(&[breakfast, from_b], &destinations(), 3);
        assert_eq!(rules.message_types(), ["breakfast"]);
        let unasked = || -> (u16, Text<'_>) { panic!("asked") };
        assert_eq!(rules.level(1, 0, 3, unasked), 2);
        assert_eq!(rules.level(0, 1, 3, unasked), 1);
        assert_eq!(rules.level(1, 1, 3, || (0, Text::plain(b"b"))), 1);
        assert_eq!(
            rules.level(1, TypeIndex::MAX, 3, || (0, Text::plain(b"a"))),
            3
        );
    }

    #[test]
    fn hours_may_wrap_past_midnight() {
        let night = (22 * 60, 6 * 60);
        for (minute, is_night) in [
            (0, true),
            (359, true),
            (360, false),
            (1319, false),
            (1320, true),
        ] {
            assert_eq!(is_within(night, minute), is_night);
        }
        assert!(is_within((0, 0), 700) && is_within((0, 1440), 1439));
    }
}
