//! Damages the files of a journal by a script.

use super::script::Script;
use super::write::Written;
use crate::journal::format::{BATCH_HEADER_LEN, BATCH_MAGIC, SEGMENT_HEADER_LEN};
use crate::journal::storage::Name;

/// Steps that damage, at most.
const STEPS_MAX: usize = 32;
/// Bytes that a file may grow by in one step.
const GROWTH_MAX: usize = 255;

/// Damages until the script ends.
pub(super) fn apply(script: &mut Script<'_>, written: &mut Written) {
    for _ in 0..STEPS_MAX {
        if script.is_empty() {
            return;
        }
        let kind = script.byte() % 8;
        let names: Vec<Name> = written.memory.files().keys().copied().collect();
        let Some(&name) = names.get(usize::from(script.byte()) % names.len().max(1)) else {
            return;
        };
        let at = usize::from(script.short());
        match kind {
            5 => copy(script, written, &names, name, at),
            6 => written.is_wild |= rehash(written, name, at),
            7 => rename(script, written, name),
            _ => {
                let mut files = written.memory.files();
                let file = files.get_mut(&name).expect("it is listed");
                change(kind, script, file, at);
            }
        }
    }
}

fn change(kind: u8, script: &mut Script<'_>, file: &mut Vec<u8>, at: usize) {
    let at = at.min(file.len());
    let len = usize::from(script.byte());
    let end = (at + len).min(file.len());
    match kind {
        0 => file[at..]
            .iter_mut()
            .take(1)
            .for_each(|it| *it ^= len as u8),
        1 => file[at..]
            .iter_mut()
            .zip(script.bytes(len))
            .for_each(|(to, it)| *to = *it),
        2 => file.truncate(at),
        3 => file[at..end].fill(0),
        _ => file.extend_from_slice(script.bytes(len.min(GROWTH_MAX))),
    }
}

/// Copies a piece of one file, as it is, to where it does not belong: of a former life, say.
fn copy(script: &mut Script<'_>, written: &Written, names: &[Name], to: Name, at: usize) {
    let from = names[usize::from(script.byte()) % names.len()];
    let (start, len) = (usize::from(script.short()), usize::from(script.short()));
    let mut files = written.memory.files();
    let piece: Vec<u8> = files[&from].iter().skip(start).take(len).copied().collect();
    let file = files.get_mut(&to).expect("it is listed");
    let at = at.min(file.len());
    let end = (at + piece.len()).min(file.len());
    file.splice(at..end, piece);
}

/// Gives the header that stands there, changed as it may be, a right CRC. Returns whether one does.
fn rehash(written: &Written, name: Name, at: usize) -> bool {
    let mut files = written.memory.files();
    let file = files.get_mut(&name).expect("it is listed");
    if at < SEGMENT_HEADER_LEN {
        let Some(header) = file.first_chunk_mut::<SEGMENT_HEADER_LEN>() else {
            return false;
        };
        let crc = crc32fast::hash(&header[16..]);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        return true;
    }
    let at = at.min(file.len());
    let Some(at) = memchr::memmem::rfind(&file[..at], &BATCH_MAGIC) else {
        return false;
    };
    let Some(header) = file[at..].first_chunk::<BATCH_HEADER_LEN>() else {
        return false;
    };
    let body_len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let Some(hashed) = file[at..].get(8..BATCH_HEADER_LEN + body_len as usize) else {
        return false;
    };
    let crc = crc32fast::hash(hashed);
    file[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    true
}

/// Removes a file, or gives it a name that directories may hold.
fn rename(script: &mut Script<'_>, written: &mut Written, name: Name) {
    let mut files = written.memory.files();
    let bytes = files.remove(&name).expect("it is listed");
    let kind = script.byte() % 5;
    let mut number = || match script.byte() {
        u8::MAX => script
            .bytes(8)
            .iter()
            .fold(0, |it, byte| it << 8 | u64::from(*byte)),
        small => u64::from(small),
    };
    let to = match kind {
        0 => return,
        1 => Name::Segment(number()),
        2 => Name::Free(number()),
        3 => Name::Compacted(number(), number()),
        _ => Name::Unfinished(number(), number()),
    };
    if let Some(name) = Name::parse(&to.to_string()) {
        // It would stand for segments that are whole.
        written.is_wild |= matches!(name, Name::Compacted(..));
        files.insert(name, bytes);
    }
}
