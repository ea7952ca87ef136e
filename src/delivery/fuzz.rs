//! Fuzzing of what subscribers send: their lines are understood, or answered with what to send.
//!
//! A line that is refused ends its connection; the next one comes of another.

use serde_json::Value;

use super::join::{Join, Taken};
use super::subscriber::{Connection, Phase, Request};
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
    let (mut connection, mut taken) = (new(), Taken::default());
    for line in input.split(|it| *it == b'\n') {
        let before = connection.acknowledged;
        let heard = match connection.hear(line, 0) {
            Ok(request) => obey(&mut directory, &mut taken, line, request),
            Err(why) => Err(why),
        };
        match heard {
            Ok(frames) => {
                assert_eq!(connection.acknowledged - before, u64::from(frames));
                assert!(matches!(connection.phase, Phase::Subscribed { .. }));
                connection.note_written(line.len() as u32 % 4, 0);
            }
            Err(why) => {
                assert!(!why.is_empty());
                let answer = serde_json::json!({ "error": why }).to_string();
                assert!(!answer.contains('\n'));
                (connection, taken) = (new(), Taken::default());
            }
        }
        assert!(connection.acknowledged <= connection.written);
        assert!(directory.len() <= NAMES_MAX);
    }
}

fn new() -> Connection {
    Connection::new(([127, 0, 0, 1], 9).into(), 0)
}

/// Does what a line asks for, and holds it against the line; returns how many frames it acknowledges.
fn obey(
    directory: &mut Directory,
    taken: &mut Taken,
    line: &[u8],
    request: Request,
) -> Result<u32, String> {
    let value: Value = serde_json::from_slice(line).expect("it was understood");
    let members = value.as_object().expect("an object, as all lines are");
    assert!(members.keys().all(|it| it == "subscribe" || it == "ack"));
    match request {
        Request::Acknowledge(frames) => {
            assert!(value["ack"].is_u64());
            Ok(frames)
        }
        Request::Subscribe { destinations, ack } => {
            assert_eq!(value["subscribe"], serde_json::json!(destinations));
            assert_eq!(value["ack"].as_bool().unwrap_or_default(), ack);
            let mut join = Join::of_line(destinations);
            let mut steps_max = (line.len() + 1) * (NAMES_MAX + 2);
            while !join.is_found() {
                assert!(steps_max > 0, "each step gets on");
                steps_max -= 1;
                join.find(taken, directory, &Counters::default(), STEP)?;
            }
            assert!(taken.len() <= NAMES_MAX);
            Ok(0)
        }
    }
}
