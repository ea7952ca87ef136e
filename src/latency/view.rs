//! Which histograms there are, and what they are called in files, interval logs and over HTTP.
//!
//! Bytes of a destination's id that do not belong into a file name stand there as `%2F`, so two ids
//! never share a name.

use std::fmt::Write as _;

use super::{Names, Stage};
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
        }
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
}
