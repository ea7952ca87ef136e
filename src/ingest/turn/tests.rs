//! The core of a turn by itself: bytes in, what the rings hold out.

use std::convert::Infallible;
use std::sync::Arc;

use super::super::parser::Parser;
use super::super::protocol::FromIngest;
use super::*;
use crate::access::{Senders, Users};
use crate::arena::Ledger;
use crate::config::{self, parse};
use crate::limits::{
    ARRIVALS_RING, CHUNK_LEN, CHUNKS_PER_READ, DUPLICATE_FULL_NS, DUPLICATES_BURST_NS,
    LINE_LEN_MAX, READ_LEN_MAX, REJECTS_RING,
};
use crate::message::allowance::{MaxQueued, Windows};
use crate::message::when_full::WhenFullOf;
use crate::message::{Directory, IdHasher, Record};
use crate::net::framer::{Framer, ReadBuffer};
use crate::rejects::protocol::{RejectReceiver, ring as rejects_ring};
use crate::ring::{Receiver, Wake, ring};

const ALL: TurnLimits = TurnLimits {
    lines: usize::MAX,
    bytes: usize::MAX,
};

/// One connection, and all that its turns need.
struct Rig {
    turns: Turns,
    counters: Counters,
    framer: Framer,
    buffer: ReadBuffer,
    lines: Lines,
    sender: Sender,
    ledger: Ledger,
    to_scheduler: Receiver<FromIngest>,
    to_rejects: RejectReceiver,
}

impl Rig {
    /// With so much room for each destination, and a ring of so many bytes to the rejects agent.
    fn new(max_queued: usize, rejects_len: usize) -> Self {
        let settings = format!("[scheduler]\nmax_queued = {max_queued}\n");
        let config = parse("settings", &settings, &[]).expect("right");
        let wake = Wake::new().expect("a descriptor");
        let (sender, to_scheduler) = ring(ARRIVALS_RING, &wake);
        let (rejects, to_rejects) = rejects_ring(rejects_len, LINE_LEN_MAX, (&wake, &wake));
        let mut ledger = Ledger::new(CHUNK_LEN, CHUNKS_PER_READ as u16 + 1);
        let mut output = Output::new(sender, rejects);
        for _ in 0..=CHUNKS_PER_READ {
            output.add_chunk(ledger.writer().expect("a chunk"));
        }
        Self {
            turns: Turns::new(
                Intake::new(
                    Parser::new(3),
                    [
                        Directory::new(["table1", "table2"], false, 2),
                        Directory::new([], true, 9),
                    ],
                    IdHasher::new([1, 2, 3, 4, 5, 6, 7, 8]),
                    Windows::new(MaxQueued::new(&config), &[]),
                    WhenFullOf::new(&config),
                ),
                output,
            ),
            counters: Counters::default(),
            framer: Framer::new(LINE_LEN_MAX),
            buffer: ReadBuffer::new(READ_LEN_MAX, LINE_LEN_MAX),
            lines: Lines::new(0, 1, true, 0),
            sender: Sender {
                name: "s".to_owned(),
                user: None,
                certificate: None,
                budget: Budget::for_wrong_lines(0),
                duplicates: Duplicates::new(0),
            },
            ledger,
            to_scheduler,
            to_rejects,
        }
    }

    fn turn(&mut self, read: &[u8], limits: TurnLimits) -> TurnEnd {
        let core = self.turns.begin(&self.counters, Now::default());
        let mut core = core.expect("there is room");
        let mut turn = self.framer.turn(&mut self.buffer);
        let taken = turn.read(read.len(), |into| {
            into.copy_from_slice(read);
            Ok::<_, Infallible>(read.len())
        });
        assert_eq!(taken.map(Option::unwrap_or_default), Ok(read.len()));
        let end = core.take_lines(&mut turn, &mut self.lines, &mut self.sender, limits);
        turn.suspend();
        core.output.end();
        end
    }

    /// What went to the scheduler: ids with their lines, and reasons with their counts.
    fn sent(&mut self) -> Vec<(String, u64)> {
        let view = self.ledger.view();
        std::iter::from_fn(|| self.to_scheduler.poll())
            .map(|sent| match sent {
                FromIngest::Arrived(arrival) => {
                    let record = Record::parse(view.record(&arrival.frame)).expect("whole");
                    (record.message_id().value().into_owned(), arrival.line)
                }
                FromIngest::Rejected { reason, count } => {
                    (reason.label().to_owned(), u64::from(count))
                }
                FromIngest::Sealed(_) => ("sealed".to_owned(), 0),
                FromIngest::Forgotten { destination } => {
                    ("forgotten".to_owned(), destination.into())
                }
            })
            .collect()
    }

    /// What went to the rejects agent.
    fn rejected(&mut self) -> Vec<(Reason, Vec<u8>)> {
        let mut lines = Vec::new();
        while self
            .to_rejects
            .poll(|rejected| lines.push((rejected.reason, rejected.line.to_vec())))
        {}
        lines
    }
}

fn good(id: &str, destination: &str) -> String {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"s\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"b\",\"priority\":1}}\n"
    )
}

fn sent(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    let expected = expected.iter();
    expected
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

#[test]
fn good_lines_become_messages_and_wrong_ones_rejected_lines_wherever_they_are_split() {
    let stream = [
        good("a", "table1").as_str(),
        "wrong\n\n",
        good("b", "nobody").as_str(),
        good("c", "table2").as_str(),
    ]
    .concat();
    let whole = {
        let mut rig = Rig::new(9, REJECTS_RING);
        assert_eq!(rig.turn(stream.as_bytes(), ALL), TurnEnd::Exhausted);
        let expected = [
            ("a", 1),
            ("c", 4),
            ("bad_json", 1),
            ("unknown_destination", 1),
        ];
        assert_eq!(rig.sent(), sent(&expected));
        assert_eq!(rig.counters.get(Counter::RejectedWaiting), 2);
        rig.rejected()
    };
    let nobody = good("b", "nobody");
    let nobody = nobody.trim_end().as_bytes().to_vec();
    let wrong = (Reason::BadJson, b"wrong".to_vec());
    assert_eq!(whole, [wrong, (Reason::UnknownDestination, nobody)]);
    for cut in 0..=stream.len() {
        let mut rig = Rig::new(9, REJECTS_RING);
        for read in [&stream[..cut], &stream[cut..]] {
            assert_eq!(rig.turn(read.as_bytes(), ALL), TurnEnd::Exhausted);
        }
        let mut found = rig.sent();
        found.retain(|(name, _)| name.len() == 1);
        assert_eq!(found, sent(&[("a", 1), ("c", 4)]), "cut at {cut}");
        assert_eq!(rig.rejected(), whole, "cut at {cut}");
    }
}

#[test]
fn a_line_that_finds_no_room_stays_with_all_behind_it_and_is_counted_once() {
    let mut rig = Rig::new(1, REJECTS_RING);
    let stream = [
        good("a", "table1"),
        good("b", "table1"),
        good("c", "table2"),
    ]
    .concat();
    let wait = TurnEnd::Wait(Wait::Destination(0));
    assert_eq!(rig.turn(stream.as_bytes(), ALL), wait);
    for _ in 0..3 {
        assert_eq!(rig.turn(b"", ALL), wait, "there is none still");
    }
    assert_eq!(rig.lines.last(), 1);
    rig.turns.intake.allowances.move_to(0, 2);
    assert_eq!(rig.turn(b"", ALL), TurnEnd::Exhausted);
    assert_eq!(rig.sent(), sent(&[("a", 1), ("b", 2), ("c", 3)]));
}

#[test]
fn a_wrong_line_that_the_rejects_agent_has_no_room_for_stays() {
    let line = "x".repeat(40_000) + "\n";
    let mut rig = Rig::new(9, 70_000);
    let wait = TurnEnd::Wait(Wait::Rejects);
    assert_eq!(rig.turn((line.clone() + &line).as_bytes(), ALL), wait);
    assert_eq!((rig.lines.last(), rig.rejected().len()), (1, 1));
    let spent = TurnEnd::Wait(Wait::Budget);
    assert_eq!(rig.turn(b"", ALL), spent, "it is taken");
    assert_eq!((rig.lines.last(), rig.rejected().len()), (2, 1));
    assert_eq!(rig.sent(), sent(&[("bad_json", 1), ("bad_json", 1)]));
}

#[test]
fn a_turn_ends_at_its_limits_and_the_next_one_goes_on() {
    let stream: String = (0..9).map(|id| good(&id.to_string(), "table1")).collect();
    let mut rig = Rig::new(99, REJECTS_RING);
    let lines = TurnLimits { lines: 4, ..ALL };
    assert_eq!(rig.turn(stream.as_bytes(), lines), TurnEnd::Limit);
    assert_eq!(rig.lines.last(), 4);
    let bytes = TurnLimits { bytes: 100, ..ALL };
    assert_eq!(rig.turn(b"", bytes), TurnEnd::Limit);
    assert_eq!(rig.lines.last(), 6, "a line more than the bytes");
    assert_eq!(rig.turn(b"", ALL), TurnEnd::Exhausted);
    assert_eq!((rig.lines.last(), rig.sent().len()), (9, 9));
}

#[test]
fn wrong_lines_end_the_turn_once_their_budget_is_spent() {
    let mut rig = Rig::new(9, REJECTS_RING);
    let stream = "x\n".repeat(1_000);
    let wait = TurnEnd::Wait(Wait::Budget);
    assert_eq!(rig.turn(stream.as_bytes(), ALL), wait);
    let first = rig.lines.last();
    assert!((1..1_000).contains(&first), "{first}");
    assert_eq!(rig.turn(b"", ALL), wait, "by a line, in advance");
    assert_eq!(rig.lines.last(), first + 1);
    assert!(rig.turns.rejects_budget.is_spent() && rig.framer.is_suspended());
}

#[test]
fn whose_lines_were_wrong_or_duplicates_a_moment_ago_gets_shorter_turns() {
    let mut rig = Rig::new(9, REJECTS_RING);
    let shares = |rig: &mut Rig, ns| {
        let now = Now {
            ns,
            ..Now::default()
        };
        let core = rig.turns.begin(&rig.counters, now);
        core.expect("there is room").shares(&mut rig.sender)
    };
    assert_eq!(
        rig.turn(good("a", "table1").as_bytes(), ALL),
        TurnEnd::Exhausted
    );
    assert_eq!(shares(&mut rig, 0), Ok([None, None]));
    rig.turn(b"x\n", ALL);
    let [of_duplicates, of_wrong_lines] = shares(&mut rig, 0).expect("there is time for more");
    assert_eq!(of_duplicates, None);
    assert_eq!(of_wrong_lines.map(|it| it.bytes), Some(READ_LEN_WRONG));
    let shared = &mut rig.turns.duplicates_budget;
    let most = (DUPLICATES_BURST_NS / DUPLICATE_FULL_NS) as u32;
    rig.sender.duplicates.charge(most * 3 / 4, shared, 0);
    let [of_duplicates, _] = shares(&mut rig, 0).expect("there is time for more");
    assert!(of_duplicates.is_some_and(|it| it.lines < TURN_LINES_MAX));
    assert_eq!(
        shares(&mut rig, 1_000_000_000),
        Ok([None, None]),
        "a moment later"
    );
    rig.sender
        .duplicates
        .charge(u32::MAX, &mut rig.turns.duplicates_budget, 0);
    assert!(matches!(shares(&mut rig, 0), Err(Wait::Duplicates(_))));
}

#[test]
fn only_the_first_line_of_a_producer_may_be_a_greeting() {
    let greeting = "{\"producer\":{\"ack\":true}}\n";
    let mut rig = Rig::new(9, REJECTS_RING);
    rig.lines = Lines::new(0, 1, false, 0);
    rig.lines.may_greet = true;
    let stream = format!("\n{greeting}{}{greeting}", good("a", "table1"));
    assert_eq!(rig.turn(stream.as_bytes(), ALL), TurnEnd::Exhausted);
    assert!(rig.lines.ack && !rig.lines.is_new);
    assert_eq!(rig.sent(), sent(&[("a", 1), ("missing_field", 1)]));
    let mut rig = Rig::new(9, REJECTS_RING);
    assert_eq!(rig.turn(greeting.as_bytes(), ALL), TurnEnd::Exhausted);
    assert_eq!(
        rig.sent(),
        sent(&[("missing_field", 1)]),
        "a dialled source"
    );
    let mut rig = Rig::new(9, REJECTS_RING);
    rig.lines.may_greet = true;
    let wrong = format!("{{\"producer\":true}}\n{}", good("a", "table1"));
    let why = WrongGreeting::NotUnderstood;
    let end = TurnEnd::WrongGreeting(why);
    assert_eq!(rig.turn(wrong.as_bytes(), ALL), end);
    assert_eq!(rig.sent(), sent(&[]), "nothing behind it is taken");
}

/// A connection of a producer where one user is known, by the token `t`, who may send to `table1` as `s`.
fn rig_with_a_user() -> Rig {
    let user = config::User {
        token_sha256: Some(config::TokenHash::of("t")),
        may_send: vec!["table1".to_owned()],
        source: Some("s".to_owned()),
        ..config::User::named("u")
    };
    let mut rig = Rig::new(9, REJECTS_RING);
    rig.turns.intake.senders = Senders::new(Arc::new(Users::new(&[user])));
    rig.lines = Lines::new(0, 1, false, 0);
    rig.lines.may_greet = true;
    rig
}

fn refused(why: Unidentified) -> TurnEnd {
    TurnEnd::WrongGreeting(WrongGreeting::Refused(Refused::Unidentified(why)))
}

#[test]
fn a_user_s_lines_are_taken_and_those_that_it_may_not_send_are_rejected() {
    let mut rig = rig_with_a_user();
    let stream = format!(
        "{{\"producer\":{{\"token\":\"t\"}}}}\n{}{}{}",
        good("a", "table1"),
        good("b", "table2"),
        good("c", "nowhere"),
    );
    assert_eq!(rig.turn(stream.as_bytes(), ALL), TurnEnd::Exhausted);
    assert_eq!(rig.sent(), sent(&[("a", 0), ("forbidden", 2)]));
    let other = good("d", "table1").replace(r#""sourceServerId":"s""#, r#""sourceServerId":"x""#);
    assert_eq!(rig.turn(other.as_bytes(), ALL), TurnEnd::Exhausted);
    assert_eq!(rig.sent(), sent(&[("forbidden", 1)]));
}

#[test]
fn nothing_is_taken_or_kept_of_a_producer_that_nobody_knows() {
    let stranger = good("a", "table1");
    let long = format!("{}\n{stranger}", "x".repeat(LINE_LEN_MAX + 1));
    for (stream, end) in [
        (stranger.clone(), refused(Unidentified::NoToken)),
        (long, refused(Unidentified::NoToken)),
        (
            format!("{{\"producer\":{{}}}}\n{stranger}"),
            refused(Unidentified::NoToken),
        ),
        (
            format!("{{\"producer\":{{\"token\":\"x\"}}}}\n{stranger}"),
            refused(Unidentified::WrongToken),
        ),
    ] {
        let mut rig = rig_with_a_user();
        assert_eq!(rig.turn(stream.as_bytes(), ALL), end);
        assert_eq!((rig.sent(), rig.rejected().len()), (sent(&[]), 0));
    }
    let mut rig = rig_with_a_user();
    let _ = rig.turn(b"half a l", ALL);
    let core = rig.turns.begin(&rig.counters, Now::default());
    let mut core = core.expect("there is room");
    let mut turn = rig.framer.turn(&mut rig.buffer);
    assert!(core.reject_cut_off(&mut turn, &mut rig.lines, &mut rig.sender));
    turn.suspend();
    core.output.end();
    assert_eq!(rig.rejected(), []);
}

#[test]
fn a_line_that_a_reset_cuts_off_is_rejected_and_an_oversize_one_was_already() {
    let mut rig = Rig::new(9, REJECTS_RING);
    let _ = rig.turn(b"half a l", ALL);
    let core = rig.turns.begin(&rig.counters, Now::default());
    let mut core = core.expect("there is room");
    let mut turn = rig.framer.turn(&mut rig.buffer);
    assert!(core.reject_cut_off(&mut turn, &mut rig.lines, &mut rig.sender));
    turn.suspend();
    core.output.end();
    assert_eq!(rig.framer.partial_len(), 0);
    assert_eq!(rig.counters.get(Counter::PartialLines), 1);
    assert_eq!(rig.rejected(), [(Reason::BadJson, b"half a l".to_vec())]);
}
