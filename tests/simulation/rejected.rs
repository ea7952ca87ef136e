//! The simulated disk of rejected lines: the files that the engine keeps them in, in a room of their
//! own that fills up. Only the engine frees it, by dropping its oldest, or an operator who takes files
//! away. Others take a part of it now and then, and the engine leaves them the headroom that it
//! promises.
//!
//! A process that dies leaves all that was written; a power loss leaves what was synced and some of
//! the rest. What a failed sync was to cover is gone for good, whatever a later one says.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flipped_lb::rolling::Headroom;
use flipped_lb::rolling::storage::{Name, Space, Storage};
use serde_json::Value;

use crate::dice::Dice;
use crate::disk::Disk;
use crate::heap::{Outside, outside};
use crate::history::Event;
use crate::plan::RejectedPlan;
use crate::tally::Tally;

/// Names a file for good, whatever it is called.
type Inode = usize;

/// An open file, until it is dropped.
#[derive(Debug)]
pub struct Handle {
    inode: Inode,
    /// Shared with the disk: so many are open.
    _open: Arc<()>,
}

/// The operator takes files away when there is less room than this, in bytes.
const TIDY_LEN: usize = 12 * 1024;

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    /// A power loss leaves these.
    synced: usize,
    /// Nothing from here on can be synced any more.
    lost_from: Option<usize>,
}

#[derive(Debug)]
struct State {
    /// Dies and loses power with it.
    disk: Disk,
    plan: RejectedPlan,
    dice: Dice,
    tally: Tally,
    files: Vec<File>,
    /// Shared with who has a file open.
    open: Arc<()>,
    names: BTreeMap<Name, Inode>,
    synced_names: BTreeMap<Name, Inode>,
    /// Names as they were after each change that was not synced.
    changes: Vec<BTreeMap<Name, Inode>>,
    /// Bytes that are not for lines.
    headroom: usize,
    /// Bytes that others take now.
    others: usize,
    /// No write succeeds.
    is_stuck: bool,
    /// Nothing fails while an engine starts: it may refuse to.
    is_starting: bool,
    has_faults: bool,
    /// What the operator took away, and what the engine dropped.
    archive: Vec<Inode>,
    /// Lines that the present life has dropped.
    dropped: u64,
    events: Vec<Event>,
}

/// The disk; clones share it.
#[derive(Debug, Clone)]
pub struct RejectedDisk(Arc<Mutex<State>>);

impl RejectedDisk {
    /// An empty one.
    pub fn new(
        disk: Disk,
        (plan, segment_len): (RejectedPlan, u64),
        dice: Dice,
        tally: Tally,
    ) -> Self {
        let headroom = Headroom::of_rejected(segment_len).of(plan.room as u64) as usize;
        Self(Arc::new(Mutex::new(State {
            disk,
            plan,
            dice,
            tally,
            files: Vec::new(),
            open: Arc::default(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            changes: Vec::new(),
            headroom,
            others: 0,
            is_stuck: false,
            is_starting: false,
            has_faults: true,
            archive: Vec::new(),
            dropped: 0,
            events: Vec::new(),
        })))
    }

    fn state(&self) -> Outside<MutexGuard<'_, State>> {
        outside(self.0.lock().expect("one thread, and no panic in here"))
    }

    /// An engine starts, or has started.
    pub fn starting(&self, is_starting: bool) {
        let state = &mut *self.state();
        state.is_starting = is_starting;
        state.dropped = 0;
    }

    /// The engine is gone.
    pub fn restart(&self, power_lost: bool) {
        if power_lost {
            self.state().lose_power();
        }
    }

    /// From now on things go wrong.
    pub fn trouble(&self) {
        self.state().has_faults = true;
    }

    /// From now on nothing goes wrong, but that no write succeeds where `is_stuck`.
    pub fn calm(&self, is_stuck: bool) {
        let state = &mut *self.state();
        (state.has_faults, state.is_stuck) = (false, is_stuck);
        state.others = 0;
    }

    /// The operator takes files away if the room is used up, or as much is kept as may be.
    pub fn tidy(&self) {
        let state = &mut *self.state();
        let room = state.plan.room - state.headroom;
        let room = room.min(state.plan.total_len_max);
        if state.used() + TIDY_LEN < room {
            return;
        }
        let takes_current = state.dice.chance(200);
        let names = std::mem::take(&mut state.names);
        for (name, inode) in names {
            if name == Name::Current && !takes_current {
                state.names.insert(name, inode);
                continue;
            }
            state.archive.push(inode);
        }
        // What an operator does is done.
        state.synced_names = state.names.clone();
        state.changes.clear();
    }

    /// What happened since it was asked last.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    /// Open files.
    pub fn open_files(&self) -> usize {
        Arc::strong_count(&self.state().open) - 1
    }

    /// Files that have a name, and their bytes.
    pub fn used(&self) -> (usize, usize) {
        let state = self.state();
        (state.names.len(), state.used())
    }

    /// Lines that the present life has dropped.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// The lines of all files, and of those that are gone.
    pub fn kept(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let all = state.names.values().chain(&state.archive);
        let files = all.map(|&it| &state.files[it].bytes);
        files.flat_map(|it| lines(it)).collect()
    }
}

impl State {
    fn handle(&self, inode: Inode) -> Handle {
        let open = Arc::clone(&self.open);
        Handle { inode, _open: open }
    }

    fn used(&self) -> usize {
        let lens = self.names.values().map(|&it| self.files[it].bytes.len());
        lens.sum()
    }

    fn free(&self) -> usize {
        self.plan.room.saturating_sub(self.used() + self.others)
    }

    /// Others come and go when the engine asks: so what it may take is known.
    fn space(&mut self) -> Space {
        if self.has_faults && self.dice.chance(100) {
            self.others = self.dice.pick(0..=self.plan.room);
        }
        let free = self.free();
        if free < self.headroom {
            self.tally.met("rejected lines left a disk its headroom");
        }
        Space {
            total: self.plan.room as u64,
            free: free as u64,
        }
    }

    fn lose_power(&mut self) {
        let arrived = self.dice.pick(0..=self.changes.len());
        if let Some(names) = arrived.checked_sub(1).map(|it| self.changes[it].clone()) {
            self.synced_names = names;
        }
        self.changes.clear();
        self.names = self.synced_names.clone();
        for file in &mut self.files {
            let left = self.dice.pick(file.synced..=file.bytes.len());
            file.bytes
                .truncate(left.min(file.lost_from.unwrap_or(left)));
            (file.synced, file.lost_from) = (file.bytes.len(), None);
        }
    }

    fn fails(&mut self, per_mille: u32, error: i32) -> io::Result<()> {
        let fails = self.has_faults && !self.is_starting && self.dice.chance(per_mille);
        match fails {
            true => {
                self.tally.met(match error {
                    EMFILE => "rejected file opened without a descriptor",
                    _ => "rejected disk failed",
                });
                Err(io::Error::from_raw_os_error(error))
            }
            false => Ok(()),
        }
    }

    fn rename(&mut self, change: impl FnOnce(&mut BTreeMap<Name, Inode>)) {
        change(&mut self.names);
        self.changes.push(self.names.clone());
    }

    fn append(&mut self, inode: Inode, bytes: &[u8]) -> io::Result<usize> {
        let dies = self.disk.change_elsewhere().is_err();
        self.fails(self.plan.fails, EIO)?;
        // Others have been quicker.
        let is_taken = self.has_faults && self.dice.chance(20);
        let room = match self.is_stuck || is_taken {
            true => 0,
            false => self.free(),
        };
        let is_short = dies || self.has_faults && self.dice.chance(self.plan.short);
        let len = match is_short {
            true => self.dice.skewed(bytes.len()),
            false => bytes.len(),
        };
        let len = len.min(room);
        if len == 0 {
            self.tally.met(match self.is_stuck {
                true => "rejected disk stuck",
                false => "rejected disk full",
            });
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.files[inode].bytes.extend_from_slice(&bytes[..len]);
        if self.used() > self.plan.total_len_max {
            let used = self.used();
            let what = format!("{used} bytes of rejected lines are kept");
            self.events.push(Event::Nonsense(what));
        }
        let free = self.free();
        if free < self.headroom {
            let what = format!("rejected lines leave {free} bytes free of the disk");
            self.events.push(Event::Nonsense(what));
        }
        match dies {
            true => Err(io::Error::other("the process is dead")),
            false => Ok(len),
        }
    }

    fn sync(&mut self, inode: Inode) -> io::Result<()> {
        self.disk.change_elsewhere()?;
        let failed = self.fails(self.plan.sync_fails, EIO);
        let file = &mut self.files[inode];
        if failed.is_err() {
            self.tally.met("rejected sync failed");
            file.lost_from.get_or_insert(file.synced);
        }
        file.synced = file.bytes.len().min(file.lost_from.unwrap_or(usize::MAX));
        failed
    }
}

const EIO: i32 = 5;
const EMFILE: i32 = 24;

impl Storage for RejectedDisk {
    type File = Handle;

    fn list(&self) -> io::Result<Vec<(Name, u64)>> {
        let state = &mut *self.state();
        state.fails(state.plan.no_descriptor, EMFILE)?;
        let files = state.names.iter();
        let len = |inode: Inode| state.files[inode].bytes.len() as u64;
        Ok(files.map(|(&name, &inode)| (name, len(inode))).collect())
    }

    fn open(&mut self, name: Name) -> io::Result<Handle> {
        let state = &mut *self.state();
        state.disk.change_elsewhere()?;
        state.fails(state.plan.no_descriptor, EMFILE)?;
        if let Some(&inode) = state.names.get(&name) {
            return Ok(state.handle(inode));
        }
        if name != Name::Current {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = state.files.len();
        state.files.push(File::default());
        state.rename(|names| {
            names.insert(name, inode);
        });
        Ok(state.handle(inode))
    }

    fn is_current(&self, file: &Handle) -> io::Result<bool> {
        let state = &mut *self.state();
        state.fails(state.plan.fails, EIO)?;
        Ok(state.names.get(&Name::Current) == Some(&file.inode))
    }

    fn len(&self, file: &Handle) -> io::Result<u64> {
        Ok(self.state().files[file.inode].bytes.len() as u64)
    }

    fn read_at(&self, file: &Handle, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = &mut *self.state();
        state.fails(state.plan.fails, EIO)?;
        let rest = state.files[file.inode].bytes.get(offset as usize..);
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn append(&self, file: &mut Handle, bytes: &[u8]) -> io::Result<usize> {
        self.state().append(file.inode, bytes)
    }

    fn truncate(&self, file: &Handle, len: u64) -> io::Result<()> {
        let state = &mut *self.state();
        state.disk.change_elsewhere()?;
        state.fails(state.plan.fails, EIO)?;
        let file = &mut state.files[file.inode];
        file.bytes.truncate(len as usize);
        file.synced = file.synced.min(len as usize);
        Ok(())
    }

    fn sync(&self, file: &Handle) -> io::Result<()> {
        self.state().sync(file.inode)
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        let state = &mut *self.state();
        state.disk.change_elsewhere()?;
        state.fails(state.plan.fails, EIO)?;
        let to = Name::Older(number);
        if state.names.contains_key(&to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.names.get(&Name::Current).copied();
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        state.rename(|names| {
            names.remove(&Name::Current);
            names.insert(to, inode);
        });
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        let state = &mut *self.state();
        state.disk.change_elsewhere()?;
        state.fails(state.plan.fails, EIO)?;
        let inode = state.names.get(&name).copied();
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        state.rename(|names| {
            names.remove(&name);
        });
        state.dropped += lines(&state.files[inode].bytes).len() as u64;
        state.tally.met("rejected lines dropped");
        state.archive.push(inode);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let state = &mut *self.state();
        state.disk.change_elsewhere()?;
        state.fails(state.plan.sync_fails, EIO)?;
        state.synced_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    fn space(&self) -> Option<Space> {
        Some(self.state().space())
    }
}

/// The lines that a file keeps; a crash may have torn its last one.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let whole = bytes.iter().rposition(|it| *it == b'\n').unwrap_or(0);
    let entries = bytes[..whole].split(|it| *it == b'\n');
    let entries = entries.filter(|it| !it.is_empty());
    let line = |entry: &[u8]| {
        let entry: Value = serde_json::from_slice(entry).expect("JSON");
        match (entry["line"].as_str(), entry["line_base64"].as_str()) {
            (Some(line), _) => line.as_bytes().to_vec(),
            (_, Some(base64)) => STANDARD.decode(base64).expect("base64"),
            _ => panic!("an entry without its line: {entry}"),
        }
    };
    entries.map(line).collect()
}
