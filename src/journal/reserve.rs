//! Room set aside on the disk: files of zeros that exist before there is a shortage.
//!
//! Recovery and retention make them. One waits as a free file that the journal agent gives to
//! settlements alone, the other becomes a compacted file where no new one finds room. They are written
//! and not only allocated: a write over allocated pages costs twice that of a new page, over written
//! ones an eighth of it. On file systems that never write in place (btrfs, ZFS) they promise nothing.

use std::io::{self, IoSlice};

use super::storage::{Name, Storage};
use crate::limits::{JOURNAL_COMPACTION_RESERVE_LEN, JOURNAL_RESERVE_LEN, SEGMENT_NUMBER_MAX};

/// The number of the free file for settlements, until a segment's file takes its place: no segment gets
/// so far.
pub(crate) const SETTLEMENTS: u64 = SEGMENT_NUMBER_MAX;

/// The file for what is carried forward: messages, and ids that are remembered.
pub(crate) const COMPACTED: Name = Name::Free(COMPACTED_NUMBER);

/// Its number.
pub(crate) const COMPACTED_NUMBER: u64 = SEGMENT_NUMBER_MAX - 1;

/// Bytes written at once.
const PIECE_LEN: usize = 64 * 1024;

static ZEROS: [u8; PIECE_LEN] = [0; PIECE_LEN];

/// Bytes of the one for settlements: half a segment at most, for a segment that was closed is as long
/// only if its last batch fitted.
#[must_use]
pub(crate) fn len(segment_len: u64) -> u64 {
    JOURNAL_RESERVE_LEN.min(segment_len / 2)
}

/// Bytes of the one for what is carried forward.
#[must_use]
pub(crate) fn compacted_len(segment_len: u64) -> u64 {
    JOURNAL_COMPACTION_RESERVE_LEN.min(segment_len / 8 * 3)
}

/// Makes a file of `len` zeros under this name, or completes one that is there. It does not even try
/// where the disk has less: others would miss what it takes until it fails.
///
/// # Errors
/// There is no room for it: a new one does not exist, an old one is as long as it was.
pub(crate) fn make<S: Storage>(storage: &mut S, name: Name, len: u64) -> io::Result<()> {
    let missing = len.saturating_sub(len_if_there(storage, name));
    if storage.available().is_ok_and(|it| it < missing) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let (file, old_len) = match storage.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = storage.resume(name)?;
            let old_len = storage.len(&file)?;
            (file, Some(old_len))
        }
        created => (created?, None),
    };
    fill(storage, &file, len).inspect_err(|_| {
        // What it took is needed for something else now. If it stays, it is completed later.
        let _ = match old_len {
            Some(old_len) => storage.truncate(&file, old_len),
            None => storage.remove(name),
        };
    })
}

/// Cuts a file to `len` bytes at most; returns how many it has then, zero where it cannot be used.
pub(crate) fn cut<S: Storage>(storage: &mut S, name: Name, len: u64) -> u64 {
    let mut cut = || {
        let file = storage.resume(name)?;
        let old_len = storage.len(&file)?;
        if old_len > len {
            storage.truncate(&file, len)?;
        }
        io::Result::Ok(old_len.min(len))
    };
    cut().unwrap_or(0)
}

/// Bytes of a file; zero where there is none.
pub(crate) fn len_if_there<S: Storage>(storage: &S, name: Name) -> u64 {
    len_of(storage, name).unwrap_or(0)
}

/// Finds the free file that can take most settlements, or makes one; `None`: there is no room.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn for_settlements<S: Storage>(
    storage: &mut S,
    segment_len: u64,
) -> io::Result<Option<u64>> {
    let wanted = len(segment_len);
    for name in storage.list()? {
        match name {
            COMPACTED => {}
            Name::Free(number) if len_of(storage, name)? >= wanted => return Ok(Some(number)),
            _ => {}
        }
    }
    let made = make(storage, Name::Free(SETTLEMENTS), wanted);
    Ok(made.is_ok().then_some(SETTLEMENTS))
}

/// Halves of the reserve for a compaction down to the smallest one that is of use: the ids of a segment
/// usually take a twentieth of it, so less is better than nothing.
const HALVES: u32 = 3;

/// Makes room for a compaction before anybody takes it, or completes it: what a crash has left of one
/// was just removed. Returns its bytes; zero: there is no room, and a segment that goes becomes it.
pub(crate) fn for_compaction<S: Storage>(storage: &mut S, segment_len: u64) -> u64 {
    for_compaction_of(storage, segment_len, 0)
}

/// The smallest one that is of use.
pub(crate) fn for_compaction_at_least<S: Storage>(storage: &mut S, segment_len: u64) -> u64 {
    for_compaction_of(storage, segment_len, HALVES)
}

fn for_compaction_of<S: Storage>(storage: &mut S, segment_len: u64, halves: u32) -> u64 {
    let wanted = compacted_len(segment_len);
    // A life that ended early may have left a whole segment under that name.
    let there = cut(storage, COMPACTED, wanted);
    let lens = (halves..=HALVES).map(|it| wanted >> it);
    for len in lens {
        if there >= len {
            return there;
        }
        if make(storage, COMPACTED, len).is_ok() {
            return len;
        }
    }
    0
}

/// Bytes of a file.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn len_of<S: Storage>(storage: &S, name: Name) -> io::Result<u64> {
    let file = storage.open(name)?;
    storage.len(&file)
}

fn fill<S: Storage>(storage: &S, file: &S::Segment, len: u64) -> io::Result<()> {
    let mut end = storage.len(file)?.min(len);
    while end < len {
        let piece = &ZEROS[..(len - end).min(PIECE_LEN as u64) as usize];
        match storage.write_at(file, end, &[IoSlice::new(piece)])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => end += taken as u64,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::Memory;
    use crate::journal::watched::Watched;

    #[test]
    fn their_names_are_names_of_a_journals_files() {
        for name in [Name::Free(SETTLEMENTS), COMPACTED] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn a_reserve_is_made_completed_and_found_again() {
        let mut memory = Memory::default();
        let wanted = len(200_000);
        assert_eq!(wanted, 100_000);
        assert_eq!(len(u64::MAX), JOURNAL_RESERVE_LEN);
        let short = memory.create(Name::Free(7)).expect("memory");
        fill(&memory, &short, 10).expect("memory");
        make(&mut memory, COMPACTED, wanted).expect("memory");
        let found = for_settlements(&mut memory, 200_000).expect("memory");
        assert_eq!(
            found,
            Some(SETTLEMENTS),
            "others are too short, or not for them"
        );
        for number in [SETTLEMENTS, 7] {
            make(&mut memory, Name::Free(number), wanted).expect("memory");
            let len = len_of(&memory, Name::Free(number)).expect("it is there");
            assert_eq!(len, wanted);
        }
        memory.remove(Name::Free(SETTLEMENTS)).expect("it is there");
        assert_eq!(
            for_settlements(&mut memory, 200_000).expect("memory"),
            Some(7)
        );
    }

    #[test]
    fn nothing_is_begun_where_the_disk_has_less_than_is_asked_for() {
        let mut disk = Watched::default();
        disk.leave(99);
        assert!(make(&mut disk, COMPACTED, 100).is_err());
        assert_eq!(for_settlements(&mut disk, 200).expect("it is listed"), None);
        assert_eq!(for_compaction(&mut disk, 8_000), 0);
        assert_eq!(*disk.deeds(), []);
        disk.leave(100);
        make(&mut disk, COMPACTED, 100).expect("there is room");
        disk.leave(50);
        make(&mut disk, COMPACTED, 150).expect("it has the rest");
    }

    #[test]
    fn a_smaller_one_for_a_compaction_is_made_where_there_is_not_enough() {
        let mut disk = Watched::default();
        let whole = compacted_len(8_000);
        disk.leave(whole / 4);
        assert_eq!(for_compaction(&mut disk, 8_000), whole / 4);
    }

    #[test]
    fn a_segment_that_was_to_be_room_for_a_compaction_is_cut() {
        let mut disk = Watched::default();
        make(&mut disk, COMPACTED, 8_000).expect("there is room");
        assert_eq!(for_compaction(&mut disk, 8_000), compacted_len(8_000));
        assert_eq!(len_if_there(&disk, COMPACTED), compacted_len(8_000));
    }
}
