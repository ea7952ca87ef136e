//! The settings while they are read: the values so far, where each came from, what is wrong.
//!
//! Filled by `file` and `environment`, judged by `checks`, turned into a `Config` by `load`.

use std::collections::BTreeMap;

use super::Config;
use super::problem::{Place, Problem};

/// The settings while they are read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) given: Given,
    pub(super) problems: Vec<Problem>,
}

/// Where each value that is no default came from.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// By section (empty for the top of the file) and key.
    pub(super) keys: BTreeMap<(&'static str, &'static str), Place>,
    /// In the order of `Config::sources`; shorter where those are defaults. So are the others.
    pub(super) sources: Vec<Place>,
    pub(super) destinations: Vec<Place>,
    pub(super) rules: Vec<Place>,
    pub(super) users: Vec<Place>,
}

impl Given {
    /// Whether anything but the default was given.
    pub(super) fn has(&self, section: &'static str, key: &'static str) -> bool {
        self.keys.contains_key(&(section, key))
    }

    /// The place of the first of these keys that was given.
    pub(super) fn place(&self, keys: &[(&'static str, &'static str)]) -> Place {
        let place = keys.iter().find_map(|key| self.keys.get(key));
        place.cloned().unwrap_or_else(nowhere)
    }
}

/// The place of an item.
pub(super) fn item_place(places: &[Place], index: usize) -> Place {
    places.get(index).cloned().unwrap_or_else(nowhere)
}

fn nowhere() -> Place {
    Place::Settings("default settings".to_owned())
}

/// A key as errors name it: `durability`, `[scheduler] levels`.
pub(super) fn label(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("[{section}] {key}")
    }
}
