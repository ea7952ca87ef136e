//! What becomes of a line for a destination that has `max_queued` messages, by destination.
//!
//! Ingest goes by it; the alarms say by it for whom sources wait.

use super::DestinationIndex;
use super::by_destination::ByDestination;
use crate::config::{Config, WhenFull};

/// What happens to a line for a destination without room.
#[derive(Debug, Clone)]
pub(crate) struct WhenFullOf(ByDestination<WhenFull>);

impl WhenFullOf {
    /// As the settings say; their destinations have their places for indices.
    pub(crate) fn new(config: &Config) -> Self {
        Self::placed(config, 0..)
    }

    /// The same where they have these indices.
    pub(crate) fn placed(
        config: &Config,
        indices: impl IntoIterator<Item = DestinationIndex>,
    ) -> Self {
        let others = config.scheduler.when_full;
        Self(ByDestination::new(
            indices,
            &config.destinations,
            |it| it.when_full,
            others,
        ))
    }

    pub(crate) fn of(&self, destination: DestinationIndex) -> WhenFull {
        self.0.of(destination)
    }
}
