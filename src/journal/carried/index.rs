//! Where carried messages stand, for replay: whoever wants one still names the place that it had.

use crate::journal::format::Position;
use crate::message::Sequence;

/// All messages of one set: 16 bytes each.
#[derive(Debug, Default)]
pub(crate) struct CarriedIndex {
    /// What stood before this position is about to go.
    below: Position,
    /// By sequence.
    places: Vec<(Sequence, Position)>,
}

impl CarriedIndex {
    pub(crate) fn new(below: Position, mut places: Vec<(Sequence, Position)>) -> Self {
        places.sort_unstable();
        Self { below, places }
    }

    /// Where the record of a message stands now that stood at this position.
    pub(crate) fn place_of(&self, sequence: Sequence, position: Position) -> Position {
        if position >= self.below {
            return position;
        }
        self.find(sequence).unwrap_or(position)
    }

    /// Where the record of a message stands; `None`: it is not among them.
    pub(crate) fn find(&self, sequence: Sequence) -> Option<Position> {
        let at = self.places.binary_search_by_key(&sequence, |it| it.0);
        at.ok().map(|at| self.places[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_below_is_found_where_it_was_carried_to_and_all_else_where_it_stands() {
        let index = CarriedIndex::new(1_000, vec![(9, 2_900), (3, 2_300)]);
        assert_eq!(index.place_of(3, 30), 2_300);
        assert_eq!(index.place_of(9, 999), 2_900);
        assert_eq!(index.place_of(9, 1_000), 1_000);
        assert_eq!(index.place_of(4, 40), 40, "it is settled");
        assert_eq!(CarriedIndex::default().place_of(4, 40), 40);
    }
}
