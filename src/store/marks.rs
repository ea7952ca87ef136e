//! Whose hand the position's row shows: this store's, or somebody else's.
//!
//! Each transaction leaves a mark in the row of `store_position`: position and moment. A store that
//! finds another mark than its own knows that somebody else wrote there. That may be an operator, or
//! a server that was restored from a backup or replaced by a replica: it happens once, and the store
//! goes on. Another engine that lives (its data directory is a copy of this one's) writes again and
//! again: then the store stops, for two engines under one name pass over each other's messages.
//!
//! Pure: marks come in, decisions go out. Used by each [`super::Store`] under the lock of the row, so
//! that nothing of its own is still under way.

use crate::journal::record::Position;
use crate::limits::STORE_OTHER_ROWS_MAX;

/// New marks of somebody else without one of its own between them: that is no operator.
const STRANGERS_IN_A_ROW: u32 = 2;
/// New marks of somebody else in all: an operator edits the row now and then.
const STRANGERS_MAX: u32 = 5;

/// What stands in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// How far the rows go.
    pub(super) position: Position,
    /// When it was written, in the database's own spelling.
    pub(super) stamp: String,
}

/// The marks of one store.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// What this store left in the row, or found there first; `None`: it has not looked.
    left: Option<Mark>,
    /// What it sent last without an answer: it may have arrived.
    sent: Option<Mark>,
    /// What somebody else left there.
    strange: Option<Mark>,
    strangers: u32,
    strangers_in_a_row: u32,
    /// It has written in this life.
    has_written: bool,
    /// It had not when it saw somebody else: of two engines it is the one that came later.
    is_newcomer: bool,
    /// Rows since the last one that was inserted whose id another message has.
    other_rows: u32,
}

/// Somebody else's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strange {
    /// It may have been done once: look again.
    Once(Position),
    /// Another engine lives and writes.
    Lives,
    /// Its rows are another journal's.
    OtherJournal,
}

impl Strange {
    /// What happened, and what to do.
    pub(super) fn words(self, node: &str) -> String {
        let happened = match self {
            Self::OtherJournal => {
                return format!(
                    "it holds other messages under the ids of \"{node}\", so it followed another \
                     journal: set [store] node to a new name, or move the database away, and a new \
                     one is made"
                );
            }
            Self::Once(found) => format!(
                "somebody else has moved the position of \"{node}\" to {found}: if it was an \
                 operator, a restored backup or a replica, the store goes on from there; if it was"
            ),
            Self::Lives => format!("the position of \"{node}\" is moved again and again by"),
        };
        format!(
            "{happened} another engine with a copy of this data directory, give one of the two a \
             name of its own: set [store] node, or remove store_node from its data directory, and \
             start it again"
        )
    }
}

impl Marks {
    /// Where this store left the position, or found it first.
    pub(super) fn position(&self) -> Option<Position> {
        self.left.as_ref().map(|it| it.position)
    }

    /// A row of ours finds another message under its id. One or a few may be another program's; many,
    /// and nothing between them, are another journal's.
    pub(super) fn other_row(&mut self) -> Result<(), Strange> {
        self.other_rows += 1;
        match self.other_rows > STORE_OTHER_ROWS_MAX {
            // The other engine's row, under a sequence that both have given.
            _ if self.is_newcomer => Err(Strange::Lives),
            true => Err(Strange::OtherJournal),
            false => Ok(()),
        }
    }

    /// What stands in the row now. Returns where the store is to go on: where it was, or where the
    /// database has gone back to.
    pub(super) fn see(&mut self, found: Mark) -> Result<Position, Strange> {
        let Some(left) = &self.left else {
            return Ok(self.take(found));
        };
        let is_known = *left == found || self.sent.as_ref() == Some(&found);
        if is_known {
            return Ok(self.take(found));
        }
        if self.strange.as_ref() != Some(&found) {
            self.is_newcomer |= self.strangers == 0 && !self.has_written;
            self.strangers += 1;
            self.strangers_in_a_row += 1;
            let position = found.position;
            self.strange = Some(found);
            let lives = self.strangers_in_a_row >= STRANGERS_IN_A_ROW;
            return Err(match lives || self.strangers >= STRANGERS_MAX {
                true => Strange::Lives,
                false => Strange::Once(position),
            });
        }
        // Nobody wrote since. A higher position would pass over what only this journal has.
        let position = left.position.min(found.position);
        Ok(self.take(Mark { position, ..found }))
    }

    fn take(&mut self, mark: Mark) -> Position {
        let position = mark.position;
        self.sent = None;
        self.left = Some(mark);
        position
    }

    /// The row was gone, and is made anew with this.
    pub(super) fn made(&mut self, mark: Mark) {
        self.take(mark);
    }

    /// This is being written.
    pub(super) fn send(&mut self, mark: Mark) {
        self.sent = Some(mark);
    }

    /// It was written, with so many new rows.
    pub(super) fn arrived(&mut self, inserted: u64) {
        self.has_written = true;
        self.strangers_in_a_row = 0;
        if inserted > 0 {
            self.other_rows = 0;
        }
        if let Some(sent) = self.sent.take() {
            self.left = Some(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(position: Position, stamp: &str) -> Mark {
        let stamp = stamp.to_owned();
        Mark { position, stamp }
    }

    fn write(marks: &mut Marks, position: Position, stamp: &str) {
        marks.send(mark(position, stamp));
        marks.arrived(1);
    }

    #[test]
    fn its_own_marks_are_known_whether_the_answer_came_or_not() {
        let mut marks = Marks::default();
        assert_eq!(marks.see(mark(7, "a")), Ok(7));
        write(&mut marks, 9, "b");
        assert_eq!(marks.see(mark(9, "b")), Ok(9));
        marks.send(mark(12, "c"));
        assert_eq!(marks.see(mark(9, "b")), Ok(9), "it did not arrive");
        marks.send(mark(12, "d"));
        assert_eq!(marks.see(mark(12, "d")), Ok(12), "it did");
        assert_eq!(marks.position(), Some(12));
    }

    #[test]
    fn a_few_rows_of_others_are_passed_over_and_many_are_another_journal() {
        let mut marks = Marks::default();
        for _ in 0..2 {
            for _ in 0..STORE_OTHER_ROWS_MAX {
                assert_eq!(marks.other_row(), Ok(()));
            }
            write(&mut marks, 9, "a");
        }
        for _ in 0..STORE_OTHER_ROWS_MAX {
            assert_eq!(marks.other_row(), Ok(()));
        }
        assert_eq!(marks.other_row(), Err(Strange::OtherJournal));
    }

    #[test]
    fn what_was_done_once_is_taken_and_never_passes_over_messages() {
        for (found, goes_on) in [(3, 3), (9, 9), (50, 9)] {
            let mut marks = Marks::default();
            assert_eq!(marks.see(mark(9, "a")), Ok(9));
            let strange = mark(found, "theirs");
            assert_eq!(marks.see(strange.clone()), Err(Strange::Once(found)));
            assert_eq!(marks.see(strange), Ok(goes_on));
            write(&mut marks, 60, "b");
            assert_eq!(marks.see(mark(60, "b")), Ok(60));
        }
    }

    #[test]
    fn an_operator_may_edit_the_row_now_and_then_and_an_engine_does_it_without_end() {
        let mut marks = Marks::default();
        assert_eq!(marks.see(mark(9, "a")), Ok(9));
        for time in 1..STRANGERS_MAX {
            let edited = mark(9, &format!("edited {time}"));
            assert_eq!(marks.see(edited.clone()), Err(Strange::Once(9)));
            assert_eq!(marks.see(edited), Ok(9));
            write(&mut marks, 9, &format!("own {time}"));
        }
        assert_eq!(marks.see(mark(9, "once more")), Err(Strange::Lives));
    }

    #[test]
    fn another_engine_at_the_same_position_is_no_answer_that_was_lost() {
        let mut marks = Marks::default();
        assert_eq!(marks.see(mark(9, "a")), Ok(9));
        assert_eq!(marks.see(mark(12, "theirs")), Err(Strange::Once(12)));
        assert_eq!(marks.see(mark(15, "again")), Err(Strange::Lives));
        assert_eq!(marks.other_row(), Err(Strange::Lives), "its row is there");
        let mut first = Marks::default();
        assert_eq!(first.see(mark(9, "a")), Ok(9));
        write(&mut first, 12, "b");
        assert_eq!(first.see(mark(12, "theirs")), Err(Strange::Once(12)));
        assert_eq!(first.other_row(), Ok(()), "who was there first goes on");
        assert!(Strange::Lives.words("east").contains("[store] node"));
    }
}
