//! The relay's core: lines cut from bytes, each appended to what waits for its destination.
//!
//! It looks for one key, copies, and knows nothing else: no JSON, no order, no memory of what it
//! has seen. That is the least a program in this place can do, hence the baseline.

use std::collections::HashMap;

use memchr::memmem;

const KEY: &[u8] = b"\"destinationId\": \"";

#[derive(Debug)]
pub(crate) struct Routes {
    key: memmem::Finder<'static>,
    names: Vec<Vec<u8>>,
    /// Only asked where there are many.
    by_name: HashMap<Vec<u8>, usize>,
    /// What waits to be written, by destination.
    pub(crate) outs: Vec<Out>,
    pub(crate) lost: u64,
}

/// Bytes on their way to one destination.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// The bytes; those before `written` are gone.
    pub(crate) bytes: Vec<u8>,
    /// How many of them are in the socket.
    pub(crate) written: usize,
}

/// Written bytes are cut off when they are as many: rarely enough to cost nothing.
const WRITTEN_KEPT_MAX: usize = 512 * 1024;
/// Up to so many names are compared one by one.
const COMPARED_MAX: usize = 8;

impl Routes {
    pub(crate) fn new(names: &[String]) -> Self {
        let bytes = |name: &String| name.as_bytes().to_vec();
        Self {
            key: memmem::Finder::new(KEY),
            names: names.iter().map(bytes).collect(),
            by_name: names.iter().map(bytes).zip(0..).collect(),
            outs: names.iter().map(|_| Out::default()).collect(),
            lost: 0,
        }
    }

    /// Routes all whole lines, each of which has the key; returns how many bytes they took.
    pub(crate) fn route(&mut self, bytes: &[u8]) -> usize {
        let mut start = 0;
        while start < bytes.len() {
            let rest = &bytes[start..];
            // The key first: it stands near the line's begin, and the newline behind it.
            let Some(key_at) = self.key.find(rest) else {
                break;
            };
            let key_end = key_at + KEY.len();
            let Some(newline) = memchr::memchr(b'\n', &rest[key_end..]) else {
                break;
            };
            let end = key_end + newline + 1;
            match self.destination(&rest[key_end..]) {
                Some(destination) => self.outs[destination].push(&rest[..end]),
                None => self.lost += 1,
            }
            start += end;
        }
        start
    }

    #[inline]
    fn destination(&self, value: &[u8]) -> Option<usize> {
        if self.names.len() > COMPARED_MAX {
            let end = memchr::memchr(b'"', value)?;
            return self.by_name.get(&value[..end]).copied();
        }
        let is_it =
            |name: &Vec<u8>| value.get(name.len()) == Some(&b'"') && value.starts_with(name);
        self.names.iter().position(is_it)
    }

    /// The index of a name.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name.as_bytes()).copied()
    }

    /// The most that waits for any destination.
    pub(crate) fn waiting_max(&self) -> usize {
        self.outs.iter().map(Out::waiting).max().unwrap_or(0)
    }
}

impl Out {
    #[inline]
    fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// So many more were written.
    pub(crate) fn wrote(&mut self, len: usize) {
        self.written += len;
        if self.waiting() == 0 || self.written >= WRITTEN_KEPT_MAX {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(table: usize, fill: usize) -> String {
        let fill = "x".repeat(fill);
        format!(
            "{{\"messageId\": \"1\", \"destinationId\": \"table{table}\", \"p\": \"{fill}\"}}\n"
        )
    }

    fn routed(names: usize, bytes: &[u8], split: usize) -> (Vec<Vec<u8>>, u64) {
        let names: Vec<String> = (1..=names).map(|n| format!("table{n}")).collect();
        let mut routes = Routes::new(&names);
        let taken = routes.route(&bytes[..split]);
        let taken = taken + routes.route(&bytes[taken..]);
        assert_eq!(taken, bytes.len());
        let lost = routes.lost;
        (routes.outs.into_iter().map(|it| it.bytes).collect(), lost)
    }

    #[test]
    fn every_line_goes_to_its_destination_wherever_the_bytes_are_cut() {
        for names in [2, 20] {
            let lines = [line(1, 0), line(2, 30), line(1, 5), line(2, 1)];
            let bytes = lines.concat().into_bytes();
            for split in 0..=bytes.len() {
                let (outs, lost) = routed(names, &bytes, split);
                assert_eq!(outs[0], [&*lines[0], &*lines[2]].concat().as_bytes());
                assert_eq!(outs[1], [&*lines[1], &*lines[3]].concat().as_bytes());
                assert_eq!(lost, 0);
            }
        }
    }

    #[test]
    fn lines_for_nobody_are_counted() {
        let (outs, lost) = routed(2, line(3, 1).as_bytes(), 0);
        assert_eq!((outs.concat().len(), lost), (0, 1));
    }
}
