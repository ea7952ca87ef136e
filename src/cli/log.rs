//! The log: to standard error, a line an event, at the level of `FLIPPED_LB_LOG`.
//!
//! Started once for any command; fed by `tracing` everywhere. It never touches standard output,
//! which is for what was asked. Where an engine runs it goes through a bounded queue.

use std::fmt::Debug;
use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::Failure;
use crate::escape::Escaped;
use crate::log;

/// Starts the log for this process; a second start changes nothing. `is_queued`: no thread may wait
/// for its reader.
pub(super) fn start(is_queued: bool) -> Result<(), Failure> {
    let level = level(std::env::var("FLIPPED_LB_LOG").ok().as_deref())?;
    let writer = match is_queued {
        true => {
            let outlet = log::stderr().map_err(|error| {
                Failure::Failed(format!("the log has no thread: {error}; raise the limits"))
            })?;
            BoxMakeWriter::new(move || log::Writer(outlet))
        }
        false => BoxMakeWriter::new(stderr),
    };
    let log = tracing_subscriber::fmt()
        .compact()
        .fmt_fields(fields())
        .with_max_level(level)
        .with_target(false)
        .with_ansi(stderr().is_terminal())
        // They would go to the same stream, by a call that panics where it is gone.
        .log_internal_errors(false)
        .with_writer(writer);
    // Already started: the tests run many commands in one process.
    let _ = log.try_init();
    Ok(())
}

/// What an event says: its message, then `name=value`, one behind the other on one line, whatever
/// came from outside.
fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    let one = |out: &mut Writer<'_>, field: &tracing::field::Field, value: &dyn Debug| {
        match field.name() {
            "message" => {}
            name => write!(out, "{name}=")?,
        }
        write!(out, "{}", Escaped(format_args!("{value:?}")))
    };
    debug_fn(one).delimited(" ")
}

fn level(text: Option<&str>) -> Result<LevelFilter, Failure> {
    let text = text.unwrap_or_default().trim().to_lowercase();
    match text.as_str() {
        "" => Ok(LevelFilter::INFO),
        "off" | "error" | "warn" | "info" | "debug" | "trace" => text
            .parse()
            .map_err(|error| Failure::Usage(format!("FLIPPED_LB_LOG: {error}"))),
        _ => Err(Failure::Usage(format!(
            "FLIPPED_LB_LOG: found \"{text}\"; write off, error, warn, info, debug or trace"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::SharedOutput;

    #[test]
    fn the_level_is_info_unless_it_is_set() {
        assert_eq!(level(None).ok(), Some(LevelFilter::INFO));
        assert_eq!(level(Some("DEBUG")).ok(), Some(LevelFilter::DEBUG));
        assert_eq!(level(Some("off")).ok(), Some(LevelFilter::OFF));
        assert!(level(Some("loud")).is_err());
    }

    #[test]
    fn an_event_is_a_line_whatever_came_from_outside() {
        let output = SharedOutput::default();
        let out = output.clone();
        let log = tracing_subscriber::fmt()
            .compact()
            .fmt_fields(fields())
            .without_time()
            .with_target(false)
            .with_writer(move || out.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            let (name, error) = ("a\nERROR b", "\u{1b}[2J");
            tracing::info!(destination = %name, held = 3, mode = "shared", "waits: {error}");
        });
        let text = output.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let fields = "waits: \\u{1b}[2J destination=a\\nERROR b held=3 mode=\"shared\"\n";
        assert!(text.ends_with(fields), "{text}");
    }
}
