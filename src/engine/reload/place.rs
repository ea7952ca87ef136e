//! The indices of what new settings name: found, or made, before anything takes effect.

use std::thread;
use std::time::{Duration, Instant};

use super::error::ReloadError;
use super::live::Live;
use crate::config::Config;
use crate::message::{DestinationIndex, OTHER_TYPES, Placed, TypeIndex};
use crate::scheduler::reload::Configured;
use crate::scheduler::rules::Rules;

/// How long a name may be about to go, or one that went be in the way: agents answer within a tenth of it.
const RETIRING_MAX: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// What settings name, with its indices.
pub(super) struct Indices {
    /// In the order of the settings.
    pub(super) destinations: Vec<DestinationIndex>,
    pub(super) rules: Rules,
}

impl Live {
    /// Finds the indices of these settings' names.
    ///
    /// # Errors
    /// There is none left for one of them: all is as it was.
    pub(super) fn place(&self, config: &Config, before: &Config) -> Result<Indices, ReloadError> {
        let mut types = Vec::new();
        let levels = config.scheduler.levels;
        let rules = Rules::new(&config.rules, &config.destinations, levels);
        let mut directory = self.names.message_types.clone();
        for name in rules.message_types() {
            // Whatever types messages have brought: those of rules are told apart.
            let index = TypeIndex::try_from(directory.adopt(name)).ok();
            let index = index.filter(|it| *it != OTHER_TYPES);
            types.push(index.ok_or_else(|| ReloadError::NoType(name.clone()))?);
        }
        let mut destinations = Vec::with_capacity(config.destinations.len());
        for destination in &config.destinations {
            match self.place_one(&destination.id) {
                Some(index) => destinations.push(index),
                None => {
                    self.undo(before);
                    return Err(ReloadError::NoRoom(destination.id.clone()));
                }
            }
        }
        Ok(Indices {
            destinations,
            rules: rules.with_types(types.into_iter()),
        })
    }

    fn place_one(&self, name: &str) -> Option<DestinationIndex> {
        let begun = Instant::now();
        loop {
            match self.names.destinations.place(name) {
                Placed::At(index) => return Some(index),
                // Names that went go from all agents meanwhile.
                _ if begun.elapsed() < RETIRING_MAX => thread::sleep(LOOK),
                Placed::Retiring | Placed::NoRoom => return None,
            }
        }
    }

    /// The names of the settings in force are the configured ones.
    pub(super) fn undo(&self, before: &Config) {
        let indices = before
            .destinations
            .iter()
            .filter_map(|it| self.place_one(&it.id));
        let configured = Configured::of(indices);
        let _ = self.names.destinations.configure(|it| configured.has(it));
    }
}
