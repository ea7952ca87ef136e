//! A reload at the scheduler: other rules, bounds and names of the settings, between two duty cycles.
//!
//! What waits stays where it is, with the level that it has. A destination that is not in the settings
//! any more keeps its queue; where messages create none it gets no more, and its name goes when the queue
//! is empty.

use super::rules::Rules;
use crate::message::DestinationIndex;
use crate::message::allowance::MaxQueued;

/// What is new; after the change, what was before.
#[derive(Debug)]
pub(crate) struct SchedulerChange {
    pub(crate) rules: Rules,
    pub(crate) max_queued: MaxQueued,
    /// Whether the settings name the destination, by index.
    pub(crate) configured: Configured,
}

/// The destinations that the settings name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configured(Vec<bool>);

impl Configured {
    pub(crate) fn of(indices: impl IntoIterator<Item = DestinationIndex>) -> Self {
        let mut configured = Self::default();
        for index in indices {
            let needed = configured.0.len().max(index as usize + 1);
            configured.0.resize(needed, false);
            configured.0[index as usize] = true;
        }
        configured
    }

    /// Their indices, in order.
    pub(crate) fn indices(&self) -> impl Iterator<Item = DestinationIndex> {
        let all = (0..).zip(&self.0);
        all.filter(|(_, is_configured)| **is_configured)
            .map(|(index, _)| index)
    }

    #[inline]
    pub(crate) fn has(&self, destination: DestinationIndex) -> bool {
        self.0.get(destination as usize).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_of_the_settings_are_known_by_their_indices() {
        let configured = Configured::of([4, 1]);
        let has: Vec<_> = (0..6).filter(|it| configured.has(*it)).collect();
        assert_eq!(has, [1, 4]);
        assert!(!Configured::default().has(0));
    }
}
