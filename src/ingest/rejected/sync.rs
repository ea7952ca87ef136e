//! Syncing: with `durability = "synced"`, rejected lines are on the disk before their sources are
//! told that they were taken.
//!
//! The log says how far it has written and how far somebody waits; one sync at a time covers all
//! that was written when it began, and what comes meanwhile is for the next one. It runs on a
//! thread of its own, for it takes as long as the disk likes, and ingest must not wait for it.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use crate::ring::Wake;

/// What one sync covers.
#[derive(Debug)]
pub struct Job {
    /// Files with bytes that the disk may not have.
    pub files: Vec<Arc<File>>,
    /// The directory, if a name in it is new.
    pub directory: Option<PathBuf>,
}

/// Does the syncs, one after the other, and says later how they went.
pub trait Syncer: Send + Debug {
    /// Begins one; none is under way.
    fn begin(&mut self, job: Job);

    /// The answer to the one that is under way, once it is there.
    fn poll(&mut self) -> Option<io::Result<()>>;
}

/// The syncer of an engine: a thread that waits for the disk.
#[derive(Debug)]
pub struct SyncThread {
    jobs: Sender<Job>,
    answers: Receiver<io::Result<()>>,
}

impl SyncThread {
    /// Starts the thread; it ends when this is dropped. It wakes whoever polls for its answers.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub fn start(wake: Arc<Wake>) -> io::Result<Self> {
        let (jobs, waiting) = channel::<Job>();
        let (answering, answers) = channel();
        let run = move || {
            for job in waiting {
                if answering.send(job.run()).is_err() {
                    return;
                }
                wake.notify();
            }
        };
        thread::Builder::new()
            .name("rejected".to_owned())
            .spawn(run)?;
        Ok(Self { jobs, answers })
    }
}

impl Syncer for SyncThread {
    fn begin(&mut self, job: Job) {
        // A thread that has ended does not answer either: that is where it is seen.
        let _ = self.jobs.send(job);
    }

    fn poll(&mut self) -> Option<io::Result<()>> {
        match self.answers.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("its thread has ended"))),
        }
    }
}

impl Job {
    /// The files first: a name is worth nothing without what it names.
    fn run(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|it| it.sync_data())?;
        match &self.directory {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// How far a log is synced. Positions are bytes since it was opened: `synced <= written`.
#[derive(Debug)]
pub(super) struct Syncing {
    syncer: Box<dyn Syncer>,
    synced: u64,
    /// Somebody waits for what stands before this.
    wanted: u64,
    /// How far the sync under way reaches.
    under_way: Option<u64>,
    /// Files that were rotated since the last sync.
    older: Vec<Arc<File>>,
    has_new_name: bool,
}

impl Syncing {
    pub(super) fn new(syncer: Box<dyn Syncer>) -> Self {
        Self {
            syncer,
            synced: 0,
            wanted: 0,
            under_way: None,
            older: Vec::new(),
            // Nobody knows whether the last life got as far as syncing the name.
            has_new_name: true,
        }
    }

    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    pub(super) fn want(&mut self, end: u64) {
        self.wanted = self.wanted.max(end);
    }

    /// Takes the answer to the sync under way, if it is there.
    pub(super) fn hear(&mut self) -> io::Result<()> {
        if let Some(end) = self.under_way
            && let Some(answer) = self.syncer.poll()
        {
            answer?;
            (self.synced, self.under_way) = (end, None);
        }
        Ok(())
    }

    /// Begins a sync of all that was written, if somebody waits for it and none is under way.
    pub(super) fn begin(&mut self, file: &Arc<File>, directory: &std::path::Path, written: u64) {
        let is_wanted = self.wanted > self.synced && written > self.synced;
        if !is_wanted || self.under_way.is_some() {
            return;
        }
        let mut files = std::mem::take(&mut self.older);
        files.push(Arc::clone(file));
        let has_new_name = std::mem::take(&mut self.has_new_name);
        self.syncer.begin(Job {
            files,
            directory: has_new_name.then(|| directory.to_owned()),
        });
        self.under_way = Some(written);
    }

    /// A file has got another name, and a new one its old name. Its bytes are synced soon, whoever
    /// waits for them, so that there are never many such files.
    pub(super) fn note_rotated(&mut self, older: Arc<File>, written: u64) {
        self.older.push(older);
        self.has_new_name = true;
        self.want(written);
    }
}
