//! The log: to standard error, a line an event, at the level of `FLIPPED_LB_LOG`.
//!
//! Started once for any command; fed by `tracing` everywhere. It never touches standard output,
//! which is for what was asked.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::LevelFilter;

use super::Failure;

/// Starts the log for this process; a second start changes nothing.
pub(super) fn start() -> Result<(), Failure> {
    let level = level(std::env::var("FLIPPED_LB_LOG").ok().as_deref())?;
    let log = tracing_subscriber::fmt()
        .compact()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    // Already started: the tests run many commands in one process.
    let _ = log.try_init();
    Ok(())
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

    #[test]
    fn the_level_is_info_unless_it_is_set() {
        assert_eq!(level(None).ok(), Some(LevelFilter::INFO));
        assert_eq!(level(Some("DEBUG")).ok(), Some(LevelFilter::DEBUG));
        assert_eq!(level(Some("off")).ok(), Some(LevelFilter::OFF));
        assert!(level(Some("loud")).is_err());
    }
}
