//! The retention agent: sees to it that the journal does not grow for ever.
//!
//! A segment goes when all in it is settled, stored, and out of the dedup window. Its file becomes
//! a free one, for the journal agent to write over, or is removed where enough of them wait. Where a
//! few unsettled messages hold many segments, these messages are carried forward into a kept file.
//! It has a thread of its own, for removing and syncing files takes time; it takes no part in the
//! path.
//!
//! ```text
//!   SCHEDULER <==== Survey ======= [           ]
//!                                  [ retention ] === free files ==> JOURNAL
//!   JOURNAL == Begun, Survey ====> [           ] <=== kept files, Switched ===> REPLAY
//! ```

pub mod compaction;
mod files;
pub mod room;
pub mod stretch;
pub mod survey;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{debug, error, info, warn};

use self::compaction::{Compaction, Needed, Step};
use self::room::Room;
use self::stretch::{Holder, State, Stretch, Stretches, Window};
use self::survey::Survey;
use super::error::JournalError;
use super::kept::KeptIndex;
use super::record::Position;
use super::replay::{KeptFiles, Switched};
use super::reserve;
use super::segment::{Begun, is_shortage};
use super::storage::{Name, Storage};
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::faults::Part;
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

/// Between two surveys that found something to do, in ns.
const SURVEY_NS_MIN: u64 = 50_000_000;
/// Between two surveys at most, in ns.
const SURVEY_NS_MAX: u64 = 1_000_000_000;

/// What was not worth a compaction is not looked at again for so long, in ns, unless there is more.
const RETRY_NS: u64 = 10_000_000_000;

/// Why the journal may not grow is told once in so long, in ns: at the limit it comes and goes.
const TELL_LIMIT_NS: u64 = 60_000_000_000;

/// What the journal agent tells retention.
#[derive(Debug)]
pub enum ToRetention {
    /// A segment was begun, and its first batch is recorded.
    Begun(Begun),
    /// The answer to a survey; the settlements that it speaks of are recorded.
    Survey(Box<Survey>),
}

/// What retention tells the scheduler.
#[derive(Debug)]
pub enum FromRetention {
    /// A question, to be answered by way of the journal.
    Survey(Box<Survey>),
    /// Messages may go into the journal up to here; zero: none may.
    Granted(Position),
}

/// What the retention agent is made of.
pub struct RetentionParts<S> {
    /// Segments that were begun, and surveys, come from here.
    pub from_journal: Receiver<ToRetention>,
    /// Surveys go there.
    pub to_scheduler: Sender<FromRetention>,
    /// Free files, by their former number, go there.
    pub free_files: Sender<u64>,
    /// The kept files, whenever there are others, go there.
    pub to_replay: Sender<KeptFiles>,
    /// Told when replay reads no file any more that those replace.
    pub from_replay: Receiver<Switched>,
    /// The kept files that recovery found, in their order.
    pub kept: KeptFiles,
    /// Where the files live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// The segments that recovery found, in their order.
    pub segments: Vec<Begun>,
    /// The free file that the journal agent has from the start.
    pub reserve: Option<u64>,
    /// The number of the next segment.
    pub next_segment: u64,
    /// For how long ids must stay.
    pub window: Window,
    /// Bytes that all files may take on disk.
    pub max_bytes: u64,
    /// Set when the engine is about to stop.
    pub draining: Arc<AtomicBool>,
    /// Told whether the journal may not grow.
    pub limited: Arc<AtomicBool>,
    /// Whether there is a store that must have followed.
    pub has_store: bool,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// What is done about messages that hold old segments.
enum Task<S: Storage> {
    /// Nothing.
    None,
    /// Asks which messages of the first so many stretches must stay.
    Survey {
        ripe: usize,
        rest: Range<Sequence>,
        needed: Needed,
    },
    /// Carries them forward.
    Compact(Box<Compaction<S>>),
    /// The kept file stands: waits until replay reads from it.
    Switch(Vec<Stretch>),
}

/// The agent.
pub struct RetentionAgent<S: Storage> {
    parts: RetentionParts<S>,
    stretches: Stretches,
    room: Room,
    granted: Option<Position>,
    /// The scheduler said that it has used up what was granted.
    is_at_limit: bool,
    /// Sources wait for room.
    is_limited: bool,
    tell_limit_at_ns: u64,
    tell_full_at_ns: u64,
    /// The file for a kept one is there; and when room that is missing is looked for again.
    has_kept_reserve: bool,
    set_aside_at_ns: u64,
    /// A kept file found no room: the next one takes what is set aside.
    is_kept_cramped: bool,
    /// The segment that is being filled, or was when an earlier life of the engine ended.
    open: Option<Begun>,
    /// Free files that were offered to the journal agent, and that it has not taken.
    free: usize,
    /// Former numbers of free files whose names a power loss may still take back.
    renamed: Vec<u64>,
    /// Former numbers of free files that are not wanted.
    surplus: VecDeque<u64>,
    /// Files that nobody reads any more, in the order in which they go.
    leaving: VecDeque<Name>,
    /// At home between two surveys.
    survey: Option<Box<Survey>>,
    task: Task<S>,
    /// The end of what was looked at for a compaction that was not worth it, and when.
    tried: (u64, u64),
    state: State,
    next_survey_ns: u64,
    survey_pause_ns: u64,
    /// The free files that an earlier life left are not found yet.
    seeks_free_files: bool,
    /// Files are left alone until then.
    next_try_ns: u64,
    is_failing: bool,
}

impl<S: Storage + Clone> RetentionAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: RetentionParts<S>) -> Self {
        Self {
            stretches: Stretches::new(parts.segment_len, parts.window),
            room: Room {
                max_bytes: parts.max_bytes,
                segment_len: parts.segment_len,
            },
            granted: None,
            is_at_limit: false,
            is_limited: false,
            tell_limit_at_ns: 0,
            tell_full_at_ns: 0,
            has_kept_reserve: false,
            set_aside_at_ns: 0,
            is_kept_cramped: false,
            open: None,
            free: 0,
            renamed: Vec::new(),
            surplus: VecDeque::new(),
            leaving: VecDeque::new(),
            survey: Some(Survey::new()),
            task: Task::None,
            tried: (0, 0),
            state: State::default(),
            next_survey_ns: 0,
            survey_pause_ns: SURVEY_NS_MIN,
            seeks_free_files: true,
            next_try_ns: 0,
            is_failing: false,
            parts,
        }
    }

    /// Notes the closed segments that recovery found.
    fn note_recovered(&mut self) {
        let mut kept = std::mem::take(&mut self.parts.kept).into_iter().peekable();
        for begun in std::mem::take(&mut self.parts.segments) {
            while let Some(index) = kept.next_if(|it| it.header.segments.start < begun.number) {
                self.note_kept(&index);
            }
            self.note_begun(begun);
        }
        kept.for_each(|index| self.note_kept(&index));
    }

    fn hear_journal(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while let Some(news) = self.parts.from_journal.poll() {
            work_count += 1;
            match news {
                ToRetention::Begun(begun) => {
                    self.free = self.free.saturating_sub(begun.taken);
                    self.parts
                        .counters
                        .add(Counter::JournalRecycled, begun.taken as u64);
                    self.note_begun(begun);
                    self.survey_pause_ns = SURVEY_NS_MIN;
                }
                ToRetention::Survey(survey) => self.take_answer(survey, now),
            }
        }
        work_count
    }

    /// A segment was begun: the one before it is closed.
    fn note_begun(&mut self, begun: Begun) {
        if let Some(open) = self.open.replace(begun) {
            let len = self.len_of(Name::Segment(open.number));
            self.stretches.push(Stretch::closed(&open, &begun, len));
        }
    }

    /// A kept file follows what was noted last.
    fn note_kept(&mut self, index: &Arc<KeptIndex>) {
        let header = &index.header;
        if let Some(open) = self.open.take() {
            let next = Begun {
                number: header.segments.start,
                first_sequence: header.sequences.start,
                ..open
            };
            let len = self.len_of(Name::Segment(open.number));
            self.stretches.push(Stretch::closed(&open, &next, len));
        }
        self.stretches.push(Stretch::kept(index));
    }

    /// Bytes of a file; a whole segment's where the system does not say.
    fn len_of(&self, name: Name) -> u64 {
        let storage = &self.parts.storage;
        let len = storage.open(name).and_then(|file| storage.len(&file));
        len.unwrap_or(self.parts.segment_len)
    }

    fn take_answer(&mut self, survey: Box<Survey>, now: Now) {
        self.state.first_unsettled = survey.first_unsettled;
        self.state.next_sequence = survey.next_sequence;
        self.is_at_limit = survey.is_at_limit;
        if let Task::Survey { rest, needed, .. } = &mut self.task
            && survey.to == rest.end
        {
            needed.extend(&survey.words);
            rest.start = survey.reached;
        }
        self.survey = Some(survey);
        self.next_survey_ns = now.ns + self.survey_pause_ns;
        self.survey_pause_ns = (2 * self.survey_pause_ns).min(SURVEY_NS_MAX);
    }

    /// Asks how far the scheduler is, now and then, and only while something may go.
    fn ask(&mut self, now: Now) -> usize {
        let asked = match &self.task {
            Task::Survey { rest, .. } => rest.clone(),
            _ if self.stretches.is_empty() || now.ns < self.next_survey_ns => return 0,
            _ => 0..0,
        };
        let Some(mut permit) = self.parts.to_scheduler.claim(1) else {
            return 0;
        };
        let Some(mut survey) = self.survey.take() else {
            return 0;
        };
        (survey.from, survey.to) = (asked.start, asked.end);
        permit.send(FromRetention::Survey(survey));
        self.parts.to_scheduler.flush();
        1
    }

    fn look_at_clock_and_store(&mut self, now: Now) {
        self.state.now_ms = now.steady_ms();
        self.state.stored = match self.parts.has_store {
            true => self.parts.counters.get(Counter::StorePosition),
            false => u64::MAX,
        };
    }

    /// Lets the oldest stretch go, if nothing holds it and nobody is at work on it.
    fn drop_first(&mut self) -> io::Result<usize> {
        if matches!(self.task, Task::Compact(_) | Task::Switch(_)) {
            return Ok(0);
        }
        let Some(first) = self.stretches.first_to_go(&self.state) else {
            return Ok(0);
        };
        let name = first.name();
        self.free_file(name)?;
        self.stretches.pop();
        self.task = Task::None;
        self.survey_pause_ns = SURVEY_NS_MIN;
        Ok(1)
    }

    fn free_leaving(&mut self) -> io::Result<usize> {
        let Some(&name) = self.leaving.front() else {
            return Ok(0);
        };
        self.free_file(name)?;
        self.leaving.pop_front();
        Ok(1)
    }

    /// One step on the way to carry messages forward.
    fn carry_on(&mut self, now: Now) -> Result<usize, JournalError> {
        match std::mem::replace(&mut self.task, Task::None) {
            Task::None => Ok(self.consider(now)),
            Task::Survey { ripe, rest, needed } if rest.is_empty() => {
                self.choose(ripe, needed, now)
            }
            Task::Compact(compaction) => self.compact(compaction),
            Task::Switch(gone) if self.parts.from_replay.poll().is_some() => {
                self.leaving.extend(gone.iter().map(Stretch::name));
                Ok(1)
            }
            waiting => {
                self.task = waiting;
                Ok(0)
            }
        }
    }

    /// Where unsettled messages hold two segments or more, finds out which they are.
    fn consider(&mut self, now: Now) -> usize {
        let ripe = self.stretches.ripe(&self.state);
        let end = self.stretches.sequences(ripe);
        let is_known = self.tried.0 == end.end && now.ns < self.tried.1;
        if ripe < 2 || is_known || self.state.next_sequence == 0 {
            return 0;
        }
        self.tried = (end.end, now.ns + RETRY_NS);
        self.task = Task::Survey {
            ripe,
            rest: end,
            needed: Needed::default(),
        };
        1
    }

    fn choose(&mut self, ripe: usize, needed: Needed, now: Now) -> Result<usize, JournalError> {
        let room = self.room.max_bytes.saturating_sub(self.stretches.len());
        let mut room = room.min(2 * self.parts.segment_len);
        let from_reserve = self.is_kept_cramped && self.has_kept_reserve;
        if from_reserve {
            // What must stay is known roughly.
            room = room.min(reserve::len(self.parts.segment_len) / 2);
        }
        let Some(run) = self.stretches.run(ripe, &needed, room) else {
            return Ok(0);
        };
        let header = self.stretches.header(&run);
        let name = header.name();
        self.tried = (0, now.ns);
        let spare = from_reserve.then_some(reserve::KEPT);
        let begun = Compaction::begin(&mut self.parts.storage, header, needed, spare);
        self.is_kept_cramped = begun.as_ref().is_err_and(is_shortage);
        let compaction = begun.map_err(|source| JournalError::File { name, source })?;
        self.has_kept_reserve &= !from_reserve;
        self.task = Task::Compact(compaction);
        Ok(1)
    }

    fn compact(&mut self, compaction: Box<Compaction<S>>) -> Result<usize, JournalError> {
        let stepped = compaction.step(&mut self.parts.storage);
        if let Err(JournalError::File { source, .. }) = &stepped {
            self.is_kept_cramped = is_shortage(source);
        }
        match stepped? {
            Step::More(compaction) => self.task = Task::Compact(compaction),
            Step::Done(index) => {
                self.parts
                    .counters
                    .add(Counter::JournalCarried, index.entries);
                let gone = self.stretches.replace(&Arc::new(index));
                let kept = self.stretches.iter().filter_map(|it| it.kept.clone());
                let permit = self.parts.to_replay.claim(1);
                let mut permit = permit.expect("replay has answered the one before");
                permit.send(kept.collect());
                self.parts.to_replay.flush();
                self.task = Task::Switch(gone);
            }
        }
        Ok(1)
    }

    fn tidy(&mut self, now: Now) -> io::Result<usize> {
        if self.seeks_free_files {
            self.find_free_files()?;
            self.seeks_free_files = false;
        }
        self.look_at_clock_and_store(now);
        let offered = self.offer_renamed()?;
        let freed = self.remove_surplus()? + self.free_leaving()? + self.drop_first()?;
        let freed = offered + freed + self.set_aside(now);
        self.tell_full(now);
        if self.parts.draining.load(Ordering::Relaxed) {
            // Nobody shall wait for it; the next start throws away what was begun.
            return Ok(freed);
        }
        match self.carry_on(now) {
            Ok(count) => Ok(freed + count),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// A file that cannot be renamed or removed costs room, and nothing else: it is told once, and
    /// tried again.
    fn judge(&mut self, tidied: io::Result<usize>, now: Now) -> usize {
        match tidied {
            Ok(count) => {
                if count > 0 && std::mem::take(&mut self.is_failing) {
                    self.parts.counters.faults().clear(Part::Retention);
                    info!("old journal files can be removed again");
                }
                count
            }
            Err(error) => {
                let faults = self.parts.counters.faults();
                faults.set(Part::Retention, now.epoch_us, &error.to_string());
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(
                        %error,
                        "old journal files cannot be rewritten, renamed or removed: they stay, \
                         and it is tried again"
                    );
                }
                self.next_try_ns = now.ns + SURVEY_NS_MAX;
                self.tried.1 = match self.is_kept_cramped && self.has_kept_reserve {
                    true => self.next_try_ns,
                    false => now.ns + RETRY_NS,
                };
                0
            }
        }
    }

    /// Tells the scheduler how far messages may go.
    fn grant(&mut self, now: Now) {
        let open = self.open.map_or(self.parts.next_segment, |it| it.number);
        let granted = self.room.grant(self.stretches.len(), open);
        if granted == 0 && self.state.next_sequence == 0 {
            // What may go is not known before the first survey; until then nothing is granted.
            return;
        }
        if self.granted != Some(granted)
            && let Some(mut permit) = self.parts.to_scheduler.claim(1)
        {
            permit.send(FromRetention::Granted(granted));
            self.granted = Some(granted);
        }
        // Back when a whole segment is free: not at each one that goes and is filled at once.
        let is_short = granted < (open + 2) * self.parts.segment_len;
        self.note_limit(is_short && (self.is_limited || self.is_at_limit), now);
    }

    fn note_limit(&mut self, is_limited: bool, now: Now) {
        if std::mem::replace(&mut self.is_limited, is_limited) == is_limited {
            return;
        }
        self.parts.limited.store(is_limited, Ordering::Relaxed);
        self.is_at_limit = is_limited;
        let is_news = now.ns >= self.tell_limit_at_ns;
        if is_limited {
            self.parts.counters.add(Counter::JournalLimit, 1);
        }
        if is_limited && is_news {
            self.tell_limit_at_ns = now.ns + TELL_LIMIT_NS;
            self.tell_limit();
        } else if !is_limited {
            debug!("the journal has room again: sources are read");
        }
    }

    fn why_held(&self) -> &'static str {
        let oldest = self.stretches.iter().next();
        match oldest.and_then(|it| self.stretches.holder(it, &self.state)) {
            Some(Holder::Store) => "the store has not followed: see why, or make it faster",
            Some(Holder::Unsettled) => {
                "messages wait for subscribers that are absent or slow: connect them"
            }
            Some(Holder::Window) => {
                "ids in the dedup window are remembered: shorten [dedup] window"
            }
            None => "old segments are about to go",
        }
    }

    fn tell_limit(&self) {
        let why = self.why_held();
        error!(
            max_bytes = self.room.max_bytes,
            "the journal has reached journal.max_bytes: sources wait until old segments go, delivery \
             goes on. What holds the oldest one: {why}; or raise journal.max_bytes"
        );
    }

    fn publish(&self) {
        let counters = &self.parts.counters;
        let open = u64::from(self.open.is_some());
        counters.set(
            Counter::JournalSegments,
            self.stretches.count() as u64 + open,
        );
        counters.set(Counter::JournalDisk, self.disk_len());
    }
}

impl<S: Storage + Clone> Agent for RetentionAgent<S> {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn on_start(&mut self, _: Now) -> Result<(), Fatal> {
        self.note_recovered();
        Ok(())
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.hear_journal(now);
        if now.ns >= self.next_try_ns {
            let tidied = self.tidy(now);
            work_count += self.judge(tidied, now);
        }
        work_count += self.ask(now);
        self.grant(now);
        if work_count > 0 {
            self.publish();
        }
        self.parts.to_scheduler.flush();
        self.parts.free_files.flush();
        Ok(work_count)
    }
}

#[cfg(test)]
mod tests;
