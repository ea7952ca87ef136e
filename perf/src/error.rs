//! Why a benchmark could not be taken. A measured FAIL is no error: it is a result.

use std::io;

/// What stopped a benchmark.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PerfError {
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A part or the engine did not do its part.
    #[error("{part} {what}\n{said}")]
    Part {
        /// Which process.
        part: String,
        /// What it did instead.
        what: String,
        /// The last it said.
        said: String,
    },
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
}

/// Says what was tried when the system refuses it.
pub(crate) trait Context<T> {
    /// Names what was tried.
    fn context(self, what: impl Into<String>) -> Result<T, PerfError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T, PerfError> {
        self.map_err(|error| PerfError::Io {
            what: what.into(),
            source: error.into(),
        })
    }
}
