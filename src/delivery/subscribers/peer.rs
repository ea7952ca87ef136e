//! A subscriber of the model: its socket, and what it was handed.

use std::collections::{BTreeMap, VecDeque};

/// A peer and its socket.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) ack: bool,
    /// What the socket has taken.
    pub(super) got: Vec<u8>,
    /// Bytes that it takes before it is full.
    pub(super) room: usize,
    /// What the peer has sent and nobody has read.
    pub(super) input: VecDeque<u8>,
    /// The peer has ended its side.
    pub(super) has_ended: bool,
    pub(super) is_broken: bool,
    pub(super) is_shut: bool,
    pub(super) is_closed: bool,
    /// Frames that it was handed, by number, and whether they may have been seen.
    pub(super) handed: BTreeMap<u64, bool>,
}

impl Peer {
    /// The whole lines that it has got.
    pub(super) fn lines(&self) -> Vec<serde_json::Value> {
        let whole = self
            .got
            .iter()
            .rposition(|it| *it == b'\n')
            .map_or(0, |it| it + 1);
        let lines = self.got[..whole].split_inclusive(|it| *it == b'\n');
        lines
            .map(|it| serde_json::from_slice(it).expect("JSON"))
            .collect()
    }

    /// The numbers of the whole frames that it has got.
    pub(super) fn frames(&self) -> Vec<u64> {
        self.lines()
            .iter()
            .filter_map(|it| it["n"].as_u64())
            .collect()
    }

    /// Each frame that may have been seen was announced, and no other one, and each destination's
    /// frames came in their order.
    pub(super) fn check(&self) {
        let (mut announced, mut last) = (0, BTreeMap::new());
        for line in self.lines() {
            if let Some(count) = line["again"].as_u64() {
                assert_eq!(announced, 0, "an announcement within another one");
                announced = count;
            } else if let Some(number) = line["n"].as_u64() {
                let redelivered = self.handed[&number];
                assert_eq!(announced > 0, redelivered && self.ack, "frame {number}");
                announced = announced.saturating_sub(1);
                let before = last.insert(line["d"].as_u64(), number);
                assert!(
                    before.is_none_or(|it| it < number),
                    "frame {number} is late"
                );
            }
        }
    }
}
