//! Whether the position's row in `store_position` is still this store's.
//!
//! Each transaction writes position and moment to the row. A store that finds other values than its own
//! knows that somebody else wrote there. That may be an operator, a restored backup or a replica: it
//! happens once, and the store goes on. An engine that runs on a copy of this data directory writes
//! again and again: then the store stops, because two engines under one name skip each other's
//! messages.
//!
//! In a group that shares its database the row holds a term besides ([`super::tenure`]).
//!
//! Pure: rows come in, decisions go out. Each [`super::Store`] asks under the row's lock, so that
//! nothing of its own is still under way.

use super::StoreError;
use super::tenure::{Hold, Superseded};
use crate::cluster::record::Term;
use crate::journal::format::Position;
use crate::limits::STORE_OTHER_ROWS_MAX;

/// Foreign writes without one of its own between them: that is no operator.
const FOREIGN_IN_A_ROW: u32 = 2;
/// Foreign writes in all: an operator edits the row now and then.
const FOREIGN_MAX: u32 = 5;

/// What the row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PositionRow {
    /// How far the rows go.
    pub(super) position: Position,
    /// When it was written, in the database's own spelling.
    pub(super) stamp: String,
}

/// The ownership of one store.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// What this store wrote last, or found first; `None`: it has not looked.
    known: Option<PositionRow>,
    /// What it wrote without an answer: it may have committed.
    unconfirmed: Option<PositionRow>,
    /// What somebody else wrote.
    foreign: Option<PositionRow>,
    foreign_count: u32,
    foreign_in_a_row: u32,
    /// It has written since the start.
    has_written: bool,
    /// It had not when it saw the first foreign write: of two engines it came later.
    is_newcomer: bool,
    /// Rows since the last one that was inserted whose id another message has.
    other_rows: u32,
    /// The own term, in a group that shares the database.
    hold: Option<Hold>,
}

/// Somebody else wrote the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForeignWrite {
    /// It may have been done once: look again.
    Once(Position),
    /// Another engine runs and writes.
    Repeated,
    /// Its rows are another journal's.
    OtherJournal,
}

impl ForeignWrite {
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
            Self::Repeated => format!("the position of \"{node}\" is moved again and again by"),
        };
        format!(
            "{happened} another engine with a copy of this data directory, give one of the two a \
             name of its own: set [store] node, or remove store_node from its data directory, and \
             start it again"
        )
    }
}

/// The store does not write: the position's row is not as it left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PositionError {
    /// Somebody else wrote it.
    Foreign(ForeignWrite),
    Missing,
    /// Another member of the group writes now.
    Superseded(Superseded),
    /// The database has gone back to this position.
    WentBack(Position),
}

impl From<Superseded> for PositionError {
    fn from(superseded: Superseded) -> Self {
        Self::Superseded(superseded)
    }
}

impl From<ForeignWrite> for PositionError {
    fn from(foreign: ForeignWrite) -> Self {
        Self::Foreign(foreign)
    }
}

impl PositionError {
    /// What happened in which database to which node, and what to do.
    pub(super) fn explain(self, place: &str, node: &str) -> StoreError {
        match self {
            Self::Foreign(foreign) => {
                let words = format!("{place}: {}", foreign.words(node));
                match foreign {
                    ForeignWrite::Once(_) => StoreError::Transient(words),
                    _ => StoreError::Permanent(words),
                }
            }
            Self::Missing => StoreError::Transient(format!(
                "{place}: the position of \"{node}\" is gone from store_position; it is made again"
            )),
            Self::Superseded(Superseded { by }) => StoreError::TermOver(format!(
                "{place}: term {by} of the group writes there now: this engine's term is over"
            )),
            Self::WentBack(position) => StoreError::Transient(format!(
                "{place}: it was replaced or went back: rows go on from position {position}"
            )),
        }
    }
}

impl Ownership {
    /// Of a store that writes in this term of its group.
    pub(super) fn in_term(term: Term) -> Self {
        Self {
            hold: Some(Hold::new(term)),
            ..Self::default()
        }
    }

    /// Whether the row holds a term.
    pub(super) fn has_term(&self) -> bool {
        self.hold.is_some()
    }

    /// Which term the row holds now. Returns the one to write there, if it is another.
    pub(super) fn look(&self, found: Term) -> Result<Option<Term>, Superseded> {
        (self.hold.as_ref()).map_or(Ok(None), |it| it.look(found))
    }

    /// The row holds the own term, and that is committed.
    pub(super) fn taken(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.taken();
        }
    }

    /// The position that this store wrote last, or found first.
    pub(super) fn position(&self) -> Option<Position> {
        self.known.as_ref().map(|it| it.position)
    }

    /// A row of ours finds another message under its id. One or a few may be another program's; many,
    /// and nothing between them, are another journal's.
    pub(super) fn found_other_row(&mut self) -> Result<(), ForeignWrite> {
        self.other_rows += 1;
        match self.other_rows > STORE_OTHER_ROWS_MAX {
            // The other engine's row, under a sequence that both have given.
            _ if self.is_newcomer => Err(ForeignWrite::Repeated),
            true => Err(ForeignWrite::OtherJournal),
            false => Ok(()),
        }
    }

    /// What the row holds now. Returns where the store goes on: where it was, or where the database
    /// has gone back to.
    pub(super) fn observe(&mut self, found: PositionRow) -> Result<Position, ForeignWrite> {
        let Some(known) = &self.known else {
            return Ok(self.accept(found));
        };
        let is_known = *known == found || self.unconfirmed.as_ref() == Some(&found);
        if is_known {
            return Ok(self.accept(found));
        }
        if self.foreign.as_ref() != Some(&found) {
            self.is_newcomer |= self.foreign_count == 0 && !self.has_written;
            self.foreign_count += 1;
            self.foreign_in_a_row += 1;
            let position = found.position;
            self.foreign = Some(found);
            let lives = self.foreign_in_a_row >= FOREIGN_IN_A_ROW;
            return Err(match lives || self.foreign_count >= FOREIGN_MAX {
                true => ForeignWrite::Repeated,
                false => ForeignWrite::Once(position),
            });
        }
        // No write since. A higher position would skip what only this journal has.
        let position = known.position.min(found.position);
        Ok(self.accept(PositionRow { position, ..found }))
    }

    fn accept(&mut self, row: PositionRow) -> Position {
        let position = row.position;
        self.unconfirmed = None;
        self.known = Some(row);
        position
    }

    /// The row was missing and is made with these values.
    pub(super) fn registered(&mut self, row: PositionRow) {
        self.accept(row);
    }

    /// These values are being written.
    pub(super) fn writing(&mut self, row: PositionRow) {
        self.unconfirmed = Some(row);
    }

    /// They are committed, with so many new rows.
    pub(super) fn committed(&mut self, inserted: u64) {
        self.has_written = true;
        self.taken();
        self.foreign_in_a_row = 0;
        if inserted > 0 {
            self.other_rows = 0;
        }
        if let Some(row) = self.unconfirmed.take() {
            self.known = Some(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(position: Position, stamp: &str) -> PositionRow {
        let stamp = stamp.to_owned();
        PositionRow { position, stamp }
    }

    fn write(ownership: &mut Ownership, position: Position, stamp: &str) {
        ownership.writing(row(position, stamp));
        ownership.committed(1);
    }

    #[test]
    fn its_own_writes_are_known_whether_the_answer_came_or_not() {
        let mut ownership = Ownership::default();
        assert_eq!(ownership.observe(row(7, "a")), Ok(7));
        write(&mut ownership, 9, "b");
        assert_eq!(ownership.observe(row(9, "b")), Ok(9));
        ownership.writing(row(12, "c"));
        assert_eq!(ownership.observe(row(9, "b")), Ok(9), "it did not arrive");
        ownership.writing(row(12, "d"));
        assert_eq!(ownership.observe(row(12, "d")), Ok(12), "it did");
        assert_eq!(ownership.position(), Some(12));
    }

    #[test]
    fn a_few_rows_of_others_are_passed_over_and_many_are_another_journal() {
        let mut ownership = Ownership::default();
        for _ in 0..2 {
            for _ in 0..STORE_OTHER_ROWS_MAX {
                assert_eq!(ownership.found_other_row(), Ok(()));
            }
            write(&mut ownership, 9, "a");
        }
        for _ in 0..STORE_OTHER_ROWS_MAX {
            assert_eq!(ownership.found_other_row(), Ok(()));
        }
        assert_eq!(ownership.found_other_row(), Err(ForeignWrite::OtherJournal));
    }

    #[test]
    fn what_was_done_once_is_taken_and_never_passes_over_messages() {
        for (found, goes_on) in [(3, 3), (9, 9), (50, 9)] {
            let mut ownership = Ownership::default();
            assert_eq!(ownership.observe(row(9, "a")), Ok(9));
            let foreign = row(found, "theirs");
            assert_eq!(
                ownership.observe(foreign.clone()),
                Err(ForeignWrite::Once(found))
            );
            assert_eq!(ownership.observe(foreign), Ok(goes_on));
            write(&mut ownership, 60, "b");
            assert_eq!(ownership.observe(row(60, "b")), Ok(60));
        }
    }

    #[test]
    fn an_operator_may_edit_the_row_now_and_then_and_an_engine_does_it_without_end() {
        let mut ownership = Ownership::default();
        assert_eq!(ownership.observe(row(9, "a")), Ok(9));
        for time in 1..FOREIGN_MAX {
            let edited = row(9, &format!("edited {time}"));
            assert_eq!(
                ownership.observe(edited.clone()),
                Err(ForeignWrite::Once(9))
            );
            assert_eq!(ownership.observe(edited), Ok(9));
            write(&mut ownership, 9, &format!("own {time}"));
        }
        assert_eq!(
            ownership.observe(row(9, "once more")),
            Err(ForeignWrite::Repeated)
        );
    }

    #[test]
    fn another_engine_at_the_same_position_is_no_answer_that_was_lost() {
        let mut ownership = Ownership::default();
        assert_eq!(ownership.observe(row(9, "a")), Ok(9));
        assert_eq!(
            ownership.observe(row(12, "theirs")),
            Err(ForeignWrite::Once(12))
        );
        assert_eq!(
            ownership.observe(row(15, "again")),
            Err(ForeignWrite::Repeated)
        );
        assert_eq!(
            ownership.found_other_row(),
            Err(ForeignWrite::Repeated),
            "its row is there"
        );
        let mut first = Ownership::default();
        assert_eq!(first.observe(row(9, "a")), Ok(9));
        write(&mut first, 12, "b");
        assert_eq!(
            first.observe(row(12, "theirs")),
            Err(ForeignWrite::Once(12))
        );
        assert_eq!(
            first.found_other_row(),
            Ok(()),
            "who was there first goes on"
        );
        assert!(
            ForeignWrite::Repeated
                .words("east")
                .contains("[store] node")
        );
    }
}
