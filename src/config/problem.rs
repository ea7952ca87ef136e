//! What is wrong with the settings, and where.
//!
//! Fed by the readers and the checks of the settings; [`ConfigError`] holds all that was found,
//! so that a user mends a file in one go. It never holds a value that may be a secret.

use std::fmt;

use crate::escape::Escaped;

/// Where a value came from; the order is that of the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Nowhere in particular: the file itself, or a default.
    Settings(String),
    /// Line and column of a file, both from 1.
    File(String, Spot),
    /// An environment variable.
    Variable(String),
}

/// Line and column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Spot {
    /// The spot of a byte offset of `text`.
    pub(super) fn at(text: &str, offset: usize) -> Spot {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Spot {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Settings(what) => write!(f, "{what}"),
            Place::File(name, spot) => write!(f, "{name}:{}:{}", spot.line, spot.column),
            Place::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) place: Place,
    pub(super) text: String,
}

impl Problem {
    pub(super) fn new(place: Place, text: impl Into<String>) -> Problem {
        Problem {
            place,
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A file has values, and a variable a name, of anybody's.
        write!(
            f,
            "{}",
            Escaped(format_args!("{}: {}", self.place, self.text))
        )
    }
}

/// All that is wrong with the settings: a line for each problem, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(problems))]
pub struct ConfigError {
    /// Never empty.
    problems: Vec<Problem>,
}

impl ConfigError {
    /// Nothing, or the error that holds these problems.
    pub(super) fn unless_empty(mut problems: Vec<Problem>) -> Result<(), ConfigError> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        Err(ConfigError { problems })
    }

    /// The error that holds one problem.
    pub(super) fn one(problem: Problem) -> ConfigError {
        ConfigError {
            problems: vec![problem],
        }
    }

    /// Each problem in a line: where, which setting, what was found and what is right.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.problems.iter().map(Problem::to_string)
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
