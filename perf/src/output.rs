//! Why a benchmark could not be taken. A measured FAIL is no error: it is a result.

use std::io;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PerfError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// A part or the engine did not do its part.
    #[error("{part} {what}\n{said}")]
    Part {
        part: String,
        what: String,
        said: String,
    },
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
}

/// Says what was tried when the system refuses it.
pub(crate) trait Context<T> {
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
