//! What is compared with what: curves of one name, or the only two that there are.

use super::Named;
use super::input::Input;
use super::tags::some_of;
use crate::cli::Failure;

/// A curve, and the one that it is compared with; their names differ.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) file: Named,
    pub(super) other: Named,
}

/// What can be compared, and the names that only one side has.
#[derive(Debug, Default)]
pub(super) struct Paired {
    pub(super) pairs: Vec<Pair>,
    only_in_files: Vec<String>,
    only_in_others: Vec<String>,
}

impl Paired {
    /// What the user should know beside the table.
    pub(super) fn remarks(&self) -> Vec<String> {
        let sides = [
            ("the files", &self.only_in_files),
            ("--compare", &self.only_in_others),
        ];
        let sides = sides.into_iter().filter(|(_, names)| !names.is_empty());
        let remarks = sides.map(|(side, names)| {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            format!("only in {side}, not compared: {}", some_of(&names))
        });
        remarks.collect()
    }
}

/// Pairs the curves by name.
pub(super) fn pair(input: Input, other: Input) -> Result<Paired, Failure> {
    let (mut files, mut others) = (input.curves, other.curves);
    if let (1, 1) = (files.len(), others.len()) {
        let (file, other) = (files.remove(0), others.remove(0));
        return Ok(Paired {
            pairs: vec![named(file, other)],
            ..Paired::default()
        });
    }
    let mut paired = Paired::default();
    for file in files {
        match others.iter().position(|(name, _)| *name == file.0) {
            Some(at) => paired.pairs.push(named(file, others.remove(at))),
            None => paired.only_in_files.push(file.0),
        }
    }
    paired.only_in_others = others.into_iter().map(|(name, _)| name).collect();
    match paired.pairs.is_empty() {
        false => Ok(paired),
        true => Err(Failure::Failed(format!(
            "nothing to compare: the files have {}, --compare has {}",
            paired.only_in_files.join(", "),
            paired.only_in_others.join(", ")
        ))),
    }
}

fn named(file: Named, (name, curve): Named) -> Pair {
    let name = match name == file.0 {
        true => format!("{name} (compared)"),
        false => name,
    };
    Pair {
        file,
        other: (name, curve),
    }
}
