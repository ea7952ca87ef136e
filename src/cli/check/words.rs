//! Settings as sentences.
//!
//! Fed with settings and with what matters of the machine; gives text. It decides nothing: what
//! it says is computed by the same functions that the engine uses, or is in `limits`.

mod access;
mod engine;
mod messages;
mod places;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::descriptors;
use crate::engine::cores::Cores;
use access::access;
use engine::{durability, memory, store, threading};
use messages::{destinations, levels, once, rules, sources};
use places::places;

/// Items of a list that are named one by one.
const LISTED_MAX: usize = 12;

/// What the words need to know of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) cores: Cores,
    /// Where relative paths begin.
    pub(crate) directory: PathBuf,
    /// How many files this process may open.
    pub(crate) files: u64,
}

impl Machine {
    /// The machine that this runs on.
    #[must_use]
    pub(crate) fn here() -> Machine {
        Machine {
            cores: Cores::here(),
            directory: std::env::current_dir().unwrap_or_default(),
            files: descriptors::allowed(),
        }
    }
}

/// What the settings mean, a section for each part of the pipeline.
#[must_use]
pub(crate) fn words(config: &Config, machine: &Machine) -> String {
    let parts: [(&str, Vec<String>); 11] = [
        ("Sources", sources(config)),
        ("Destinations", destinations(config)),
        ("Levels", levels(config)),
        ("Rules", rules(config)),
        ("Once", vec![once(config)]),
        ("Durability", durability(config)),
        ("Memory", memory(config)),
        ("Threads", threading(config, machine)),
        ("Store", store(config, machine)),
        ("Who may connect", access(config)),
        ("Files and addresses", places(config, machine)),
    ];
    let mut out = String::new();
    for (title, lines) in parts {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

fn absolute(path: &Path, machine: &Machine) -> String {
    machine.directory.join(path).display().to_string()
}

/// The first items in words, and how many more there are.
fn listed<T>(items: &[T], word: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(LISTED_MAX).map(word).collect();
    if items.len() > LISTED_MAX {
        lines.push(format!("and {} more", items.len() - LISTED_MAX));
    }
    lines
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
