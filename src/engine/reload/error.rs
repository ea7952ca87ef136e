//! Why a reload was refused.

use crate::access::TokenFileError;
use crate::config::changes::CannotChange;
use crate::net::tls::TlsFileError;

/// Why a reload was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The file, or a variable, is wrong.
    #[error("{0}")]
    Settings(String),
    #[error(transparent)]
    CannotChange(#[from] CannotChange),
    #[error(transparent)]
    TlsFile(#[from] TlsFileError),
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
    /// Names that went hold their indices while messages wait for them.
    #[error(
        "there is no room for [[destination]] \"{0}\": [scheduler] max_destinations bounds those that \
         there are with those that went and for which messages wait; raise it and restart"
    )]
    NoRoom(String),
    /// All message types that are told apart are taken.
    #[error(
        "[[rule]] message_type \"{0}\": rules have named as many types of messages as are told apart; \
         a restart is needed"
    )]
    NoType(String),
    #[error("{0}")]
    System(String),
    /// The command that runs it has no settings' file.
    #[error("this engine has no settings that could be read anew: `flipped-lb run` has")]
    NoFile,
    #[error("the engine stops")]
    Stopping,
}

impl ReloadError {
    /// Whether the settings must be mended, and not the moment be another one.
    pub(crate) fn is_of_settings(&self) -> bool {
        !matches!(self, Self::Stopping | Self::NoFile | Self::System(_))
    }
}
