//! The retention agent: sees to it that the journal does not grow for ever.
//!
//! A segment goes when all in it is settled, stored, and out of the dedup window. Its file becomes
//! a free one, for the journal agent to write over, or is removed where enough of them wait. It has
//! a thread of its own, for removing files takes time; it takes no part in the path.
//!
//! ```text
//!   SCHEDULER <==== Survey ======= [           ]
//!                                  [ retention ] === free files ==> JOURNAL
//!   JOURNAL == Begun, Survey ====> [           ]
//! ```

pub mod stretch;
pub mod survey;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use tracing::{info, warn};

use self::stretch::{State, Stretch, Stretches, Window};
use self::survey::Survey;
use super::segment::Begun;
use super::storage::{Name, Storage};
use crate::agent::{Agent, Fatal};
use crate::clock::Now;
use crate::counters::{Counter, Counters};
use crate::limits::FREE_FILES_MAX;
use crate::ring::{Receiver, Sender};

/// Between two surveys that found something to do, in ns.
const SURVEY_NS_MIN: u64 = 50_000_000;
/// Between two surveys at most, in ns.
const SURVEY_NS_MAX: u64 = 1_000_000_000;

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
}

/// What the retention agent is made of.
pub struct RetentionParts<S> {
    /// Segments that were begun, and surveys, come from here.
    pub from_journal: Receiver<ToRetention>,
    /// Surveys go there.
    pub to_scheduler: Sender<FromRetention>,
    /// Free files, by their former number, go there.
    pub free_files: Sender<u64>,
    /// Where the files live.
    pub storage: S,
    /// Bytes of one segment.
    pub segment_len: u64,
    /// The segments that recovery found, in their order.
    pub segments: Vec<Begun>,
    /// For how long ids must stay.
    pub window: Window,
    /// Whether there is a store that must have followed.
    pub has_store: bool,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// The agent.
pub struct RetentionAgent<S: Storage> {
    parts: RetentionParts<S>,
    stretches: Stretches,
    /// The segment that is being filled, or was when an earlier life of the engine ended.
    open: Option<Begun>,
    /// Free files that the journal agent has not taken.
    free: usize,
    /// Former numbers of free files that are not wanted.
    surplus: VecDeque<u64>,
    /// At home between two surveys.
    survey: Option<Box<Survey>>,
    state: State,
    next_survey_ns: u64,
    survey_pause_ns: u64,
    has_looked: bool,
    /// Files are left alone until then.
    next_try_ns: u64,
    is_failing: bool,
}

impl<S: Storage> RetentionAgent<S> {
    /// Puts the agent together.
    #[must_use]
    pub fn new(parts: RetentionParts<S>) -> Self {
        Self {
            stretches: Stretches::new(parts.segment_len, parts.window),
            open: None,
            free: 0,
            surplus: VecDeque::new(),
            survey: Some(Survey::new()),
            state: State::default(),
            next_survey_ns: 0,
            survey_pause_ns: SURVEY_NS_MIN,
            has_looked: false,
            next_try_ns: 0,
            is_failing: false,
            parts,
        }
    }

    /// Takes over what an earlier life left: closed segments and free files.
    fn look_round(&mut self) -> io::Result<()> {
        for begun in std::mem::take(&mut self.parts.segments) {
            self.note_begun(begun);
        }
        for name in self.parts.storage.list()? {
            if let Name::Free(former) = name {
                self.offer_free(former);
            }
        }
        Ok(())
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

    /// Bytes of a file; a whole segment's where the system does not say.
    fn len_of(&self, name: Name) -> u64 {
        let storage = &self.parts.storage;
        let len = storage.open(name).and_then(|file| storage.len(&file));
        len.unwrap_or(self.parts.segment_len)
    }

    fn take_answer(&mut self, survey: Box<Survey>, now: Now) {
        self.state.first_unsettled = survey.first_unsettled;
        self.state.next_sequence = survey.next_sequence;
        self.survey = Some(survey);
        self.next_survey_ns = now.ns + self.survey_pause_ns;
        self.survey_pause_ns = (2 * self.survey_pause_ns).min(SURVEY_NS_MAX);
    }

    /// Asks how far the scheduler is, now and then, and only while something may go.
    fn ask(&mut self, now: Now) -> usize {
        if self.stretches.is_empty() || now.ns < self.next_survey_ns {
            return 0;
        }
        let Some(survey) = self.survey.take() else {
            return 0;
        };
        self.parts.to_scheduler.send(FromRetention::Survey(survey));
        self.parts.to_scheduler.flush();
        1
    }

    /// Lets the oldest stretch go, if nothing holds it.
    fn drop_first(&mut self, now: Now) -> io::Result<usize> {
        self.state.now_ms = now.epoch_ms();
        self.state.stored = match self.parts.has_store {
            true => self.parts.counters.get(Counter::StorePosition),
            false => u64::MAX,
        };
        let Some(first) = self.stretches.first_to_go(&self.state) else {
            return Ok(0);
        };
        let (name, number) = (first.name(), first.segments.start);
        if self.free < FREE_FILES_MAX {
            self.parts.storage.rename(name, Name::Free(number))?;
            self.offer_free(number);
        } else {
            self.parts.storage.remove(name)?;
        }
        self.stretches.pop();
        self.survey_pause_ns = SURVEY_NS_MIN;
        Ok(1)
    }

    /// Hands a free file to the journal agent, if there are not enough there.
    fn offer_free(&mut self, former: u64) {
        if self.free < FREE_FILES_MAX {
            self.free += 1;
            self.parts.free_files.send(former);
            self.parts.free_files.flush();
        } else {
            self.surplus.push_back(former);
        }
    }

    fn remove_surplus(&mut self) -> io::Result<usize> {
        let Some(&former) = self.surplus.front() else {
            return Ok(0);
        };
        self.parts.storage.remove(Name::Free(former))?;
        self.surplus.pop_front();
        Ok(1)
    }

    fn tidy(&mut self, now: Now) -> io::Result<usize> {
        if !self.has_looked {
            self.look_round()?;
            self.has_looked = true;
        }
        Ok(self.remove_surplus()? + self.drop_first(now)?)
    }

    /// A file that cannot be renamed or removed costs room, and nothing else: it is told once, and
    /// tried again.
    fn judge(&mut self, tidied: io::Result<usize>, now: Now) -> usize {
        match tidied {
            Ok(count) => {
                if count > 0 && std::mem::take(&mut self.is_failing) {
                    info!("old journal files can be removed again");
                }
                count
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    warn!(%error, "old journal files cannot be renamed or removed: they stay; \
                           check the permissions of the data directory");
                }
                self.next_try_ns = now.ns + SURVEY_NS_MAX;
                0
            }
        }
    }

    fn publish(&self) {
        let counters = &self.parts.counters;
        let open = u64::from(self.open.is_some());
        let len = self.stretches.len() + (open + self.free as u64) * self.parts.segment_len;
        counters.set(
            Counter::JournalSegments,
            self.stretches.count() as u64 + open,
        );
        counters.set(Counter::JournalDisk, len);
    }
}

impl<S: Storage> Agent for RetentionAgent<S> {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let mut work_count = self.hear_journal(now);
        if now.ns >= self.next_try_ns {
            let tidied = self.tidy(now);
            work_count += self.judge(tidied, now);
        }
        work_count += self.ask(now);
        if work_count > 0 {
            self.publish();
        }
        self.parts.to_scheduler.flush();
        self.parts.free_files.flush();
        Ok(work_count)
    }
}
