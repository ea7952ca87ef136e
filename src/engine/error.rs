//! Why an engine did not start: the cause, and the setting or limit to change.

use std::io;

use super::listeners::ListenError;
use super::lock::LockError;
use crate::access::TokenFileError;
use crate::admin::AdminError;
use crate::agent::Fatal;
use crate::agent::affinity::PinError;
use crate::cluster::aside::AsideError;
use crate::cluster::owner::OwnerError;
use crate::cluster::run::files::RecordFilesError;
use crate::journal::error::JournalError;
use crate::net::tls::TlsFileError;
use crate::store::OpenError;

/// An engine could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Cores that cannot be had, or too many threads that spin.
    #[error("{0}")]
    Cores(String),
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The files of a member of a group.
    #[error(transparent)]
    RecordFiles(#[from] RecordFilesError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    SetAside(#[from] AsideError),
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Files of the data directory.
    #[error("{what} in the data directory cannot be used: {source}")]
    Files {
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no threads or descriptors to give.
    #[error("the system gave no {what}: {source}; raise the process's limits")]
    System {
        /// What was asked for.
        what: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(super) fn files(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Files { what, source }
}

pub(super) fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System {
        what,
        source: source.into(),
    }
}

impl StartError {
    /// A thread did not start: its core cannot be had, or the system has no thread left.
    pub(super) fn of_thread(source: Fatal) -> Self {
        match source.downcast::<PinError>() {
            Ok(pin) => Self::Pin(*pin),
            Err(source) => Self::System {
                what: "thread",
                source,
            },
        }
    }
}
