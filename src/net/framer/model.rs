//! A naive framer, for tests and fuzzing: it has all bytes at once.

/// A line that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// All of a line.
    Whole(Vec<u8>),
    /// The first bytes of a line that is too long.
    Oversize(Vec<u8>),
}

/// The lines, and the unfinished one. That may be oversize already: then it is among the lines.
pub(crate) fn lines(bytes: &[u8], line_len_max: usize) -> (Vec<Seen>, &[u8]) {
    let mut seen = Vec::new();
    let mut rest = bytes;
    while let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..newline];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        rest = &rest[newline + 1..];
        if line.len() > line_len_max {
            seen.push(Seen::Oversize(line[..line_len_max].to_vec()));
        } else if !is_blank(line) {
            seen.push(Seen::Whole(line.to_vec()));
        }
    }
    let possible = rest.strip_suffix(b"\r").unwrap_or(rest);
    if possible.len() > line_len_max {
        seen.push(Seen::Oversize(rest[..line_len_max].to_vec()));
        return (seen, &[]);
    }
    (seen, rest)
}

/// Whether a line has spaces only.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|it| b" \t\r".contains(it))
}
