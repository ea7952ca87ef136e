//! The gate: a message may be delivered, and its source may forget it, once the journal has
//! recorded it.
//!
//! Intake feeds it messages and duplicates in the order they came; the journal says which sequences
//! are recorded; what passes goes to the queues and to the source acknowledgements. With
//! `durability = "memory"` messages do not wait, but their positions in the journal still come from
//! here. It also knows how far the journal may grow. It holds indices and lines, no messages.

use std::collections::VecDeque;

use super::message::{Line, SlotIndex};
use crate::journal::format::Position;
use crate::limits::UNRECORDED_MAX;
use crate::message::Sequence;

/// How many entries ahead a message's slot is prefetched.
const PREFETCH_AHEAD: usize = 8;

/// What stands in the gate.
#[derive(Debug, Clone, Copy)]
enum Entry {
    /// A message that is not recorded.
    Message {
        index: SlotIndex,
        /// Bytes of its record.
        len: u32,
    },
    /// A duplicate: its source gets no acknowledgement before what came before it.
    Duplicate(Line),
}

/// What passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The message in this slot, or the one that had it, is recorded.
    Message {
        index: SlotIndex,
        sequence: Sequence,
        position: Position,
    },
    Duplicate(Line),
}

/// A recorded batch whose messages have not all passed.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The next message's sequence and position.
    sequence: Sequence,
    position: Position,
    /// The sequence behind the last message.
    end: Sequence,
}

impl Batch {
    /// The journal has recorded `entries` messages from `first` on; the first one's record stands
    /// at `position`, the others right behind it.
    pub(crate) fn new(first: Sequence, entries: u32, position: Position) -> Self {
        Self {
            sequence: first,
            position,
            end: first + u64::from(entries),
        }
    }
}

/// The gate. Invariant: `unwritten_len` is the sum of the lengths of the messages in `entries`.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Messages are delivered before they are recorded: `durability = "memory"`.
    is_open: bool,
    entries: VecDeque<Entry>,
    /// Where the journal's last record ends, and bytes of the records that it does not have.
    journal_end: Position,
    unwritten_len: u64,
    /// Retention lets the journal grow up to here.
    granted: Position,
}

impl Gate {
    pub(crate) fn new(is_open: bool) -> Self {
        Self {
            is_open,
            entries: VecDeque::with_capacity(UNRECORDED_MAX),
            journal_end: 0,
            unwritten_len: 0,
            granted: 0,
        }
    }

    /// Whether messages need not wait.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether everything is recorded.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether so many more entries find room.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.entries.len() + count <= UNRECORDED_MAX
    }

    /// Retention lets the journal grow up to this position.
    pub(crate) fn grant(&mut self, position: Position) {
        self.granted = position;
    }

    /// Whether the journal, with what is on its way there, may grow.
    pub(crate) fn may_grow(&self) -> bool {
        self.journal_end + self.unwritten_len < self.granted
    }

    /// A message whose record has `len` bytes is on its way to the journal.
    #[inline]
    pub(crate) fn push(&mut self, index: SlotIndex, len: u32) {
        self.unwritten_len += u64::from(len);
        self.entries.push_back(Entry::Message { index, len });
    }

    /// A duplicate came as this line, which is returned if it may be acknowledged at once.
    pub(crate) fn push_duplicate(&mut self, line: Line) -> Option<Line> {
        if self.is_open || self.entries.is_empty() {
            return Some(line);
        }
        if line.number > 0 {
            self.entries.push_back(Entry::Duplicate(line));
        }
        None
    }

    /// The next entry that a recorded batch lets pass: its messages, and the duplicates before,
    /// between and right behind them. `None`: all have passed.
    #[inline]
    pub(crate) fn pass(&mut self, batch: &mut Batch) -> Option<Passed> {
        match *self.entries.front()? {
            Entry::Duplicate(line) => {
                self.entries.pop_front();
                Some(Passed::Duplicate(line))
            }
            Entry::Message { index, len } if batch.sequence < batch.end => {
                self.entries.pop_front();
                let passed = Passed::Message {
                    index,
                    sequence: batch.sequence,
                    position: batch.position,
                };
                batch.sequence += 1;
                batch.position += Position::from(len);
                self.unwritten_len -= u64::from(len);
                self.journal_end = batch.position;
                Some(passed)
            }
            Entry::Message { .. } => None,
        }
    }

    /// The messages that wait.
    pub(crate) fn messages(&self) -> impl Iterator<Item = SlotIndex> {
        self.entries.iter().filter_map(|it| match it {
            Entry::Message { index, .. } => Some(*index),
            Entry::Duplicate(_) => None,
        })
    }

    /// The message whose slot is worth prefetching now.
    #[inline]
    pub(crate) fn ahead(&self) -> Option<SlotIndex> {
        match self.entries.get(PREFETCH_AHEAD)? {
            Entry::Message { index, .. } => Some(*index),
            Entry::Duplicate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(number: u64) -> Line {
        Line {
            source: 1,
            connection: 1,
            number,
        }
    }

    fn pass_all(gate: &mut Gate, batch: Batch) -> Vec<Passed> {
        let mut batch = batch;
        std::iter::from_fn(|| gate.pass(&mut batch)).collect()
    }

    /// What the gate should let pass, entry by entry: a message's record length, or a duplicate's
    /// line.
    type Model = VecDeque<Result<(SlotIndex, u32), Line>>;

    proptest! {
        /// Each step pushes messages of these lengths (zero: a duplicate), then records some.
        #[test]
        fn what_is_recorded_passes_in_order_with_the_duplicates_behind_it(
            steps in prop::collection::vec((prop::collection::vec(0..3_u32, 0..6), 0..6_u32), 1..80),
        ) {
            let (mut gate, mut model) = (Gate::new(false), Model::new());
            let (mut next_index, mut sequence, mut position) = (0, 1, 100);
            for (pushed, recorded) in steps {
                for len in pushed {
                    next_index += 1;
                    if len > 0 {
                        gate.push(next_index, len);
                        model.push_back(Ok((next_index, len)));
                    } else {
                        let duplicate = line(u64::from(next_index));
                        let at_once = gate.push_duplicate(duplicate);
                        prop_assert_eq!(at_once.is_some(), model.is_empty());
                        if at_once.is_none() {
                            model.push_back(Err(duplicate));
                        }
                    }
                }
                let waiting = model.iter().filter(|it| it.is_ok()).count() as u32;
                let batch = Batch::new(sequence, recorded.min(waiting), position);
                let end = sequence + u64::from(recorded.min(waiting));
                let mut expected = Vec::new();
                while let Some(&front) = model.front() {
                    match front {
                        Err(duplicate) => expected.push(Passed::Duplicate(duplicate)),
                        Ok(_) if sequence == end => break,
                        Ok((index, len)) => {
                            expected.push(Passed::Message { index, sequence, position });
                            sequence += 1;
                            position += u64::from(len);
                        }
                    }
                    model.pop_front();
                }
                prop_assert_eq!(pass_all(&mut gate, batch), expected);
                let left: u64 = model.iter().flatten().map(|&(_, len)| u64::from(len)).sum();
                prop_assert_eq!(gate.unwritten_len, left);
                prop_assert_eq!(gate.is_empty(), model.is_empty());
            }
        }
    }

    #[test]
    fn the_journal_may_grow_up_to_what_is_granted_counting_what_is_on_its_way() {
        let mut gate = Gate::new(false);
        assert!(!gate.may_grow(), "nothing is granted");
        gate.grant(1_000);
        gate.push(0, 600);
        assert!(gate.may_grow());
        gate.push(1, 400);
        assert!(!gate.may_grow());
        gate.grant(1_001);
        assert!(gate.may_grow());
        // The records stand where the journal says, not where they were expected.
        pass_all(&mut gate, Batch::new(1, 2, 500));
        assert!(!gate.may_grow());
        gate.grant(1_501);
        assert!(gate.may_grow());
    }

    #[test]
    fn duplicates_do_not_wait_where_messages_do_not() {
        let mut gate = Gate::new(true);
        gate.push(0, 10);
        assert_eq!(gate.push_duplicate(line(2)), Some(line(2)));
        let passed = pass_all(&mut gate, Batch::new(7, 1, 0));
        let expected = Passed::Message {
            index: 0,
            sequence: 7,
            position: 0,
        };
        assert_eq!(passed, [expected]);
    }

    #[test]
    fn it_has_room_for_as_many_entries_as_its_limit_says() {
        let mut gate = Gate::new(false);
        (0..UNRECORDED_MAX as u32 - 1).for_each(|index| gate.push(index, 1));
        assert!(gate.has_room(1) && !gate.has_room(2));
        assert_eq!(gate.ahead(), Some(PREFETCH_AHEAD as u32));
    }
}
