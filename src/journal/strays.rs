//! Strays: files at the end of a journal that are copies of its segments under other numbers, with
//! nothing before them.
//!
//! ```text
//! 0 | 1 | 2 | 3 |   nothing   | 9999: the header of segment 0 |
//! ```
//!
//! `journal verify` names them and `journal repair` sets them aside: to close the gap before such a file
//! would make up segments that never were. The last file may have another number in its header after
//! a crash, where it was just taken for the next segment. It is no stray: nothing is missing before it.

use super::error::JournalError;
use super::reader::header_of;
use super::storage::{Name, Storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stray {
    /// The file.
    pub(crate) name: Name,
    /// The segment that its header names.
    pub(crate) of: u64,
}

/// # Errors
/// The journal cannot be read.
pub(crate) fn strays<S: Storage>(storage: &S) -> Result<Vec<Stray>, JournalError> {
    let names = storage.list().map_err(JournalError::List)?;
    let is_there = |number: u64| {
        names.iter().any(|name| match *name {
            Name::Segment(it) => it == number,
            Name::Compacted(from, to) => (from..to).contains(&number),
            Name::Free(_) | Name::Unfinished(..) => false,
        })
    };
    let has_begun = |number: u64| {
        names.iter().any(|name| match *name {
            Name::Segment(it) | Name::Compacted(it, _) => it < number,
            Name::Free(_) | Name::Unfinished(..) => false,
        })
    };
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    let numbers = storage.segments().map_err(JournalError::List)?;
    for number in numbers.into_iter().rev() {
        let name = Name::Segment(number);
        match header_of(storage, number)? {
            Some(header) if header.number != number => {
                let of = header.number;
                found.push(Stray { name, of });
            }
            _ => break,
        }
        let is_behind_gap = number.checked_sub(1).is_some_and(|it| !is_there(it));
        if is_behind_gap && has_begun(number) {
            strays.append(&mut found);
        }
    }
    Ok(strays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{Memory, TestWriter};

    /// A journal of three segments and more.
    fn memory() -> Memory {
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), 4_096);
        for sequence in 1..60 {
            writer.plain(sequence..=sequence);
        }
        memory
    }

    fn copy(memory: &Memory, from: u64, to: u64) {
        let mut files = memory.files();
        let bytes = files[&Name::Segment(from)].clone();
        files.insert(Name::Segment(to), bytes);
    }

    fn numbers(memory: &Memory) -> Vec<(Name, u64)> {
        let strays = strays(memory).expect("memory can be read");
        strays.iter().map(|it| (it.name, it.of)).collect()
    }

    #[test]
    fn copies_behind_a_gap_are_strays_and_a_segment_that_is_just_begun_is_none() {
        let memory = memory();
        assert_eq!(numbers(&memory), []);
        let last = memory.segments().expect("memory").pop().expect("some");
        copy(&memory, 0, last + 1);
        assert_eq!(numbers(&memory), [], "a crash leaves it so");
        for number in [700, 701, u64::MAX / 2] {
            copy(&memory, 1, number);
        }
        let strays = [u64::MAX / 2, 701, 700].map(|it| (Name::Segment(it), 1));
        assert_eq!(numbers(&memory), strays);
    }

    #[test]
    fn where_nothing_else_is_there_is_none() {
        let memory = memory();
        copy(&memory, 1, 50);
        memory.files().retain(|name, _| *name == Name::Segment(50));
        assert_eq!(numbers(&memory), []);
    }
}
