//! In whose term a database is written that the members of a group share.
//!
//! Position and ids stand under the group's id, so that they go on whoever serves. The active writes its term
//! to the position's row when it takes over; each transaction locks the row and asks here whether the term is
//! still its own. Pure: terms come in, decisions go out.

use std::time::Duration;

use crate::cluster::record::Term;

/// The term in which this engine writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// The group, by the random number of its first claim.
    pub(crate) group_id: u128,
    /// The own claim.
    pub(crate) term: Term,
    /// The server ends a session that is silent for so long: what a stopped member has locked must not hold
    /// up its successor for longer.
    pub(crate) silence: Duration,
}

impl Tenure {
    /// The name under which the group's position stands.
    pub(super) fn node(&self) -> String {
        format!("group-{:032x}", self.group_id)
    }
}

/// Another term has the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superseded {
    /// Its term.
    pub(super) by: Term,
}

/// The own term at the database.
#[derive(Debug)]
pub(super) struct Hold {
    term: Term,
    has_taken: bool,
}

impl Hold {
    pub(super) fn new(term: Term) -> Self {
        Self {
            term,
            has_taken: false,
        }
    }

    /// What the row holds. Returns the term that is to be written there, where it is another one: at take-over,
    /// and where the database went back to an older one.
    pub(super) fn look(&self, found: Term) -> Result<Option<Term>, Superseded> {
        let is_over = found.epoch > self.term.epoch
            // Of two claims of one epoch, the one that came later counts.
            || self.has_taken && found.epoch == self.term.epoch && found != self.term;
        match is_over {
            true => Err(Superseded { by: found }),
            false => Ok((found != self.term).then_some(self.term)),
        }
    }

    /// The row holds the own term, and that is committed.
    pub(super) fn taken(&mut self) {
        self.has_taken = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(epoch: u64, random: u64) -> Term {
        Term { epoch, random }
    }

    #[test]
    fn a_take_over_goes_over_the_same_and_lower_epochs_alone() {
        let hold = Hold::new(term(5, 7));
        for found in [term(0, 0), term(4, 9), term(5, 9)] {
            assert_eq!(hold.look(found), Ok(Some(term(5, 7))));
        }
        assert_eq!(hold.look(term(5, 7)), Ok(None), "its answer was lost");
        let by = term(6, 1);
        assert_eq!(hold.look(by), Err(Superseded { by }));
    }

    #[test]
    fn another_claim_of_the_epoch_ends_a_term_that_has_begun() {
        let mut hold = Hold::new(term(5, 7));
        hold.taken();
        assert_eq!(hold.look(term(5, 7)), Ok(None));
        for by in [term(5, 9), term(6, 0)] {
            assert_eq!(hold.look(by), Err(Superseded { by }));
        }
        assert_eq!(
            hold.look(term(4, 1)),
            Ok(Some(term(5, 7))),
            "the database went back"
        );
    }

    #[test]
    fn a_groups_name_fits_the_column() {
        let tenure = Tenure {
            group_id: u128::MAX,
            term: term(1, 1),
            silence: Duration::from_secs(15),
        };
        assert_eq!(tenure.node().len(), 38);
    }
}
