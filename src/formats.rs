//! The versions of what outlives a process: the journal's files and the store's tables.
//!
//! Feeds `--version` and the first event of the log. Each file and database has its own: a segment and
//! a compacted file in their headers, a database in its table `schema_version`.

use std::sync::LazyLock;

use crate::build_info;
use crate::journal::format::FORMAT_VERSION;
use crate::store::{mysql, sqlite};

/// What `--version` says: the build, then the formats, a line each.
pub(crate) fn version_lines() -> &'static str {
    static LINES: LazyLock<String> =
        LazyLock::new(|| format!("{}\nformats: {}", build_info::lines(), words()));
    &LINES
}

/// `journal 1, schema sqlite 2, schema mysql 1`
pub(crate) fn words() -> String {
    let (sqlite, mysql) = (sqlite::schema_version(), mysql::schema_version());
    format!("journal {FORMAT_VERSION}, schema sqlite {sqlite}, schema mysql {mysql}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_are_behind_the_build() {
        let last = version_lines().lines().last();
        let expected = format!("formats: journal {FORMAT_VERSION}, schema sqlite ");
        assert!(last.is_some_and(|it| it.starts_with(&expected)), "{last:?}");
        assert!(version_lines().starts_with(env!("CARGO_PKG_VERSION")));
    }
}
