//! Lists of cores as Linux writes them: `0-3,8`.

use crate::limits::CORES_MAX;

/// Ascending; an empty text is no core. `None` where it is no such list.
pub(crate) fn parse_cores(text: &str) -> Option<Vec<usize>> {
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
pub(crate) fn show_cores(cores: &[usize]) -> String {
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

/// Those of `cores` that are not among `others`.
pub(crate) fn cores_without(cores: &[usize], others: &[usize]) -> Vec<usize> {
    let rest = cores.iter().filter(|core| !others.contains(core));
    rest.copied().collect()
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
