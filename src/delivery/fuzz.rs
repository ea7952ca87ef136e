//! Fuzzing of what subscribers send: their lines are understood, or answered with what to send.
//!
//! A line that is refused ends its connection; the next one comes of another.

use serde_json::Value;

use super::lookup::{Lookup, Requested};
use super::subscriber::{Accepted, Phase, Subscriber};
use crate::counters::Counters;
use crate::message::Directory;

/// Destinations that there may be.
const NAMES_MAX: usize = 8;
/// Names that are looked at in one step.
const STEP: usize = 3;

/// The lines of subscribers, one after the other.
pub(crate) fn subscriber(input: &[u8]) {
    let may_create = input.len() % 2 == 1;
    let mut directory = Directory::new(["table1", "table2"], may_create, NAMES_MAX);
    let (mut subscriber, mut requested) = (new(), Requested::default());
    for line in input.split(|it| *it == b'\n') {
        let before = subscriber.acknowledged;
        let accepted = subscriber.on_line(line, 0);
        let done = accepted.and_then(|it| act(&mut directory, &mut requested, line, it));
        match done {
            Ok(frames) => {
                assert_eq!(subscriber.acknowledged - before, u64::from(frames));
                is_in_phase(&subscriber, line);
                subscriber.note_written(line.len() as u32 % 4, 0);
            }
            Err(why) => {
                assert!(!why.is_empty());
                let answer = serde_json::json!({ "error": why }).to_string();
                assert!(!answer.contains('\n'));
                (subscriber, requested) = (new(), Requested::default());
            }
        }
        assert!(subscriber.acknowledged <= subscriber.written);
        assert!(directory.len() <= NAMES_MAX);
    }
}

/// A subscription says whether it acknowledges, and only who does acknowledges.
fn is_in_phase(subscriber: &Subscriber, line: &[u8]) {
    let value: Value = serde_json::from_slice(line).expect("it was understood");
    let ack = value["ack"].is_u64() || value["ack"].as_bool().unwrap_or_default();
    assert_eq!(subscriber.phase, Phase::Subscribed { ack });
}

fn new() -> Subscriber {
    Subscriber::new(([127, 0, 0, 1], 9).into(), 0)
}

/// Does what a line asks for, and holds it against the line; returns how many frames it acknowledges.
fn act(
    directory: &mut Directory,
    requested: &mut Requested,
    line: &[u8],
    accepted: Accepted,
) -> Result<u32, String> {
    let value: Value = serde_json::from_slice(line).expect("it was understood");
    let members = value.as_object().expect("an object, as all lines are");
    assert!(
        members
            .keys()
            .all(|it| ["subscribe", "ack", "token"].contains(&it.as_str()))
    );
    match accepted {
        Accepted::Acknowledge(frames) => {
            assert!(value["ack"].is_u64());
            Ok(frames)
        }
        Accepted::Subscribe(destinations, _) => {
            assert_eq!(value["subscribe"], serde_json::json!(destinations));
            assert!(!value["ack"].is_u64());
            let mut lookup = Lookup::of_line(destinations);
            let mut steps_max = (line.len() + 1) * (NAMES_MAX + 2);
            while !lookup.is_found() {
                assert!(steps_max > 0, "each step gets on");
                steps_max -= 1;
                lookup.find(requested, directory, &Counters::default(), STEP)?;
            }
            assert!(requested.len() <= NAMES_MAX);
            Ok(0)
        }
    }
}
