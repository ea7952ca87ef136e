//! Which messageIds a journal has more than once.
//!
//! Sixteen bytes a message: a hash of the id, and the sequence. What shares its hash is read again
//! and compared whole, so no two ids are ever taken for one.

use std::collections::{HashMap, HashSet};

use ahash::RandomState;

use super::Failure;
use super::place::{Place, failed};
use crate::journal::reader::scan::Finding;

/// Ids that are named at most.
const EXAMPLES: usize = 10;

/// The ids of a journal.
pub(super) struct Repeated {
    hasher: RandomState,
    seen: Vec<(u64, u64)>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Ids that more than one message has.
    pub(super) ids: u64,
    /// Some of them.
    pub(super) examples: Vec<String>,
}

impl Repeated {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            seen: Vec::new(),
        }
    }

    /// Takes a message's id.
    pub(super) fn add(&mut self, id: &[u8], sequence: u64) {
        self.seen.push((self.hasher.hash_one(id), sequence));
    }

    /// Finds the ids that came again; reads the journal a second time if there may be any.
    pub(super) fn find(&mut self, place: &Place) -> Result<Repeats, Failure> {
        self.seen.sort_unstable();
        let alike = self
            .seen
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|it| it.len() > 1);
        let sequences: HashSet<u64> = alike.flatten().map(|it| it.1).collect();
        if sequences.is_empty() {
            return Ok(Repeats::default());
        }
        let mut times: HashMap<String, u64> = HashMap::new();
        let mut scan = place.scan();
        while let Some(found) = scan.advance().map_err(failed)? {
            let Finding::Batch(batch) = found else {
                continue;
            };
            for record in batch
                .records()
                .filter(|it| sequences.contains(&it.sequence))
            {
                let id = record.message_id().value();
                *times.entry(id.into_owned()).or_default() += 1;
            }
        }
        let mut examples: Vec<String> = times
            .into_iter()
            .filter_map(|(id, times)| (times > 1).then_some(id))
            .collect();
        let ids = examples.len() as u64;
        examples.sort_unstable();
        examples.truncate(EXAMPLES);
        Ok(Repeats { ids, examples })
    }
}
