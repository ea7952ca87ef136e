//! The settings of a command that runs an engine: read at its start, and again at each reload, in the same
//! way.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::config::{self, Config, ConfigError, Log};
use crate::engine::reload::SettingsSource;
use crate::setting_file;

/// Where they come from.
#[derive(Debug, Clone)]
pub(super) struct RunSettings {
    /// The file that was there at the start; `None`: there was none, and one that comes is read.
    pub(super) file: Option<PathBuf>,
    /// Instead of that of the settings.
    pub(super) data_dir: Option<PathBuf>,
}

impl RunSettings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn read(&self) -> Result<Config, ConfigError> {
        let mut config = config::load(self.file.as_deref())?;
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        Ok(config)
    }

    /// The same while it runs: a pipe would be waited for, and has had its settings at the start.
    ///
    /// # Errors
    /// All that is wrong with them, or their file is no regular one.
    pub(super) fn read_again(&self) -> Result<Config, String> {
        if let Some(file) = &self.file {
            match setting_file::must_be_regular(file) {
                // Its reader says what to do.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                regular => regular.map_err(|error| format!("{}: {error}", file.display()))?,
            }
        }
        self.read().map_err(|error| error.to_string())
    }
}

impl SettingsSource for RunSettings {
    fn load(&mut self) -> Result<Config, String> {
        self.read_again()
    }

    fn apply_log(&mut self, log: Log) {
        // It did at the start, and nothing that it needs has gone since.
        if let Err(failure) = super::log::apply(log) {
            tracing::error!("the log stays as it is: {failure}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_while_an_engine_runs() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, mode).expect("a pipe");
        let settings = RunSettings {
            file: Some(file),
            data_dir: None,
        };
        let why = settings.read_again().expect_err("no regular file");
        assert!(why.contains("pipe: it is no regular file"), "{why}");
    }
}
