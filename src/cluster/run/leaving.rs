//! Removes the segments of a member's journal that the group has agreed nobody needs.
//!
//! The member's thread tells it of each record that is written; retention of a term's path frees the files
//! itself, by the same agreement. It knows segments and no messages.

use std::sync::Arc;

use super::files::RecordFiles;
use crate::counters::{Counter, Counters};
use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::journal::retention::low::Low;
use crate::journal::storage::Storage;

/// Between two looks at the other members, in us.
const LOOK_US: u64 = 1_000_000;

/// See the module.
pub(crate) struct Leaving {
    low: Arc<Low>,
    segment_len: u64,
    /// Has the position of a database that follows these files alone; `None`: there is none.
    followed: Option<Arc<Counters>>,
    /// The segments below this one are gone.
    gone: u64,
    /// What retention proposed, as the core was told last.
    told: u64,
    /// The stream must have records from this one on.
    needed_from: u64,
    /// The stream begins in this segment or behind, if a purge goes as it is asked.
    begins_in: u64,
    /// Bytes that journals may have.
    max_bytes: u64,
    looked_us: u64,
}

impl Leaving {
    pub(crate) fn new(
        low: Arc<Low>,
        (segment_len, max_bytes): (u64, u64),
        followed: Option<Arc<Counters>>,
    ) -> Self {
        Self {
            low,
            segment_len,
            followed,
            gone: 0,
            told: 0,
            needed_from: 0,
            begins_in: 0,
            max_bytes,
            looked_us: 0,
        }
    }

    /// Whether it is time to look from where on the stream is needed.
    pub(crate) fn is_due(&mut self, now_us: u64) -> bool {
        let is_due = now_us >= self.looked_us + LOOK_US;
        if is_due {
            self.looked_us = now_us;
        }
        is_due
    }

    /// The sequence of the first record that the stream must have, where segment `newest` is being filled and
    /// the member that is least far has `least`: it is waited for while the stream is within what journals may
    /// have.
    pub(crate) fn needed_from(&mut self, least: Option<u64>, newest: u64) -> u64 {
        let segments = (newest + 1).saturating_sub(self.begins_in);
        let may_wait = segments.saturating_mul(self.segment_len) <= self.max_bytes;
        match least.map(|it| it.saturating_add(1)) {
            Some(next) if may_wait && next < self.needed_from => next,
            _ => {
                self.begins_in = self.low.agreed();
                self.needed_from
            }
        }
    }

    /// What is proposed since it was asked last.
    pub(crate) fn take_proposed(&mut self) -> Option<u64> {
        let proposed = self.low.proposed();
        (proposed > self.told).then(|| {
            self.told = proposed;
            proposed
        })
    }

    /// A record stands in the journal that says this.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) fn agree<S: Storage>(
        &mut self,
        low: u64,
        files: &RecordFiles<S>,
    ) -> Result<(), JournalError> {
        if low > self.low.agreed() {
            let first = files.first_sequence_of(low)?;
            self.low.agree(low);
            self.needed_from = first.unwrap_or(self.needed_from);
        }
        Ok(())
    }

    /// Removes the segments that nobody needs, as a standby: its own database has followed them.
    ///
    /// # Errors
    /// They cannot be listed or removed: it is tried again with the next record.
    pub(crate) fn drop_segments<S: Storage>(
        &mut self,
        files: &mut RecordFiles<S>,
    ) -> Result<(), JournalError> {
        let stored = self
            .followed
            .as_ref()
            .map_or(Position::MAX, |it| it.get(Counter::StorePosition));
        let low = self.low.agreed().min(stored / self.segment_len);
        if low > self.gone {
            files.drop_below(low)?;
            self.gone = low;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::record::{Kind, Place, encode};
    use crate::cluster::testing::{announcement, place};
    use crate::journal::storage::Name;
    use crate::journal::testing::Memory;
    use crate::journal::watched::Watched;

    const SEGMENT: u64 = 4 * 1024;

    /// Files with a beat at the beginning of each of four segments, which the stream gave 10, 20, 30, 40.
    fn files(memory: &Memory) -> RecordFiles<Memory> {
        let opened = RecordFiles::open(memory.clone(), SEGMENT);
        let (mut files, _) = opened.expect("it is empty");
        for number in 0..4 {
            let place = Place {
                position: number * SEGMENT + 64,
                sequence: 10 * (number + 1),
                ..place(Kind::Beat)
            };
            let bytes = encode(&place, Some(&announcement()), &[]).expect("it fits");
            files.write(&place, &bytes).expect("memory has room");
        }
        files
    }

    #[test]
    fn a_standby_drops_what_is_agreed_and_its_own_database_has() {
        let memory = Memory::default();
        let mut files = files(&memory);
        let counters = Arc::new(Counters::default());
        let low = Arc::new(Low::default());
        let lens = (SEGMENT, 8 * SEGMENT);
        let mut leaving = Leaving::new(Arc::clone(&low), lens, Some(Arc::clone(&counters)));
        let segments = || memory.segments().expect("memory");
        leaving.agree(0, &files).expect("memory");
        assert_eq!(leaving.needed_from(None, 3), 0);
        leaving.agree(2, &files).expect("memory");
        assert_eq!(leaving.needed_from(None, 3), 30);
        leaving.drop_segments(&mut files).expect("memory");
        assert_eq!(segments(), [0, 1, 2, 3], "its database has nothing yet");
        counters.set(Counter::StorePosition, SEGMENT + 1);
        leaving.drop_segments(&mut files).expect("memory");
        assert_eq!(segments(), [1, 2, 3]);
        counters.set(Counter::StorePosition, Position::MAX);
        leaving.drop_segments(&mut files).expect("memory");
        assert_eq!(segments(), [2, 3]);
        leaving.agree(9, &files).expect("memory");
        assert_eq!(leaving.needed_from(None, 3), 30, "there is no such one");
        leaving.drop_segments(&mut files).expect("memory");
        assert_eq!(segments(), [3], "the one that is filled stays");
        assert!(memory.open(Name::Segment(3)).is_ok());
    }

    #[test]
    fn a_member_that_is_behind_is_waited_for_while_the_stream_may_be_so_long() {
        let memory = Memory::default();
        let files = files(&memory);
        let lens = (SEGMENT, 4 * SEGMENT);
        let mut leaving = Leaving::new(Arc::default(), lens, None);
        leaving.agree(2, &files).expect("memory");
        assert_eq!(leaving.needed_from(Some(11), 3), 12);
        assert_eq!(leaving.needed_from(Some(35), 3), 30, "it is far enough");
        assert_eq!(leaving.needed_from(Some(11), 5), 12, "2 to 5 may wait");
        assert_eq!(leaving.needed_from(Some(11), 6), 30, "and no longer");
        assert_eq!(leaving.needed_from(Some(u64::MAX), 3), 30);
    }

    #[test]
    fn what_is_agreed_while_no_descriptor_is_left_is_looked_at_again() {
        let memory = Memory::default();
        drop(files(&memory));
        let disk = Watched::over(memory);
        let files = RecordFiles::open(disk.clone(), SEGMENT)
            .expect("they are a member's")
            .0;
        let mut leaving = Leaving::new(Arc::default(), (SEGMENT, 8 * SEGMENT), None);
        disk.refuse_opening(true);
        assert!(leaving.agree(2, &files).is_err());
        disk.refuse_opening(false);
        leaving.agree(2, &files).expect("it can be read now");
        assert_eq!(leaving.needed_from(None, 3), 30);
    }

    #[test]
    fn what_is_proposed_is_told_once() {
        let low = Arc::new(Low::default());
        let mut leaving = Leaving::new(Arc::clone(&low), (SEGMENT, 0), None);
        assert_eq!(leaving.take_proposed(), None);
        low.propose(3);
        assert_eq!(leaving.take_proposed(), Some(3));
        assert_eq!(leaving.take_proposed(), None);
    }
}
