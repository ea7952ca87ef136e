//! The engine's program and its settings: found, built where it can be, written down for a round.
//!
//! Built each time when cargo runs us, so that nobody measures yesterday's engine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::plan::LEVELS;
use crate::tls;

const PROGRAM: &str = "flipped-lb";
/// What to do where it cannot be built from here.
const HOW_TO_BUILD: &str = "build it with `cargo build --release`, or name it with --engine FILE";

/// What is done before a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// Nothing; the journal follows.
    Memory,
    /// The operating system has it.
    Written,
    /// The disk has it.
    Synced,
    /// A stream has it, then the disk: of one nats-server beside the engine, in the engine's data, whose
    /// CPU is in no figure. Groups of three servers are measured by hand, see docs/measurements.md.
    Replicated,
}

/// What an engine's thread without work does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Idle {
    /// Spins, yields, then sleeps until it is woken.
    Backoff,
    /// Gives the core away each time.
    Yield,
    /// Never leaves the core.
    Spin,
}

/// How an engine's agents share threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Threads {
    /// By the cores that there are.
    Auto,
    /// One thread for the path.
    Shared,
    /// A thread for each agent, as far as there are cores.
    Dedicated,
}

/// The settings that a benchmark chooses; all others are the engine's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Settings {
    /// `durability`.
    pub(crate) durability: Durability,
    /// `[store] url`: none, sqlite or a MySQL URL. In the raw data without its password.
    #[serde(serialize_with = "serialize_masked")]
    pub(crate) store: String,
    /// `[store] keep`; then a server's tables are made, too.
    pub(crate) keep: Option<String>,
    /// `[threads] idle`.
    pub(crate) idle: Idle,
    /// `[threads] mode`.
    pub(crate) threads: Threads,
    /// `[scheduler] levels`.
    pub(crate) levels: usize,
    /// `[delivery] agents`.
    pub(crate) agents: usize,
    /// `[delivery] max_connections_per_address`.
    pub(crate) per_address: Option<usize>,
    /// Sources and subscribers are spoken to by TLS, with the certificate in this folder; HTTP is plain.
    pub(crate) tls: Option<PathBuf>,
}

impl Settings {
    /// Durable as asked for, without a store, idling as by default.
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            durability,
            store: "none".into(),
            keep: None,
            idle: Idle::Backoff,
            threads: Threads::Auto,
            levels: LEVELS,
            agents: 1,
            per_address: None,
            tls: None,
        }
    }

    /// The settings file for these sources and destinations, in TOML. The first destination is a VIP,
    /// as by default.
    pub(crate) fn file(
        &self,
        data_dir: &Path,
        sources: &[SocketAddr],
        destinations: &[String],
    ) -> String {
        let mut file = json!({
            "data_dir": data_dir,
            "durability": self.durability,
            "scheduler": { "levels": self.levels },
            "delivery": { "listen": "127.0.0.1:0", "agents": self.agents },
            "threads": { "idle": self.idle, "mode": self.threads },
            "store": { "url": self.store },
            "admin": { "listen": "127.0.0.1:0" },
            "stats": { "interval": "0s" },
        });
        let source = |address: &SocketAddr| json!({ "address": address });
        file["source"] = sources.iter().map(source).collect();
        let destination = |(at, id): (usize, &String)| json!({ "id": id, "vip": at == 0 });
        file["destination"] = destinations.iter().enumerate().map(destination).collect();
        if let Some(count) = self.per_address {
            file["delivery"]["max_connections_per_address"] = count.into();
        }
        if let Some(keep) = &self.keep {
            file["store"]["keep"] = keep.as_str().into();
            file["store"]["create"] = true.into();
        }
        if let Some(folder) = &self.tls {
            let [cert, key] = tls::files(folder);
            for source in file["source"].as_array_mut().into_iter().flatten() {
                source["tls"] = true.into();
                source["tls_ca"] = json!(cert);
                source["tls_name"] = tls::NAME.into();
            }
            file["admin"]["tls"] = "off".into();
            file["tls"] = json!({ "cert": cert, "key": key });
        }
        toml::to_string(&file).expect("no null is in it, and each key is a string")
    }
}

fn serialize_masked<S: serde::Serializer>(url: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&without_password(url))
}

/// A text in which a URL's password, if there is one, is dots: for reports, which are passed on.
/// The password ends at the last `@`, for it may hold one.
pub(crate) fn without_password(text: &str) -> String {
    let Some((before, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    match rest
        .rsplit_once('@')
        .map(|(who, host)| (who.split_once(':'), host))
    {
        Some((Some((user, _)), host)) => format!("{before}://{user}:...@{host}"),
        _ => text.to_owned(),
    }
}

/// A store's kind: what a URL begins with.
pub(crate) fn store_name(url: &str) -> String {
    let (kind, _) = url.split_once([':']).unwrap_or((url, ""));
    kind.to_owned()
}

/// A setting's word.
pub(crate) fn name_of(value: impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |it| it.get_name().to_owned())
}

/// What the engine says of itself: version, commit, profile.
pub(crate) fn identity(program: &Path) -> Vec<(String, String)> {
    let said = Command::new(program).arg("--version").output().ok();
    let said = said.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let said = said.unwrap_or_default();
    let mut lines = said.lines();
    let version = lines
        .next()
        .filter(|it| !it.is_empty())
        .unwrap_or("it says nothing of itself");
    let mut facts = vec![("engine".to_owned(), version.to_owned())];
    let pairs = lines.filter_map(|it| it.split_once(':'));
    facts.extend(pairs.map(|(name, it)| (name.trim().to_owned(), it.trim().to_owned())));
    facts
}

/// The engine to measure: the one named, or the one beside this program, built before where cargo
/// started us.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return match named.is_file() {
            true => named.canonicalize().context("finding the engine"),
            false => bail!("no engine at {}", named.display()),
        };
    }
    let own = std::env::current_exe().context("finding our own program")?;
    let folder = own.parent().unwrap_or(Path::new("."));
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(Path::new(&cargo), folder)?;
    }
    let program = folder.join(PROGRAM);
    ensure!(
        program.is_file(),
        "no {PROGRAM} beside this program: {HOW_TO_BUILD}"
    );
    Ok(program)
}

/// Builds the engine into the folder `TARGET/PROFILE`.
fn build(cargo: &Path, folder: &Path) -> Result<()> {
    let profile = match folder.file_name().and_then(|it| it.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder.parent().unwrap_or(folder);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let mut command = Command::new(cargo);
    // What cargo told this program of its own package: build scripts that look at it would run anew
    // each time, and all that depends on them be compiled again.
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|it| it.to_str().is_some_and(is_of_a_package)) {
        command.env_remove(name);
    }
    let status = command
        .args(["build", "--quiet", "--bin", PROGRAM, "--profile", profile])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        // Else its warnings, which are somebody else's, hide our progress.
        .env("CARGO_TERM_COLOR", "never")
        .stderr(Stdio::null())
        .status()
        .context("running cargo")?;
    ensure!(
        status.success(),
        "the engine cannot be built: {HOW_TO_BUILD}"
    );
    Ok(())
}

/// Whether cargo sets a variable for one package, or one of its programs.
fn is_of_a_package(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"];
    const NAMES: [&str; 3] = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
    PREFIXES.iter().any(|it| name.starts_with(it)) || NAMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_knows_nothing_of_our_own_package_but_all_that_the_user_has_set() {
        for name in ["CARGO_PKG_VERSION", "CARGO_MANIFEST_DIR", "OUT_DIR"] {
            assert!(is_of_a_package(name), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_DEV_DEBUG",
            "RUSTFLAGS",
        ] {
            assert!(!is_of_a_package(name), "{name}");
        }
    }

    #[test]
    fn a_password_is_in_no_report() {
        let url = "mysql://me:se:c@ret@host:3306/db";
        assert_eq!(without_password(url), "mysql://me:...@host:3306/db");
        let option = format!("--store=none,{url}");
        assert_eq!(
            without_password(&option),
            "--store=none,mysql://me:...@host:3306/db"
        );
        for plain in "sqlite:a/b mysql://me@host:3306/db --rate mysql://host:3306/db".split(' ') {
            assert_eq!(without_password(plain), plain);
        }
        let mut settings = Settings::new(Durability::Written);
        settings.store = url.into();
        let raw = serde_json::to_string(&settings).expect("JSON");
        assert!(
            !raw.contains("c@ret") && raw.contains("mysql://me:..."),
            "{raw}"
        );
    }

    #[test]
    fn a_store_is_named_without_its_password() {
        assert_eq!(store_name("mysql://me:secret@host/db"), "mysql");
        assert_eq!(store_name("none"), "none");
    }

    #[test]
    fn the_settings_file_says_what_was_chosen() {
        let mut settings = Settings::new(Durability::Synced);
        settings.store = "sqlite".into();
        let names = ["table001".to_owned(), "table002".to_owned()];
        let sources = [8001, 8002].map(|port| ([127, 0, 0, 1], port).into());
        let read = |settings: &Settings| -> toml::Table {
            let file = settings.file(Path::new("/data/\"odd\""), &sources, &names);
            toml::from_str(&file).expect("TOML")
        };
        let file = read(&settings);
        assert_eq!(file["data_dir"].as_str(), Some("/data/\"odd\""));
        assert_eq!(file["durability"].as_str(), Some("synced"));
        assert_eq!(
            file["source"][1]["address"].as_str(),
            Some("127.0.0.1:8002")
        );
        assert_eq!(file["destination"][1]["id"].as_str(), Some("table002"));
        let vip = [0, 1].map(|at| file["destination"][at]["vip"].as_bool());
        assert_eq!(vip, [Some(true), Some(false)]);
        assert_eq!(file["scheduler"]["levels"].as_integer(), Some(3));
        assert_eq!(file["threads"]["mode"].as_str(), Some("auto"));
        assert_eq!(file["store"]["url"].as_str(), Some("sqlite"));
        assert!(!file.contains_key("tls"));
        settings.tls = Some("/tls".into());
        let file = read(&settings);
        assert_eq!(file["source"][0]["tls_ca"].as_str(), Some("/tls/cert.pem"));
        assert_eq!(file["tls"]["key"].as_str(), Some("/tls/key.pem"));
        assert_eq!(file["admin"]["tls"].as_str(), Some("off"));
    }
}
