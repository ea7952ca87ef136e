//! Framer and parser together: however a stream is cut into reads, its lines are the same and get
//! the same verdicts, as the agent works: in one shared buffer.

use std::convert::Infallible;

use proptest::prelude::*;

use super::parser::Parser;
use super::parser::model;
use crate::message::Reason;
use crate::net::framer::{Framer, Line, ReadBuffer};

const LINE_LEN_MAX: usize = 160;

/// A line's bytes, and the verdict: the id of a good one.
type Seen = (Vec<u8>, Result<String, Reason>);

fn ingest(reads: &[&[u8]]) -> (Vec<Seen>, usize) {
    let longest = reads.iter().map(|read| read.len()).max().unwrap_or(0);
    let mut buffer = ReadBuffer::new(longest, LINE_LEN_MAX);
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut parser = Parser::new(3);
    let mut seen = Vec::new();
    for read in reads {
        let mut turn = framer.turn(&mut buffer);
        let taken = turn.read(read.len(), |into| {
            into.copy_from_slice(read);
            Ok::<_, Infallible>(read.len())
        });
        assert_eq!(taken.map(Option::unwrap_or_default), Ok(read.len()));
        while let Some(line) = turn.next_line() {
            match line {
                Line::Blank => {}
                Line::Oversize(line) => seen.push((line.to_vec(), Err(Reason::Oversize))),
                Line::Whole(line) | Line::Unterminated(line) => {
                    let verdict = parser.parse(line).map(|it| it.id.to_owned());
                    seen.push((line.to_vec(), verdict));
                }
            }
            turn.consume();
        }
    }
    (seen, framer.clear())
}

/// Every whole line of a stream on its own, by the naive model.
fn model(stream: &[u8]) -> Vec<Seen> {
    let ended = stream
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    stream[..ended]
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| {
            !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
                || line.len() > LINE_LEN_MAX
        })
        .map(|line| {
            if line.len() > LINE_LEN_MAX {
                return (line[..LINE_LEN_MAX].to_vec(), Err(Reason::Oversize));
            }
            let verdict = model::parse(line, 3).map(|parsed| parsed.texts[0].clone());
            (line.to_vec(), verdict)
        })
        .collect()
}

fn good(id: &str, more: &str) -> String {
    format!(
        "{{\"messageId\":\"{id}\",\"sourceServerId\":\"s\",\"destinationId\":\"t\",\
         \"messageType\":\"b\",\"priority\":1{more}}}"
    )
}

fn trouble() -> Vec<u8> {
    let lines = [
        good("one", ""),
        good("tw\\u006f", ",\"payload\":{\"a\":\"\\\"}\"}"),
        "not json".to_owned(),
        good("long", &format!(",\"x\":\"{}\"", "y".repeat(LINE_LEN_MAX))),
        good("huge", ",\"x\":1e400"),
        " \t".to_owned(),
        good("cr", "").clone() + "\r",
        good("last", ",\"x\":\"\u{1f600}\\ud83d\\ude00\""),
    ];
    let mut stream = lines.join("\n").into_bytes();
    stream.extend_from_slice(b"\n\xff{\n");
    stream
}

#[test]
fn a_bad_line_never_disturbs_its_neighbours() {
    let (seen, dropped) = ingest(&[&trouble()]);
    let verdicts: Vec<_> = seen.into_iter().map(|(_, verdict)| verdict).collect();
    let ok = |id: &str| Ok(id.to_owned());
    let (bad_json, oversize) = (Err(Reason::BadJson), Err(Reason::Oversize));
    let bad_utf8 = Err(Reason::BadUtf8);
    let expected = [
        ok("one"),
        ok("two"),
        bad_json,
        oversize,
        ok("huge"),
        ok("cr"),
        ok("last"),
        bad_utf8,
    ];
    assert_eq!((verdicts.as_slice(), dropped), (expected.as_slice(), 0));
}

#[test]
fn a_cut_at_any_offset_makes_no_difference() {
    let stream = trouble();
    let expected = model(&stream);
    for cut in 0..=stream.len() {
        assert_eq!(
            ingest(&[&stream[..cut], &stream[cut..]]).0,
            expected,
            "cut at {cut}"
        );
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(ingest(&bytes).0, expected, "byte by byte");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..12);
    prop_oneof![
        4 => ("[a-z]{1,9}", "[ -~]{0,20}").prop_map(|(id, more)| {
            good(&id, &format!(",\"x\":\"{more}\"")).into_bytes()
        }),
        2 => "[a-z]{1,90}".prop_map(|id| good(&id, "").into_bytes()),
        4 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        2 => noise,
    ]
}

proptest! {
    #[test]
    fn any_stream_is_the_same_however_it_is_split(
        pieces in proptest::collection::vec(piece(), 0..24),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let mut stream = pieces.concat();
        stream.push(b'\n');
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let reads: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        let (seen, dropped) = ingest(&reads);
        prop_assert_eq!(seen, model(&stream));
        prop_assert_eq!(dropped, 0);
    }
}
