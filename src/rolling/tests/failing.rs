//! Rolling files over a directory that fails as it is told, on a disk that others write to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::rolling::storage::Space;

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

    fn is_current(&self, file: &usize) -> io::Result<bool> {
        Ok(self.disk().names.get(&Name::Current) == Some(file))
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
fn a_file_that_somebody_took_away_gives_no_room() {
    let (disk, mut log) = on_a_small_disk(100, WhenFull::DropOldest);
    let line = [b'x'; 50];
    disk.disk().others = 1_250;
    log.append(&line, 1).expect("it is kept");
    log.append(&line, 1).expect("it is kept");
    // The file gets its number; its successor cannot be opened.
    disk.disk().fails = VecDeque::from([false, false, false, true]);
    log.append(&line, 1).expect("it is kept");
    disk.disk().names.clear();
    disk.disk().others = 1_400;
    let error = log.append(&line, 1).expect_err("the rest is for others");
    assert!(matches!(error, RollingError::NoRoom { .. }), "{error}");
    assert_eq!(log.take_dropped(), Dropped::default());
    disk.disk().others = 0;
    log.append(&line, 1).expect("there is room again");
    assert_eq!(log.total_len(), 50);
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
