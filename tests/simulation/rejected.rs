//! What the engine kept of rejected lines: the one thing of it that is in real files. What a power
//! loss would leave of them is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirEntry, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flipped_lb::ingest::rejected::sync::{Job, Syncer};
use serde_json::Value;

use crate::dice::Dice;
use crate::disk::Disk;

/// Names a file for good, whatever it is called.
type Inode = u64;

#[derive(Debug)]
struct State {
    home: PathBuf,
    disk: Disk,
    dice: Dice,
    /// What a power loss leaves: so many bytes of a file, and the file itself.
    synced: BTreeMap<Inode, u64>,
    named: BTreeSet<Inode>,
    /// The sync under way: what each file had when it began, and whether it is for the names too.
    under_way: Option<(Vec<(Inode, u64)>, bool)>,
}

/// The disk below the log; clones share it.
#[derive(Debug, Clone)]
pub struct RejectedDisk(Arc<Mutex<State>>);

impl RejectedDisk {
    /// Over the files in `home`; it fails as `disk` does.
    pub fn new(home: &Path, disk: Disk, dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(State {
            home: home.to_owned(),
            disk,
            dice,
            synced: BTreeMap::new(),
            named: BTreeSet::new(),
            under_way: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("one thread, and no panic in here")
    }

    /// The engine is gone.
    pub fn restart(&self, power_lost: bool) {
        let state = &mut *self.state();
        state.under_way = None;
        if power_lost {
            entries(&state.home)
                .iter()
                .for_each(|it| state.lose_power(it));
        }
    }
}

impl State {
    fn lose_power(&mut self, entry: &DirEntry) {
        let (inode, len) = seen(&entry.metadata().expect("it is there"));
        if !self.named.contains(&inode) && self.dice.flip() {
            std::fs::remove_file(entry.path()).expect("it is there");
            self.synced.remove(&inode);
            return;
        }
        // A torn line is cut off where it was synced, too.
        let synced = self.synced.get(&inode).map_or(0, |it| *it.min(&len));
        let file = OpenOptions::new().write(true).open(entry.path());
        let left = self.dice.long(synced..=len);
        file.and_then(|it| it.set_len(left)).expect("it is there");
        self.synced.insert(inode, left);
    }

    fn finish(&mut self, files: Vec<(Inode, u64)>, has_names: bool) -> io::Result<()> {
        self.disk.sync_elsewhere()?;
        self.synced.extend(files);
        if has_names {
            let named = entries(&self.home);
            let named = named
                .iter()
                .map(|it| it.metadata().expect("it is there").ino());
            self.named.extend(named);
        }
        Ok(())
    }
}

impl Syncer for RejectedDisk {
    fn begin(&mut self, job: Job) {
        let look = |it: &Arc<File>| seen(&it.metadata().expect("it is open"));
        let files = job.files.iter().map(look).collect();
        self.state().under_way = Some((files, job.directory.is_some()));
    }

    fn poll(&mut self) -> Option<io::Result<()>> {
        let state = &mut *self.state();
        let takes_longer = state.dice.flip();
        let (files, has_names) = state.under_way.take_if(|_| !takes_longer)?;
        Some(state.finish(files, has_names))
    }
}

fn seen(metadata: &std::fs::Metadata) -> (Inode, u64) {
    (metadata.ino(), metadata.len())
}

/// The files in `home`, by name, so that every run finds them in the same order.
fn entries(home: &Path) -> Vec<DirEntry> {
    let entries = std::fs::read_dir(home).expect("the world's directory");
    let mut entries: Vec<DirEntry> = entries.map(|it| it.expect("an entry")).collect();
    entries.sort_by_key(DirEntry::file_name);
    entries
}

/// The lines that `rejected.ndjson` and its numbered predecessors in `home` hold.
pub fn kept(home: &Path) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries(home) {
        let text = std::fs::read_to_string(entry.path()).expect("text");
        // A power loss may have torn the last line of a file that the engine opens no more.
        let whole = match entry.file_name() == "rejected.ndjson" {
            true => text.len(),
            false => text.rfind('\n').map_or(0, |it| it + 1),
        };
        for entry in text[..whole].lines() {
            let entry: Value = serde_json::from_str(entry).expect("JSON");
            let line = match (entry["line"].as_str(), entry["line_base64"].as_str()) {
                (Some(line), _) => line.as_bytes().to_vec(),
                (_, Some(base64)) => STANDARD.decode(base64).expect("base64"),
                _ => panic!("an entry without its line: {entry}"),
            };
            lines.push(line);
        }
    }
    lines
}
