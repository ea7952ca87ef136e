//! Builds into the programs what they were built from: commit, uncommitted changes, profile, features,
//! target. `--version` and the benchmarks' reports say it.
//!
//! A debug build names no commit: it would be compiled again after each. A tree without `.git` builds
//! all the same, and says that its commit is unknown.

use std::env;
use std::error::Error;

use vergen_gitcl::{Emitter, GitclBuilder};

/// What the dirty flag depends on.
const SOURCES: [&str; 6] = [
    "src",
    "perf/src",
    "simulator/src",
    "schema",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() -> Result<(), Box<dyn Error>> {
    let of = |name: &str| env::var(name).unwrap_or_default();
    let enabled = env::vars().filter_map(|(name, _)| {
        name.strip_prefix("CARGO_FEATURE_")
            .map(|it| it.to_lowercase().replace('_', "-"))
    });
    let features: Vec<String> = enabled.filter(|it| it != "default").collect();
    let features = if features.is_empty() {
        "none".into()
    } else {
        features.join(", ")
    };
    let profile = format!("{}, opt-level {}", of("PROFILE"), of("OPT_LEVEL"));
    // Not FLIPPED_LB_: cargo hands these to what it runs, and the engine takes that prefix for settings.
    println!("cargo:rustc-env=BUILD_PROFILE={profile}");
    println!("cargo:rustc-env=BUILD_FEATURES={features}");
    println!("cargo:rustc-env=BUILD_TARGET={}", of("TARGET"));
    let root = format!("{}/", of("CARGO_MANIFEST_DIR"));
    let root = root.strip_suffix("perf/").unwrap_or(&root);
    println!("cargo:rerun-if-changed={root}build.rs");
    if of("PROFILE") == "release" {
        SOURCES
            .iter()
            .for_each(|it| println!("cargo:rerun-if-changed={root}{it}"));
        let git = GitclBuilder::default().sha(false).dirty(false).build()?;
        Emitter::default().quiet().add_instructions(&git)?.emit()?;
    }
    Ok(())
}
