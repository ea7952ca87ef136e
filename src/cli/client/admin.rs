//! Which engine a command asks over HTTP, and as whom: the options of `top`, `reload`, `health` and `cluster`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Http, Place, TlsArgs, token};
use crate::cli::Failure;
use crate::config;
use crate::escape::Escaped;

/// Where the engine's admin address is, and how it is asked there.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct AdminArgs {
    /// The engine's admin address; without it `[admin] listen` of the settings.
    #[arg(long, value_name = "HOST:PORT", value_parser = config::host_port)]
    pub(in crate::cli) admin: Option<String>,
    /// The settings' file, for the address; without it flipped-lb.toml in the current directory, or the
    /// defaults.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) tls: TlsArgs,
}

/// Which engine is asked, and as which of its users.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct UserArgs {
    /// The file whose first line is the token of a user with may_admin, where the engine has users.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    engine: AdminArgs,
}

impl UserArgs {
    /// Asks at the address that `place` finds, [`AdminArgs::place`] or its like; `otherwise` is for that one, and
    /// each question has `timeout`.
    ///
    /// # Errors
    /// There is no such address, or the token's file or the options of TLS are of no use.
    pub(in crate::cli) fn http(
        &self,
        place: fn(&AdminArgs, &str) -> Result<Place, Failure>,
        otherwise: &str,
        timeout: Duration,
    ) -> Result<Http, Failure> {
        let token = token(self.token_file.as_deref())?;
        Http::new(
            place(&self.engine, otherwise)?,
            &self.engine.tls,
            token,
            timeout,
        )
    }
}

/// Refuses an answer that wants a token, or another one, with what to do.
///
/// # Errors
/// Its status is 401 or 403.
pub(in crate::cli) fn expect_user(address: &str, status: u16, text: &str) -> Result<(), Failure> {
    match status {
        401 | 403 => {
            let why = wants_token(text);
            Err(Failure::because(format_args!("{address}: {why}")))
        }
        _ => Ok(()),
    }
}

/// What to do where the engine answers that it wants a token, or another one; `text` is its answer.
pub(in crate::cli) fn wants_token(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.starts_with('{') {
        return "it is [http] listen of an engine, where customers and producers ask; give its [admin] \
                listen"
            .to_owned();
    }
    // The rest of the line is for programs that write the header themselves.
    let why = line.split("; send it").next().unwrap_or_default();
    format!(
        "{}: --token-file FILE gives the token of a user with may_admin, which is the file's first line",
        Escaped(why)
    )
}

impl AdminArgs {
    /// The same where this directory's file is wrong: an engine reads its own. Then the address is as the
    /// file has it, if that can be found, or the default's, and what is wrong is told.
    ///
    /// # Errors
    /// As [`Self::place`] has them, where a file is named.
    pub(in crate::cli) fn place_all_the_same(&self, otherwise: &str) -> Result<Place, Failure> {
        match self.place(otherwise) {
            Err(Failure::Settings(error)) if self.config.is_none() => {
                let address = config::likely_admin_listen();
                let words = format!(
                    "the settings here are wrong, and the engine's count: {address} is asked\n{error}"
                );
                crate::log::say_last(words);
                Ok(Place::given(&address))
            }
            place => place,
        }
    }

    /// The address; `otherwise` is what to do where the settings have none.
    ///
    /// # Errors
    /// There is none, or the settings are wrong.
    pub(in crate::cli) fn place(&self, otherwise: &str) -> Result<Place, Failure> {
        if let Some(address) = &self.admin {
            return Ok(Place::given(address));
        }
        let config = config::load(self.config.as_deref())?;
        let listen = config.admin.listen.ok_or_else(|| {
            Failure::Usage(format!(
                "[admin] listen is none: this engine has no HTTP to ask; {otherwise}"
            ))
        })?;
        Ok(Place::of_listener(listen, &config.tls, &config.admin.tls))
    }
}
