//! What a start takes of the machine: the data directory with its lock, the journal's folder, file descriptors.

use std::path::PathBuf;

use tracing::warn;

use super::directory;
use super::error::{StartError, files, system};
use super::lock::{DirectoryLock, LockError};
use crate::config::Config;
use crate::descriptors::{self, Budget};
use crate::journal;

/// Makes the data directory if it is not there, and locks it.
pub(super) fn take_directory(config: &Config) -> Result<DirectoryLock, StartError> {
    let path = &config.data_dir;
    directory::make(path, config.durability.syncs()).map_err(|source| LockError::Unusable {
        directory: path.display().to_string(),
        source,
    })?;
    let lock = DirectoryLock::take(path)?;
    directory::warn_if_open(path);
    Ok(lock)
}

/// Makes the journal's folder if it is not there.
pub(super) fn journal_folder(config: &Config) -> Result<PathBuf, StartError> {
    let folder = journal::journal_folder(&config.data_dir);
    directory::make(&folder, config.durability.syncs()).map_err(files("journal/"))?;
    Ok(folder)
}

/// Raises the limit of open files; where it is below what the settings ask for, says so and lets the
/// listeners take what fits.
pub(super) fn within_descriptors(config: &Config) -> Result<Config, StartError> {
    let allowed = descriptors::raise().map_err(system("descriptors"))?;
    let budget = Budget::new(config, allowed);
    if budget.is_short() {
        warn!("{}", budget.words());
    }
    Ok(budget.fit(config))
}
