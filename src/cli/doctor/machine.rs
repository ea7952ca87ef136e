//! What the system says of itself, below a root: `/` on a machine, a recorded tree in tests.
//!
//! Commands that are asked (`ethtool`) are files of the tree `commands/` in tests.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::agent::core_list::{cores_without, parse_cores};
use crate::config::{Config, ThreadingMode};
use crate::engine::cores::{CoreAssessment, Cores, assess};
use crate::engine::threads::named_agents;

/// A disk's major and minor number.
pub(super) type Device = (u32, u32);

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

    /// Replaces a value of the kernel; the file must be there.
    ///
    /// # Errors
    /// It is not there, or the kernel refuses.
    pub(super) fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.root.join(path))?;
        io::Write::write_all(&mut file, value.as_bytes())
    }

    /// What a command of the system prints; `None` where it is not installed or fails.
    pub(super) fn output(&self, command: &[&str]) -> Option<String> {
        if self.root != Path::new("/") {
            return self.read(&format!("commands/{}", command.join(" ")));
        }
        let (program, arguments) = command.split_first()?;
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
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
    /// The disk that the data directory is on.
    pub(super) device: Option<Device>,
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
            device: None,
            machine,
            config,
            allowed,
        }
    }

    pub(super) fn with_device(self, device: Option<Device>) -> Self {
        Self { device, ..self }
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

    /// Whether threads of the path are pinned.
    pub(super) fn has_own_cores(&self) -> bool {
        let mut threads = self.assessment.plan.threads.iter();
        threads.any(|it| it.core.is_some())
    }

    /// The cores that threads of the path are pinned to; else all on which they may run.
    pub(super) fn agent_cores(&self) -> Vec<usize> {
        let threads = self.assessment.plan.threads.iter();
        let mut cores: Vec<usize> = threads.filter_map(|it| it.core).collect();
        if cores.is_empty() {
            cores = self.allowed.clone().unwrap_or_default();
        }
        cores.sort_unstable();
        cores.dedup();
        cores
    }

    /// The machine's cores that no agent is pinned to.
    pub(super) fn other_cores(&self) -> Vec<usize> {
        let online = self.machine.cores("sys/devices/system/cpu/online");
        let online = online.or_else(|| self.allowed.clone());
        cores_without(&online.unwrap_or_default(), &self.agent_cores())
    }
}
