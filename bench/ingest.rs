//! What the framer and the parser cost a frame, at the look and the size (390 bytes) of the
//! simulator's frames. Answers are checked before anything is timed.
//!
//! `cargo bench --bench ingest`; `cargo test --benches` runs each once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::ingest::parser::{PADDING, Parser};
use flipped_lb::limits::{LINE_LEN_MAX, READ_LEN_MAX};
use flipped_lb::message::Record;
use flipped_lb::net::framer::{Framer, Line, buffer_len};
use simd_json::{Buffers, Tape};

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

/// A turn of the agent without its socket: frame, copy, parse. Returns how many frames were good.
fn ingest(framer: &mut Framer, parser: &mut Parser, buffer: &mut [u8], filled: usize) -> usize {
    let mut copy = [0; FRAME_LEN];
    let mut good = 0;
    framer.restore(buffer);
    while let Some(line) = framer.next_line(&buffer[..filled]) {
        if let Line::Whole(range) = line {
            copy.copy_from_slice(&buffer[range.clone()]);
            good += usize::from(parser.parse(&mut buffer[range.start..], &copy).is_ok());
        }
    }
    framer.keep(&buffer[..filled]);
    good
}

/// The same with simd-json's tape alone in the parser's place: what is left is the parser's own.
fn ingest_tapes(
    framer: &mut Framer,
    buffers: &mut Buffers,
    tape: &mut Tape<'static>,
    buffer: &mut [u8],
    filled: usize,
) -> usize {
    let mut copy = [0; FRAME_LEN];
    let mut good = 0;
    framer.restore(buffer);
    while let Some(line) = framer.next_line(&buffer[..filled]) {
        if let Line::Whole(range) = line {
            copy.copy_from_slice(&buffer[range.clone()]);
            black_box(&copy);
            let mut lent = std::mem::replace(tape, Tape(Vec::new())).reset();
            let rest = &mut buffer[range.start..];
            good += usize::from(
                simd_json::fill_tape_padded(rest, FRAME_LEN, buffers, &mut lent).is_ok(),
            );
            *tape = black_box(lent).reset();
        }
    }
    framer.keep(&buffer[..filled]);
    good
}

fn count_lines(framer: &mut Framer, buffer: &mut [u8], filled: usize) -> usize {
    let mut lines = 0;
    framer.restore(buffer);
    while framer.next_line(&buffer[..filled]).is_some() {
        lines += 1;
    }
    framer.keep(&buffer[..filled]);
    lines
}

fn buffer_with(stream: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; buffer_len(READ_LEN_MAX, LINE_LEN_MAX)];
    buffer[..stream.len()].copy_from_slice(stream);
    buffer
}

fn bench_stream(criterion: &mut Criterion) {
    let stream = stream();
    let mut buffer = buffer_with(&stream);
    let mut framer = Framer::new(LINE_LEN_MAX);
    let mut parser = Parser::new(3);
    assert_eq!(count_lines(&mut framer, &mut buffer, stream.len()), FRAMES);
    assert_eq!(
        ingest(&mut framer, &mut parser, &mut buffer, stream.len()),
        FRAMES
    );
    assert_eq!(framer.partial_len(), 0);

    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("framer", |bencher| {
        bencher.iter(|| count_lines(&mut framer, black_box(&mut buffer), stream.len()));
    });
    let mut buffers = Buffers::new(LINE_LEN_MAX);
    let mut tape = Tape(Vec::new());
    group.bench_function("framer_and_simd_json_alone", |bencher| {
        bencher.iter(|| {
            let buffer = black_box(&mut buffer);
            ingest_tapes(&mut framer, &mut buffers, &mut tape, buffer, stream.len())
        });
    });
    group.bench_function("framer_and_parser", |bencher| {
        bencher.iter(|| {
            ingest(
                &mut framer,
                &mut parser,
                black_box(&mut buffer),
                stream.len(),
            )
        });
    });
    group.finish();
}

/// simd-json alone, then the parser, over the same frames in the same way.
fn bench_parser(criterion: &mut Criterion) {
    let frames = frames();
    let mut padded: Vec<Vec<u8>> = frames
        .iter()
        .map(|frame| [frame.as_slice(), &[0; PADDING]].concat())
        .collect();
    let mut parser = Parser::new(3);
    let parsed = parser
        .parse(&mut padded[5], &frames[5])
        .expect("it is good");
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
    group.bench_function("parse_padded", |bencher| {
        bencher.iter(|| {
            for (line, frame) in black_box(&mut padded).iter_mut().zip(&frames) {
                black_box(parser.parse(line, frame).is_ok());
            }
        });
    });
    group.bench_function("parse_by_tape_padded", |bencher| {
        bencher.iter(|| {
            for (line, frame) in black_box(&mut padded).iter_mut().zip(&frames) {
                black_box(parser.parse_by_tape(line, frame).is_ok());
            }
        });
    });
    group.bench_function("parse_copying", |bencher| {
        bencher.iter(|| {
            for (line, frame) in black_box(&mut padded).iter_mut().zip(&frames) {
                black_box(parser.parse(&mut line[..FRAME_LEN], frame).is_ok());
            }
        });
    });
    group.finish();
}

/// The parser, and its long way alone, over frames that are other than those of the simulator.
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
        let mut padded = [frame.as_slice(), &[0; PADDING]].concat();
        assert!(parser.parse(&mut padded, &frame).is_ok(), "{name}");
        assert!(parser.parse_by_tape(&mut padded, &frame).is_ok(), "{name}");
        let mut group = criterion.benchmark_group(format!("kinds/{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| parser.parse(black_box(&mut padded), &frame).is_ok());
        });
        group.bench_function("parse_by_tape", |bencher| {
            bencher.iter(|| {
                // The tape's escapes are resolved in place.
                padded[..frame.len()].copy_from_slice(&frame);
                parser.parse_by_tape(black_box(&mut padded), &frame).is_ok()
            });
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
        let mut padded: Vec<_> = lines
            .iter()
            .map(|it| [it, &[0; PADDING][..]].concat())
            .collect();
        let mut count_good = |padded: &mut [Vec<u8>]| {
            let mut good = 0;
            for (padded, line) in padded.iter_mut().zip(lines) {
                good += usize::from(parser.parse(padded, line).is_ok());
            }
            good
        };
        assert_eq!(count_good(&mut padded), lines.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| count_good(black_box(&mut padded)));
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
