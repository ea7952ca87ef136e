//! Errors that come again and again: what may pass is tried again, and what has come often enough, with
//! the same words, does not pass.
//!
//! A [`super::Store`] feeds it the errors that a trigger may raise for one row and that are otherwise the
//! server's own: a table that only the trigger needs, a deadlock, a grant. It keeps no row and no time.

use crate::limits::{STORE_REPEATS_FORGOTTEN, STORE_REPEATS_KEPT, STORE_REPEATS_MAX};

/// The causes that have come lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Each with the number of tries that it has failed, the oldest first.
    causes: Vec<(String, u32)>,
    /// Transactions since one of them came.
    successes: u32,
}

impl Repeats {
    /// A try fails for this cause. Returns whether so many have that it will not pass.
    pub(super) fn note(&mut self, cause: &str) -> bool {
        self.successes = 0;
        if let Some((_, tries)) = self.causes.iter_mut().find(|(it, _)| it == cause) {
            *tries += 1;
            return *tries >= STORE_REPEATS_MAX;
        }
        if self.causes.len() == STORE_REPEATS_KEPT {
            self.causes.remove(0);
        }
        self.causes.push((cause.to_owned(), 1));
        false
    }

    /// Whether any has come.
    pub(super) fn are_any(&self) -> bool {
        !self.causes.is_empty()
    }

    /// A transaction is committed. After so many without a cause all of them are over.
    pub(super) fn note_success(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.successes > STORE_REPEATS_FORGOTTEN {
            self.clear();
        }
    }

    /// The tries begin anew.
    pub(super) fn clear(&mut self) {
        self.causes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_has_come_often_enough_does_not_pass_until_it_is_forgotten() {
        let mut repeats = Repeats::default();
        for tries in 1..=2 * STORE_REPEATS_MAX {
            let is_final = tries >= STORE_REPEATS_MAX;
            for cause in ["no table audit", "deadlock"] {
                assert_eq!(repeats.note(cause), is_final, "{cause}, {tries}");
            }
            for _ in 0..STORE_REPEATS_FORGOTTEN {
                repeats.note_success();
            }
            assert!(repeats.are_any(), "it was refused, and the rest committed");
        }
        repeats.note_success();
        assert!(!repeats.are_any());
        assert!(!repeats.note("deadlock"));
    }

    #[test]
    fn of_many_causes_the_oldest_are_forgotten() {
        let mut repeats = Repeats::default();
        for number in 0..10 * STORE_REPEATS_KEPT {
            repeats.note(&number.to_string());
        }
        assert_eq!(repeats.causes.len(), STORE_REPEATS_KEPT);
    }
}
