use super::*;

const START_US: u64 = 1_000_000_000;

/// Feeds a tracker one state a second.
#[derive(Default)]
struct Fed {
    tracker: Tracker,
    at_ms: u64,
}

impl Fed {
    fn feed(&mut self, state: DestinationState) -> Tracked {
        self.feed_before(state, 1_000)
    }

    /// The next report comes so much later.
    fn feed_before(&mut self, state: DestinationState, later_ms: u64) -> Tracked {
        let report = Report {
            states: vec![state],
            retired: Vec::new(),
            released: Vec::new(),
            completed_at: Some(Now {
                ns: self.at_ms * 1_000_000,
                steady_us: 0,
                epoch_us: START_US + self.at_ms * 1_000,
            }),
        };
        self.at_ms += later_ms;
        self.tracker.update(&report);
        self.tracker.all()[0]
    }
}

fn at_us(second: u64) -> u64 {
    START_US + second * 1_000_000
}

fn queued(count: u32) -> DestinationState {
    let mut state = DestinationState::default();
    state.queued[1] = count;
    state
}

fn subscriber() -> SubscriberState {
    SubscriberState {
        peer: None,
        id: (0, 7),
        ack: true,
        written: 0,
        unwritten: 0,
        unacknowledged: 0,
        fetching: 0,
    }
}

fn served(settled: u64, in_flight: u32, subscriber: SubscriberState) -> DestinationState {
    DestinationState {
        settled,
        in_flight,
        subscriber: Some(subscriber),
        ..queued(9)
    }
}

#[test]
fn rates_are_those_between_two_reports() {
    let mut fed = Fed::default();
    let mut state = DestinationState {
        accepted: 100,
        settled: 50,
        ..DestinationState::default()
    };
    let first = fed.feed(state);
    assert_eq!((first.accepted_rate, first.settled_rate), (0.0, 0.0));
    (state.accepted, state.settled) = (350, 51);
    let second = fed.feed(state);
    assert_eq!((second.accepted_rate, second.settled_rate), (250.0, 1.0));
}

#[test]
fn of_a_name_that_has_gone_nothing_is_left_for_the_next_one() {
    let mut fed = Fed::default();
    fed.feed(served(5, 3, subscriber()));
    let gone = DestinationState {
        is_vacant: true,
        ..DestinationState::default()
    };
    assert_eq!(fed.feed(gone), Tracked::vacant());
    let next = fed.feed(queued(1));
    assert_eq!((next.last_seen_us, next.accepted_rate), (None, 0.0));
    assert!(!next.state.is_vacant);
    let mut report = Report::with_room_for(1);
    report.states.push(served(5, 3, subscriber()));
    report.retired.push(0);
    report.completed_at = Some(Now::default());
    fed.tracker.update(&report);
    assert_eq!(fed.tracker.all()[0], Tracked::vacant(), "it went meanwhile");
}

#[test]
fn an_absent_subscriber_is_waited_for_since_it_was_missed() {
    let mut fed = Fed::default();
    assert_eq!(fed.feed(DestinationState::default()).waits_for, None);
    for _ in 1..=3 {
        let tracked = fed.feed(queued(1));
        assert_eq!(tracked.waits_for, Some(WaitsFor::Subscriber));
        assert_eq!(tracked.waits_since_us, at_us(1));
        assert_eq!(tracked.last_seen_us, None);
    }
    let tracked = fed.feed(served(0, 0, subscriber()));
    assert_eq!(tracked.waits_for, None, "it has come just now");
    assert_eq!(tracked.subscribed_since_us, at_us(4));
    assert_eq!(fed.feed(queued(1)).last_seen_us, Some(at_us(4)));
}

#[test]
fn what_stands_still_is_told_apart_by_what_the_subscriber_does() {
    let unread = SubscriberState {
        unwritten: 3,
        ..subscriber()
    };
    let mut fed = Fed::default();
    assert_eq!(fed.feed(served(5, 3, unread)).waits_for, None);
    let tracked = fed.feed(served(5, 3, unread));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Reading));
    assert_eq!(tracked.waits_since_us, at_us(0));
    let written = SubscriberState {
        written: 3,
        unacknowledged: 3,
        ..subscriber()
    };
    let tracked = fed.feed(served(5, 3, written));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Acknowledgement));
    assert_eq!(
        tracked.waits_since_us,
        at_us(0),
        "it stands still since then"
    );
    let unread_too = SubscriberState {
        unwritten: 3,
        ..written
    };
    fed.feed(served(5, 3, unread_too));
    let tracked = fed.feed(served(5, 3, unread_too));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Reading));
    assert_eq!(tracked.waits_since_us, at_us(0));
    assert_eq!(tracked.oldest_wait_ns, Some(4_000_000_000));
    assert_eq!(fed.feed(served(6, 2, written)).waits_for, None);
    let fetching = SubscriberState {
        written: 3,
        fetching: 1,
        ..subscriber()
    };
    fed.feed(served(8, 1, fetching));
    let tracked = fed.feed(served(8, 1, fetching));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Journal));
}

/// An alarm goes by how long the subscriber has kept others waiting.
#[test]
fn a_subscriber_is_not_blamed_for_the_time_in_which_its_frames_were_read_from_the_journal() {
    let fetching = SubscriberState {
        fetching: 1,
        ..subscriber()
    };
    let mut fed = Fed::default();
    for _ in 0..5 {
        fed.feed(served(5, 1, fetching));
    }
    let tracked = fed.feed(served(5, 1, fetching));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Journal));
    assert_eq!(tracked.waits_since_us, at_us(0));
    let owes = SubscriberState {
        written: 1,
        unacknowledged: 1,
        ..subscriber()
    };
    let tracked = fed.feed(served(5, 1, owes));
    assert_eq!(tracked.waits_for, Some(WaitsFor::Acknowledgement));
    assert_eq!(tracked.waits_since_us, at_us(5));
    assert_eq!(tracked.oldest_wait_ns, Some(6_000_000_000), "all of it");
}

#[test]
fn a_report_soon_after_another_has_new_counts_and_judges_nobody() {
    let reads = |settled| served(settled, 3, subscriber());
    let mut fed = Fed::default();
    fed.feed(reads(5));
    let before = fed.feed_before(reads(7), 20);
    assert_eq!((before.waits_for, before.settled_rate), (None, 2.0));
    let unread = SubscriberState {
        unwritten: 3,
        ..subscriber()
    };
    let soon = fed.feed_before(served(7, 3, unread), 20);
    assert_eq!((soon.waits_for, soon.settled_rate), (None, 2.0));
    assert_eq!(soon.state.in_flight, 3);
    let alone = fed.feed_before(queued(1), 20);
    assert_eq!(alone.waits_for, Some(WaitsFor::Subscriber));
    let served = fed.feed_before(reads(7), 20);
    assert_eq!(served.waits_for, None);
}

#[test]
fn a_message_that_has_come_just_now_stands_not_still() {
    let on_its_way = SubscriberState {
        unwritten: 1,
        ..subscriber()
    };
    let mut fed = Fed::default();
    let idle = DestinationState {
        subscriber: Some(subscriber()),
        ..DestinationState::default()
    };
    fed.feed(idle);
    fed.feed(idle);
    assert_eq!(fed.feed(served(0, 1, on_its_way)).waits_for, None);
}

#[test]
fn what_stands_still_in_flight_has_waited_for_so_long() {
    let mut fed = Fed::default();
    let owing = SubscriberState {
        unacknowledged: 3,
        ..subscriber()
    };
    let still = served(0, 3, owing);
    let ages = [0; 4].map(|_| fed.feed(still).oldest_wait_ns);
    let second = 1_000_000_000;
    assert_eq!(
        ages,
        [None, Some(second), Some(2 * second), Some(3 * second)]
    );
    let mut queued = still;
    (queued.queued[0], queued.oldest_wait_ms) = (1, Some(9_000));
    assert_eq!(fed.feed(queued).oldest_wait_ns, Some(9 * second));
    assert_eq!(fed.feed(served(1, 2, owing)).oldest_wait_ns, None);
}
