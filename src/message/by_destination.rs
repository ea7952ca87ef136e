//! A setting that a `[[destination]]` may have of its own: its value by index.

use std::collections::HashMap;

use super::DestinationIndex;
use crate::config::Destination;

/// The values of those that have one, and that of all others.
#[derive(Debug, Clone)]
pub(crate) struct ByDestination<T> {
    own: HashMap<DestinationIndex, T, ahash::RandomState>,
    others: T,
}

impl<T: Copy> ByDestination<T> {
    /// Of destinations that have these indices.
    pub(crate) fn new(
        indices: impl IntoIterator<Item = DestinationIndex>,
        destinations: &[Destination],
        own: impl Fn(&Destination) -> Option<T>,
        others: T,
    ) -> Self {
        let destinations = indices.into_iter().zip(destinations);
        Self {
            own: destinations
                .filter_map(|(index, it)| Some((index, own(it)?)))
                .collect(),
            others,
        }
    }

    pub(crate) fn of(&self, destination: DestinationIndex) -> T {
        self.own.get(&destination).copied().unwrap_or(self.others)
    }
}
