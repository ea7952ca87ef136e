//! What the system says of itself, below a root: `/` on a machine, a recorded tree in tests.

use std::path::{Path, PathBuf};

use crate::config::{Config, ThreadingMode};
use crate::limits::CORES_MAX;

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
pub(super) struct Patient<'a> {
    pub(super) machine: Machine,
    pub(super) config: &'a Config,
    /// Cores that this process may use; `None`: unknown.
    pub(super) allowed: Option<Vec<usize>>,
}

impl<'a> Patient<'a> {
    pub(super) fn new(machine: Machine, config: &'a Config) -> Self {
        let allowed = machine
            .field("proc/self/status", "Cpus_allowed_list")
            .and_then(|it| parse_cores(&it));
        Self {
            machine,
            config,
            allowed,
        }
    }

    /// The mode that the engine would run in.
    pub(super) fn mode(&self) -> ThreadingMode {
        let cores = self.allowed.as_ref().map_or(1, Vec::len);
        self.config.threading(cores)
    }

    pub(super) fn is_dedicated(&self) -> bool {
        self.mode() == ThreadingMode::Dedicated
    }

    /// The cores that the settings name, with whose they are; in `shared` mode the path's alone.
    pub(super) fn named(&self) -> Vec<(&'static str, usize)> {
        let threads = &self.config.threads;
        let mut named = vec![("ingest", threads.ingest_core)];
        if self.is_dedicated() {
            named.push(("scheduler", threads.scheduler_core));
            named.push(("journal", threads.journal_core));
            let deliveries = threads.delivery_cores.iter();
            named.extend(deliveries.map(|&core| ("delivery", Some(core))));
        }
        let set = named.into_iter();
        set.filter_map(|(agent, core)| Some((agent, core?)))
            .collect()
    }

    /// The numbers of [`Patient::named`].
    pub(super) fn named_cores(&self) -> Vec<usize> {
        self.named().into_iter().map(|(_, core)| core).collect()
    }
}

/// `0-3,8`: ascending; an empty text is no core. `None` where it is no such list.
pub(super) fn parse_cores(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last >= 64 * CORES_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Some(cores)
}

/// Writes cores as [`parse_cores`] reads them.
pub(super) fn show_cores(cores: &[usize]) -> String {
    let mut sorted = cores.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let runs = sorted.chunk_by(|one, next| one + 1 == *next);
    let texts: Vec<_> = runs
        .map(|run| match run {
            [only] => only.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    texts.join(",")
}

/// Those of `cores` that are not among `these`.
pub(super) fn missing(cores: &[usize], these: &[usize]) -> Vec<usize> {
    let missing = cores.iter().filter(|it| !these.contains(it));
    missing.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_go_there_and_back() {
        for text in ["", "0", "0-3", "0-3,8,10-11"] {
            assert_eq!(show_cores(&parse_cores(text).unwrap()), text);
        }
        assert_eq!(parse_cores("3,1-2, 2\n"), Some(vec![1, 2, 3]));
    }

    #[test]
    fn other_lists_are_none() {
        for text in ["x", "1-", "3-1", "0-99999999999", "0-999999", "all", "-1"] {
            assert_eq!(parse_cores(text), None, "{text}");
        }
    }
}
