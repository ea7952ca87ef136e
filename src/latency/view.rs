//! Which histograms there are, and what they are called in files, interval logs and over HTTP.
//!
//! ```text
//! total  total-level1                          a stage; a level of it
//! total-table1  total.others                   a destination; those without histograms of their own
//! total-level1-table1  total-level1.others     the same by level
//! waiting  waiting-table1  waiting.others      the oldest wait of what is not delivered yet
//! ```
//! A destination whose id begins with `level` is `total-%6Cevel..`: no two views share a name.
//! Bytes of a destination's id that do not belong into a file name stand there as `%2F`, so two ids
//! never share a name.

use std::fmt::Write as _;

use super::{Names, Stage, waiting};
use crate::message::{DestinationIndex, Level};

/// A histogram that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All levels and destinations of a stage.
    Stage(Stage),
    /// All destinations of a stage and level.
    Level(Stage, Level),
    /// One level and destination of [`Stage::Total`].
    Destination(Level, DestinationIndex),
    /// One level of [`Stage::Total`], the destinations that share a histogram.
    Others(Level),
    /// One destination of [`Stage::Total`], all levels.
    Customer(DestinationIndex),
    /// All levels of [`Stage::Total`], the destinations that share a histogram.
    OtherCustomers,
    /// The oldest wait of each destination, sampled while messages wait.
    Waiting,
    /// The same of one destination.
    WaitingCustomer(DestinationIndex),
    /// The same of the destinations that share a histogram.
    WaitingOthers,
}

impl View {
    /// Its file's name.
    #[must_use]
    pub fn name(self, names: &dyn Names) -> String {
        self.tag(names) + ".hgrm"
    }

    /// Its tag in interval logs: its file's name without the ending.
    #[must_use]
    pub fn tag(self, names: &dyn Names) -> String {
        let total = Stage::Total.label();
        match self {
            View::Stage(stage) => stage.label().to_owned(),
            View::Level(stage, level) => format!("{}-level{level}", stage.label()),
            View::Destination(level, destination) => {
                let id = names.destination(destination);
                format!("{total}-level{level}-{}", escaped(&id))
            }
            View::Others(level) => format!("{total}-level{level}.others"),
            View::Customer(destination) => {
                let id = names.destination(destination);
                format!("{total}-{}", escaped_no_level(&id))
            }
            View::OtherCustomers => format!("{total}.others"),
            View::Waiting => waiting::LABEL.to_owned(),
            View::WaitingCustomer(destination) => {
                let id = names.destination(destination);
                format!("{}-{}", waiting::LABEL, escaped(&id))
            }
            View::WaitingOthers => format!("{}.others", waiting::LABEL),
        }
    }
}

/// The same for where levels have names too.
fn escaped_no_level(id: &str) -> String {
    match id.strip_prefix('l') {
        Some(rest) if rest.starts_with("evel") => format!("%6C{}", escaped(rest)),
        _ => escaped(id),
    }
}

/// An id as a part of a file name; reversible, so no two are the same. At most three times as long.
fn escaped(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            _ => write!(name, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_kind_have_names_of_their_own() {
        let ids = [
            "table1", "table-1", "a/b", "a%2Fb", "a_2Fb", "../x", ".others", "é", "\0", " ",
        ];
        let mut names: Vec<_> = ids.iter().map(|it| escaped(it)).collect();
        assert_eq!(names[..3], ["table1", "table-1", "a%2Fb"]);
        assert!(names.iter().all(|it| !it.contains(['/', '.', ' ', '\0'])));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ids.len());
    }

    struct Ids(&'static [&'static str]);

    impl Names for Ids {
        fn destination(&self, index: DestinationIndex) -> String {
            self.0[index as usize].to_owned()
        }
        fn message_type(&self, _: crate::message::TypeIndex) -> String {
            String::new()
        }
    }

    #[test]
    fn no_two_views_share_a_name() {
        let ids = Ids(&[
            "table1",
            "level1",
            "level1-table1",
            "levels",
            "others",
            "waiting",
        ]);
        let mut tags = vec![View::Waiting.tag(&ids), View::WaitingOthers.tag(&ids)];
        for level in 1..=2 {
            tags.push(View::Level(Stage::Total, level).tag(&ids));
            tags.push(View::Others(level).tag(&ids));
            tags.extend((0..6).map(|it| View::Destination(level, it).tag(&ids)));
        }
        tags.push(View::OtherCustomers.tag(&ids));
        for destination in 0..6 {
            tags.push(View::Customer(destination).tag(&ids));
            tags.push(View::WaitingCustomer(destination).tag(&ids));
        }
        assert!(tags.contains(&"total-table1".to_owned()), "{tags:?}");
        assert!(tags.contains(&"total-%6Cevel1".to_owned()), "{tags:?}");
        let all = tags.len();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), all);
    }
}
