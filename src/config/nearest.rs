//! The nearest name to one that is unknown.
//!
//! Fed with a name that is on no list; feeds the error's text.

/// The name of `names` that `typed` was likely meant to be.
pub(super) fn nearest<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    names
        .into_iter()
        .map(|name| (distance(&typed, &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
        .map(|(_, name)| name)
}

/// The end of an error: `did you mean "x"?`, or all the names there are.
pub(super) fn suggest(typed: &str, names: &[&str]) -> String {
    match nearest(typed, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("there are {}", names.join(", ")),
    }
}

/// Edits between two names; a name that begins with the other one counts as near.
fn distance(typed: &str, name: &str) -> usize {
    let edits = strsim::damerau_levenshtein(typed, name);
    let short = typed.len().min(name.len());
    let begins = typed.starts_with(name) || name.starts_with(typed);
    if begins && short >= 4 {
        edits.min(2)
    } else {
        edits
    }
}
