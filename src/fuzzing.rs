//! The fuzz targets: what reads bytes from outside is handed any bytes, and its answers are checked.
//!
//! The programs in `fuzz/` feed it with what libFuzzer makes up, the test below with the files of
//! `fuzz/seeds/`. It is there in tests, and where cargo-fuzz builds (`--cfg fuzzing`). Each target
//! stands beside what it tests; a target panics where something is wrong.

pub use crate::cli::fuzz::latency_files;
pub use crate::cluster::fuzz::cluster_records;
pub use crate::config::fuzz::settings;
pub use crate::ingest::fuzz::lines;
pub use crate::journal::fuzz::journal;

/// What subscribers and producers say besides messages, and what the engine's clients read.
pub fn control_lines(input: &[u8]) {
    crate::delivery::fuzz::subscriber(input);
    for line in input.split(|it| *it == b'\n') {
        crate::ingest::fuzz::greeting(line);
        crate::cli::fuzz::engine_line(line);
    }
}

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets by name: that of a program in `fuzz/fuzz_targets/` and of a folder in `fuzz/seeds/`.
pub const TARGETS: [(&str, Target); 6] = [
    ("lines", lines),
    ("control_lines", control_lines),
    ("journal", journal),
    ("settings", settings),
    ("latency_files", latency_files),
    ("cluster_records", cluster_records),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn fuzz() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|it| panic!("{folder:?}: {it}"));
        let mut names: Vec<String> = entries
            .map(|it| it.expect("an entry").file_name())
            .map(|it| it.into_string().expect("UTF-8"))
            .collect();
        names.sort_unstable();
        names
    }

    /// The seeds, and what fuzzing once found, which is kept among them.
    #[test]
    fn every_seed_of_every_fuzz_target_passes() {
        for (name, target) in TARGETS {
            let folder = fuzz().join("seeds").join(name);
            let files = names(&folder);
            assert!(!files.is_empty(), "{name} has no seeds");
            for file in files {
                println!("{name}/{file}");
                target(&fs::read(folder.join(file)).expect("a file"));
            }
            target(b"");
        }
    }

    #[test]
    fn each_fuzz_target_has_its_program() {
        let mut known: Vec<String> = TARGETS.map(|it| format!("{}.rs", it.0)).to_vec();
        known.sort_unstable();
        assert_eq!(names(&fuzz().join("fuzz_targets")), known);
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("it is there");
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
