//! Intake: lines beside destinations that are known, unknown, created, or full.

use super::*;
use crate::clock::testing::at;
use crate::config::parse;
use crate::limits::CREATED_PER_TURN;
use crate::message::allowance::MaxQueued;

/// One configured destination, `a`, for which two messages may wait.
fn intake(may_create: bool, when_full: WhenFull) -> Intake {
    let mut config = parse("settings", "[scheduler]\nmax_queued = 2\n", &[]).expect("right");
    // The setting of a destination comes before that of all.
    config.scheduler.when_full = match when_full {
        WhenFull::Wait => WhenFull::Reject,
        WhenFull::Reject => WhenFull::Wait,
    };
    config.destinations[0].when_full = Some(when_full);
    let max = 1 + CREATED_PER_TURN + 5;
    Intake::new(
        Parser::new(3),
        [
            Directory::new(["a"], may_create, max),
            Directory::new([], true, 2),
        ],
        IdHasher::new([1, 2, 3, 4, 5, 6, 7, 8]),
        Windows::new(MaxQueued::new(&config), &[]),
        WhenFullOf::new(&config),
    )
}

fn line(id: &str, destination: &str, message_type: &str) -> String {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"s\",\"destinationId\":\"{destination}\",\
         \"messageType\":\"{message_type}\",\"priority\":2}}"
    )
}

/// The destination and the type of an accepted line.
fn accept(intake: &mut Intake, line: &str) -> Result<(DestinationIndex, TypeIndex), Refusal> {
    let counters = Counters::default();
    let accepted = intake.accept(line.as_bytes(), None, &counters, at(0))?;
    Ok((accepted.destination, accepted.message_type))
}

#[test]
fn a_line_is_accepted_while_its_destination_s_window_has_room() {
    let mut intake = intake(false, WhenFull::Wait);
    let good = line("1", "a", "t");
    assert_eq!(accept(&mut intake, &good), Ok((0, 0)));
    assert_eq!(
        accept(&mut intake, &good),
        Ok((0, 0)),
        "ids are not its own"
    );
    for _ in 0..3 {
        assert_eq!(accept(&mut intake, &good), Err(Refusal::NoRoom(0)));
    }
    intake.allowances.move_to(0, 3);
    assert_eq!(
        accept(&mut intake, &good),
        Ok((0, 0)),
        "refusals took no place"
    );
    assert_eq!(accept(&mut intake, &good), Err(Refusal::NoRoom(0)));
}

#[test]
fn with_reject_a_line_for_a_full_destination_breaks_a_rule() {
    let mut intake = intake(false, WhenFull::Reject);
    let good = line("1", "a", "t");
    assert!(accept(&mut intake, &good).is_ok() && accept(&mut intake, &good).is_ok());
    let full = Refusal::Rejected(Reason::QueueFull);
    assert_eq!(accept(&mut intake, &good), Err(full));
}

#[test]
fn wrong_lines_and_unknown_destinations_are_told_apart_and_take_no_place() {
    let mut intake = intake(false, WhenFull::Wait);
    let refused = |reason| Err(Refusal::Rejected(reason));
    assert_eq!(accept(&mut intake, "{"), refused(Reason::BadJson));
    let unknown = line("1", "b", "t");
    assert_eq!(
        accept(&mut intake, &unknown),
        refused(Reason::UnknownDestination)
    );
    for _ in 0..2 {
        assert!(accept(&mut intake, &line("1", "a", "t")).is_ok());
    }
}

#[test]
fn names_are_created_so_many_a_turn_and_up_to_the_bound() {
    let mut intake = intake(true, WhenFull::Wait);
    let of = |number: usize| line("1", &format!("new{number}"), "t");
    intake.begin_turn();
    for number in 0..CREATED_PER_TURN {
        let index = number as DestinationIndex + 1;
        assert_eq!(accept(&mut intake, &of(number)), Ok((index, 0)));
    }
    let next = of(CREATED_PER_TURN);
    assert_eq!(accept(&mut intake, &next), Err(Refusal::NextTurn));
    assert!(accept(&mut intake, &of(0)).is_ok(), "it is known");
    intake.begin_turn();
    for number in 0..5 {
        assert!(accept(&mut intake, &of(CREATED_PER_TURN + number)).is_ok());
    }
    let unknown = Refusal::Rejected(Reason::UnknownDestination);
    assert_eq!(accept(&mut intake, &of(CREATED_PER_TURN + 5)), Err(unknown));
}

#[test]
fn types_beyond_the_bound_share_one_index() {
    let mut intake = intake(false, WhenFull::Wait);
    intake.allowances.move_to(0, 9);
    let types = ["t", "u", "v", "w", "u"].map(|it| {
        let accepted = accept(&mut intake, &line("1", "a", it));
        accepted.expect("it is good").1
    });
    assert_eq!(types, [0, 1, OTHER_TYPES, OTHER_TYPES, 1]);
}
