//! What is compared with what: curves of one name, or the only two that there are.

use super::Named;
use super::input::Input;
use crate::cli::Failure;

/// A curve, and the one that it is compared with; their names differ.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) file: Named,
    pub(super) other: Named,
}

/// Pairs the curves by name.
pub(super) fn pair(input: Input, other: Input) -> Result<Vec<Pair>, Failure> {
    let (mut files, mut others) = (input.curves, other.curves);
    if let (1, 1) = (files.len(), others.len()) {
        let (file, other) = (files.remove(0), others.remove(0));
        return Ok(vec![named(file, other)]);
    }
    let names = |it: &[Named]| {
        let names: Vec<_> = it.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    let (here, there) = (names(&files), names(&others));
    let mut pairs = Vec::new();
    for file in files {
        if let Some(at) = others.iter().position(|(name, _)| *name == file.0) {
            pairs.push(named(file, others.swap_remove(at)));
        }
    }
    match pairs.is_empty() {
        false => Ok(pairs),
        true => Err(Failure::Failed(format!(
            "nothing to compare: the files have {here}, --compare has {there}"
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
