//! Rolling files over a real directory, and over one that fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::storage::{Directory, Space};
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

// ---- a directory that fails as it is told ----

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Vec<u8>>,
    names: BTreeMap<Name, usize>,
    synced: Vec<usize>,
    /// What becomes of the next operations; at the end all succeed.
    fails: VecDeque<bool>,
    /// Bytes of it; zero: its file system has no size.
    total: u64,
    /// Bytes that others take of it.
    others: u64,
    /// How often it was asked for its space.
    asked: u32,
}

#[derive(Debug, Clone, Default)]
struct Moody(Arc<Mutex<Disk>>);

impl Moody {
    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.0.lock().expect("one thread")
    }

    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        match disk.fails.pop_front() {
            Some(true) => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(disk),
        }
    }

    fn all(&self) -> String {
        let disk = self.disk();
        let files = disk.names.values().map(|&it| disk.files[it].clone());
        String::from_utf8(files.flatten().collect()).expect("text")
    }
}

impl Storage for Moody {
    type File = usize;

    fn list(&self) -> io::Result<Vec<(Name, u64)>> {
        let disk = self.step()?;
        let len = |it: usize| disk.files[it].len() as u64;
        Ok(disk
            .names
            .iter()
            .map(|(name, &it)| (*name, len(it)))
            .collect())
    }

    fn open(&mut self, name: Name) -> io::Result<usize> {
        let disk = &mut *self.step()?;
        if name != Name::Current && !disk.names.contains_key(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let next = disk.files.len();
        let file = *disk.names.entry(name).or_insert(next);
        if file == next {
            disk.files.push(Vec::new());
            disk.synced.push(0);
        }
        Ok(file)
    }

    fn len(&self, file: &usize) -> io::Result<u64> {
        Ok(self.step()?.files[*file].len() as u64)
    }

    fn read_at(&self, file: &usize, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let disk = self.step()?;
        let rest = &disk.files[*file][offset as usize..];
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn append(&self, file: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        // A part of it, and the next try fails or not.
        let mut disk = self.step()?;
        let len = bytes.len().div_ceil(2);
        disk.files[*file].extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn truncate(&self, file: &usize, len: u64) -> io::Result<()> {
        self.step()?.files[*file].truncate(len as usize);
        Ok(())
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        let mut disk = self.step()?;
        disk.synced[*file] = disk.files[*file].len();
        Ok(())
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        let mut disk = self.step()?;
        let file = disk.names.remove(&Name::Current);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(Name::Older(number), file);
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        let removed = self.step()?.names.remove(&name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.step().map(|_| ())
    }

    fn space(&self) -> Option<Space> {
        let mut disk = self.disk();
        disk.asked += 1;
        let used: usize = disk.names.values().map(|&it| disk.files[it].len()).sum();
        Some(Space {
            total: disk.total,
            free: disk.total.saturating_sub(used as u64 + disk.others),
        })
    }
}

/// A log on a disk of 1,600 bytes that leaves 200 of them to others.
fn on_a_small_disk(file_len_max: u64, when_full: WhenFull) -> (Moody, RollingLog<Moody>) {
    let disk = Moody::default();
    disk.disk().total = 1_600;
    let headroom = Headroom {
        segments_len: 100,
        part: 1,
    };
    let limits = limits(file_len_max, 1 << 20, when_full).leaving(headroom);
    let log = RollingLog::open(disk.clone(), limits).expect("it opens");
    (disk, log)
}

#[test]
fn a_disk_keeps_its_headroom_and_lines_go_on_when_there_is_more() {
    let (disk, mut log) = on_a_small_disk(100, WhenFull::Hold);
    let line = [b'x'; 50];
    for _ in 0..28 {
        log.append(&line, 1).expect("it is kept");
    }
    for _ in 0..3 {
        let error = log.append(&line, 1).expect_err("the rest is for others");
        let words = "its disk has 200 bytes free, and 200 stay free";
        assert!(error.to_string().starts_with(words), "{error}");
    }
    disk.disk().total += 60;
    assert!(log.append(&line, 1).is_err(), "not for one line only");
    disk.disk().total += 40;
    log.append(&line, 1).expect("it is kept");
    assert_eq!(log.total_len(), 29 * 50);
}

#[test]
fn a_disk_is_asked_once_for_many_lines_and_not_where_it_has_no_size() {
    let (disk, mut log) = on_a_small_disk(1 << 20, WhenFull::Hold);
    for total in [0, 1 << 30] {
        disk.disk().total = total;
        disk.disk().asked = 0;
        for _ in 0..100 {
            log.append(b"123\n", 1).expect("it is kept");
        }
        let asked = disk.disk().asked;
        assert_eq!(asked, if total == 0 { 100 } else { 1 });
    }
}

#[test]
fn the_oldest_files_give_room_to_others_as_far_as_that_is_enough() {
    let (disk, mut log) = on_a_small_disk(100, WhenFull::DropOldest);
    let line = [b'x'; 50];
    for _ in 0..20 {
        log.append(&line, 1).expect("it is kept");
    }
    disk.disk().others = 600;
    // What was granted before others came is taken.
    for _ in 0..20 {
        log.append(&line, 1).expect("it is kept");
    }
    let dropped = log.take_dropped();
    assert_eq!(dropped.lines * 50, dropped.bytes);
    assert_eq!(dropped.bytes + log.total_len(), 40 * 50);
    let free = 1_600 - 600 - log.total_len();
    assert!((200..300).contains(&free), "{free} bytes are free");
}

#[test]
fn no_file_goes_where_all_of_them_would_give_too_little() {
    let (disk, mut log) = on_a_small_disk(100, WhenFull::DropOldest);
    disk.disk().others = 1_350;
    log.append(&[b'x'; 50], 1).expect("it is kept");
    disk.disk().others = 1_550;
    for _ in 0..3 {
        let error = log.append(&[b'x'; 50], 1).expect_err("others have all");
        assert!(matches!(error, RollingError::NoRoom { .. }), "{error}");
    }
    assert_eq!(log.take_dropped(), Dropped::default());
    disk.disk().others = 0;
    log.append(&[b'x'; 50], 1).expect("there is room again");
    assert_eq!(log.total_len(), 100);
}

#[test]
fn without_a_descriptor_for_the_next_file_the_full_one_goes_on() {
    let disk = Moody::default();
    let small = limits(4, 1 << 20, WhenFull::Hold);
    let mut log = RollingLog::open(disk.clone(), small).expect("it opens");
    log.append(b"123\n", 1).expect("it is kept");
    // The file gets its number; its successor cannot be opened, twice.
    disk.disk().fails = VecDeque::from([false, false, false, true]);
    log.append(b"456\n", 1).expect("it is kept");
    disk.disk().fails = VecDeque::from([false, true]);
    log.append(b"789\n", 1).expect("it is kept");
    disk.disk().fails.clear();
    log.append(b"abc\n", 1).expect("it is kept");
    assert_eq!(disk.all(), "123\n456\n789\nabc\n");
    assert_eq!(disk.disk().names.len(), 2);
    assert_eq!(log.total_len(), 16);
}

proptest! {
    /// Whatever fails, each line is there once, whole and in order, when its append has succeeded; and
    /// on the disk, when a sync behind it has.
    #[test]
    fn lines_are_whole_whatever_fails(
        fails in proptest::collection::vec(any::<bool>(), 0..200),
        file_len_max in 1_u64..40,
    ) {
        let disk = Moody::default();
        let limits = limits(file_len_max, 1 << 20, WhenFull::Hold);
        let mut log = RollingLog::open(disk.clone(), limits).expect("it opens");
        disk.disk().fails = fails.into();
        let mut expected = String::new();
        for number in 0..10 {
            let line = format!("line {number}\n");
            loop {
                while log.append(line.as_bytes(), 1).is_err() {}
                expected += &line;
                if log.sync().is_ok() {
                    break;
                }
                if !log.is_suspect {
                    while log.sync().is_err() {}
                    break;
                }
            }
            let synced: usize = {
                let disk = disk.disk();
                disk.names.values().map(|&it| disk.synced[it]).sum()
            };
            prop_assert!(synced >= (number + 1) * line.len());
        }
        prop_assert_eq!(disk.all(), expected);
    }
}
