//! What a running engine says: the log and its words to standard error, the statistics to standard
//! output; each through an [`Outlet`], so that nobody waits for who reads them.
//!
//! Fed by `tracing` everywhere, by the commands that run an engine and by the monitor. One for the
//! whole process, as the streams are. [`end_on_panic`] ends the process with a last word.

mod outlet;
mod panics;
mod stream;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::outlet::{Outlet, plain_line};
pub use self::panics::end_on_panic;
use self::stream::Stream;
use crate::escape::{Escaped, EscapedLines};
use crate::limits::LAST_WORDS_MAX;

static STDERR: OnceLock<Outlet> = OnceLock::new();
static STDOUT: OnceLock<Outlet> = OnceLock::new();
/// Whether standard error takes JSON. Relaxed: it guards nothing.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The way to standard error; the first call starts it.
///
/// # Errors
/// The system has no thread to give.
pub fn stderr() -> io::Result<&'static Outlet> {
    let lost = |words: &str| line_of("WARN", words);
    started(&STDERR, "log", Stream::stderr, lost)
}

/// The way to standard output; the first call starts it.
///
/// # Errors
/// The system has no thread to give.
pub fn stdout() -> io::Result<&'static Outlet> {
    started(&STDOUT, "statistics", Stream::stdout, plain_line)
}

fn started(
    cell: &'static OnceLock<Outlet>,
    name: &str,
    stream: fn() -> Stream,
    line: fn(&str) -> Vec<u8>,
) -> io::Result<&'static Outlet> {
    if let Some(outlet) = cell.get() {
        return Ok(outlet);
    }
    // Of two threads that come first, one starts a thread that ends at once.
    let outlet = Outlet::start(name, stream(), line)?;
    Ok(cell.get_or_init(|| outlet))
}

/// A line to the operator, on standard error.
pub fn say(line: impl Display) {
    put(line_of("INFO", line), Duration::ZERO);
}

/// The last words of a command, of one line or several.
pub fn say_last(words: impl Display) {
    let words = if IS_JSON.load(Ordering::Relaxed) {
        line_of("ERROR", words)
    } else {
        format!("{}\n", EscapedLines(words)).into_bytes()
    };
    put(words, LAST_WORDS_MAX);
}

/// From now on what is said on standard error is JSON, or is not.
pub(crate) fn set_json(is_json: bool) {
    IS_JSON.store(is_json, Ordering::Relaxed);
}

/// A line for standard error, with the fields that the log's events have.
fn line_of(level: &str, words: impl Display) -> Vec<u8> {
    if !IS_JSON.load(Ordering::Relaxed) {
        return plain_line(&Escaped(words).to_string());
    }
    let event = Event {
        timestamp: format!("{:.6}", jiff::Timestamp::now()),
        level,
        message: words.to_string(),
    };
    let event = serde_json::to_string(&event).expect("texts are JSON");
    format!("{event}\n").into_bytes()
}

/// The fields that all events have, in their order.
#[derive(serde::Serialize)]
struct Event<'a> {
    timestamp: String,
    level: &'a str,
    message: String,
}

fn put(bytes: Vec<u8>, limit: Duration) {
    match STDERR.get() {
        // What it has no room for it counts.
        Some(outlet) => drop(outlet.put_within(bytes, limit)),
        // A command for hands and scripts: it may wait for its reader, who may have gone.
        None => drop(io::stderr().write_all(&bytes)),
    }
}

/// Gives both streams a moment to take what is on its way to them.
pub fn finish() {
    for outlet in [&STDERR, &STDOUT].into_iter().filter_map(OnceLock::get) {
        outlet.flush(LAST_WORDS_MAX);
    }
}

/// Lines of the log and blocks of the statistics that nobody took, since the process began.
#[must_use]
pub fn lost() -> u64 {
    let outlets = [&STDERR, &STDOUT].into_iter().filter_map(OnceLock::get);
    outlets.map(Outlet::lost).sum()
}

/// Makes an outlet a writer: each write goes as a whole, or not at all.
#[derive(Debug, Clone, Copy)]
pub struct Writer(pub &'static Outlet);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
