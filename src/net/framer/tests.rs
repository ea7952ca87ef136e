//! The framer beside its naive model: streams split at every offset, turns that stop anywhere.

use std::convert::Infallible;

use proptest::prelude::*;

use super::model::Seen;
use super::*;

const LINE_LEN_MAX: usize = 8;

fn buffer() -> ReadBuffer {
    ReadBuffer::new(256, LINE_LEN_MAX)
}

/// Gives the turn these bytes to read, and says how many it took.
fn read(turn: &mut Turn<'_>, bytes: &[u8]) -> Option<usize> {
    let taken = turn.read(bytes.len(), |into| {
        into.copy_from_slice(bytes);
        Ok::<_, Infallible>(bytes.len())
    });
    taken.unwrap_or_else(|never| match never {})
}

/// Consumes at most so many lines.
fn consume(turn: &mut Turn<'_>, lines_max: usize, seen: &mut Vec<Seen>) {
    for _ in 0..lines_max {
        match turn.next_line() {
            Some(Line::Whole(line) | Line::Unterminated(line)) => {
                seen.push(Seen::Whole(line.to_vec()))
            }
            Some(Line::Oversize(line)) => seen.push(Seen::Oversize(line.to_vec())),
            Some(Line::Blank) => {}
            None => return,
        }
        turn.consume();
    }
}

fn turn(framer: &mut Framer, bytes: &[u8], seen: &mut Vec<Seen>) {
    let mut buffer = buffer();
    let mut turn = framer.turn(&mut buffer);
    assert_eq!(read(&mut turn, bytes).unwrap_or_default(), bytes.len());
    consume(&mut turn, usize::MAX, seen);
}

fn lines(reads: &[&[u8]]) -> (Vec<Seen>, usize) {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut seen = Vec::new();
    for read in reads {
        turn(&mut framer, read, &mut seen);
        assert!(!framer.is_suspended() && framer.partial_len() <= LINE_LEN_MAX + 1);
    }
    (seen, framer.clear())
}

/// Turns for `reads`, then the end of the stream.
fn finished(reads: &[&[u8]]) -> Vec<Seen> {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut seen = Vec::new();
    for read in reads {
        turn(&mut framer, read, &mut seen);
    }
    let mut buffer = buffer();
    let mut turn = framer.turn(&mut buffer);
    turn.finish();
    consume(&mut turn, usize::MAX, &mut seen);
    turn.suspend();
    assert!(!framer.is_skipping() && !framer.is_suspended());
    assert_eq!(framer.clear(), 0, "nothing is left");
    seen
}

fn model(bytes: &[u8]) -> (Vec<Seen>, usize) {
    let (seen, rest) = model::lines(bytes, LINE_LEN_MAX);
    (seen, rest.len())
}

fn whole(text: &str) -> Seen {
    Seen::Whole(text.as_bytes().to_vec())
}

fn oversize(text: &str) -> Seen {
    Seen::Oversize(text.as_bytes().to_vec())
}

#[test]
fn a_line_that_is_not_consumed_comes_again_with_all_behind_it() {
    for consumed in 0..4 {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let mut seen = Vec::new();
        turn(&mut framer, b"1\n2", &mut seen);
        let mut buffer = buffer();
        let mut turn = framer.turn(&mut buffer);
        assert_eq!(read(&mut turn, b"2\n3\n4\n5\r\n6"), Some(10));
        consume(&mut turn, consumed, &mut seen);
        let line = format!("{:?}", turn.next_line());
        turn.suspend();
        assert!(framer.is_suspended());
        for _ in 0..3 {
            let mut turn = framer.turn(&mut buffer);
            assert_eq!(read(&mut turn, b"more"), None, "lines are left");
            assert_eq!(format!("{:?}", turn.next_line()), line);
            assert_eq!(format!("{:?}", turn.next_line()), line, "asked again");
        }
        let mut turn = framer.turn(&mut buffer);
        consume(&mut turn, usize::MAX, &mut seen);
        turn.suspend();
        let expected = ["1", "22", "3", "4", "5"].map(whole);
        assert_eq!(seen, expected);
        assert_eq!(
            (framer.partial(), framer.is_suspended()),
            (&b"6"[..], false)
        );
    }
}

#[test]
fn lines_lose_their_newline_and_one_carriage_return() {
    let (seen, dropped) = lines(&[b"one\ntwo\r\nthree\r\r\nfo"]);
    assert_eq!(seen, [whole("one"), whole("two"), whole("three\r")]);
    assert_eq!(dropped, 2);
}

#[test]
fn blank_lines_are_passed_over() {
    let (seen, dropped) = lines(&[b"\n\r\n  \n\t \r\n", b"a\n\n", b" \n", b" b \n"]);
    assert_eq!((seen, dropped), (vec![whole("a"), whole(" b ")], 0));
}

#[test]
fn a_line_of_the_greatest_length_is_whole_with_either_line_end() {
    let expected = vec![whole("12345678"), whole("abcdefgh")];
    for cut in 0..19 {
        let bytes = b"12345678\nabcdefgh\r\n";
        let seen = lines(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(seen, (expected.clone(), 0), "cut at {cut}");
    }
}

#[test]
fn one_byte_more_is_oversize_at_once_and_only_once() {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut seen = Vec::new();
    turn(&mut framer, b"123456789", &mut seen);
    assert_eq!(seen, [oversize("12345678")]);
    assert!(framer.is_skipping());
    assert_eq!(framer.partial_len(), 0, "no memory is kept for it");
    for _ in 0..100 {
        turn(&mut framer, b"more of the same", &mut seen);
    }
    turn(&mut framer, b"its end\nnext\n", &mut seen);
    assert_eq!(seen, [oversize("12345678"), whole("next")]);
}

#[test]
fn a_carriage_return_that_ends_no_line_counts_as_a_byte() {
    assert_eq!(lines(&[b"12345678\r"]), (vec![], 9));
    let (seen, _) = lines(&[b"12345678\r", b"x\nok\n"]);
    assert_eq!(seen, [oversize("12345678"), whole("ok")]);
}

#[test]
fn a_connection_that_ends_leaves_nothing_to_the_next() {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut seen = Vec::new();
    turn(&mut framer, b"half a l", &mut seen);
    assert_eq!(framer.clear(), 8);
    turn(&mut framer, b"whole\nfar too long to keep", &mut seen);
    assert_eq!(framer.clear(), 0, "it was reported already");
    turn(&mut framer, b"new\n", &mut seen);
    assert_eq!(seen, [whole("whole"), oversize("far too "), whole("new")]);
}

#[test]
fn the_end_of_a_stream_ends_its_last_line_too() {
    assert_eq!(finished(&[b"one\ntwo"]), [whole("one"), whole("two")]);
    let seen = finished(&[b"one\n", b"t", b"wo\r"]);
    assert_eq!(seen, [whole("one"), whole("two")]);
    assert_eq!(finished(&[b"12345678\r"]), [whole("12345678")]);
    assert_eq!(finished(&[b"123456789"]), [oversize("12345678")]);
    assert_eq!(finished(&[b"123456789", b"more"]), [oversize("12345678")]);
    for nothing in [&b""[..], b" ", b"\r", b" \t\r"] {
        assert_eq!(finished(&[b"one\n", nothing]), [whole("one")]);
    }
}

#[test]
fn a_last_line_that_is_not_consumed_comes_again() {
    let mut framer = Framer::new(LINE_LEN_MAX);
    turn(&mut framer, b"1\n23\r", &mut Vec::new());
    let mut buffer = buffer();
    for is_consumed in [false, false, true] {
        let mut turn = framer.turn(&mut buffer);
        turn.finish();
        assert_eq!(turn.next_line(), Some(Line::Unterminated(b"23")));
        if is_consumed {
            turn.consume();
        }
        turn.suspend();
        assert_eq!(framer.is_suspended(), !is_consumed);
    }
    assert_eq!(framer.partial_len(), 0);
}

#[test]
fn a_turn_that_reads_nothing_changes_nothing() {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut seen = Vec::new();
    turn(&mut framer, b"ab", &mut seen);
    let mut buffer = buffer();
    let failed = framer.turn(&mut buffer).read(9, |_| Err("would block"));
    assert_eq!(failed, Err("would block"));
    drop(framer.turn(&mut buffer));
    assert!(!framer.is_suspended());
    turn(&mut framer, b"", &mut seen);
    turn(&mut framer, b"cd\n", &mut seen);
    assert_eq!(seen, [whole("abcd")]);
}

#[test]
fn what_is_consumed_without_a_line_is_nothing() {
    let mut framer = Framer::new(LINE_LEN_MAX);
    let (mut buffer, mut seen) = (buffer(), Vec::new());
    let mut turn = framer.turn(&mut buffer);
    turn.consume();
    assert_eq!(read(&mut turn, b"a\nb"), Some(3));
    turn.consume();
    consume(&mut turn, usize::MAX, &mut seen);
    turn.consume();
    turn.suspend();
    assert_eq!((seen, framer.partial()), (vec![whole("a")], &b"b"[..]));
}

/// A call, in any order.
#[derive(Debug, Clone)]
enum Call {
    Read(usize),
    Look,
    Consume(usize),
    Suspend,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0_usize..24).prop_map(Call::Read),
        1 => Just(Call::Look),
        3 => (1_usize..5).prop_map(Call::Consume),
        2 => Just(Call::Suspend),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let byte = proptest::sample::select(b"abc \t\r\n\n".to_vec());
    proptest::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn splits_make_no_difference(
        bytes in stream(),
        cuts in proptest::collection::vec(0_usize..200, 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let reads: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(lines(&reads), model(&bytes));
        let (ended, _) = model(&[&bytes[..], b"\n"].concat());
        prop_assert_eq!(finished(&reads), ended);
    }

    #[test]
    fn no_order_of_calls_makes_a_difference(
        bytes in stream(),
        calls in proptest::collection::vec(proptest::collection::vec(call(), 0..6), 0..12),
    ) {
        let mut framer = Framer::new(LINE_LEN_MAX);
        let (mut buffer, mut seen, mut rest) = (buffer(), Vec::new(), &bytes[..]);
        for calls in calls {
            let mut turn = framer.turn(&mut buffer);
            for call in calls {
                match call {
                    Call::Read(len) => {
                        let len = len.min(rest.len());
                        let taken = read(&mut turn, &rest[..len]);
                        rest = &rest[taken.unwrap_or_default()..];
                    }
                    Call::Look => drop(turn.next_line()),
                    Call::Consume(lines) => consume(&mut turn, lines, &mut seen),
                    Call::Suspend => break,
                }
            }
        }
        while framer.is_suspended() {
            consume(&mut framer.turn(&mut buffer), 1, &mut seen);
        }
        turn(&mut framer, rest, &mut seen);
        prop_assert_eq!((seen, framer.clear()), model(&bytes));
    }
}
