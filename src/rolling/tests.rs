//! Rolling files over a real directory.

mod failing;

use std::fs;
use std::path::Path;

use super::storage::Directory;
use super::*;

fn open(directory: &Path, limits: Limits) -> RollingLog<Directory> {
    let storage = Directory::at(directory, "kept").expect("a directory");
    RollingLog::open(storage, limits).expect("it opens")
}

fn limits(file_len_max: u64, total_len_max: u64, when_full: WhenFull) -> Limits {
    Limits {
        file_len_max,
        total_len_max,
        when_full,
        syncs: true,
        headroom: Headroom::NONE,
    }
}

const ROOMY: Limits = Limits {
    file_len_max: 1 << 20,
    total_len_max: 1 << 30,
    when_full: WhenFull::Hold,
    syncs: true,
    headroom: Headroom::NONE,
};

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).expect("it can be read")
}

/// The names of the files, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |it: fs::DirEntry| it.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|it| name(it.expect("an entry"))).collect();
    names.sort();
    names
}

#[test]
fn a_crash_at_any_byte_costs_no_whole_line() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("kept.ndjson");
    let whole = b"{\"line\":\"first\"}\n{\"line\":\"second\"}\n";
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).expect("written");
        let mut log = open(home.path(), ROOMY);
        log.append(b"{}\n", 1).expect("it is kept");
        let expected = match cut {
            _ if cut < 16 => "{}\n".to_owned(),
            _ if cut < 34 => "{\"line\":\"first\"}\n{}\n".to_owned(),
            _ => format!("{}{{}}\n", String::from_utf8_lossy(whole)),
        };
        assert_eq!(read(home.path(), "kept.ndjson"), expected, "cut at {cut}");
        assert_eq!(log.total_len(), expected.len() as u64);
    }
}

#[test]
fn a_torn_line_longer_than_a_block_is_cut_off() {
    let home = tempfile::tempdir().expect("a directory");
    let torn = format!("{{}}\n{{\"line\":\"{}", "x".repeat(3 * BLOCK_LEN));
    fs::write(home.path().join("kept.ndjson"), &torn).expect("written");
    let log = open(home.path(), ROOMY);
    assert_eq!(log.torn_len(), torn.len() as u64 - 3);
    assert_eq!(read(home.path(), "kept.ndjson"), "{}\n");
}

#[test]
fn full_files_are_numbered_behind_those_that_are_there() {
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("kept.7.ndjson"), "of an earlier life\n").expect("written");
    fs::write(home.path().join("kept.x.ndjson"), "not ours\n").expect("written");
    let mut log = open(home.path(), limits(8, 1 << 20, WhenFull::Hold));
    fs::write(home.path().join("kept.8.ndjson"), "put back\n").expect("written");
    for _ in 0..5 {
        log.append(b"123\n", 1).expect("it is kept");
    }
    assert_eq!(read(home.path(), "kept.9.ndjson"), "123\n123\n");
    assert_eq!(read(home.path(), "kept.10.ndjson"), "123\n123\n");
    assert_eq!(read(home.path(), "kept.ndjson"), "123\n");
    assert_eq!(read(home.path(), "kept.8.ndjson"), "put back\n");
    assert_eq!(
        log.total_len(),
        19 + 20,
        "what was put back is not known yet"
    );
    let log = open(home.path(), ROOMY);
    assert_eq!(log.total_len(), 19 + 9 + 20);
}

#[test]
fn at_the_limit_lines_wait_until_files_are_taken_away() {
    let home = tempfile::tempdir().expect("a directory");
    let mut log = open(home.path(), limits(8, 20, WhenFull::Hold));
    for _ in 0..5 {
        log.append(b"123\n", 1).expect("it is kept");
    }
    for _ in 0..2 {
        let error = log.append(b"456\n", 1).expect_err("it is full");
        assert!(matches!(error, RollingError::Full(20)), "{error}");
    }
    fs::rename(home.path().join("kept.1.ndjson"), home.path().join("away")).expect("moved");
    log.append(b"456\n", 1).expect("there is room again");
    assert_eq!(log.total_len(), 16);
    assert_eq!(log.take_dropped(), Dropped::default());
}

#[test]
fn where_the_current_file_was_taken_away_a_new_one_is_begun() {
    let home = tempfile::tempdir().expect("a directory");
    let mut log = open(home.path(), limits(100, 8, WhenFull::Hold));
    log.append(b"123\n456\n", 2).expect("it is kept");
    assert!(log.append(b"789\n", 1).is_err());
    fs::rename(home.path().join("kept.ndjson"), home.path().join("away")).expect("moved");
    log.append(b"789\n", 1).expect("there is room again");
    assert_eq!(read(home.path(), "kept.ndjson"), "789\n");
    assert_eq!(read(home.path(), "away"), "123\n456\n");
}

#[test]
fn lines_go_to_a_file_that_has_the_name() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut log = open(home.path(), ROOMY);
    log.append(b"1\n", 1).expect("it is kept");
    fs::remove_file(home.path().join("kept.ndjson")).expect("it is there");
    log.append(b"2\n", 1).expect("it is kept");
    assert_eq!(read(home.path(), "kept.ndjson"), "2\n");
    let moved = home.path().join("moved");
    fs::rename(home.path().join("kept.ndjson"), &moved).expect("it is there");
    log.append(b"3\n", 1).expect("it is kept");
    assert_eq!(read(home.path(), "moved"), "2\n");
    assert_eq!(read(home.path(), "kept.ndjson"), "3\n");
    assert_eq!(log.total_len(), 2);
}

#[test]
fn at_the_limit_the_oldest_file_goes_and_its_lines_are_counted() {
    let home = tempfile::tempdir().expect("a directory");
    // Of an earlier life: its lines are counted when it goes.
    fs::write(home.path().join("kept.3.ndjson"), "1\n2\n3\n4\n").expect("written");
    let mut log = open(home.path(), limits(8, 20, WhenFull::DropOldest));
    let mut dropped = Dropped::default();
    for number in 0..100 {
        let lines = format!("{:03}\n", number % 1_000);
        log.append(lines.as_bytes(), 1).expect("it is kept");
        assert!(log.total_len() <= 20);
        let now = log.take_dropped();
        dropped.lines += now.lines;
        dropped.bytes += now.bytes;
    }
    let left: u64 = names(home.path())
        .iter()
        .map(|it| read(home.path(), it).lines().count() as u64)
        .sum();
    assert_eq!(dropped.lines + left, 104);
    assert_eq!(dropped.bytes + log.total_len(), 408);
    assert!(read(home.path(), "kept.ndjson").ends_with("099\n"));
}

#[test]
fn files_that_were_taken_away_are_not_counted_as_dropped() {
    let home = tempfile::tempdir().expect("a directory");
    let of_an_earlier_life = home.path().join("kept.1.ndjson");
    fs::write(&of_an_earlier_life, "1234567\n").expect("written");
    let mut log = open(home.path(), limits(8, 20, WhenFull::DropOldest));
    fs::remove_file(of_an_earlier_life).expect("removed");
    log.append(b"1234567\n12345\n", 2).expect("it is kept");
    log.append(b"1234567\n", 1).expect("it is kept");
    assert_eq!(
        log.take_dropped(),
        Dropped {
            lines: 2,
            bytes: 14
        }
    );
    assert_eq!(names(home.path()), ["kept.ndjson"]);
}

#[test]
fn one_file_alone_can_be_the_oldest() {
    let home = tempfile::tempdir().expect("a directory");
    let mut log = open(home.path(), limits(100, 8, WhenFull::DropOldest));
    for line in ["123\n", "45\n", "678901\n"] {
        log.append(line.as_bytes(), 1).expect("it is kept");
    }
    assert_eq!(log.take_dropped(), Dropped { lines: 2, bytes: 7 });
    assert_eq!(names(home.path()), ["kept.ndjson"]);
}

#[test]
fn the_youngest_files_are_read_in_order() {
    let home = tempfile::tempdir().expect("a directory");
    let mut log = open(home.path(), limits(8, 1 << 20, WhenFull::Hold));
    for number in 0..7 {
        let line = format!("{number:03}\n");
        log.append(line.as_bytes(), 1).expect("it is kept");
    }
    for (older, first) in [(0, 6), (1, 4), (2, 2), (9, 0)] {
        let mut seen = Vec::new();
        let take = |line: &[u8]| seen.push(String::from_utf8_lossy(line).into_owned());
        log.read_youngest(older, take).expect("it is read");
        let expected: Vec<_> = (first..7).map(|it| format!("{it:03}")).collect();
        assert_eq!(seen, expected);
    }
}
