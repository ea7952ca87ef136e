//! `[log]`: what the engine says on standard error. Plain values; `cli::log` carries them out.

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least urgent level that is written.
    pub level: LogLevel,
    /// How an event is written.
    pub format: LogFormat,
}

/// `[log] level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What somebody must mend.
    Error,
    /// ... and what somebody should look at.
    Warn,
    /// ... and what happened.
    Info,
    /// ... and what helps to find a fault.
    Debug,
    /// ... and all else.
    Trace,
}

impl LogLevel {
    /// Each with its word.
    pub(crate) const CHOICES: [(&'static str, Self); 6] = [
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// `[log] format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text an event.
    Text,
    /// A JSON object an event, on one line.
    Json,
}
