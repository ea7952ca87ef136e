//! Opens what `[store] url` names: the store to write, the reader to ask, the schema to compare. The one
//! place that knows all databases.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::mysql::{Access, MySqlReader, MySqlSchema, MySqlStore};
use super::reader::{Dialect, ReadError, Reader};
use super::schema::Schema;
use super::sqlite::{SqliteReader, SqliteSchema, SqliteStore};
use super::tenure::Tenure;
use super::unstored::UnstoredLog;
use super::{Store, node};
use crate::config::{Config, Durability, StoreUrl};
use crate::counters::Counters;
use crate::rolling::Headroom;

/// The embedded database's file in the data directory.
pub(crate) const SQLITE_FILE: &str = "messages.db";

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The file with the engine's name in the database.
    #[error("store_node in the data directory cannot be used: {0}; or set [store] node")]
    Node(#[from] io::Error),
}

/// The store that the settings name; `None`: they name none. A server may be down, and a file may be
/// damaged: they are opened when they are first needed, and again after each failure. What a group shares
/// ([`is_shared`]) is written in a term of the group, by who serves; a database of the own is followed always,
/// in standby as well, and has no term.
///
/// # Errors
/// The data directory cannot be written.
pub(crate) fn open(
    config: &Config,
    counters: &Arc<Counters>,
    tenure: Option<&Tenure>,
) -> Result<Option<Box<dyn Store>>, OpenError> {
    let settings = &config.store;
    let unstored = UnstoredLog::new(&config.data_dir, Arc::clone(counters))
        .limited(settings.unstored_max_total)
        .leaving(Headroom::of_refused(config.journal.segment));
    Ok(match &settings.url {
        StoreUrl::None => None,
        StoreUrl::Sqlite(path) => {
            let node = node::node(&config.data_dir, settings)?;
            let store = SqliteStore::new(&sqlite_path(config, path.as_ref()), &node);
            Some(Box::new(store.keeping(unstored)))
        }
        StoreUrl::MySql(server) => {
            let node = match tenure {
                Some(tenure) => tenure.node(),
                None => node::node(&config.data_dir, settings)?,
            };
            let access = Access::new(server, settings);
            let store = MySqlStore::new(access, &node, settings.create, unstored);
            Some(Box::new(match tenure {
                Some(tenure) => store.in_term(tenure),
                None => store,
            }))
        }
    })
}

/// Whether the members of a group write the same database: who serves does, and only that one.
#[must_use]
pub(crate) fn is_shared(config: &Config) -> bool {
    matches!(config.store.url, StoreUrl::MySql(_))
}

/// The schema of the store that the settings name; `None`: they name none.
#[must_use]
pub(crate) fn schema_of(config: &Config) -> Option<Box<dyn Schema>> {
    match &config.store.url {
        StoreUrl::None => None,
        StoreUrl::Sqlite(path) => {
            let path = sqlite_path(config, path.as_ref());
            Some(Box::new(SqliteSchema::new(&path)))
        }
        StoreUrl::MySql(server) => {
            let access = Access::new(server, &config.store);
            let is_shared = config.durability == Durability::Replicated;
            Some(Box::new(
                MySqlSchema::new(access).shared_by_group(is_shared),
            ))
        }
    }
}

/// The dialect of the store that the settings name; `None`: they name none.
#[must_use]
pub(crate) fn dialect(config: &Config) -> Option<Dialect> {
    match config.store.url {
        StoreUrl::None => None,
        StoreUrl::Sqlite(_) => Some(Dialect::Sqlite),
        StoreUrl::MySql(_) => Some(Dialect::MySql),
    }
}

/// The store that the settings name, in words without its password.
#[must_use]
pub(crate) fn place(config: &Config) -> String {
    match &config.store.url {
        StoreUrl::None => "none".to_owned(),
        StoreUrl::Sqlite(path) => {
            let path = sqlite_path(config, path.as_ref());
            path.display().to_string()
        }
        StoreUrl::MySql(server) => server.place(),
    }
}

/// Opens the store that the settings name; `None`: they name none.
///
/// # Errors
/// It is not there, or it refuses.
pub(crate) fn open_reader(config: &Config) -> Result<Option<Box<dyn Reader>>, ReadError> {
    Ok(match &config.store.url {
        StoreUrl::None => None,
        StoreUrl::Sqlite(path) => {
            let path = sqlite_path(config, path.as_ref());
            Some(Box::new(SqliteReader::open(&path)?))
        }
        StoreUrl::MySql(server) => {
            let access = Access::new(server, &config.store);
            Some(Box::new(MySqlReader::open(access)?))
        }
    })
}

/// Where the embedded database is.
pub(super) fn sqlite_path(config: &Config, path: Option<&PathBuf>) -> PathBuf {
    let at_home = || config.data_dir.join(SQLITE_FILE);
    path.cloned().unwrap_or_else(at_home)
}
