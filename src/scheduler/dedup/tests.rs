//! The dedup window beside a naive one, and at its edges.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const SEED: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Remembers in a queue what the window remembers, and searches it from end to end.
struct Model {
    ids: VecDeque<(IdHash, u64)>,
    capacity: usize,
    window_ms: u64,
    epoch_ms: u64,
    now_ms: u64,
}

impl Model {
    fn new(capacity: usize, window_ms: u64) -> Self {
        Self {
            ids: VecDeque::new(),
            capacity,
            window_ms,
            epoch_ms: window_ms.div_ceil(256).max(1),
            now_ms: 0,
        }
    }

    fn claim(&mut self, hash: IdHash, now_ms: u64) -> bool {
        self.now_ms = self.now_ms.max(now_ms);
        let (epoch_ms, window_ms, now_ms) = (self.epoch_ms, self.window_ms, self.now_ms);
        let ends = |at: u64| at - at % epoch_ms + epoch_ms + window_ms;
        self.ids.retain(|&(_, at)| ends(at) > now_ms);
        if self.ids.iter().any(|&(known, _)| known == hash) {
            return false;
        }
        if self.ids.len() == self.capacity {
            self.ids.pop_front();
        }
        self.ids.push_back((hash, now_ms));
        true
    }
}

proptest! {
    #[test]
    fn it_remembers_exactly_what_a_naive_window_does(
        capacity in 1usize..80,
        window_ms in prop_oneof![1u64..50, 200u64..2_000],
        ids in 1u64..200,
        steps in prop::collection::vec((any::<u64>(), 0u64..40), 1..600),
    ) {
        let mut window = DedupWindow::new(capacity, Duration::from_millis(window_ms), SEED);
        let mut model = Model::new(capacity, window_ms);
        let (hasher, mut now_ms) = (window.hasher(), 1_000_000);
        for (id, later) in steps {
            // Mostly a little later, at times a lot, at times a little earlier.
            now_ms = match later { 39 => now_ms + 700, 38 => now_ms - 3, _ => now_ms + later / 8 };
            let hash = hasher.hash(&(id % ids).to_le_bytes());
            window.touch(hash);
            prop_assert_eq!(window.claim(hash, now_ms), model.claim(hash, now_ms));
            prop_assert_eq!(window.len(), model.ids.len());
            let mine: Vec<_> = window.iter().map(|(hash, _)| hash).collect();
            let naive: Vec<_> = model.ids.iter().map(|&(hash, _)| hash).collect();
            prop_assert_eq!(mine, naive);
        }
    }

    #[test]
    fn a_window_rebuilt_from_its_iterator_goes_on_alike(
        steps in prop::collection::vec((0u64..60, 0u64..30), 1..200),
        rest in prop::collection::vec((0u64..60, 0u64..30), 1..200),
    ) {
        let new = || DedupWindow::new(40, Duration::from_secs(1), SEED);
        let (mut window, mut now_ms) = (new(), 5_000);
        let hasher = window.hasher();
        for (id, later) in steps {
            now_ms += later;
            window.claim(hasher.hash(&id.to_le_bytes()), now_ms);
        }
        let mut again = new();
        for (hash, since_ms) in window.iter() {
            prop_assert!(again.claim(hash, since_ms));
        }
        for (id, later) in rest {
            now_ms += later;
            let hash = hasher.hash(&id.to_le_bytes());
            prop_assert_eq!(again.claim(hash, now_ms), window.claim(hash, now_ms));
        }
    }
}

#[test]
fn a_full_sized_window_wraps_round_without_losing_or_inventing_an_id() {
    let capacity = 100_000;
    let mut window = DedupWindow::new(capacity, Duration::from_secs(600), SEED);
    let hasher = window.hasher();
    let hash = |id: usize| hasher.hash(format!("server1-{id}-abc").as_bytes());
    for id in 0..capacity * 5 / 2 {
        assert!(window.claim(hash(id), id as u64 / 1_000));
        assert!(!window.claim(hash(id.saturating_sub(capacity - 1)), id as u64 / 1_000));
    }
    assert_eq!(window.len(), capacity);
    assert!(window.claim(hash(0), 300));
}

#[test]
fn a_window_of_one_knows_the_last_id_only() {
    let mut window = DedupWindow::new(1, Duration::from_secs(1), SEED);
    let (a, b) = (IdHash([1, 1]), IdHash([1, 2]));
    assert!(window.claim(a, 0));
    assert!(!window.claim(a, 0));
    assert!(window.claim(b, 0), "the same first half is no duplicate");
    assert!(window.claim(a, 0));
    assert_eq!(window.len(), 1);
}

#[test]
fn a_window_of_nothing_remembers_nothing() {
    for (messages, time) in [(0, Duration::from_secs(1)), (10, Duration::ZERO)] {
        let mut window = DedupWindow::new(messages, time, SEED);
        window.touch(IdHash([1, 1]));
        assert!(window.claim(IdHash([1, 1]), 0));
        assert!(window.claim(IdHash([1, 1]), 0));
        assert!(window.is_empty());
        assert_eq!(window.iter().count(), 0);
    }
}

#[test]
fn an_id_is_known_for_the_whole_window_and_a_256th_longer_at_most() {
    let mut window = DedupWindow::new(10, Duration::from_secs(256), SEED);
    let id = IdHash([7, 7]);
    assert!(window.claim(id, 999));
    assert!(!window.claim(id, 999 + 256_000));
    assert!(window.claim(id, 999 + 257_000));
}

#[test]
fn a_million_ids_cost_less_than_28_bytes_each() {
    let window = DedupWindow::new(1_000_000, Duration::from_secs(600), SEED);
    let bytes = size_of_val(&window.keys[..]) + window.table.bytes();
    assert!(bytes < 28 * 1_000_000, "{bytes}");
}
