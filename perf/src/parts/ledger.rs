//! What one destination must get, and what it got: exactly once, in order, unchanged.
//!
//! The sink feeds it lines. Its books are small because the plan is known: within one source and
//! level the numbers must rise, each must belong to this destination, and their count must be the
//! plan's. All three together leave room for exactly the frames that were sent, each once.

use crate::frames::{FrameBook, Stamp};
use crate::plan::{LEVELS_MAX, Plan};

/// One frame in so many is compared byte for byte; of the others the fixed places.
const COMPARE_EVERY: u64 = 16;

/// The books of one destination.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    book: &'a FrameBook,
    plan: &'a Plan,
    destination: usize,
    counted: u64,
    wrong: u64,
    first_wrong: Option<String>,
    /// The least number that may come next, by source and level.
    next: Vec<[u64; LEVELS_MAX]>,
    spare: Vec<u8>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(book: &'a FrameBook, plan: &'a Plan, destination: usize) -> Self {
        Self {
            book,
            plan,
            destination,
            counted: 0,
            wrong: 0,
            first_wrong: None,
            next: vec![[0; LEVELS_MAX]; plan.sources],
            spare: Vec::new(),
        }
    }

    /// Enters a line, newline included, and tells its level; `None` when it is wrong.
    #[inline]
    pub(crate) fn enter(&mut self, line: &[u8]) -> Option<(Stamp, usize)> {
        match self.check(line) {
            Ok(right) => {
                self.counted += 1;
                Some(right)
            }
            Err(what) => {
                self.note_wrong(what, line);
                None
            }
        }
    }

    #[inline]
    fn check(&mut self, line: &[u8]) -> Result<(Stamp, usize), &'static str> {
        let stamp = self.book.read(line).ok_or("no frame of this round")?;
        if stamp.source >= self.plan.sources || stamp.number >= self.plan.messages_of(stamp.source)
        {
            return Err("a frame that nobody sent");
        }
        let place = self.book.place(stamp);
        if place.destination != self.destination {
            return Err("a frame for another destination");
        }
        let next = &mut self.next[stamp.source][place.level];
        if stamp.number < *next {
            return Err("a frame twice, or out of the order of its source and level");
        }
        *next = stamp.number + 1;
        let is_compared = self.counted.is_multiple_of(COMPARE_EVERY);
        if is_compared && !self.book.is_verbatim(line, stamp, &mut self.spare) {
            return Err("a frame that was changed on its way");
        }
        Ok((stamp, place.level))
    }

    #[cold]
    fn note_wrong(&mut self, what: &str, line: &[u8]) {
        self.wrong += 1;
        let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
        let destination = self.plan.first_destination + self.destination + 1;
        self.first_wrong.get_or_insert_with(|| {
            format!("destination {destination}: {what}: {}", text.trim_end())
        });
    }

    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// Lines that were wrong, and the first of them.
    pub(crate) fn wrong(&self) -> (u64, Option<String>) {
        (self.wrong, self.first_wrong.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Timestamp;
    use crate::wire::Wire;

    fn lines(book: &FrameBook, plan: &Plan, destination: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for source in 0..plan.sources {
            for number in 0..plan.messages_of(source) {
                let stamp = Stamp {
                    number,
                    source,
                    due_ns: 0,
                };
                if book.place(stamp).destination == destination {
                    let mut line = Vec::new();
                    book.append(&mut line, stamp, &Timestamp::new(1_693_123_456_789));
                    lines.push(line);
                }
            }
        }
        lines
    }

    fn wrongs(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> (u64, u64, u64) {
        let plan = Plan::flat_out(2_000, 390);
        let book = FrameBook::new(&plan, Wire::Bare).expect("frames");
        let mut lines = lines(&book, &plan, 1);
        change(&mut lines);
        let mut ledger = Ledger::new(&book, &plan, 1);
        for line in &lines {
            ledger.enter(line);
        }
        let missing = book.expected(&plan)[1].saturating_sub(ledger.counted());
        (ledger.counted(), missing, ledger.wrong().0)
    }

    #[test]
    fn all_frames_once_in_order_are_right() {
        let (counted, missing, wrong) = wrongs(|_| {});
        assert!(counted > 400 && missing == 0 && wrong == 0);
    }

    #[test]
    fn lost_repeated_swapped_foreign_and_changed_frames_are_noticed() {
        assert_eq!(wrongs(|lines| drop(lines.remove(7))).1, 1);
        assert_eq!(wrongs(|lines| lines.insert(8, lines[7].clone())).2, 1);
        assert!(wrongs(|lines| lines.reverse()).2 > 300);
        let foreign = wrongs(|lines| {
            let plan = Plan::flat_out(2_000, 390);
            let book = FrameBook::new(&plan, Wire::Bare).expect("frames");
            lines[3] = super::tests::lines(&book, &plan, 2).swap_remove(0);
        });
        assert_eq!((foreign.1, foreign.2), (1, 1));
        assert_eq!(wrongs(|lines| lines[16][380] ^= 1).2, 1);
        assert_eq!(wrongs(|lines| _ = lines[16].remove(200)).2, 1);
    }
}
