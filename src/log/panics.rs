//! A panic ends the process, whichever thread it is in: what is left would hold ports and lock, and
//! no supervisor would start it again.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use signal_hook::low_level;

use crate::escape::Escaped;

/// The exit code of a process that panicked, as Rust has it.
const PANICKED: i32 = 101;

/// From now on a panic in any thread says where it was, and ends the process at once, without
/// running anything else. For the commands that run an engine; tests live on.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        super::say_last(words(panic));
        super::finish();
        low_level::exit(PANICKED)
    }));
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let place = panic
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let payload = panic.payload();
    let what = payload.downcast_ref::<String>().map(String::as_str);
    let what = what.or(payload.downcast_ref::<&str>().copied());
    let mut words = format!(
        "flipped-lb: the {name} thread panicked at {place}: {}; the process ends, and recovers when \
         it is started again. This is a bug: please report it.",
        Escaped(what.unwrap_or("no message"))
    );
    // Taken only where RUST_BACKTRACE asks for it.
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        words.push_str(&format!("\n{trace}"));
    }
    words
}
