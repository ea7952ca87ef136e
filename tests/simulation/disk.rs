//! The simulated disk: files with what the operating system has of them and what the disk has.
//!
//! A process that dies leaves what the system had; a power loss leaves what was synced, and of the
//! rest any sectors in any order, and of the names some first changes. Faults: writes that take a
//! part or fail; syncs and reads that fail; a death in the middle of an operation; bits that flip in
//! what was not synced.
//!
//! It has so many bytes of room. Others take the rest of it now and then, and give it back after a
//! while; beyond that only what the engine frees comes back. What has its room can be written over,
//! but on a disk that never writes in place.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use flipped_lb::journal::storage::{Name, Storage};

use crate::dice::Dice;
use crate::heap::{Outside, outside};
use crate::plan::Faults;
use crate::tally::Tally;
use crate::time::Time;

/// What a disk writes at once.
const SECTOR_LEN: usize = 512;
/// Others give back what they took after this long at most, in ns; and where nothing is written in
/// place, so that settlements wait as well.
const TAKEN_NS_MAX: u64 = 1_000_000_000;
const TAKEN_NS_MAX_COPYING: u64 = 5_000_000_000;

/// Descriptors are there again after this long at most, in ns.
const NO_DESCRIPTOR_NS_MAX: u64 = 2_000_000_000;

/// Names a file for good, whatever it is called.
type Inode = u64;

/// An open file, until it is dropped.
#[derive(Debug)]
pub struct Handle {
    inode: Inode,
    /// Shared with the file: so many are open.
    _open: Arc<()>,
}

/// What was done to the names.
#[derive(Debug, Clone, Copy)]
enum Change {
    Give(Name, Inode),
    Take(Name),
    Rename(Name, Name),
}

/// The names of files.
#[derive(Debug, Clone, Default)]
struct Names(BTreeMap<Name, Inode>);

impl Names {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Give(name, inode) => drop(self.0.insert(name, inode)),
            Change::Take(name) => drop(self.0.remove(&name)),
            Change::Rename(from, to) => {
                if let Some(inode) = self.0.remove(&from) {
                    self.0.insert(to, inode);
                }
            }
        }
    }

    fn get(&self, name: Name) -> io::Result<Inode> {
        let found = self.0.get(&name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// One file.
#[derive(Debug, Clone, Default)]
struct File {
    /// As the operating system shows it.
    bytes: Vec<u8>,
    /// As the disk has it.
    synced: Vec<u8>,
    /// Sectors that differ.
    dirty: BTreeSet<usize>,
    /// What was written since the last sync.
    unsynced: Vec<Range<usize>>,
    /// Whether each sector has room on the disk, and how many have.
    allocated: Vec<bool>,
    used: usize,
    /// Shared with who has it open.
    open: Arc<()>,
}

#[derive(Debug)]
struct State {
    time: Time,
    faults: Faults,
    dice: Dice,
    files: BTreeMap<Inode, File>,
    next_inode: Inode,
    /// Open files that are never closed, if they leak.
    leaked: Option<Vec<Handle>>,
    names: Names,
    synced_names: Names,
    /// What the disk has not got of the changes to names.
    changes: Vec<Change>,
    tally: Tally,
    /// Bytes of room in all.
    capacity: usize,
    /// What is written over needs no new room.
    writes_in_place: bool,
    /// Others leave so much of what is free, until then.
    left: usize,
    taken_until_ns: u64,
    /// Files that went, and what all were like before.
    leaving: Vec<(Name, Disk)>,
    /// Operations that change something, until the process dies within one.
    dies_in: Option<usize>,
    is_dead: bool,
    has_failed: bool,
    /// The engine has started: from now on a want of descriptors must not end it.
    is_started: bool,
    /// No descriptor is left until then.
    no_descriptor_until_ns: u64,
    /// The last fault.
    troubled_ns: u64,
}

/// The disk; clones share it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// An empty one of so many bytes, which may write in place.
    pub fn new(
        time: Time,
        faults: Faults,
        dice: Dice,
        (capacity, writes_in_place): (usize, bool),
        tally: Tally,
    ) -> Self {
        Self(Arc::new(Mutex::new(State {
            time,
            faults,
            dice,
            files: BTreeMap::new(),
            next_inode: 0,
            leaked: None,
            names: Names::default(),
            synced_names: Names::default(),
            changes: Vec::new(),
            tally,
            capacity,
            writes_in_place,
            left: 0,
            taken_until_ns: 0,
            leaving: Vec::new(),
            dies_in: None,
            is_dead: false,
            has_failed: false,
            is_started: false,
            no_descriptor_until_ns: 0,
            troubled_ns: 0,
        })))
    }

    /// Files of the journal that went since it was asked last, each with a look at what was there.
    pub fn leaving(&self) -> Vec<(Name, Self)> {
        std::mem::take(&mut self.state().leaving)
    }

    fn state(&self) -> Outside<MutexGuard<'_, State>> {
        outside(self.0.lock().expect("one thread, and no panic in here"))
    }

    /// From now on these things go wrong.
    pub fn trouble(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// From now on nothing goes wrong; but no room comes from elsewhere.
    pub fn calm(&self) {
        let state = &mut *self.state();
        state.faults = Faults::default();
        state.dies_in = None;
        state.taken_until_ns = 0;
        state.no_descriptor_until_ns = 0;
    }

    /// The process dies within one of the next operations.
    pub fn die_soon(&self) {
        let state = &mut *self.state();
        state.dies_in = Some(state.dice.skewed(64));
    }

    /// Whether the process died within an operation.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Whether something failed in this life that may end the engine.
    pub fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// When the last fault was.
    pub fn troubled_ns(&self) -> u64 {
        self.state().troubled_ns
    }

    /// From now on files that are opened are never closed.
    pub fn leak(&self) {
        self.state().leaked = Some(Vec::new());
    }

    /// Open files.
    pub fn open_files(&self) -> usize {
        let state = self.state();
        let open = state.files.values().map(File::open_count);
        open.sum()
    }

    /// Files, and the bytes of their room.
    pub fn used(&self) -> (usize, usize) {
        let state = self.state();
        let files = state.names.0.values().map(|it| &state.files[it]);
        let room = files.map(|it| it.used * SECTOR_LEN).sum();
        (state.names.0.len(), room)
    }

    /// Forgets files without a name that nobody has open.
    pub fn forget(&self) {
        let state = &mut *self.state();
        let (names, synced_names) = (&state.names.0, &state.synced_names.0);
        let mut named: BTreeSet<Inode> = names
            .values()
            .chain(synced_names.values())
            .copied()
            .collect();
        named.extend(state.changes.iter().filter_map(|it| match *it {
            Change::Give(_, inode) => Some(inode),
            _ => None,
        }));
        (state.files).retain(|inode, it| named.contains(inode) || it.open_count() > 0);
    }

    /// Its files with their bytes, and what is free, for people.
    pub fn listing(&self) -> String {
        let state = &*self.state();
        let of = |(name, inode): (&Name, &Inode)| {
            let file = &state.files[inode];
            let (len, room) = (file.bytes.len(), file.used * SECTOR_LEN);
            format!("{name}: {len} bytes, {room} of room")
        };
        let files: Vec<String> = state.names.0.iter().map(of).collect();
        let used: usize = state.names.0.values().map(|it| state.files[it].used).sum();
        let free = state.capacity.saturating_sub(used * SECTOR_LEN);
        format!(
            "{}; {free} bytes free of {}",
            files.join(", "),
            state.capacity
        )
    }

    /// A look at what it holds, in which nothing goes wrong.
    pub fn look(&self) -> Self {
        self.state().look()
    }

    /// An operation that changes files of the same process elsewhere; `Err`: the process dies within
    /// it.
    pub fn change_elsewhere(&self) -> io::Result<()> {
        self.state().change()
    }

    /// The engine has started: it may find no descriptor from now on, and must not end of it.
    pub fn started(&self) {
        self.state().is_started = true;
    }

    /// It ends in an orderly way: what it needs for that is there.
    pub fn ending(&self) {
        self.state().is_started = false;
    }

    /// A new process looks at the disk.
    pub fn restart(&self, power_lost: bool) {
        let state = &mut *self.state();
        state.is_dead = false;
        state.has_failed = false;
        state.is_started = false;
        state.dies_in = None;
        if power_lost {
            state.lose_power();
        }
    }
}

impl State {
    fn look(&self) -> Disk {
        let dice = Dice::new(0, "look");
        let room = (usize::MAX, true);
        let (time, faults) = (self.time.clone(), Faults::default());
        let look = Disk::new(time, faults, dice, room, Tally::default());
        let named = self.names.0.values().map(|&inode| {
            let open = Arc::default();
            let file = self.files[&inode].clone();
            (inode, File { open, ..file })
        });
        look.state().files.extend(named);
        look.state().names.clone_from(&self.names);
        look
    }

    /// A name is about to be taken from its file.
    fn note_leaving(&mut self, name: Name) {
        let range = match name {
            Name::Segment(number) => number..number + 1,
            Name::Compacted(from, to) => from..to,
            _ => return,
        };
        let look = self.look();
        // What takes its place has less than it has.
        let is_other = |it: &Name| match *it {
            Name::Compacted(from, to) => *it != name && from < range.end && range.start < to,
            _ => false,
        };
        look.state().names.0.retain(|it, _| !is_other(it));
        self.leaving.push((name, look));
    }

    fn lose_power(&mut self) {
        let arrived = self.dice.pick(0..=self.changes.len());
        let changes = std::mem::take(&mut self.changes);
        let is_taken = |it: &Change| {
            let (Change::Rename(name, _) | Change::Take(name) | Change::Give(name, _)) = it;
            matches!(name, Name::Segment(_)) && !matches!(it, Change::Give(..))
        };
        if changes[arrived..].iter().any(is_taken) {
            self.tally.met("segment's name taken back");
        }
        for &change in &changes[..arrived] {
            self.synced_names.apply(change);
        }
        self.names = self.synced_names.clone();
        for file in self.files.values_mut() {
            let kept_of_1000 = self.dice.of(&[0, 200, 500, 900, 1_000]);
            let flips = self.dice.chance(200);
            let dirty = std::mem::take(&mut file.dirty);
            for sector in dirty {
                if self.dice.chance(kept_of_1000) {
                    persist(file, sector);
                    if flips && self.dice.chance(100) {
                        let within = file.unsynced_in(sector);
                        let at = self.dice.pick(within.start..=within.end - 1);
                        file.synced[at] ^= 1 << self.dice.pick(0..=7);
                        self.tally.met("bits flipped");
                    }
                }
            }
            file.unsynced.clear();
            file.bytes = file.synced.clone();
            file.cut_room();
        }
    }

    /// Counts an operation that changes something; `Err`: the process dies within it.
    fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        if let Some(left) = &mut self.dies_in {
            *left -= 1;
            self.is_dead = *left == 0;
            if self.is_dead {
                self.tally.met("died within an operation");
            }
        }
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        match self.is_dead {
            true => Err(io::Error::other("the process is dead")),
            false => Ok(()),
        }
    }

    fn fails(&mut self, per_mille: u32, what: &'static str) -> io::Result<()> {
        if !self.dice.chance(per_mille) {
            return Ok(());
        }
        self.tally.met(what);
        self.has_failed = true;
        self.troubled_ns = self.time.ns();
        Err(io::Error::other("input/output error"))
    }

    /// Bytes that nobody has.
    fn room(&mut self) -> usize {
        let now_ns = self.time.ns();
        let used: usize = self.names.0.values().map(|it| self.files[it].used).sum();
        let free = self.capacity.saturating_sub(used * SECTOR_LEN);
        if self.dice.chance(self.faults.full) {
            let max_ns = match self.writes_in_place {
                true => TAKEN_NS_MAX,
                false => TAKEN_NS_MAX_COPYING,
            };
            self.taken_until_ns = now_ns + self.dice.long(0..=max_ns);
            self.left = self.dice.of(&[0, 0, SECTOR_LEN, 64 * SECTOR_LEN]);
        }
        match now_ns < self.taken_until_ns {
            true => free.min(self.left),
            false => free,
        }
    }

    fn is_full(&mut self) -> io::Error {
        self.tally.met("disk full");
        self.has_failed = true;
        self.troubled_ns = self.time.ns();
        io::ErrorKind::StorageFull.into()
    }

    /// Gives room to what a write needs, as far as there is some; returns how many bytes of it fit.
    fn allocate(&mut self, inode: Inode, start: usize, len: usize) -> usize {
        let sectors = start / SECTOR_LEN..(start + len).div_ceil(SECTOR_LEN);
        let file = self.file(inode);
        if file.allocated.len() < sectors.end {
            file.allocated.resize(sectors.end, false);
        }
        let in_place = self.writes_in_place;
        let file = self.file(inode);
        if in_place && file.allocated[sectors.clone()].iter().all(|&it| it) {
            return len;
        }
        let mut room = self.room() / SECTOR_LEN;
        let file = self.file(inode);
        for sector in sectors {
            let is_new = !file.allocated[sector];
            let needs_room = is_new || !in_place;
            if needs_room && room == 0 {
                return (sector * SECTOR_LEN).saturating_sub(start);
            }
            room -= usize::from(needs_room);
            file.used += usize::from(is_new);
            file.allocated[sector] = true;
        }
        len
    }

    /// Whether a file can be opened: others take all descriptors now and then.
    fn has_descriptor(&mut self) -> io::Result<()> {
        let now_ns = self.time.ns();
        if !self.is_started {
            return Ok(());
        }
        if self.dice.chance(self.faults.descriptors) {
            self.no_descriptor_until_ns = now_ns + self.dice.long(0..=NO_DESCRIPTOR_NS_MAX);
        }
        if now_ns < self.no_descriptor_until_ns {
            self.tally.met("journal file opened without a descriptor");
            self.troubled_ns = now_ns;
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok(())
    }

    fn open(&mut self, name: Name) -> io::Result<Handle> {
        let inode = self.names.get(name)?;
        let handle = self.handle(inode);
        let another = self.handle(inode);
        if let Some(leaked) = &mut self.leaked {
            leaked.push(another);
        }
        Ok(handle)
    }

    fn handle(&mut self, inode: Inode) -> Handle {
        let open = Arc::clone(&self.file(inode).open);
        Handle { inode, _open: open }
    }

    fn file(&mut self, inode: Inode) -> &mut File {
        self.files
            .get_mut(&inode)
            .expect("files are never forgotten")
    }

    fn rename(&mut self, change: Change) {
        self.names.apply(change);
        self.changes.push(change);
    }

    fn create(&mut self, name: Name) -> io::Result<Handle> {
        self.change()?;
        self.has_descriptor()?;
        if self.room() < SECTOR_LEN {
            return Err(self.is_full());
        }
        if self.names.get(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.files.insert(inode, File::default());
        self.rename(Change::Give(name, inode));
        Ok(self.handle(inode))
    }

    fn write(&mut self, inode: Inode, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.alive()?;
        let dies = self.change().is_err();
        if !dies {
            self.fails(self.faults.write_fails, "journal write failed")?;
        }
        let mut bytes = Vec::new();
        pieces.iter().for_each(|it| bytes.extend_from_slice(it));
        let fits = self.allocate(inode, offset as usize, bytes.len());
        if fits == 0 && !bytes.is_empty() && !dies {
            return Err(self.is_full());
        }
        bytes.truncate(fits);
        if dies || self.dice.chance(self.faults.short_write) {
            let len = self.dice.skewed(bytes.len());
            bytes.truncate(len);
            self.tally.met("journal write short");
        }
        let start = offset as usize;
        let file = self.file(inode);
        if file.bytes.len() < start + bytes.len() {
            file.bytes.resize(start + bytes.len(), 0);
        }
        file.bytes[start..start + bytes.len()].copy_from_slice(&bytes);
        if !bytes.is_empty() {
            let end = (start + bytes.len()).div_ceil(SECTOR_LEN);
            file.dirty.extend(start / SECTOR_LEN..end);
            file.unsynced.push(start..start + bytes.len());
        }
        self.alive()?;
        Ok(bytes.len())
    }

    fn read(&mut self, inode: Inode, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.alive()?;
        self.fails(self.faults.read_fails, "journal read failed")?;
        let len_max = match self.dice.chance(self.faults.short_write) {
            true => self.dice.skewed(into.len()),
            false => into.len(),
        };
        let file = self.file(inode);
        let rest = file.bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(len_max);
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync(&mut self, inode: Inode) -> io::Result<()> {
        self.alive()?;
        let dies = self.change().is_err();
        if !dies {
            self.fails(self.faults.sync_fails, "journal sync failed")?;
        }
        let kept_of_1000 = if dies {
            self.dice.of(&[0, 500, 1_000])
        } else {
            1_000
        };
        let dirty = std::mem::take(&mut self.file(inode).dirty);
        for sector in dirty {
            let is_kept = self.dice.chance(kept_of_1000);
            let file = self.file(inode);
            match is_kept {
                true => persist(file, sector),
                false => drop(file.dirty.insert(sector)),
            }
        }
        if !dies {
            self.file(inode).unsynced.clear();
        }
        self.alive()
    }
}

impl File {
    /// So many have it open.
    fn open_count(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    /// No room is left behind its end.
    fn cut_room(&mut self) {
        let sectors = self.bytes.len().div_ceil(SECTOR_LEN);
        self.allocated.truncate(sectors);
        self.used = self.allocated.iter().filter(|&&it| it).count();
    }

    /// Bytes of a dirty sector that were written since the last sync: what was synced before may
    /// share the sector, and is not harmed.
    fn unsynced_in(&self, sector: usize) -> Range<usize> {
        let (start, end) = (sector * SECTOR_LEN, (sector + 1) * SECTOR_LEN);
        let within = self
            .unsynced
            .iter()
            .rev()
            .map(|it| it.start.max(start)..it.end.min(end));
        within
            .into_iter()
            .find(|it| !it.is_empty())
            .expect("the sector is dirty")
    }
}

/// The disk takes a sector.
fn persist(file: &mut File, sector: usize) {
    let start = sector * SECTOR_LEN;
    let end = file.bytes.len().min(start + SECTOR_LEN);
    if file.synced.len() < end {
        file.synced.resize(end, 0);
    }
    file.synced[start..end].copy_from_slice(&file.bytes[start..end]);
}

impl Storage for Disk {
    type Segment = Handle;

    fn list(&self) -> io::Result<Vec<Name>> {
        let state = &mut *self.state();
        state.alive()?;
        state.has_descriptor()?;
        Ok(state.names.0.keys().copied().collect())
    }

    fn create(&mut self, name: Name) -> io::Result<Handle> {
        self.state().create(name)
    }

    fn open(&self, name: Name) -> io::Result<Handle> {
        let state = &mut *self.state();
        state.alive()?;
        state.has_descriptor()?;
        state.open(name)
    }

    fn resume(&mut self, name: Name) -> io::Result<Handle> {
        self.open(name)
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        let state = &mut *self.state();
        state.change()?;
        state.names.get(from)?;
        match to {
            Name::Free(_) => state.note_leaving(from),
            // What it stands for goes next, in any order.
            Name::Compacted(..) => {
                let look = state.look();
                state.leaving.push((to, look));
            }
            _ => {}
        }
        if matches!((from, to), (Name::Free(_), Name::Segment(_))) {
            state.tally.met("journal file written over");
        }
        state.rename(Change::Rename(from, to));
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        let state = &mut *self.state();
        state.change()?;
        state.names.get(name)?;
        state.note_leaving(name);
        state.rename(Change::Take(name));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let state = &mut *self.state();
        state.change()?;
        state.fails(state.faults.sync_fails, "journal sync failed")?;
        state.changes.clear();
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn len(&self, file: &Handle) -> io::Result<u64> {
        let state = &mut *self.state();
        state.alive()?;
        Ok(state.file(file.inode).bytes.len() as u64)
    }

    fn truncate(&self, file: &Handle, len: u64) -> io::Result<()> {
        let state = &mut *self.state();
        state.change()?;
        let (file, len) = (state.file(file.inode), len as usize);
        file.bytes.resize(len, 0);
        file.synced.truncate(len);
        file.cut_room();
        file.unsynced
            .iter_mut()
            .for_each(|it| it.end = it.end.min(len));
        file.unsynced.retain(|it| !it.is_empty());
        let unsynced = file.unsynced.clone();
        let is_within = |at: &usize| {
            let sector = at * SECTOR_LEN..(at + 1) * SECTOR_LEN;
            let meets = |it: &Range<usize>| it.start < sector.end && sector.start < it.end;
            unsynced.iter().any(meets)
        };
        file.dirty.retain(is_within);
        Ok(())
    }

    fn write_at(&self, file: &Handle, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.state().write(file.inode, offset, pieces)
    }

    fn read_at(&self, file: &Handle, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.state().read(file.inode, offset, into)
    }

    fn sync(&self, file: &Handle) -> io::Result<()> {
        self.state().sync(file.inode)
    }
}
