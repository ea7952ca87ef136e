//! Fuzzing of settings: refused with a line for each problem, or put into words.
//!
//! ```text
//! input   | TOML | \n--- variables\n | NAME=value \n ... |
//! ```

use std::path::PathBuf;

use super::{Config, parse};
use crate::cli::check::{Machine, words};
use crate::engine::cores::Cores;

const VARIABLES: &str = "\n--- variables\n";
const NAME: &str = "fuzz.toml";

/// A file of settings, and variables of the environment over it.
pub fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (text, variables) = text.split_once(VARIABLES).unwrap_or((text, ""));
    let variables: Vec<(String, String)> = variables
        .lines()
        .filter_map(|it| it.split_once('='))
        .map(|(name, value)| (format!("FLIPPED_LB_{name}"), value.to_owned()))
        .collect();
    match parse(NAME, text, &variables) {
        Ok(config) => say(&config),
        Err(error) => {
            let count = error
                .problems()
                .inspect(|it| names_its_place(it, text))
                .count();
            assert!(count > 0 && error.to_string().lines().count() == count);
        }
    }
}

/// Whatever is accepted has words, on small machines and large ones.
fn say(config: &Config) {
    for (cores, files) in [(1, 64), (64, 1 << 20)] {
        let cores = Cores {
            allowed: (0..cores).collect(),
            online: None,
        };
        let machine = Machine {
            cores,
            directory: PathBuf::from("/"),
            files,
        };
        let words = words(config, &machine);
        assert!(
            words
                .lines()
                .filter(|it| !it.is_empty())
                .all(|it| !it.contains('\x1b'))
        );
        assert!(words.contains("Durability"));
    }
}

/// A problem begins with the line and column of the file, the name of a variable, or says that the
/// defaults do not fit.
fn names_its_place(problem: &str, text: &str) {
    if problem.starts_with("environment variable FLIPPED_LB_")
        || problem.starts_with("default settings: ")
    {
        return;
    }
    let place = problem
        .strip_prefix(NAME)
        .and_then(|it| it.strip_prefix(':'));
    let mut numbers = place.unwrap_or_else(|| panic!("{problem}")).splitn(3, ':');
    let mut number = || numbers.next().and_then(|it| it.parse::<usize>().ok());
    let (line, column) = (number(), number());
    let lines = text.matches('\n').count() + 1;
    assert!(
        line.is_some_and(|it| (1..=lines).contains(&it)),
        "{problem}"
    );
    assert!(column.is_some_and(|it| it > 0), "{problem}");
}
