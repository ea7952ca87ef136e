//! What the system says of itself, below a root: `/` on a machine, a recorded tree in tests.

use std::path::{Path, PathBuf};

use crate::agent::core_list::parse_cores;
use crate::config::{Config, ThreadingMode};
use crate::engine::cores::{CoreAssessment, Cores, assess};
use crate::engine::threads::named_agents;

/// The files of one machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The one that this runs on.
    pub(super) fn here() -> Self {
        Self::at(Path::new("/"))
    }

    pub(super) fn at(root: &Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// A file's text without spaces around it; `path` begins without a slash.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.root.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.read(path)?.parse().ok()
    }

    /// A file that lists cores.
    pub(super) fn cores(&self, path: &str) -> Option<Vec<usize>> {
        parse_cores(&self.read(path)?)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names in a folder, sorted; none where it is not there.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else {
            return Vec::new();
        };
        let names = entries.filter_map(|it| it.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    /// The value behind `name:` in a file of such lines.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.read(path)?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
        value.map(|it| it.trim().to_owned())
    }
}

/// A machine, and what the engine wants of it.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) machine: Machine,
    pub(super) config: &'a Config,
    /// Cores that this process may use; `None`: unknown.
    pub(super) allowed: Option<Vec<usize>>,
    /// The engine's threads on these cores, and what is wrong with them.
    pub(super) assessment: CoreAssessment,
}

impl<'a> Context<'a> {
    pub(super) fn new(machine: Machine, config: &'a Config) -> Self {
        let allowed = machine
            .field("proc/self/status", "Cpus_allowed_list")
            .and_then(|it| parse_cores(&it))
            .filter(|it| !it.is_empty());
        let cores = Cores {
            allowed: allowed.clone().unwrap_or_else(|| vec![0]),
            online: machine.cores("sys/devices/system/cpu/online"),
        };
        Self {
            assessment: assess(config, &cores),
            machine,
            config,
            allowed,
        }
    }

    pub(super) fn is_dedicated(&self) -> bool {
        self.assessment.plan.mode == ThreadingMode::Dedicated
    }

    /// Agents whose cores the settings name, with that core; in `shared` mode the path's alone.
    pub(super) fn named(&self) -> Vec<(&'static str, usize)> {
        let mut named = named_agents(self.config);
        named.retain(|(agent, _)| self.is_dedicated() || *agent == "ingest");
        named
    }

    /// The numbers of [`Context::named`].
    pub(super) fn named_cores(&self) -> Vec<usize> {
        self.named().into_iter().map(|(_, core)| core).collect()
    }
}
