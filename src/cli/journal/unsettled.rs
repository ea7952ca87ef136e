//! Which messages are not settled, with a small number for each.
//!
//! Sequences come nearly in order and are settled nearly in order, so they are kept in pages that go
//! when they are empty: four bytes a message that waits, and nothing for one that does not.

use std::collections::BTreeMap;

/// Sequences of one page.
const PAGE: usize = 2048;

/// Sequences that are not settled.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    pages: BTreeMap<u64, Page>,
}

/// Zero is for sequences that are not there.
#[derive(Debug)]
struct Page {
    values: Box<[u32; PAGE]>,
    /// How many are there.
    len: usize,
}

impl Unsettled {
    /// Adds a message; its number may be up to `u32::MAX - 1`.
    pub(super) fn insert(&mut self, sequence: u64, value: u32) {
        let (page, at) = place(sequence);
        let page = self.pages.entry(page).or_insert_with(|| Page {
            values: Box::new([0; PAGE]),
            len: 0,
        });
        page.len += usize::from(page.values[at] == 0);
        page.values[at] = value + 1;
    }

    /// Takes a message out; `None`: it is not there.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<u32> {
        let (number, at) = place(sequence);
        let page = self.pages.get_mut(&number)?;
        let value = std::mem::take(&mut page.values[at]).checked_sub(1)?;
        page.len -= 1;
        if page.len == 0 {
            self.pages.remove(&number);
        }
        Some(value)
    }

    /// Whether a message is there.
    pub(super) fn contains(&self, sequence: u64) -> bool {
        let (page, at) = place(sequence);
        self.pages.get(&page).is_some_and(|it| it.values[at] != 0)
    }

    /// The numbers of all of them, in the order of the sequences.
    pub(super) fn values(&self) -> impl Iterator<Item = u32> + '_ {
        let all = self.pages.values().flat_map(|it| it.values.iter());
        all.filter_map(|it| it.checked_sub(1))
    }
}

fn place(sequence: u64) -> (u64, usize) {
    (sequence / PAGE as u64, (sequence % PAGE as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_settled_is_gone_and_the_rest_keeps_its_order() {
        let mut unsettled = Unsettled::default();
        let sequences = [1, 4_095, 4_096, u64::MAX];
        for (value, sequence) in sequences.into_iter().enumerate() {
            unsettled.insert(sequence, value as u32);
        }
        assert_eq!(unsettled.remove(4_095), Some(1));
        assert_eq!(unsettled.remove(4_095), None, "once");
        assert_eq!(unsettled.remove(9), None);
        assert!(unsettled.contains(1) && !unsettled.contains(4_095));
        assert_eq!(unsettled.values().collect::<Vec<_>>(), [0, 2, 3]);
    }

    #[test]
    fn an_empty_page_costs_nothing() {
        let mut unsettled = Unsettled::default();
        (0..20_000).for_each(|it| unsettled.insert(it, 7));
        (0..20_000)
            .rev()
            .for_each(|it| assert_eq!(unsettled.remove(it), Some(7)));
        assert!(unsettled.pages.is_empty());
    }
}
