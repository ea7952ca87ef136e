//! What the framer and the parser cost a frame, at the look and the size (390 bytes) of the
//! simulator's frames. Answers are checked before anything is timed.
//!
//! `cargo bench --bench ingest`; `cargo test --benches` runs each once.

use std::convert::Infallible;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::ingest::parser::Parser;
use flipped_lb::limits::{LINE_LEN_MAX, READ_LEN_MAX};
use flipped_lb::message::Record;
use flipped_lb::net::framer::{Framer, Line, ReadBuffer, Turn};
use simd_json::{Buffers, INPUT_PADDING, Tape};

const FRAME_LEN: usize = 390;
const FRAMES: usize = 512;

/// One order, filled up to its length by the notes.
fn frame(index: usize) -> Vec<u8> {
    frame_with(index, FRAME_LEN, "no syrup, extra butter, please. ")
}

/// The same of some other length, repeating these notes.
fn frame_with(index: usize, len: usize, notes: &str) -> Vec<u8> {
    let table = index % 4 + 1;
    let with_notes = |notes: &str| {
        format!(
            "{{\"messageId\": \"server1-{index:03}-abc{index:05}\", \
             \"sourceServerId\": \"server1\", \"destinationId\": \"table{table}\", \
             \"messageType\": \"breakfast\", \"priority\": {}, \"timestamp\": {}, \
             \"payload\": {{\"items\": \
             [{{\"name\": \"Pancakes\", \"quantity\": 2, \"price\": 8.99}}, \
             {{\"name\": \"Orange juice\", \"quantity\": 1, \"price\": 3.5}}], \
             \"notes\": \"{notes}\"}}}}",
            index % 3 + 1,
            1_693_123_456_789 + index,
        )
    };
    let bare = with_notes("").len();
    let room = len.saturating_sub(bare);
    let (whole, rest) = (room / notes.len(), room % notes.len());
    with_notes(&(notes.repeat(whole) + &".".repeat(rest))).into_bytes()
}

fn frames() -> Vec<Vec<u8>> {
    let frames: Vec<Vec<u8>> = (0..FRAMES).map(frame).collect();
    assert!(frames.iter().all(|frame| frame.len() == FRAME_LEN));
    frames
}

/// All frames as a source sends them.
fn stream() -> Vec<u8> {
    let mut stream = frames().join(&b'\n');
    stream.push(b'\n');
    stream
}

/// A read of all these bytes.
fn read(turn: &mut Turn<'_>, bytes: &[u8]) {
    let taken = turn.read(bytes.len(), |into| {
        into.copy_from_slice(bytes);
        Ok::<_, Infallible>(bytes.len())
    });
    assert_eq!(taken, Ok(Some(bytes.len())));
}

/// A turn of the agent without its socket: read, frame, parse, copy. Returns how many frames were good.
fn ingest(
    framer: &mut Framer,
    parser: &mut Parser,
    buffer: &mut ReadBuffer,
    stream: &[u8],
) -> usize {
    let mut copy = [0; FRAME_LEN];
    let mut good = 0;
    let mut turn = framer.turn(buffer);
    read(&mut turn, stream);
    while let Some(line) = turn.next_line() {
        if let Line::Whole(line) = line {
            good += usize::from(parser.parse(line).is_ok());
            copy.copy_from_slice(line);
            black_box(&copy);
        }
        turn.consume();
    }
    good
}

/// The same with simd-json's tape alone in the parser's place: what is left is the parser's own.
fn ingest_tapes(
    framer: &mut Framer,
    buffers: &mut Buffers,
    tape: &mut Tape<'static>,
    buffer: &mut ReadBuffer,
    stream: &[u8],
) -> usize {
    let mut copy = [0; FRAME_LEN + INPUT_PADDING];
    let mut good = 0;
    let mut turn = framer.turn(buffer);
    read(&mut turn, stream);
    while let Some(line) = turn.next_line() {
        if let Line::Whole(line) = line {
            copy[..FRAME_LEN].copy_from_slice(line);
            let mut lent = std::mem::replace(tape, Tape(Vec::new())).reset();
            let filled = simd_json::fill_tape_padded(&mut copy, FRAME_LEN, buffers, &mut lent);
            good += usize::from(filled.is_ok());
            *tape = black_box(lent).reset();
        }
        turn.consume();
    }
    good
}

fn count_lines(framer: &mut Framer, buffer: &mut ReadBuffer, stream: &[u8]) -> usize {
    let mut lines = 0;
    let mut turn = framer.turn(buffer);
    read(&mut turn, stream);
    while turn.next_line().is_some() {
        lines += 1;
        turn.consume();
    }
    lines
}

fn bench_stream(criterion: &mut Criterion) {
    let stream = stream();
    let mut buffer = ReadBuffer::new(READ_LEN_MAX, LINE_LEN_MAX);
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut parser = Parser::new(3);
    assert_eq!(count_lines(&mut framer, &mut buffer, &stream), FRAMES);
    let good = ingest(&mut framer, &mut parser, &mut buffer, &stream);
    assert_eq!(good, FRAMES);
    assert_eq!(framer.partial_len(), 0);

    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("framer", |bencher| {
        bencher.iter(|| count_lines(&mut framer, &mut buffer, black_box(&stream)));
    });
    let mut buffers = Buffers::new(LINE_LEN_MAX);
    let mut tape = Tape(Vec::new());
    group.bench_function("framer_and_simd_json_alone", |bencher| {
        bencher.iter(|| {
            let stream = black_box(&stream);
            ingest_tapes(&mut framer, &mut buffers, &mut tape, &mut buffer, stream)
        });
    });
    group.bench_function("framer_and_parser", |bencher| {
        bencher.iter(|| ingest(&mut framer, &mut parser, &mut buffer, black_box(&stream)));
    });
    group.finish();
}

/// simd-json alone, then the parser, over the same frames in the same way.
fn bench_parser(criterion: &mut Criterion) {
    let frames = frames();
    let mut padded: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [frame.as_slice(), &[0; INPUT_PADDING]].concat())
        .collect();
    let mut parser = Parser::new(3);
    let parsed = parser.parse(&frames[5]).expect("it is good");
    assert_eq!(
        (parsed.id, parsed.destination),
        ("server1-005-abc00005", "table2")
    );
    assert_eq!(
        (parsed.priority, parsed.timestamp_ms),
        (3, Some(1_693_123_456_794))
    );
    let fields = Record::new(parsed.header(0), &frames[5]);
    let payload = fields.payload().expect("it has one");
    assert!(payload.starts_with(b"{\"items\": ["));

    let mut group = criterion.benchmark_group("parser");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let mut buffers = Buffers::new(LINE_LEN_MAX);
    let mut tape = Tape(Vec::new());
    group.bench_function("simd_json_alone_padded", |bencher| {
        bencher.iter(|| {
            for line in black_box(&mut padded) {
                let mut lent = std::mem::replace(&mut tape, Tape(Vec::new())).reset();
                simd_json::fill_tape_padded(line, FRAME_LEN, &mut buffers, &mut lent)
                    .expect("JSON");
                tape = black_box(lent).reset();
            }
        });
    });
    group.bench_function("simd_json_alone_copying", |bencher| {
        bencher.iter(|| {
            for line in black_box(&mut padded) {
                let mut lent = std::mem::replace(&mut tape, Tape(Vec::new())).reset();
                simd_json::fill_tape(&mut line[..FRAME_LEN], &mut buffers, &mut lent)
                    .expect("JSON");
                tape = black_box(lent).reset();
            }
        });
    });
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            for frame in black_box(&frames) {
                black_box(parser.parse(frame).is_ok());
            }
        });
    });
    group.bench_function("parse_full", |bencher| {
        bencher.iter(|| {
            for frame in black_box(&frames) {
                black_box(parser.parse_full(frame).is_ok());
            }
        });
    });
    group.finish();
}

/// The parser, and its full path alone, over frames that are other than those of the simulator.
fn bench_kinds(criterion: &mut Criterion) {
    let bare = "{\"messageId\":\"m-1\",\"sourceServerId\":\"s1\",\"destinationId\":\"t1\",\
                \"messageType\":\"lunch\",\"priority\":1}";
    let deep = format!(
        "{},\"payload\":{{\"deep\":{}{}}}}}",
        &bare[..bare.len() - 1],
        "[".repeat(100),
        "]".repeat(100)
    );
    let kinds = [
        ("100_bytes", bare.as_bytes().to_vec()),
        ("1_kib", frame_with(1, 1024, "no syrup. ")),
        ("8_kib", frame_with(1, 8192, "no syrup. ")),
        ("not_ascii", frame_with(1, FRAME_LEN, "\u{e9}\u{e0}")),
        ("escapes", frame_with(1, FRAME_LEN, "\\n\\\"")),
        ("deep", deep.into_bytes()),
    ];
    let mut parser = Parser::new(3);
    for (name, frame) in kinds {
        assert!(parser.parse(&frame).is_ok(), "{name}");
        assert!(parser.parse_full(&frame).is_ok(), "{name}");
        let mut group = criterion.benchmark_group(format!("kinds/{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| parser.parse(black_box(&frame)).is_ok());
        });
        group.bench_function("parse_full", |bencher| {
            bencher.iter(|| parser.parse_full(black_box(&frame)).is_ok());
        });
        group.finish();
    }
}

/// Lines of so many shapes that each of them is new, and lines of one of these shapes alone.
fn bench_shapes(criterion: &mut Criterion) {
    let line = |first: usize, second: usize| {
        let list = |count: usize| vec!["1"; count].join(",");
        let line = format!(
            "{{\"messageId\":\"m-1\",\"sourceServerId\":\"s1\",\"destinationId\":\"t1\",\
             \"messageType\":\"lunch\",\"priority\":1,\"payload\":{{\"a\":[{}],\"b\":[{}]}}}}",
            list(first),
            list(second),
        );
        line.into_bytes()
    };
    let many: Vec<_> = (0..400).map(|index| line(index / 20, index % 20)).collect();
    let one = vec![line(10, 10); many.len()];
    let mut parser = Parser::new(3);
    let mut group = criterion.benchmark_group("shapes");
    group.throughput(Throughput::Elements(many.len() as u64));
    for (name, lines) in [("all new", &many), ("all known", &one)] {
        let mut count_good = |lines: &[Vec<u8>]| {
            let good = lines.iter().filter(|line| parser.parse(line).is_ok());
            good.count()
        };
        assert_eq!(count_good(lines), lines.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| count_good(black_box(lines)));
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    bench_stream,
    bench_parser,
    bench_kinds,
    bench_shapes
);
criterion_main!(benches);
