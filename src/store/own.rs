//! A member's own database, when nobody has it open: how far it has followed, and its files.

use std::io;
use std::path::{Path, PathBuf};

use super::open::sqlite_path;
use super::rows::Rows;
use super::sqlite::SqliteStore;
use super::{Store as _, StoreError, node};
use crate::config::{Config, StoreUrl};
use crate::journal::format::Position;

/// The file of a database that belongs to one member alone.
#[derive(Debug)]
pub(crate) struct OwnDatabase {
    path: PathBuf,
    node: String,
}

impl OwnDatabase {
    /// The one that the settings name; `None`: they name none, or one that a group shares.
    ///
    /// # Errors
    /// The data directory cannot be read.
    pub(crate) fn of(config: &Config) -> io::Result<Option<Self>> {
        let StoreUrl::Sqlite(path) = &config.store.url else {
            return Ok(None);
        };
        Ok(Some(Self {
            path: sqlite_path(config, path.as_ref()),
            node: node::node(&config.data_dir, &config.store)?,
        }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How far it has followed; zero where there is no file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn position(&self) -> Result<Position, StoreError> {
        match self.path.exists() {
            true => self.open().position(),
            false => Ok(0),
        }
    }

    /// Follows from this position on, the next time.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn go_back(&self, to: Position) -> Result<(), StoreError> {
        let mut store = self.open();
        store.position()?;
        store.apply(&Rows::default(), to)?;
        store.close()
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::new(&self.path, &self.node)
    }
}
