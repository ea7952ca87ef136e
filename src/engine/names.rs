//! The names of customers and message types, by index: agents work with indices, people read names.

use crate::config::Config;
use crate::latency;
use crate::limits::MESSAGE_TYPES_MAX;
use crate::message::{Creation, Directory};
use crate::scheduler::rules::Rules;

/// The names that the agents know.
#[derive(Debug, Clone)]
pub struct Names {
    /// The customers.
    pub destinations: Directory,
    /// The message types seen; those that rules name come first.
    pub message_types: Directory,
}

impl Names {
    /// The names that the settings give.
    #[must_use]
    pub fn new(config: &Config, rules: &Rules) -> Self {
        let scheduler = &config.scheduler;
        let destinations = config.destinations.iter().map(|it| it.id.as_str());
        let max = scheduler.max_destinations.max(config.destinations.len());
        let types = rules.message_types().iter().map(String::as_str);
        Self {
            destinations: Directory::new(destinations, false, max)
                .creating(Creation::of(scheduler)),
            message_types: Directory::new(types, true, MESSAGE_TYPES_MAX),
        }
    }

    /// How many indices customers can have: messages create them, or reloads bring them. To be asked when all
    /// are known that a start finds.
    #[must_use]
    pub fn destinations_max(&self) -> usize {
        self.destinations.indices_max()
    }
}

impl latency::Names for Names {
    fn destination(&self, index: u32) -> String {
        self.destinations
            .name(index)
            .map_or_else(|| format!("#{index}"), |it| it.to_string())
    }

    fn message_type(&self, index: u16) -> String {
        let name = self.message_types.name(u32::from(index));
        name.map_or_else(|| "(others)".to_owned(), |it| it.to_string())
    }
}
