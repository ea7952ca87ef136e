//! The member's thread: drives the core with the boot clock, carries out what it decides, and writes records.
//!
//! The log feeds it events, the journal agent of a term batches; it feeds the journal agent what is
//! recorded, the path its lease, and the run's owner the two things that only that can do: build the
//! engine, and end the run. A write and its sync are the only calls that wait.

mod exchanging;
mod writing;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing::{info, warn};

use super::files::RecordFiles;
use super::lease::{Lease, boot_us};
use super::leaving::Leaving;
use super::link::{Buffers, Command, Filled, FromMember, MemberHandle, Opened};
use super::reporter::{Reporter, Stored};
use super::stuck::Stuck;
use crate::cluster::core::{Decision, Event, Member, Settings, Why};
use crate::cluster::jetstream::JetStream;
use crate::cluster::log::Driver;
use crate::cluster::record::{Place, Term};
use crate::cluster::status::Status;
use crate::counters::Counters;
use crate::journal::format::Position;
use crate::journal::retention::low::Low;
use crate::journal::storage::Directory;
use crate::limits::{MEMBER_EVENTS_PER_TURN, MEMBER_PARK_MS, MEMBER_WRITE_RETRY_US};
use crate::ring::{self, Wake};

/// A term of this member has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activation {
    /// The group's id.
    pub(crate) group_id: u128,
    pub(crate) term: Term,
    /// Where the journal ends.
    pub(crate) end: Position,
    /// The segment below which nobody needs anything.
    pub(crate) low: u64,
    /// The engine's own time at this moment of the boot clock.
    pub(crate) time_us: u64,
    pub(crate) at_us: u64,
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// A new one starts, or after a goodbye none.
    StepDown {
        why: Why,
        /// The files behind this record are to be set aside before.
        set_aside: Option<u64>,
    },
    /// A person has to decide.
    Refused(String),
    /// The machine failed: its disk, or this thread.
    Failed(String),
}

/// A term ends without a goodbye, for its journal takes nothing.
const CANNOT_WRITE: End = End::StepDown {
    why: Why::CannotWrite,
    set_aside: None,
};

/// Events for the run's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MemberEvent {
    /// The engine is to be built.
    Activate(Activation),
    /// The run is over.
    Ended(End),
}

/// What the thread works with.
pub(crate) struct MemberParts {
    pub(crate) settings: Settings,
    pub(crate) log: JetStream,
    pub(crate) files: RecordFiles<Directory>,
    /// The record that the files end with.
    pub(crate) last: Option<Arc<[u8]>>,
    pub(crate) segment_len: u64,
    /// Bytes that the journal may have.
    pub(crate) max_bytes: u64,
    /// MemberEvent where the last record ends that is written.
    pub(crate) recorded: Arc<AtomicU64>,
    /// Where the position stands of a database that follows these files alone; `None`: there is none.
    pub(crate) followed: Option<Arc<Counters>>,
    /// Whoever serves follows into a database of the group.
    pub(crate) shares_store: bool,
    /// Bytes of a record that any message fits into.
    pub(crate) record_len_min: usize,
    pub(crate) status: Status,
    pub(crate) counters: Arc<Counters>,
    pub(crate) wake: Arc<Wake>,
}

/// The thread, as the run's owner has it.
#[derive(Debug)]
pub(crate) struct MemberThread {
    pub(crate) handle: MemberHandle,
    pub(crate) lease: Arc<Lease>,
    pub(crate) low: Arc<Low>,
    told: Receiver<MemberEvent>,
    thread: Option<JoinHandle<()>>,
}

impl MemberThread {
    /// Starts it as a standby.
    ///
    /// # Errors
    /// The system has no thread.
    pub(crate) fn start(parts: MemberParts) -> io::Result<Self> {
        let (commands, from_owner) = channel();
        let (to_owner, told) = channel();
        let wake = Arc::clone(&parts.wake);
        let lease = Arc::new(Lease::default());
        let low = Arc::<Low>::default();
        let shared = (Arc::clone(&lease), Arc::clone(&low));
        let turns = Turns::new(parts, shared, from_owner, to_owner);
        let builder = std::thread::Builder::new().name("member".into());
        let thread = builder.spawn(move || turns.run())?;
        Ok(Self {
            handle: MemberHandle { wake, commands },
            lease,
            low,
            told,
            thread: Some(thread),
        })
    }

    /// What it tells, waited for so long.
    pub(crate) fn told_within(&self, limit: Duration) -> Option<MemberEvent> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.told.recv_timeout(limit) {
            Ok(told) => Some(told),
            Err(Timeout) => None,
            Err(Disconnected) => {
                let words = "the member's thread ended".to_owned();
                Some(MemberEvent::Ended(End::Failed(words)))
            }
        }
    }
}

/// Nothing is written behind this.
impl Drop for MemberThread {
    fn drop(&mut self) {
        self.lease.end();
        let _ = self.handle.commands.send(Command::Drop);
        self.handle.wake.notify();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The ends to the journal agent that stay here.
struct Link {
    to_agent: ring::Sender<FromMember>,
    from_agent: ring::Receiver<Filled>,
}

struct Turns {
    driver: Driver<JetStream>,
    files: RecordFiles<Directory>,
    segment_len: u64,
    record_len_min: usize,
    /// Records that are confirmed and not written, and when the first one is tried again.
    writes: VecDeque<(Place, Arc<[u8]>)>,
    write_at_us: u64,
    /// Since when a write found no room: messages wait, settlements go on.
    stuck: Stuck,
    lease_us: u64,
    counters: Arc<Counters>,
    link: Option<Link>,
    /// What waits to be offered; the buffers while nobody fills them.
    filled: Option<Filled>,
    buffers: Option<Buffers>,
    /// Where the journal agent's writes stand that were offered and not opened.
    offered: VecDeque<Position>,
    /// The journal agent has not been told of these.
    opened: VecDeque<Opened>,
    /// MemberEvent where the last record ends that is written and, in a term, opened: for whoever follows the files.
    recorded: Arc<AtomicU64>,
    /// Where records stand that are written and not opened.
    written: VecDeque<Opened>,
    has_begun_segment: bool,
    /// What stands before this, the engine was built of.
    activated_at: Position,
    set_aside: Option<u64>,
    leaving: Leaving,
    lease: Arc<Lease>,
    reporter: Reporter,
    wake: Arc<Wake>,
    from_owner: Receiver<Command>,
    to_owner: Sender<MemberEvent>,
}

impl Turns {
    fn new(
        parts: MemberParts,
        (lease, low): (Arc<Lease>, Arc<Low>),
        from_owner: Receiver<Command>,
        to_owner: Sender<MemberEvent>,
    ) -> Self {
        let lease_us = u64::from(parts.settings.lease_ms) * 1_000;
        let member = Member::new(parts.settings, parts.last, boot_us());
        let known_low = member.low();
        let stored = Stored {
            own: parts.followed.clone(),
            shared: parts.shares_store.then(|| Arc::clone(&parts.counters)),
        };
        let mut turns = Self {
            driver: Driver::new(member, parts.log),
            files: parts.files,
            segment_len: parts.segment_len,
            record_len_min: parts.record_len_min,
            writes: VecDeque::new(),
            write_at_us: 0,
            stuck: Stuck::default(),
            lease_us,
            counters: parts.counters,
            link: None,
            filled: None,
            buffers: Some(Buffers::default()),
            offered: VecDeque::new(),
            opened: VecDeque::new(),
            recorded: parts.recorded,
            written: VecDeque::new(),
            has_begun_segment: false,
            activated_at: 0,
            set_aside: None,
            leaving: Leaving::new(low, (parts.segment_len, parts.max_bytes), parts.followed),
            lease,
            reporter: Reporter::new(parts.status, stored),
            wake: parts.wake,
            from_owner,
            to_owner,
        };
        turns.note_low(known_low);
        // Not before a server was reached that takes records of messages.
        turns.tell_can_write();
        turns
    }

    fn run(mut self) {
        loop {
            match self.turn_or_park() {
                Ok(()) => {}
                Err(None) => return,
                Err(Some(end)) => {
                    self.lease.end();
                    self.reporter.ended(&self.driver);
                    // The owner may be gone.
                    let _ = self.to_owner.send(MemberEvent::Ended(end));
                    return;
                }
            }
        }
    }

    fn turn_or_park(&mut self) -> Result<(), Option<End>> {
        if self.turn()? > 0 {
            return Ok(());
        }
        self.wake.prepare_park();
        let work_count = self.turn();
        if matches!(work_count, Ok(0)) {
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(MEMBER_PARK_MS) * 1_000_000,
            };
            let mut fds = [PollFd::new(&*self.wake, PollFlags::IN)];
            // A signal that came between is a reason to look.
            let _ = poll(&mut fds, Some(&timeout));
        }
        self.wake.unpark();
        work_count.map(|_| ())
    }

    /// One turn; returns the work count. `Err`: the run is over, or nobody wants it.
    fn turn(&mut self) -> Result<usize, Option<End>> {
        let mut work_count = self.poll_owner()?;
        work_count += self.driver.poll_log(MEMBER_EVENTS_PER_TURN, boot_us());
        let path_us = self.lease.path_us();
        if path_us > 0 {
            self.driver.member.on_event(Event::Path(path_us), boot_us());
        }
        self.check_leaving();
        self.on_event(Event::Tick);
        work_count += self.carry_out()?;
        work_count += self.exchange();
        work_count += self.carry_out()?;
        work_count += self.write_one()?;
        self.check_room();
        self.check_stuck()?;
        work_count += self.carry_out()?;
        self.publish();
        Ok(work_count)
    }

    /// Says what nobody needs, of the own journal and of the stream.
    fn check_leaving(&mut self) {
        if let Some(low) = self.leaving.take_proposed() {
            self.on_event(Event::Unneeded { low, before: 0 });
        }
        if self.leaving.is_due(boot_us()) {
            let newest = self.driver.member.end() / self.segment_len;
            let least = self.reporter.least_heard();
            let before = self.leaving.needed_from(least, newest);
            self.on_event(Event::Unneeded { low: 0, before });
        }
    }

    fn on_event(&mut self, event: Event) {
        self.driver.member.on_event(event, boot_us());
    }

    /// Tells the path what it may do, and everybody how it is.
    fn publish(&mut self) {
        let member = &self.driver.member;
        self.lease.set_until(member.serves_until_us());
        self.lease.set_may_accept(member.may_accept());
        self.reporter.look(&self.driver, boot_us());
        if self.reporter.note_room(self.record_len_min) {
            self.tell_can_write();
        }
    }

    fn poll_owner(&mut self) -> Result<usize, Option<End>> {
        let mut work_count = 0;
        while let Ok(command) = self.from_owner.try_recv() {
            work_count += 1;
            match command {
                Command::Drop => return Err(None),
                Command::Finish => self.on_event(Event::Finish),
                Command::HandOver(to) => self.on_event(Event::HandOver(to)),
                Command::Attach(link) => {
                    self.files.set_free(link.free_files);
                    self.link = Some(Link {
                        to_agent: link.to_agent,
                        from_agent: link.from_agent,
                    });
                }
            }
        }
        Ok(work_count)
    }

    fn carry_out(&mut self) -> Result<usize, Option<End>> {
        let mut work_count = 0;
        while let Some(decision) = self.driver.decision() {
            work_count += 1;
            match decision {
                Decision::Write { place, bytes } => {
                    self.reporter
                        .note_record(&self.driver.member, &bytes, boot_us());
                    self.writes.push_back((place, bytes));
                }
                Decision::Fetch(asked) => self.fetch(asked)?,
                Decision::Open(position) => self.open(position),
                Decision::Activate { term, time_us, .. } => self.activate(term, time_us)?,
                Decision::Pause => {
                    self.lease.set_until(0);
                    warn!(
                        "the group's stream confirms nothing: nothing is handed out until it does"
                    );
                }
                Decision::Resume => {
                    info!("the group's stream confirms again: frames are handed out")
                }
                Decision::SetAside { behind } => self.set_aside = Some(behind),
                Decision::StepDown(why) => {
                    let set_aside = self.set_aside.take();
                    return Err(Some(End::StepDown { why, set_aside }));
                }
                Decision::Refuse(words) => return Err(Some(End::Refused(words))),
                Decision::Tell(notice) => self.reporter.tell(&notice),
                // The driver has passed these on to the log.
                Decision::Publish(_)
                | Decision::Reconnect
                | Decision::Ask(_)
                | Decision::Check
                | Decision::Create
                | Decision::Purge(_)
                | Decision::Read(_)
                | Decision::StopReading => {}
            }
        }
        Ok(work_count)
    }

    /// A term begins: the engine is built of the files as they are at this moment.
    fn activate(&mut self, term: Term, time_us: u64) -> Result<(), Option<End>> {
        while !self.writes.is_empty() {
            self.poll_owner()?;
            if self.write_one()? == 0 {
                // A stop does not wait for room: this term ends as a killed one does.
                if self.driver.member.is_finishing() {
                    return Err(Some(CANNOT_WRITE));
                }
                std::thread::sleep(Duration::from_micros(MEMBER_WRITE_RETRY_US));
            }
        }
        let member = &self.driver.member;
        self.activated_at = member.end();
        self.reporter.note_take_over();
        let activation = Activation {
            group_id: member.group_id().unwrap_or_default(),
            term,
            end: member.end(),
            low: member.low(),
            time_us,
            at_us: boot_us(),
        };
        let _ = self.to_owner.send(MemberEvent::Activate(activation));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
