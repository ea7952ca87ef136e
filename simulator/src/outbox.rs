//! Lines on their way out: made, written, and - where the peer acknowledges - kept until then.
//!
//! `stream` fills its open batch and reports writes and acknowledgements; the bytes pending go to
//! the socket. It makes no lines and knows no time.
//!
//! ```text
//!  front batch          ...        current batch            ...   last batch (open)
//!  [acked|unacknowledged ]         [written |pending ]            [made |room      ]
//! ```
//! Invariants: there is always a batch; `current` is one of them; `lines_written` lines of it end
//! at or before `written`; lines before `acked` of the front batch are acknowledged, hence written.
//! Without acknowledgements there is one batch only, cleared when all of it is written.

use std::collections::VecDeque;

use crate::limits::{BATCH_BYTES, UNACKNOWLEDGED_BYTES_MAX};
use crate::orders::LineKind;
use crate::totals::Totals;

/// Some 256 KiB of lines. A line longer than the room left makes it longer.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    /// The offset after its newline.
    end: u32,
    kind: LineKind,
    /// Whether it was wholly in a socket before.
    sent: bool,
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES
    }

    /// Adds the line that `make` appends.
    #[inline]
    pub(crate) fn push(&mut self, make: impl FnOnce(&mut Vec<u8>) -> LineKind) -> LineKind {
        let kind = make(&mut self.bytes);
        let end = u32::try_from(self.bytes.len()).expect("a batch is far shorter than 4 GiB");
        self.lines.push(Line {
            end,
            kind,
            sent: false,
        });
        kind
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    fn start_of(&self, line: usize) -> usize {
        if line == 0 {
            0
        } else {
            self.lines[line - 1].end as usize
        }
    }
}

/// Where a connection is to be dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutPlan {
    /// After so many lines that were never sent before.
    pub(crate) first_lines: u64,
    /// And so many thousandths into the next line; `None`: between two lines.
    pub(crate) into_line: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    batches: VecDeque<Batch>,
    spare: Option<Batch>,
    keep: bool,
    acked: usize,
    current: usize,
    written: usize,
    lines_written: usize,
    connection: ConnectionLines,
}

/// Lines of this connection.
#[derive(Debug, Default)]
struct ConnectionLines {
    whole: u64,
    first: u64,
    acked: u64,
}

impl Outbox {
    /// `keep`: lines stay until they are acknowledged.
    pub(crate) fn new(keep: bool) -> Self {
        Self {
            batches: VecDeque::from([Batch::default()]),
            spare: None,
            keep,
            acked: 0,
            current: 0,
            written: 0,
            lines_written: 0,
            connection: ConnectionLines::default(),
        }
    }

    /// The batch to put new lines into; `None` when all the memory allowed is taken.
    pub(crate) fn open(&mut self) -> Option<&mut Batch> {
        if !self.keep && self.all_written() {
            self.clear_only();
        }
        if self.last().is_full() {
            if !self.keep || self.bytes() >= UNACKNOWLEDGED_BYTES_MAX {
                return None;
            }
            self.batches
                .push_back(self.spare.take().unwrap_or_default());
            self.next_batch_if_written();
        }
        self.batches.back_mut()
    }

    /// True when nothing is pending.
    pub(crate) fn all_written(&self) -> bool {
        self.current + 1 == self.batches.len() && self.written == self.last().bytes.len()
    }

    /// True when nothing waits for an acknowledgement either.
    pub(crate) fn is_settled(&self) -> bool {
        let kept = self.keep && (self.batches.len() > 1 || !self.last().lines.is_empty());
        self.all_written() && !kept
    }

    /// What is to be written next, up to the cut where one is planned; empty at the cut itself.
    pub(crate) fn pending(&self, cut: Option<CutPlan>) -> &[u8] {
        let batch = &self.batches[self.current];
        let end = cut
            .and_then(|cut| self.cut_at(batch, cut))
            .unwrap_or(batch.bytes.len());
        &batch.bytes[self.written..end.max(self.written)]
    }

    /// The offset of the cut in the current batch. `None` where no line follows it there: a
    /// connection is only cut when something is left to send.
    fn cut_at(&self, batch: &Batch, cut: CutPlan) -> Option<usize> {
        let first = batch
            .lines
            .partition_point(|line| line.sent)
            .max(self.lines_written);
        let left = cut.first_lines.saturating_sub(self.connection.first);
        let line = first.checked_add(usize::try_from(left).ok()?)?;
        let end = batch.lines.get(line)?.end as usize;
        let start = batch.start_of(line);
        // Never all of the frame: an engine that took it without its newline would be right, too.
        let torn_max = end - start - "}\n".len();
        let torn = cut
            .into_line
            .map_or(0, |thousandths| (torn_max * thousandths / 1000).max(1));
        Some(start + torn)
    }

    /// `len` bytes of those pending are in the socket.
    pub(crate) fn wrote(&mut self, len: usize, totals: &mut Totals) {
        self.written += len;
        totals.bytes += len as u64;
        let batch = &mut self.batches[self.current];
        assert!(
            self.written <= batch.bytes.len(),
            "written is part of the batch"
        );
        while let Some(line) = batch.lines.get_mut(self.lines_written)
            && line.end as usize <= self.written
        {
            self.lines_written += 1;
            self.connection.whole += 1;
            if line.sent {
                totals.count_again(line.kind);
            } else {
                line.sent = true;
                self.connection.first += 1;
                totals.count_first(line.kind);
            }
        }
        self.next_batch_if_written();
    }

    /// The first `count` lines of this connection are acknowledged.
    pub(crate) fn acknowledged(&mut self, count: u64, totals: &mut Totals) {
        if count > self.connection.whole {
            totals.wrong_acknowledgements += 1;
        }
        let count = count.min(self.connection.whole);
        let mut new = count.saturating_sub(self.connection.acked);
        self.connection.acked += new;
        totals.acknowledged += new;
        while new > 0 {
            let left = self.batches[0].lines.len() - self.acked;
            let taken = left.min(usize::try_from(new).unwrap_or(usize::MAX));
            assert!(taken > 0, "acknowledged lines are kept lines");
            new -= taken as u64;
            self.acked += taken;
            self.drop_front_if_acknowledged();
        }
    }

    /// A new connection: starts with the first line not acknowledged, or not wholly written.
    pub(crate) fn rewind(&mut self) {
        if self.keep {
            self.current = 0;
            self.lines_written = self.acked;
        }
        self.written = self.batches[self.current].start_of(self.lines_written);
        self.connection = ConnectionLines::default();
    }

    /// Summed up only when a batch is full.
    fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.bytes.len()).sum()
    }

    fn last(&self) -> &Batch {
        self.batches.back().expect("there is always a batch")
    }

    fn next_batch_if_written(&mut self) {
        let done = self.written == self.batches[self.current].bytes.len();
        if done && self.current + 1 < self.batches.len() {
            self.current += 1;
            self.written = 0;
            self.lines_written = 0;
        }
    }

    fn drop_front_if_acknowledged(&mut self) {
        if self.acked < self.batches[0].lines.len() {
            return;
        }
        if self.batches.len() == 1 {
            self.clear_only();
        } else if let Some(mut front) = self.batches.pop_front() {
            assert!(self.current > 0, "what is acknowledged was written");
            self.current -= 1;
            self.acked = 0;
            front.clear();
            self.spare = Some(front);
        }
    }

    fn clear_only(&mut self) {
        self.batches[0].clear();
        self.acked = 0;
        self.written = 0;
        self.lines_written = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCHES_MAX: usize = UNACKNOWLEDGED_BYTES_MAX / BATCH_BYTES;

    fn fill(outbox: &mut Outbox, lines: &[&str]) {
        let batch = outbox.open().expect("room");
        for line in lines {
            batch.push(|out| {
                out.extend_from_slice(line.as_bytes());
                LineKind::Valid
            });
        }
    }

    fn pending(outbox: &Outbox) -> String {
        String::from_utf8(outbox.pending(None).to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_line_counts_when_its_newline_is_written_at_every_split() {
        for split in 0..=8 {
            let (mut outbox, mut totals) = (Outbox::new(false), Totals::default());
            fill(&mut outbox, &["abc\n", "def\n"]);
            outbox.wrote(split, &mut totals);
            assert_eq!(totals.valid, split as u64 / 4);
            outbox.rewind();
            assert_eq!(pending(&outbox), &"abc\ndef\n"[split / 4 * 4..]);
        }
    }

    #[test]
    fn without_acknowledgements_written_lines_are_gone() {
        let (mut outbox, mut totals) = (Outbox::new(false), Totals::default());
        fill(&mut outbox, &["abc\n"]);
        outbox.wrote(4, &mut totals);
        outbox.rewind();
        fill(&mut outbox, &["def\n"]);
        assert_eq!(pending(&outbox), "def\n");
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_and_counted_as_such() {
        let (mut outbox, mut totals) = (Outbox::new(true), Totals::default());
        fill(&mut outbox, &["a1\n", "a2\n", "a3\n"]);
        outbox.wrote(9, &mut totals);
        outbox.acknowledged(1, &mut totals);
        outbox.rewind();
        assert_eq!(pending(&outbox), "a2\na3\n");
        outbox.wrote(6, &mut totals);
        outbox.acknowledged(1, &mut totals);
        outbox.acknowledged(1, &mut totals);
        assert!(!outbox.is_settled());
        outbox.acknowledged(2, &mut totals);
        assert!(outbox.is_settled());
        assert_eq!(
            (totals.valid, totals.resent, totals.acknowledged),
            (3, 2, 3)
        );
    }

    #[test]
    fn an_acknowledgement_of_more_than_was_sent_counts_as_wrong() {
        let (mut outbox, mut totals) = (Outbox::new(true), Totals::default());
        fill(&mut outbox, &["a1\n", "a2\n"]);
        outbox.wrote(4, &mut totals);
        outbox.acknowledged(2, &mut totals);
        assert_eq!((totals.acknowledged, totals.wrong_acknowledgements), (1, 1));
    }

    #[test]
    fn a_peer_that_never_acknowledges_meets_a_bound_and_one_that_does_frees_it() {
        let (mut outbox, mut totals) = (Outbox::new(true), Totals::default());
        let line = format!("{}\n", "x".repeat(BATCH_BYTES - 1));
        for _ in 0..BATCHES_MAX {
            fill(&mut outbox, &[&line]);
            outbox.wrote(line.len(), &mut totals);
        }
        assert!(outbox.open().is_none());
        outbox.acknowledged(1, &mut totals);
        assert!(outbox.open().is_some());
        outbox.rewind();
        let mut sent_again = 0;
        while !outbox.all_written() {
            let len = outbox.pending(None).len();
            outbox.wrote(len, &mut totals);
            sent_again += 1;
        }
        assert_eq!(sent_again, BATCHES_MAX - 1);
        assert_eq!(totals.resent, BATCHES_MAX as u64 - 1);
    }

    #[test]
    fn a_cut_falls_after_so_many_first_lines_and_maybe_inside_the_next() {
        let (mut outbox, mut totals) = (Outbox::new(true), Totals::default());
        fill(&mut outbox, &["a001\n", "a002\n", "a003\n"]);
        let cut = |into_line| {
            Some(CutPlan {
                first_lines: 1,
                into_line,
            })
        };
        assert_eq!(outbox.pending(cut(None)), b"a001\n");
        assert_eq!(outbox.pending(cut(Some(500))), b"a001\na");
        assert_eq!(outbox.pending(cut(Some(999))), b"a001\na0");
        outbox.wrote(6, &mut totals);
        assert_eq!(outbox.pending(cut(Some(500))), b"");
        outbox.rewind();
        assert_eq!(
            outbox.pending(cut(None)),
            b"a001\na002\n",
            "lines sent again do not count"
        );
        outbox.rewind();
        fill(&mut outbox, &[]);
        assert_eq!(
            outbox
                .pending(Some(CutPlan {
                    first_lines: 9,
                    into_line: None
                }))
                .len(),
            15
        );
    }
}
