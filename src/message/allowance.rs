//! Allowances: how many more messages ingest may hand over for each destination, so that no more
//! than `max_queued` of them wait. Both ends of the protocol, values only.
//!
//! Ingest counts what it hands over ([`Windows`]); the scheduler sends it the count up to which it
//! may go ([`Grants`]), as a window that moves on when messages are dispatched or turn out to be duplicates.
//! What is on its way between the two is in ingest's count, so the bound holds exactly, whatever the
//! rings hold. A window moves on in steps of a sixteenth: a source that waited reads on for a while.

use super::DestinationIndex;
use super::by_destination::ByDestination;
use crate::config::{Config, Destination};

/// The window moves on by at least this part of `max_queued`.
const STEPS: i64 = 16;

/// How many messages may wait for each destination.
#[derive(Debug, Clone)]
pub(crate) struct MaxQueued(ByDestination<u64>);

impl MaxQueued {
    /// As the settings say; their destinations have their places for indices.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self::placed(config, 0..)
    }

    /// The same where they have these indices.
    pub(crate) fn placed(
        config: &Config,
        indices: impl IntoIterator<Item = DestinationIndex>,
    ) -> Self {
        let own = |it: &Destination| Some(u64::try_from(it.max_queued?).unwrap_or(u64::MAX));
        let others = config.scheduler.max_queued as u64;
        Self(ByDestination::new(
            indices,
            &config.destinations,
            own,
            others,
        ))
    }

    fn of(&self, destination: DestinationIndex) -> u64 {
        self.0.of(destination)
    }
}

#[derive(Debug, Clone, Copy)]
struct Window {
    handed_over: u64,
    until: u64,
}

/// Ingest's end.
#[derive(Debug)]
pub(crate) struct Windows {
    max: MaxQueued,
    of: Vec<Window>,
}

impl Windows {
    /// `waiting` messages wait already, by destination.
    #[must_use]
    pub(crate) fn new(max: MaxQueued, waiting: &[usize]) -> Self {
        let mut windows = Self {
            max,
            of: Vec::new(),
        };
        windows.grow(waiting.len());
        for (window, &count) in windows.of.iter_mut().zip(waiting) {
            window.until = window.until.saturating_sub(count as u64);
        }
        windows
    }

    /// Takes a place in the destination's window; `false`: it is full.
    #[inline]
    #[must_use]
    pub(crate) fn claim(&mut self, destination: DestinationIndex) -> bool {
        if self.of.len() <= destination as usize {
            self.grow(destination as usize + 1);
        }
        let window = &mut self.of[destination as usize];
        let has_room = window.handed_over < window.until;
        window.handed_over += u64::from(has_room);
        has_room
    }

    /// The window goes up to this count now: further, or less far after a reload.
    pub(crate) fn move_to(&mut self, destination: DestinationIndex, until: u64) {
        self.grow(destination as usize + 1);
        self.of[destination as usize].until = until;
    }

    /// So many may wait from now on: windows begin with it. The scheduler says how far those that are
    /// there go.
    pub(crate) fn set_max(&mut self, max: &mut MaxQueued) {
        std::mem::swap(&mut self.max, max);
    }

    fn grow(&mut self, destinations: usize) {
        for destination in self.of.len()..destinations {
            self.of.push(Window {
                handed_over: 0,
                until: self.max.of(destination as DestinationIndex),
            });
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    /// Messages that may wait.
    max: i64,
    /// Messages that ingest handed over and that wait no more, less those that wait and did not
    /// come from it, or wait a second time.
    left: i64,
    /// What `left` was in the last update that was sent to ingest.
    sent: i64,
    is_pending: bool,
}

/// The scheduler's end.
#[derive(Debug)]
pub(crate) struct Grants {
    max: MaxQueued,
    of: Vec<Grant>,
    /// Destinations with an update that is not sent yet, each once.
    pending: Vec<DestinationIndex>,
    /// A reload has changed the bounds: ingest may have begun a window with those before.
    has_changed: bool,
}

impl Grants {
    /// Nothing waits yet.
    #[must_use]
    pub(crate) fn new(max: MaxQueued) -> Self {
        Self {
            max,
            of: Vec::new(),
            pending: Vec::new(),
            has_changed: false,
        }
    }

    /// There are so many destinations now.
    pub(crate) fn grow(&mut self, destinations: usize) {
        for destination in self.of.len()..destinations {
            self.of.push(Grant {
                max: self.max.of(destination as DestinationIndex) as i64,
                left: 0,
                sent: 0,
                is_pending: false,
            });
            if self.has_changed {
                self.tell(destination);
            }
        }
        self.pending.reserve(self.of.len());
    }

    /// So many may wait from now on. Ingest is told where that is another number than before.
    pub(crate) fn set_max(&mut self, max: &mut MaxQueued) {
        std::mem::swap(&mut self.max, max);
        self.has_changed = true;
        for destination in 0..self.of.len() {
            let max = self.max.of(destination as DestinationIndex) as i64;
            if std::mem::replace(&mut self.of[destination].max, max) != max {
                self.tell(destination);
            }
        }
    }

    fn tell(&mut self, destination: usize) {
        let grant = &mut self.of[destination];
        if !std::mem::replace(&mut grant.is_pending, true) {
            self.pending.push(destination as DestinationIndex);
        }
    }

    /// How many messages may wait for a destination.
    pub(crate) fn max_of(&self, destination: DestinationIndex) -> u64 {
        self.of[destination as usize].max as u64
    }

    /// So many wait since the last run: ingest's windows were made with the same counts.
    pub(crate) fn load_recovered(&mut self, destination: DestinationIndex, count: usize) {
        let grant = &mut self.of[destination as usize];
        grant.left -= count as i64;
        grant.sent = grant.left;
    }

    /// A message that ingest handed over, or one that was requeued, waits no more.
    #[inline]
    pub(crate) fn leave(&mut self, destination: DestinationIndex) {
        let grant = &mut self.of[destination as usize];
        grant.left += 1;
        let step = (grant.max / STEPS).max(1);
        if grant.left >= grant.sent + step && !grant.is_pending {
            grant.is_pending = true;
            self.pending.push(destination);
        }
    }

    /// A message waits again: its subscriber is gone.
    pub(crate) fn requeue(&mut self, destination: DestinationIndex) {
        self.of[destination as usize].left -= 1;
    }

    /// Whether an update is to be sent to ingest.
    #[must_use]
    pub(crate) fn has_updates(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next destination for which ingest may go on, and the count up to which.
    pub(crate) fn next_update(&mut self) -> Option<(DestinationIndex, u64)> {
        let destination = self.pending.pop()?;
        let grant = &mut self.of[destination as usize];
        grant.is_pending = false;
        grant.sent = grant.sent.max(grant.left);
        let until = (grant.max + grant.sent).max(0);
        Some((destination, until as u64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::parse;

    fn max_queued(max: u64) -> MaxQueued {
        let one = &Config::default().destinations[..1];
        MaxQueued(ByDestination::new(0.., one, |_| Some(max), 1_000))
    }

    fn grants(max: u64) -> Grants {
        let mut grants = Grants::new(max_queued(max));
        grants.grow(2);
        grants
    }

    #[test]
    fn a_window_is_full_at_its_bound_until_it_is_raised() {
        let settings = "[scheduler]\nmax_queued = 3\n[[destination]]\nid = 'a'\n\
                        [[destination]]\nid = 'b'\nmax_queued = 2";
        let config = parse("settings", settings, &[]).expect("right");
        let mut windows = Windows::new(MaxQueued::new(&config), &[1, 5]);
        let mut claims = |destination| (0..5).filter(|_| windows.claim(destination)).count();
        assert_eq!([claims(0), claims(1), claims(9)], [2, 0, 3]);
        windows.move_to(1, 0);
        assert!(!windows.claim(1));
        windows.move_to(1, 1);
        assert!(windows.claim(1) && !windows.claim(1));
    }

    #[test]
    fn a_window_moves_on_by_a_sixteenth_and_once_a_look() {
        let mut grants = grants(160);
        (0..9).for_each(|_| grants.leave(0));
        assert_eq!(grants.next_update(), None);
        (0..3).for_each(|_| grants.leave(0));
        assert_eq!(grants.next_update(), Some((0, 172)));
        assert_eq!(grants.next_update(), None);
    }

    #[test]
    fn a_small_window_moves_on_with_every_message() {
        let mut grants = grants(3);
        grants.leave(0);
        assert_eq!(grants.next_update(), Some((0, 4)));
        grants.leave(0);
        assert_eq!(grants.next_update(), Some((0, 5)));
    }

    #[test]
    fn what_waits_already_or_again_is_taken_from_the_window() {
        let mut grants = grants(16);
        grants.load_recovered(0, 20);
        (0..10).for_each(|_| grants.leave(0));
        assert_eq!(grants.next_update(), Some((0, 6)));
        (0..5).for_each(|_| grants.requeue(0));
        (0..5).for_each(|_| grants.leave(0));
        assert_eq!(
            grants.next_update(),
            None,
            "as many wait as ingest was granted"
        );
        grants.leave(0);
        assert_eq!(grants.next_update(), Some((0, 7)));
    }

    #[test]
    fn a_bound_that_is_changed_holds_for_the_windows_that_are_there_and_for_later_ones() {
        let mut windows = Windows::new(max_queued(10), &[]);
        let mut grants = Grants::new(max_queued(10));
        grants.grow(1);
        assert_eq!((0..20).filter(|_| windows.claim(0)).count(), 10);
        (0..4).for_each(|_| grants.leave(0));
        for (max, room) in [(3, 0), (8, 2), (8, 0), (20, 12)] {
            grants.set_max(&mut max_queued(max));
            windows.set_max(&mut max_queued(max));
            while let Some((destination, until)) = grants.next_update() {
                windows.move_to(destination, until);
            }
            let claimed = (0..40).filter(|_| windows.claim(0)).count();
            assert_eq!(claimed, room, "{max} of which 6 wait at first");
        }
        // Ingest has begun one with the bound before, and is told.
        grants.grow(2);
        assert_eq!(grants.next_update(), Some((1, 1_000)));
        assert!(!grants.has_updates());
    }

    /// What may happen between the two ends.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Handover,
        Dispatch,
        ComeBack,
        Grant,
    }

    proptest! {
        #[test]
        fn no_more_wait_than_may_and_a_source_never_waits_for_nothing(
            max in 1..40_u64,
            recovered in 0..60_usize,
            events in prop::collection::vec(
                prop_oneof![
                    4 => Just(Event::Handover),
                    4 => Just(Event::Dispatch),
                    1 => Just(Event::ComeBack),
                    2 => Just(Event::Grant),
                ],
                0..400,
            ),
        ) {
            let mut windows = Windows::new(max_queued(max), &[recovered]);
            let mut grants = grants(max);
            grants.load_recovered(0, recovered);
            // The model: who waits, and who is with a subscriber.
            let (mut waiting, mut dispatched) = (recovered, 0);
            let bound = recovered.max(max as usize);
            let mut came_back = 0;
            for event in events {
                match event {
                    Event::Handover => waiting += usize::from(windows.claim(0)),
                    Event::Dispatch if waiting > 0 => {
                        (waiting, dispatched) = (waiting - 1, dispatched + 1);
                        grants.leave(0);
                    }
                    Event::ComeBack if dispatched > 0 => {
                        (waiting, dispatched) = (waiting + 1, dispatched - 1);
                        came_back += 1;
                        grants.requeue(0);
                    }
                    Event::Grant => {
                        if let Some((destination, until)) = grants.next_update() {
                            windows.move_to(destination, until);
                        }
                    }
                    _ => {}
                }
                prop_assert!(waiting <= bound + came_back);
            }
            for _ in 0..waiting {
                grants.leave(0);
            }
            while let Some((destination, until)) = grants.next_update() {
                windows.move_to(destination, until);
            }
            let room = (0..max).take_while(|_| windows.claim(0)).count() as u64;
            prop_assert!(room > 0 && room + (max / 16).max(1) > max, "{} of {}", room, max);
        }
    }
}
