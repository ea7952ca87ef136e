//! An aim of the design, beside what was found. Only `target` makes a verdict of it.

use serde::Serialize;

use super::Table;

/// What was wanted, what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Aim {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
    /// Whether the figure meets the aim.
    pub(crate) is_met: bool,
}

impl Aim {
    /// An aim and its figure.
    pub(crate) fn new(
        what: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
        is_met: bool,
    ) -> Self {
        Self {
            what: what.into(),
            wanted: wanted.into(),
            found: found.into(),
            is_met,
        }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        if self.is_met { "met" } else { "**not met**" }
    }
}

/// The aims as a table.
pub(super) fn table(aims: &[Aim]) -> Table {
    let mut table = Table::new(&["aim", "wanted", "found", "verdict"]);
    for aim in aims {
        let cells = [&aim.what, &aim.wanted, &aim.found].map(String::clone);
        let [what, wanted, found] = cells;
        table.push([what, wanted, found, aim.verdict().to_owned()]);
    }
    table
}
