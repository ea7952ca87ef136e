//! Reads rolling files back: whole, and line by line.

use std::io;

use super::storage::Storage;

/// How far at a time a file is read.
pub(super) const BLOCK_LEN: usize = 64 * 1024;

/// Fills `into`.
pub(super) fn read_whole<S: Storage>(
    storage: &S,
    file: &S::File,
    offset: u64,
    into: &mut [u8],
) -> io::Result<()> {
    let mut len = 0;
    while len < into.len() {
        match storage.read_at(file, offset + len as u64, &mut into[len..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Shows the lines among the first `len` bytes of a file, without their newlines; returns what stands
/// behind the last newline.
pub(super) fn read_lines<S: Storage>(
    storage: &S,
    file: &S::File,
    len: u64,
    take: &mut impl FnMut(&[u8]),
) -> io::Result<Vec<u8>> {
    let (mut offset, mut line, mut block) = (0, Vec::new(), vec![0; BLOCK_LEN]);
    while offset < len {
        let block_len = (len - offset).min(BLOCK_LEN as u64) as usize;
        read_whole(storage, file, offset, &mut block[..block_len])?;
        offset += block_len as u64;
        for piece in block[..block_len].split_inclusive(|it| *it == b'\n') {
            line.extend_from_slice(piece);
            if line.pop_if(|it| *it == b'\n').is_some() {
                take(&line);
                line.clear();
            }
        }
    }
    Ok(line)
}
