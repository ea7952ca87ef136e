//! Builds into the programs what they were built from: commit, uncommitted changes, profile, features,
//! target. `--version` and the benchmarks' reports say it.
//!
//! A debug build names no commit: it would be compiled again after each. A tree without `.git` builds
//! all the same, and says that its commit is unknown.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

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

/// Prints cargo's instructions.
///
/// # Errors
/// git is there and answers what nobody understands.
pub fn main() -> Result<(), Box<dyn Error>> {
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
    let package = PathBuf::from(of("CARGO_MANIFEST_DIR"));
    let root = match of("CARGO_PKG_NAME").as_str() {
        "flipped-lb-perf" => package.join(".."),
        _ => package,
    };
    let root = root.display();
    println!("cargo:rerun-if-changed={root}/build.rs");
    if of("PROFILE") == "release" {
        SOURCES
            .iter()
            .for_each(|it| println!("cargo:rerun-if-changed={root}/{it}"));
        // Each commit writes to it, where HEAD only names the branch.
        let log = Command::new("git")
            .args(["rev-parse", "--git-path", "logs/HEAD"])
            .output();
        if let Some(log) = log.ok().filter(|it| it.status.success()) {
            println!(
                "cargo:rerun-if-changed={}",
                String::from_utf8_lossy(&log.stdout).trim()
            );
        }
        let git = GitclBuilder::default().sha(false).dirty(false).build()?;
        Emitter::default().quiet().add_instructions(&git)?.emit()?;
    }
    Ok(())
}
