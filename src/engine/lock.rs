//! One engine a directory: a lock that goes with the process, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Holds the directory until it is dropped.
#[derive(Debug)]
pub struct DirectoryLock(#[expect(dead_code, reason = "it holds the lock while it is open")] File);

/// The directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine has it.
    #[error(
        "another engine (process {holder}) uses the data directory {directory}; \
         stop it, or set another data_dir"
    )]
    Taken {
        /// The directory.
        directory: String,
        /// The other one's process id, as far as it is known.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error("the data directory {directory} cannot be used: {source}")]
    Unusable {
        /// The directory.
        directory: String,
        /// What the system said.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    /// Another engine has it, or it cannot be made or written.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let name = || directory.display().to_string();
        let unusable = |source| LockError::Unusable {
            directory: name(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(directory.join("lock")).map_err(unusable)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Only for the message: an unreadable file leaves it empty.
            let _ = file.read_to_string(&mut holder);
            return Err(LockError::Taken {
                directory: name(),
                holder: holder.trim().to_owned(),
            });
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_engine_is_told_who_has_the_directory() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let lock = DirectoryLock::take(home.path()).expect("it is free");
        let error = DirectoryLock::take(home.path()).expect_err("it is taken");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        DirectoryLock::take(home.path()).expect("it is free again");
    }
}
