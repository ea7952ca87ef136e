//! What this program was built from, as `build.rs` found it.
//!
//! Feeds `--version`, which benchmarks ask the engine that they measure.

use std::sync::LazyLock;

/// Version, commit, profile, features and target, a line each.
pub(crate) fn lines() -> &'static str {
    static LINES: LazyLock<String> = LazyLock::new(|| {
        let commit = built_from();
        [
            env!("CARGO_PKG_VERSION"),
            &format!("commit: {commit}"),
            concat!("profile: ", env!("BUILD_PROFILE")),
            concat!("features: ", env!("BUILD_FEATURES")),
            concat!("target: ", env!("BUILD_TARGET")),
        ]
        .join("\n")
    });
    &LINES
}

/// The commit that it was built from, in words.
pub(crate) fn built_from() -> String {
    commit(
        option_env!("VERGEN_GIT_SHA"),
        option_env!("VERGEN_GIT_DIRTY"),
    )
}

/// The commit in words. Without `.git` the build has a placeholder instead of a hash.
fn commit(sha: Option<&str>, dirty: Option<&str>) -> String {
    let is_hash = |it: &&str| it.bytes().all(|it| it.is_ascii_hexdigit());
    match (sha.filter(is_hash), dirty) {
        (Some(sha), Some("false")) => sha.to_owned(),
        (Some(sha), _) => format!("{sha}, with changes that are not committed"),
        (None, _) if cfg!(debug_assertions) => "unknown: a debug build names none".into(),
        (None, _) => "unknown: built from a tree without .git".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_says_what_it_was_built_from() {
        let lines: Vec<&str> = lines().lines().collect();
        assert_eq!(lines[0], env!("CARGO_PKG_VERSION"));
        for (line, name) in lines[1..]
            .iter()
            .zip(["commit", "profile", "features", "target"])
        {
            let value = line.strip_prefix(name).and_then(|it| it.strip_prefix(": "));
            assert!(value.is_some_and(|it| !it.is_empty()), "{line}");
        }
    }

    #[test]
    fn a_commit_says_whether_it_is_all() {
        assert_eq!(commit(Some("1a2b"), Some("false")), "1a2b");
        let changed = "1a2b, with changes that are not committed";
        assert_eq!(commit(Some("1a2b"), Some("true")), changed);
        for unknown in [None, Some("VERGEN_IDEMPOTENT_OUTPUT")] {
            assert!(commit(unknown, unknown).starts_with("unknown: "));
        }
    }
}
