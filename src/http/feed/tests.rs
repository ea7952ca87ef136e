use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn text(feed: &mut Feed, bytes: &str, step: usize) -> String {
    let mut events = Vec::new();
    for piece in bytes.as_bytes().chunks(step) {
        feed.take(piece, &mut events);
    }
    String::from_utf8(events).expect("text")
}

fn frame(number: u64) -> String {
    format!("{{\"messageId\":\"m{number}\"}}")
}

#[test]
fn lines_become_events_however_they_are_cut() {
    let lines = "{\"subscribed\":[\"a\"],\"standby\":[]}\n{\"messageId\":\"1\"}\n{\"again\":2}\n\
                 {\"again\":7,\"messageId\":\"2\"}\n{\"messageId\":\"3\",\r\"x\":1}\n\
                 {\"error\":\"no\"}\n";
    let expected = "event: subscribed\ndata: {\"subscribed\":[\"a\"],\"standby\":[]}\n\n\
                    id: 00000000000000ab-1\ndata: {\"messageId\":\"1\"}\n\n\
                    event: again\ndata: {\"again\":2}\n\n\
                    id: 00000000000000ab-2\ndata: {\"again\":7,\"messageId\":\"2\"}\n\n\
                    id: 00000000000000ab-3\ndata: {\"messageId\":\"3\",\ndata: \"x\":1}\n\n\
                    event: closed\ndata: {\"error\":\"no\"}\n\n";
    for step in 1..lines.len() {
        let mut feed = Feed::new(0xab, FrameMarker::default(), FrameMarks::default());
        assert_eq!(text(&mut feed, lines, step), expected);
        assert_eq!(feed.last(), 3);
    }
}

#[test]
fn acknowledgements_are_cumulative_and_bounded_by_what_was_sent() {
    let mut feed = Feed::new(1, FrameMarker::default(), FrameMarks::default());
    text(
        &mut feed,
        "{\"messageId\":\"1\"}\n{\"messageId\":\"2\"}\n",
        7,
    );
    assert_eq!(feed.acknowledge(3), None);
    assert_eq!((feed.acknowledge(1), feed.take_due()), (Some(1), Some(1)));
    assert_eq!((feed.acknowledge(0), feed.take_due()), (Some(1), None));
    assert_eq!((feed.acknowledge(2), feed.take_due()), (Some(2), Some(2)));
    feed.owe_again(2);
    assert_eq!(feed.take_due(), Some(2));
}

#[test]
fn it_is_full_until_something_was_acknowledged() {
    let mut feed = Feed::new(1, FrameMarker::default(), FrameMarks::default());
    for number in 0..HTTP_UNACKNOWLEDGED_MAX as u64 {
        assert!(!feed.is_full());
        text(&mut feed, &format!("{}\n", frame(number)), 99);
    }
    assert!(feed.is_full());
    feed.acknowledge(1);
    assert!(!feed.is_full());
}

/// An engine that hands out frames in order, those that were not acknowledged first.
#[derive(Default)]
struct Engine {
    /// Frames to be handed out, and whether they were before.
    waiting: VecDeque<(u64, bool)>,
    handed: VecDeque<u64>,
    /// It has announced so many of those that it hands out next.
    announced: usize,
    /// Frames that were handed out on an earlier connection.
    before: BTreeSet<u64>,
    settled: u64,
    acknowledged: u64,
}

impl Engine {
    fn hand(&mut self) -> Option<String> {
        let again = self.waiting.iter().take_while(|it| it.1).count();
        let announcement = match again > 0 && self.announced == 0 {
            true => {
                self.announced = again;
                format!("{{\"again\":{again}}}\n")
            }
            false => String::new(),
        };
        self.announced = self.announced.saturating_sub(1);
        let (number, _) = self.waiting.pop_front()?;
        self.handed.push_back(number);
        Some(format!("{announcement}{}\n", frame(number)))
    }

    fn take_ack(&mut self, feed: &mut Feed) {
        if let Some(through) = feed.take_due() {
            let count = through - self.acknowledged;
            self.handed.drain(..count as usize);
            self.acknowledged = through;
            self.settled += count;
        }
    }

    fn lose_connection(&mut self) {
        self.before.extend(&self.handed);
        while let Some(number) = self.handed.pop_back() {
            self.waiting.push_front((number, true));
        }
        (self.acknowledged, self.announced) = (0, 0);
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(u64),
    Hand(usize),
    /// It acknowledges all but so many of those that it has had.
    Ack(u64),
    /// It comes again, having had all but the last so many events of this connection.
    ComeAgain(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..5_u64).prop_map(Step::Send),
        (1..5_usize).prop_map(Step::Hand),
        (0..4_u64).prop_map(Step::Ack),
        (0..4_u64).prop_map(Step::ComeAgain),
    ]
}

/// The numbers of the events of this connection, with the frames that they bring: those of an earlier
/// one are announced. So many more are `announced`.
fn had(events: &str, announced: &mut u64, before: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut had = Vec::new();
    for event in events.split_terminator("\n\n") {
        let (id, data) = event.split_once("\ndata: ").expect("an event");
        let data: Value = serde_json::from_str(data).expect("JSON");
        if let Some(count) = data["again"].as_u64() {
            assert_eq!(std::mem::replace(announced, count), 0);
            continue;
        }
        let number = id.rsplit('-').next().expect("a number");
        let number = number.parse().expect("a number");
        let frame = data["messageId"].as_str().expect("an id")[1..].parse();
        let frame = frame.expect("a number");
        assert_eq!(*announced > 0, before.contains(&frame), "frame {frame}");
        *announced = announced.saturating_sub(1);
        had.push((number, frame));
    }
    had
}

#[test]
fn a_number_that_was_never_sent_acknowledges_nothing() {
    for (through, done) in [(2, 2), (3, 3), (4, 0), (u64::MAX, 0)] {
        let mut feed = Feed::new(1, FrameMarker::default(), FrameMarks::default());
        let frames = b"{\"messageId\":\"1\"}\n{\"messageId\":\"2\"}\n{\"messageId\":\"3\"}\n";
        feed.take(frames, &mut Vec::new());
        assert_eq!(feed.leave().done_through(through).len(), done, "{through}");
    }
}

proptest! {
    /// Whatever is cut and acknowledged, the client has each frame once, in order, and the engine knows.
    #[test]
    fn a_client_that_comes_again_has_each_frame_once(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut engine = Engine::default();
        let marker = FrameMarker::default();
        let mut feed = Feed::new(1, marker.clone(), FrameMarks::default());
        let (mut sent, mut seen) = (0, Vec::new());
        // The events of this connection.
        let mut events: Vec<(u64, u64)> = Vec::new();
        let mut announced = 0;
        for step in steps.into_iter().chain([Step::ComeAgain(0), Step::Hand(usize::MAX)]) {
            match step {
                Step::Send(count) => {
                    engine.waiting.extend((sent..sent + count).map(|it| (it, false)));
                    sent += count;
                }
                Step::Hand(count) => {
                    for _ in 0..count {
                        let Some(lines) = engine.hand() else { break };
                        let text = text(&mut feed, &lines, 5);
                        events.extend(had(&text, &mut announced, &engine.before));
                        engine.take_ack(&mut feed);
                    }
                }
                Step::Ack(but) => {
                    let had = events.len().saturating_sub(but as usize);
                    if let Some((number, _)) = events[..had].last() {
                        prop_assert!(feed.acknowledge(*number).is_some());
                        engine.take_ack(&mut feed);
                    }
                }
                Step::ComeAgain(but) => {
                    // What it acknowledged it has had.
                    let least = events.iter().filter(|it| it.0 <= feed.acknowledged).count();
                    let had = events.len().saturating_sub(but as usize).max(least);
                    seen.extend(events[..had].iter().map(|it| it.1));
                    let last = had.checked_sub(1).map_or(0, |at| events[at].0);
                    let done = feed.leave().done_through(last);
                    engine.lose_connection();
                    feed = Feed::new(1, marker.clone(), done);
                    events.clear();
                    announced = 0;
                }
            }
        }
        seen.extend(events.iter().map(|it| it.1));
        prop_assert_eq!(&seen, &(0..sent).collect::<Vec<_>>());
        feed.acknowledge(feed.last());
        engine.take_ack(&mut feed);
        prop_assert_eq!(engine.settled, sent);
    }
}
