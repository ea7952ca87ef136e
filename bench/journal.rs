//! How long the journal takes to append a record: into new files, and over files that it wrote
//! before. Each bench checks its answers first.
//!
//! `cargo bench --bench journal`; the files are in `TMPDIR`, which should be on the disk that is
//! asked about.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flipped_lb::journal::storage::{Directory, Name, Storage};

/// Bytes of a segment.
const SEGMENT_LEN: u64 = 64 << 20;
/// Bytes of a record: a frame of 390 bytes with its header.
const RECORD_LEN: usize = 435;
/// Records of a batch, and bytes of its header.
const RECORDS: usize = 600;
const HEADER_LEN: usize = 48;

/// Appends batches to a file until it is full; returns how long that took.
fn fill(storage: &Directory, file: &std::fs::File, batch: &[u8]) -> Duration {
    let begun = Instant::now();
    let mut offset = 0;
    while offset + batch.len() as u64 <= SEGMENT_LEN {
        let (header, body) = batch.split_at(HEADER_LEN);
        let pieces = [IoSlice::new(header), IoSlice::new(body)];
        let taken = storage.write_at(file, offset, &pieces).expect("room");
        assert_eq!(taken, batch.len(), "a regular file takes all");
        offset += taken as u64;
    }
    begun.elapsed()
}

fn append(criterion: &mut Criterion) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut storage = Directory::at(home.path()).expect("it can be made");
    let batch = vec![b'x'; HEADER_LEN + RECORDS * RECORD_LEN];
    let records = SEGMENT_LEN as usize / batch.len() * RECORDS;
    let mut group = criterion.benchmark_group("journal append");
    group.throughput(Throughput::Elements(records as u64));
    group.sample_size(10);
    group.bench_function("a segment of new pages", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                let file = storage.create(Name::Segment(0)).expect("a new file");
                took += fill(&storage, &file, &batch);
                drop(file);
                storage.remove(Name::Segment(0)).expect("it is there");
            }
            took
        });
    });
    let file = storage.create(Name::Segment(0)).expect("a new file");
    fill(&storage, &file, &batch);
    let mut number = 0;
    group.bench_function("a segment written over", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                let begun = Instant::now();
                let (old, new) = (Name::Segment(number), Name::Segment(number + 1));
                storage.rename(old, Name::Free(number)).expect("there");
                storage.rename(Name::Free(number), new).expect("there");
                let file = storage.resume(new).expect("it is there");
                took += begun.elapsed() + fill(&storage, &file, &batch);
                number += 1;
            }
            took
        });
    });
    let names = storage.list().expect("it can be read");
    assert_eq!(names, [Name::Segment(number)], "one file, all the time");
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
