//! The log: to standard error, a line an event, as `[log]` and `FLIPPED_LB_LOG` say.
//!
//! Started once for any command; fed by `tracing` everywhere. It never touches standard output,
//! which is for what was asked. Where an engine runs it goes through a bounded queue.

use std::fmt::Debug;
use std::io::{IsTerminal as _, stderr};
use std::sync::OnceLock;

use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Failure;
use crate::config::{Log, LogFormat, LogLevel};
use crate::escape::Escaped;
use crate::log;

type Events = Box<dyn Layer<Registry> + Send + Sync>;

/// To change what is written, and how, while the process runs.
static STARTED: OnceLock<reload::Handle<Events, Registry>> = OnceLock::new();

/// Sets a level for every command, and before the settings are read.
const LEVEL_VARIABLE: &str = "FLIPPED_LB_LOG";

/// Starts the log for this process, as text; a second start changes nothing. `is_queued`: no thread
/// may wait for its reader.
///
/// # Errors
/// The level is none, or there is no thread for the queue.
pub(super) fn start(is_queued: bool) -> Result<(), Failure> {
    let level = variable_level()?.unwrap_or(LogLevel::Info);
    let format = LogFormat::Text;
    let (events, handle) = reload::Layer::new(events(Log { level, format }, writer(is_queued)?));
    // Already started: the tests run many commands in one process.
    if tracing_subscriber::registry()
        .with(events)
        .try_init()
        .is_ok()
    {
        let _ = STARTED.set(handle);
    }
    Ok(())
}

/// From now on the log is as the settings say. For the commands that run an engine.
///
/// # Errors
/// The level of the environment is none, or there is no thread for the queue.
pub(super) fn apply(log: Log) -> Result<(), Failure> {
    let level = variable_level()?.unwrap_or(log.level);
    let events = events(Log { level, ..log }, writer(true)?);
    if let Some(handle) = STARTED.get() {
        // It fails where nobody listens any more.
        let _ = handle.reload(events);
        log::set_json(log.format == LogFormat::Json);
    }
    Ok(())
}

fn writer(is_queued: bool) -> Result<BoxMakeWriter, Failure> {
    if !is_queued {
        return Ok(BoxMakeWriter::new(stderr));
    }
    let outlet = log::stderr().map_err(|error| {
        Failure::Failed(format!("the log has no thread: {error}; raise the limits"))
    })?;
    Ok(BoxMakeWriter::new(move || log::Writer(outlet)))
}

/// What takes the events.
fn events(log: Log, writer: BoxMakeWriter) -> Events {
    let level = match log.level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // What it does the engine says itself, and at what rate.
    let client = if level < LevelFilter::DEBUG {
        LevelFilter::OFF
    } else {
        level
    };
    let level = Targets::new()
        .with_default(level)
        .with_target("async_nats", client);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        // They would go to the same stream, by a call that panics where it is gone.
        .log_internal_errors(false);
    match log.format {
        LogFormat::Text => {
            let lines = lines.compact().fmt_fields(fields()).with_target(false);
            let lines = lines.with_ansi(stderr().is_terminal());
            level.and_then(lines).boxed()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_target(false);
            let lines = lines.with_current_span(false).with_span_list(false);
            level.and_then(lines).boxed()
        }
    }
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

fn variable_level() -> Result<Option<LogLevel>, Failure> {
    level(std::env::var(LEVEL_VARIABLE).ok().as_deref())
}

fn level(text: Option<&str>) -> Result<Option<LogLevel>, Failure> {
    let text = text.unwrap_or_default().trim().to_lowercase();
    if text.is_empty() {
        return Ok(None);
    }
    let found = LogLevel::CHOICES.iter().find(|(word, _)| *word == text);
    match found {
        Some((_, level)) => Ok(Some(*level)),
        None => Err(Failure::Usage(format!(
            "{LEVEL_VARIABLE}: found \"{text}\"; write off, error, warn, info, debug or trace"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::SharedOutput;

    #[test]
    fn the_environment_sets_a_level_or_none() {
        assert_eq!(level(None).ok(), Some(None));
        assert_eq!(level(Some("DEBUG")).ok(), Some(Some(LogLevel::Debug)));
        assert_eq!(level(Some("off")).ok(), Some(Some(LogLevel::Off)));
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

    #[test]
    fn an_event_as_json_is_an_object_on_one_line_with_its_fields() {
        let output = SharedOutput::default();
        let out = output.clone();
        let log = Log {
            level: LogLevel::Info,
            format: LogFormat::Json,
        };
        let events = events(log, BoxMakeWriter::new(move || out.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events), || {
            let (name, error) = ("a\nERROR b", "\u{1b}[2J");
            tracing::info!(destination = %name, held = 3, "waits: {error}");
            tracing::debug!("not written");
        });
        let text = output.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let event: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["message"], "waits: \u{1b}[2J");
        assert_eq!(event["destination"], "a\nERROR b");
        assert_eq!(event["held"], 3);
        let timestamp = event["timestamp"].as_str().expect("a time");
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
    }
}
