//! What the engine answers to `publish`: how many lines it has, and what became of each that it did
//! not accept.
//!
//! A thread reads the answers off the socket while the lines go out, so that neither side ever waits
//! for the other to read. It keeps sums, and names the first few lines as they come.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Failure;
use super::client::{Line, Stream, end_words, foreign, read_line, refused as engine_refuses};
use crate::escape::Escaped;
use crate::ingest::answer::ProducerAnswer;
use crate::plural::several;

/// Where it publishes.
const LISTEN: &str = "[ingest] listen";

/// Lines that are named of each kind.
const NAMED_MAX: u64 = 10;

/// What an answer says.
#[derive(Debug)]
pub(super) enum Reply {
    Told(Told),
    /// Why, and the address of the active where a standby says so.
    Refused(String, Option<String>),
    /// It is none of the engine's.
    Foreign(Failure),
}

/// Lines up to `through` are in the engine's hands; some of them are no new messages.
#[derive(Debug)]
pub(super) struct Told {
    through: u64,
    rejected: Vec<(u64, String)>,
    duplicates: Vec<u64>,
}

/// What the answers sum up to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Lines up to here were answered; `None`: nothing was.
    told: Option<u64>,
    duplicates: u64,
    /// By reason.
    rejected: BTreeMap<String, u64>,
    /// No more answers come; why, where the engine, or who answers in its place, said so.
    ended: Option<Option<Failure>>,
}

impl Tally {
    pub(super) fn acknowledged(&self) -> u64 {
        self.told.unwrap_or_default()
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// "2 accepted, 1 duplicate, 3 rejected: unknown_destination"
    pub(super) fn words(&self) -> String {
        let rejected = self.rejected();
        let others = self.duplicates + rejected;
        let mut words = format!("{} accepted", self.acknowledged().saturating_sub(others));
        match self.duplicates {
            0 => {}
            count => words.push_str(&format!(", {}", several(count, "duplicate"))),
        }
        if rejected > 0 {
            let reasons = self.rejected.iter().map(|(reason, count)| {
                let reason = Escaped(reason);
                match self.rejected.len() {
                    1 => reason.to_string(),
                    _ => format!("{count} {reason}"),
                }
            });
            let reasons: Vec<_> = reasons.collect();
            words.push_str(&format!(", {rejected} rejected: {}", reasons.join(", ")));
        }
        words
    }

    /// Takes an answer; the lines to name are written to `words`.
    fn take(&mut self, told: Told, words: &mut impl Write) -> io::Result<()> {
        for (line, reason) in told.rejected {
            let named = self.rejected();
            name(
                words,
                named,
                line,
                format_args!("rejected: {}", Escaped(&reason)),
            )?;
            *self.rejected.entry(reason).or_default() += 1;
        }
        for line in told.duplicates {
            let what = "a duplicate, which the engine has already";
            name(words, self.duplicates, line, format_args!("{what}"))?;
            self.duplicates += 1;
        }
        self.told = Some(self.acknowledged().max(told.through));
        Ok(())
    }
}

/// Names a line, the first few of its kind.
fn name(
    words: &mut impl Write,
    before: u64,
    line: u64,
    what: std::fmt::Arguments<'_>,
) -> io::Result<()> {
    match before {
        0..NAMED_MAX => writeln!(words, "flipped-lb: message {line}: {what}"),
        NAMED_MAX => writeln!(words, "flipped-lb: and more; the last line counts them"),
        _ => Ok(()),
    }
}

/// The answers on one connection.
pub(super) struct Answers {
    shared: Arc<(Mutex<Tally>, Condvar)>,
}

impl Answers {
    /// Starts to read what the engine says on `stream`; the thread ends with the connection. Lines
    /// that were not accepted are named in `words`.
    pub(super) fn watch(
        stream: &Stream,
        words: impl Write + Send + 'static,
    ) -> io::Result<Answers> {
        let stream = stream.try_clone()?;
        let shared = Arc::<(Mutex<Tally>, Condvar)>::default();
        let answers = Answers {
            shared: Arc::clone(&shared),
        };
        std::thread::spawn(move || {
            let why = read_answers(stream, words, &shared);
            lock(&shared.0).ended = Some(why);
            shared.1.notify_all();
        });
        Ok(answers)
    }

    /// Waits for the first answer: this is where producers send.
    ///
    /// # Errors
    /// It is another port, or nobody answers.
    pub(super) fn wait_for_first(&self, timeout: Duration) -> Result<(), Failure> {
        let mut tally = self.wait(timeout, |tally| tally.told.is_none());
        match (tally.told, tally.ended.take()) {
            (Some(_), _) => Ok(()),
            (None, Some(Some(why))) => Err(why),
            (None, Some(None)) => Err(silent("the connection was closed without an answer")),
            (None, None) => Err(silent(&format!("no answer within {timeout:?}"))),
        }
    }

    /// Waits until `sent` lines are answered; each answer has `timeout` to come.
    ///
    /// # Errors
    /// The engine refuses, goes, or does not answer.
    pub(super) fn wait_for(&self, sent: u64, timeout: Duration) -> Result<Tally, Failure> {
        loop {
            let before = lock(&self.shared.0).acknowledged();
            let mut tally = self.wait(timeout, |it| it.acknowledged() == before && before < sent);
            if tally.acknowledged() >= sent {
                return Ok(std::mem::take(&mut *tally));
            }
            let why = match tally.ended.take() {
                Some(Some(why)) => return Err(why),
                Some(None) => "the engine closed the connection".to_owned(),
                None if tally.acknowledged() > before => continue,
                None => format!("nothing more came for {timeout:?}"),
            };
            return Err(missing(sent, &tally, &why));
        }
    }

    /// Why the engine has refused, if it said so before it closed.
    pub(super) fn complaint(&self) -> Option<Failure> {
        const LAST_WORDS: Duration = Duration::from_secs(1);
        self.wait(LAST_WORDS, |_| true).ended.take().flatten()
    }

    /// Waits while that is so and more answers may come.
    fn wait(
        &self,
        timeout: Duration,
        mut goes_on: impl FnMut(&Tally) -> bool,
    ) -> MutexGuard<'_, Tally> {
        let (tally, changed) = &*self.shared;
        let goes_on = |tally: &mut Tally| tally.ended.is_none() && goes_on(tally);
        let waited = changed.wait_timeout_while(lock(tally), timeout, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Reads answers until no more come; says why, where somebody told.
fn read_answers(
    stream: Stream,
    mut words: impl Write,
    (tally, changed): &(Mutex<Tally>, Condvar),
) -> Option<Failure> {
    let mut from = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        match read_line(&mut from, &mut line) {
            Ok(Line::Whole) => {}
            Ok(Line::End) => return None,
            // A socket that is gone says nothing that helps.
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return None,
            Err(error) => return Some(Failure::because(end_words(&error))),
        }
        match parse_reply(&line) {
            // Standard error may be closed; the sums matter more.
            Some(Reply::Told(told)) => drop(lock(tally).take(told, &mut words)),
            Some(Reply::Foreign(failure)) => return Some(failure),
            Some(Reply::Refused(why, active)) => return Some(refused(&why, active.as_deref())),
            None => return Some(not_ours(&line)),
        }
        changed.notify_all();
    }
}

/// The tally is whole after each step of it, whatever the other thread has come to.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn parse_reply(line: &[u8]) -> Option<Reply> {
    if let Some(failure) = foreign(line, LISTEN) {
        return Some(Reply::Foreign(failure));
    }
    let said: ProducerAnswer = serde_json::from_slice(line).ok()?;
    if let Some(why) = said.error {
        return Some(Reply::Refused(why, said.active));
    }
    Some(Reply::Told(Told {
        through: said.ack?,
        rejected: said.rejected,
        duplicates: said.duplicates,
    }))
}

fn refused(why: &str, active: Option<&str>) -> Failure {
    // Delivery's words say how to subscribe.
    if why.contains("\"subscribe\"") {
        return Failure::because(format_args!(
            "this is not {LISTEN}: subscribers connect here, as at [delivery] listen ({why})"
        ));
    }
    engine_refuses(why, active)
}

fn not_ours(line: &[u8]) -> Failure {
    let line = String::from_utf8_lossy(line);
    let said = line.trim_end();
    Failure::because(format_args!(
        "this is not {LISTEN}: it answers {said:?}; give its port with --address HOST:PORT"
    ))
}

fn silent(what: &str) -> Failure {
    Failure::Failed(format!(
        "{what}: this is not {LISTEN}, or the engine is still starting; nothing was sent. Give the \
         port of {LISTEN} with --address HOST:PORT: `flipped-lb run` says it when it starts"
    ))
}

fn missing(sent: u64, tally: &Tally, why: &str) -> Failure {
    Failure::Failed(format!(
        "sent {}, {} acknowledged: {}, then {why}; it is safe to send the same lines again, for the \
         engine knows what it has by the messageId",
        several(sent, "message"),
        tally.acknowledged(),
        tally.words()
    ))
}
