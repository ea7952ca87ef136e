//! What waits to be written to one subscriber: frames, and the engine's own lines between them.
//!
//! The core fills it, the agent writes what it gathers; partial writes leave it in the middle of an
//! entry. Values only.

use std::collections::VecDeque;
use std::io::{IoSlice, Write};

use crate::arena::{Lease, View};
use crate::message::layout::{wire, wire_len};

/// Bytes of the longest announcement: `{"again":4294967295}` and a newline.
const ANNOUNCEMENT_LEN_MAX: usize = 21;

/// The line that announces how many of the frames behind it may have been seen before.
#[derive(Debug, Default)]
struct Announcement {
    count: u32,
    text: [u8; ANNOUNCEMENT_LEN_MAX],
    len: usize,
}

impl Announcement {
    fn count_one(&mut self) {
        self.count += 1;
        let mut rest = &mut self.text[..];
        writeln!(rest, "{{\"again\":{}}}", self.count).expect("ten digits find room");
        let rest_len = rest.len();
        self.len = self.text.len() - rest_len;
    }
}

#[derive(Debug)]
enum Entry {
    Frame(Lease),
    /// A frame that gave its chunk back: its subscriber does not read.
    Copied(Box<[u8]>),
    Announcement(Announcement),
    Line(Vec<u8>),
}

impl Entry {
    fn len(&self) -> usize {
        match self {
            Entry::Frame(lease) => wire_len(lease.byte_len()),
            Entry::Copied(bytes) => bytes.len(),
            Entry::Announcement(it) => it.len,
            Entry::Line(line) => line.len(),
        }
    }

    fn bytes<'a>(&'a self, view: &'a View) -> &'a [u8] {
        match self {
            Entry::Frame(lease) => wire(view.bytes(lease)),
            Entry::Copied(bytes) => bytes,
            Entry::Announcement(it) => &it.text[..it.len],
            Entry::Line(line) => line,
        }
    }
}

/// The entries of one subscriber, oldest first; the first `head_written` bytes are gone already, and so many
/// behind them are `uncounted`: in a TLS record of which the socket has a part.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    head_written: usize,
    uncounted: usize,
    /// Index of the announcement that the next redelivered frame adds to.
    announcement: Option<usize>,
}

/// What a write completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Completed {
    /// Frames that are wholly written.
    pub(super) frames: u32,
    /// Their bytes.
    pub(super) bytes: u32,
}

impl Outbox {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a frame.
    pub(super) fn push_frame(&mut self, lease: Lease) {
        self.announcement = None;
        self.entries.push_back(Entry::Frame(lease));
    }

    /// Adds a frame that may have been seen before, and has it announced.
    pub(super) fn push_redelivered(&mut self, lease: Lease) {
        let index = match self
            .announcement
            .filter(|&index| index > 0 || self.head_written == 0)
        {
            Some(index) => index,
            None => {
                self.entries
                    .push_back(Entry::Announcement(Announcement::default()));
                self.entries.len() - 1
            }
        };
        if let Some(Entry::Announcement(it)) = self.entries.get_mut(index) {
            it.count_one();
        }
        self.announcement = Some(index);
        self.entries.push_back(Entry::Frame(lease));
    }

    /// Adds a line of the engine's own.
    pub(super) fn push_line(&mut self, mut line: String) {
        self.announcement = None;
        line.push('\n');
        self.entries.push_back(Entry::Line(line.into_bytes()));
    }

    /// Fills `slices` with what is to be written next; returns how many.
    pub(super) fn gather<'a>(&'a self, view: &'a View, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.head_written;
        let mut count = 0;
        for (slice, entry) in slices.iter_mut().zip(&self.entries) {
            *slice = IoSlice::new(&entry.bytes(view)[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// What a write was offered stays as it is until it is written: what comes later is announced anew.
    /// The next write counts the first `uncounted` bytes of it.
    pub(super) fn freeze(&mut self, uncounted: usize) {
        self.announcement = None;
        self.uncounted = uncounted;
    }

    /// So many bytes were written: gives the leases of whole frames to `end`.
    pub(super) fn advance(&mut self, written: usize, mut end: impl FnMut(Lease)) -> Completed {
        self.uncounted = 0;
        let mut left = self.head_written + written;
        let mut completed = Completed::default();
        while let Some(entry) = self.entries.front() {
            let len = entry.len();
            if left < len {
                break;
            }
            left -= len;
            self.announcement = self.announcement.and_then(|index| index.checked_sub(1));
            let entry = self.entries.pop_front();
            if let Some(Entry::Frame(_) | Entry::Copied(_)) = entry {
                completed.frames += 1;
                completed.bytes += len as u32;
            }
            if let Some(Entry::Frame(lease)) = entry {
                end(lease);
            }
        }
        self.head_written = left;
        completed
    }

    /// Ends all leases, keeping copies of their frames: a subscriber that does not read shall not
    /// keep chunks from the others. Its credit bounds the copies.
    pub(super) fn detach(&mut self, view: &View, mut end: impl FnMut(Lease)) {
        for entry in &mut self.entries {
            if let Entry::Frame(_) = entry {
                let copy = Entry::Copied(entry.bytes(view).into());
                if let Entry::Frame(lease) = std::mem::replace(entry, copy) {
                    end(lease);
                }
            }
        }
    }

    /// How many entries are on their way, the last of them in part.
    fn begun(&self) -> usize {
        let mut left = self.head_written + self.uncounted;
        let mut begun = 0;
        while left > 0
            && let Some(entry) = self.entries.get(begun)
        {
            left = left.saturating_sub(entry.len());
            begun += 1;
        }
        begun
    }

    /// Whether a frame is on its way, and not known to be written.
    pub(super) fn has_begun_frame(&self) -> bool {
        let mut begun = self.entries.iter().take(self.begun());
        begun.any(|it| matches!(it, Entry::Frame(_) | Entry::Copied(_)))
    }

    /// Takes the frames back that are not begun, and gives their leases to `end`: what is left are the
    /// engine's own lines, and what is on its way.
    pub(super) fn take_back(&mut self, mut end: impl FnMut(Lease)) {
        self.announcement = None;
        let mut waiting = self.entries.split_off(self.begun());
        let lines = waiting.drain(..).filter_map(|entry| match entry {
            Entry::Line(_) => Some(entry),
            Entry::Frame(lease) => {
                end(lease);
                None
            }
            Entry::Copied(_) | Entry::Announcement(_) => None,
        });
        self.entries.extend(lines);
    }

    /// Ends all leases.
    pub(super) fn clear(&mut self, mut end: impl FnMut(Lease)) {
        for entry in self.entries.drain(..) {
            if let Entry::Frame(lease) = entry {
                end(lease);
            }
        }
        (self.head_written, self.uncounted) = (0, 0);
        self.announcement = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Ledger, Returned};

    /// Writes the outbox out, `step` bytes at a time, pushing the frame of each number in `later`
    /// as soon as that many bytes are out.
    fn write_out(outbox: &mut Outbox, ledger: &mut Ledger, step: usize) -> (Vec<u8>, u32) {
        let view = ledger.view();
        let (mut out, mut frames) = (Vec::new(), 0);
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let count = outbox.gather(&view, &mut slices);
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|it| it.iter().copied())
                .take(step)
                .collect();
            out.extend_from_slice(&bytes);
            let completed = outbox.advance(bytes.len(), |lease| {
                ledger.take_back(Returned::one(lease));
            });
            frames += completed.frames;
        }
        (out, frames)
    }

    fn frames(ledger: &mut Ledger, names: &[&str]) -> Vec<Lease> {
        let mut writer = ledger.writer().expect("a chunk");
        let lend = |name: &&str| {
            let committed = writer.claim(name.as_bytes()).expect("room").commit();
            let place = ledger.place(committed);
            ledger.lend(place).expect("resident")
        };
        names.iter().map(lend).collect()
    }

    #[test]
    fn partial_writes_of_any_size_lose_nothing() {
        for step in 1..40 {
            let mut ledger = Ledger::new(4096, 1);
            let mut outbox = Outbox::default();
            outbox.push_line("{\"subscribed\":[]}".to_owned());
            for lease in frames(&mut ledger, &["one", "two", "three", "four"]) {
                outbox.push_frame(lease);
            }
            let (out, frames) = write_out(&mut outbox, &mut ledger, step);
            assert_eq!(out, b"{\"subscribed\":[]}\none\ntwo\nthree\nfour\n");
            assert_eq!(frames, 4);
        }
    }

    #[test]
    fn copies_are_written_as_the_frames_they_were() {
        let mut ledger = Ledger::new(4096, 1);
        let view = ledger.view();
        let mut outbox = Outbox::default();
        for lease in frames(&mut ledger, &["one", "two"]) {
            outbox.push_frame(lease);
        }
        assert_eq!(outbox.advance(2, drop).frames, 0);
        let mut ended = 0;
        outbox.detach(&view, |lease| {
            ended += 1;
            ledger.take_back(Returned::one(lease));
        });
        assert_eq!(ended, 2);
        let (out, frames) = write_out(&mut outbox, &mut ledger, 3);
        assert_eq!((out.as_slice(), frames), (&b"e\ntwo\n"[..], 2));
    }

    #[test]
    fn what_is_on_its_way_is_not_taken_back() {
        // "one" is in a record whole, "two" in part; or the head is half written; or nothing is.
        for (written, uncounted, kept) in [(0, 6, 2), (0, 4, 1), (2, 0, 1), (2, 3, 2), (0, 0, 0)] {
            let mut ledger = Ledger::new(4096, 1);
            let mut outbox = Outbox::default();
            for lease in frames(&mut ledger, &["one", "two", "three"]) {
                outbox.push_frame(lease);
            }
            outbox.advance(written, drop);
            outbox.freeze(uncounted);
            assert_eq!(outbox.has_begun_frame(), kept > 0);
            let mut taken = 0;
            outbox.take_back(|lease| {
                taken += 1;
                ledger.take_back(Returned::one(lease));
            });
            outbox.push_line("bye".to_owned());
            assert_eq!(taken, 3 - kept, "{written} {uncounted}");
            let (out, frames) = write_out(&mut outbox, &mut ledger, 1000);
            let all = ["one\n", "two\n"][..kept].concat() + "bye\n";
            assert_eq!(
                (out.as_slice(), frames),
                (&all.as_bytes()[written..], kept as u32)
            );
        }
    }

    #[test]
    fn redelivered_frames_in_a_row_share_an_announcement() {
        let mut ledger = Ledger::new(4096, 1);
        let mut outbox = Outbox::default();
        let mut leases = frames(&mut ledger, &["a", "b", "c", "d"]).into_iter();
        let mut next = || leases.next().expect("four were made");
        outbox.push_redelivered(next());
        outbox.push_redelivered(next());
        outbox.push_frame(next());
        outbox.push_redelivered(next());
        let (out, _) = write_out(&mut outbox, &mut ledger, 1000);
        assert_eq!(out, b"{\"again\":2}\na\nb\nc\n{\"again\":1}\nd\n");
    }

    #[test]
    fn an_announcement_that_is_partly_out_is_not_changed() {
        let mut ledger = Ledger::new(4096, 1);
        let mut outbox = Outbox::default();
        let mut leases = frames(&mut ledger, &["a", "b"]).into_iter();
        outbox.push_redelivered(leases.next().expect("two were made"));
        assert_eq!(outbox.advance(3, drop), Completed::default());
        outbox.push_redelivered(leases.next().expect("two were made"));
        let (out, _) = write_out(&mut outbox, &mut ledger, 1000);
        assert_eq!(out, b"gain\":1}\na\n{\"again\":1}\nb\n");
    }
}
