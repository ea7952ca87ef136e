//! Reads settings from TOML and the environment.

use std::path::Path;

use super::Config;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Reads the settings (to come).
///
/// # Errors
/// A setting is wrong.
pub fn load(_file: Option<&Path>) -> Result<Config, ConfigError> {
    Err(ConfigError("to come".to_owned()))
}
