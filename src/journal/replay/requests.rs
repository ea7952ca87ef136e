//! Which record is read next: new requests, one that waits for a chunk, and those that failed.
//!
//! The agent feeds it requests and what became of them. It does no IO.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::journal::protocol::Fetch;

/// Between two tries of requests that failed, in ns.
const RETRY_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Waits for a chunk, and goes before all others.
    waiting: Option<Fetch>,
    /// Failed ones. Each is for a message on its way to a subscriber: credit bounds them.
    failed: VecDeque<Fetch>,
    /// How many of them are tried now.
    retries: usize,
    retry_at_ns: u64,
    is_failing: bool,
}

impl Requests {
    /// Begins a cycle: failed requests are tried again once in [`RETRY_NS`].
    pub(super) fn begin(&mut self, now: Now) {
        if now.ns >= self.retry_at_ns && !self.failed.is_empty() {
            self.retries = self.failed.len();
            self.retry_at_ns = now.ns + RETRY_NS;
        }
    }

    /// The next request; where there is none, `poll` is asked for a new one.
    pub(super) fn next_or(&mut self, poll: impl FnOnce() -> Option<Fetch>) -> Option<Fetch> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        match self.retries.checked_sub(1) {
            Some(left) => {
                self.retries = left;
                self.failed.pop_front()
            }
            None => poll(),
        }
    }

    /// No chunk has room for it yet.
    pub(super) fn put_back(&mut self, request: Fetch) {
        self.waiting = Some(request);
    }

    /// It could not be read. Returns whether it is the first since all others could.
    pub(super) fn on_failed(&mut self, request: Fetch, now: Now) -> bool {
        // A later failure does not put off the retry of an earlier one.
        if now.ns >= self.retry_at_ns {
            self.retry_at_ns = now.ns + RETRY_NS;
        }
        self.failed.push_back(request);
        !std::mem::replace(&mut self.is_failing, true)
    }

    /// Ends a cycle. Returns whether all that had failed is read now.
    pub(super) fn end(&mut self) -> bool {
        let is_over = self.failed.is_empty() && self.waiting.is_none();
        is_over && std::mem::take(&mut self.is_failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    fn request(slot: u32) -> Fetch {
        Fetch {
            slot,
            sequence: u64::from(slot),
            position: 0,
            len: 0,
        }
    }

    fn next(requests: &mut Requests) -> Option<u32> {
        requests.next_or(|| None).map(|it| it.slot)
    }

    #[test]
    fn what_waits_for_a_chunk_goes_before_new_requests() {
        let mut requests = Requests::default();
        requests.put_back(request(1));
        let taken = requests.next_or(|| Some(request(2)));
        assert_eq!(taken.map(|it| it.slot), Some(1));
        let taken = requests.next_or(|| Some(request(2)));
        assert_eq!(taken.map(|it| it.slot), Some(2));
        assert!(!requests.end(), "nothing had failed");
    }

    #[test]
    fn what_failed_is_tried_again_after_a_second_and_others_go_on() {
        let mut requests = Requests::default();
        assert!(requests.on_failed(request(1), at(10)), "the first one");
        assert!(!requests.on_failed(request(2), at(20)));
        requests.begin(at(RETRY_NS + 9));
        let taken = requests.next_or(|| Some(request(3)));
        assert_eq!(taken.map(|it| it.slot), Some(3));
        assert!(!requests.end(), "two are missing");
        requests.begin(at(RETRY_NS + 10));
        assert_eq!(next(&mut requests), Some(1));
        assert!(!requests.on_failed(request(1), at(RETRY_NS + 10)));
        assert_eq!(next(&mut requests), Some(2));
        assert_eq!(next(&mut requests), None, "once a second");
        requests.begin(at(2 * RETRY_NS + 10));
        assert_eq!(next(&mut requests), Some(1));
        assert!(requests.end() && !requests.end(), "said once");
    }

    #[test]
    fn retries_that_a_cycle_has_no_room_for_go_on_in_the_next_one() {
        let mut requests = Requests::default();
        for slot in 0..4 {
            requests.on_failed(request(slot), at(0));
        }
        requests.begin(at(RETRY_NS));
        assert_eq!(next(&mut requests), Some(0));
        requests.begin(at(RETRY_NS + 1));
        let rest: Vec<_> = std::iter::from_fn(|| next(&mut requests)).collect();
        assert_eq!(rest, [1, 2, 3]);
    }
}
