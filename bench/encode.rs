//! What it costs to lay a message out for the journal: its record's header, its seal, its
//! settlement, and the batch around them with its CRC. Each bench reads back what it wrote first.
//!
//! `cargo bench --bench encode`; what writing to a file costs is the journal's bench.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, SETTLEMENT_LEN, Settlement,
};
use flipped_lb::message::layout::{RECORD_HEADER_LEN, RecordHeader, Span, record_len};

const FRAME_LEN: usize = 390;
const RECORD_LEN: usize = record_len(FRAME_LEN);
/// What a batch holds at some load: 111 KB of records.
const MESSAGES: usize = 256;

fn header(number: u64) -> RecordHeader {
    let span = |offset, len| Span { offset, len };
    RecordHeader {
        frame_len: FRAME_LEN as u32,
        sequence_low: 0,
        level: 0,
        priority: (number % 3 + 1) as u8,
        escaped: false,
        timestamp_ms: 1_693_123_456_789 + number as i64,
        arrival_us: 1_693_123_456_789_123 + number,
        id: span(15, 20),
        source: span(56, 7),
        destination: span(83, 6),
        message_type: span(106, 9),
        payload: span(170, 219),
    }
}

/// Records without their frames' text, one behind the other as in a chunk.
fn records() -> Vec<u8> {
    let mut records = vec![b'x'; MESSAGES * RECORD_LEN];
    for record in records.chunks_exact_mut(RECORD_LEN) {
        record[RECORD_LEN - 1] = b'\n';
    }
    records
}

fn header_of(record: &mut [u8]) -> &mut [u8; RECORD_HEADER_LEN] {
    record.first_chunk_mut().expect("a record has a header")
}

/// Ingest's part.
fn encode_all(records: &mut [u8]) {
    for (record, number) in records.chunks_exact_mut(RECORD_LEN).zip(0..) {
        black_box(header(number)).encode(header_of(record));
    }
}

/// The scheduler's part.
fn seal_all(records: &mut [u8], first_sequence: u64) {
    for (record, sequence) in records.chunks_exact_mut(RECORD_LEN).zip(first_sequence..) {
        RecordHeader::seal(header_of(record), black_box(sequence), 2);
    }
}

/// The journal's part: the header, and the CRC over all.
fn batch(pieces: &[&[u8]], kind: BatchKind) -> [u8; BATCH_HEADER_LEN] {
    let header = BatchHeader {
        crc: 0,
        body_len: pieces.iter().map(|it| it.len()).sum::<usize>() as u32,
        kind,
        entries: MESSAGES as u32,
        position: 64,
        first_sequence: 7,
        time_us: 1_693_123_456_789_123,
    };
    let mut bytes = [0; BATCH_HEADER_LEN];
    header.encode(pieces.iter().copied(), &mut bytes);
    bytes
}

fn settle_all(settlements: &mut [u8], time_us: u64) {
    let (settlements, _) = settlements.as_chunks_mut::<SETTLEMENT_LEN>();
    for (into, sequence) in settlements.iter_mut().zip(7..) {
        let settled_us = time_us - sequence % 1_000;
        black_box(Settlement {
            sequence,
            settled_us,
        })
        .encode(time_us, into);
    }
}

fn check(records: &[u8], settlements: &[u8], time_us: u64) {
    for (record, number) in records.chunks_exact(RECORD_LEN).zip(0..) {
        let read = RecordHeader::decode(record.first_chunk().expect("a header"));
        let sealed = RecordHeader {
            sequence_low: 7 + number as u32,
            level: 2,
            ..header(number)
        };
        assert_eq!(read, sealed);
    }
    let halves: [&[u8]; 2] = [&records[..RECORD_LEN], &records[RECORD_LEN..]];
    let bytes = batch(&halves, BatchKind::Messages);
    let read = BatchHeader::decode(&bytes).expect("a batch");
    assert!(read.matches(&bytes, records, 64));
    let mut torn = records.to_vec();
    torn[RECORD_LEN + 9] ^= 1;
    assert!(!read.matches(&bytes, &torn, 64));
    let (settlements, _) = settlements.as_chunks::<SETTLEMENT_LEN>();
    for (bytes, sequence) in settlements.iter().zip(7..) {
        let settled_us = time_us - sequence % 1_000;
        let expected = Settlement {
            sequence,
            settled_us,
        };
        assert_eq!(Settlement::decode(time_us, bytes), expected);
    }
}

fn encode(criterion: &mut Criterion) {
    let time_us = 1_693_123_456_789_123;
    let (mut records, mut settlements) = (records(), vec![0; MESSAGES * SETTLEMENT_LEN]);
    encode_all(&mut records);
    seal_all(&mut records, 7);
    settle_all(&mut settlements, time_us);
    check(&records, &settlements, time_us);

    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    group.bench_function("record header", |bencher| {
        bencher.iter(|| encode_all(black_box(&mut records)));
    });
    group.bench_function("seal", |bencher| {
        bencher.iter(|| seal_all(black_box(&mut records), 7));
    });
    group.bench_function("batch of records, with its CRC", |bencher| {
        bencher.iter(|| batch(black_box(&[&records]), BatchKind::Messages));
    });
    group.bench_function("settlement", |bencher| {
        bencher.iter(|| settle_all(black_box(&mut settlements), time_us));
    });
    group.bench_function("batch of settlements, with its CRC", |bencher| {
        bencher.iter(|| batch(black_box(&[&settlements]), BatchKind::Settlements));
    });
}

criterion_group!(benches, encode);
criterion_main!(benches);
