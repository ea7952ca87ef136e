//! Which tags of the logs are meant, and in which order they are shown. Pure: names in, names out.

use crate::cli::Failure;
use crate::escape::Escaped;
use crate::latency::Stage;

/// Tags that an error names.
const TAGS_TOLD_MAX: usize = 12;

/// Those that fit one of the patterns.
///
/// # Errors
/// One of the patterns fits none.
pub(super) fn chosen<'a>(all: &[&'a str], patterns: &[String]) -> Result<Vec<&'a str>, Failure> {
    if let Some(none) = patterns
        .iter()
        .find(|it| !all.iter().any(|tag| fits(it, tag)))
    {
        let words = format!("--tag {none}: there are {}", some_of(all));
        return Err(Failure::Usage(Escaped(words).to_string()));
    }
    let chosen = |tag: &&str| patterns.iter().any(|it| fits(it, tag));
    Ok(all.iter().copied().filter(chosen).collect())
}

/// Those that are no part of another one.
pub(super) fn topmost<'a>(all: &[&'a str]) -> Vec<&'a str> {
    let is_top = |tag: &&str| !all.iter().any(|it| is_part_of(tag, it));
    all.iter().copied().filter(is_top).collect()
}

/// The first few, and how many more.
pub(super) fn some_of(all: &[&str]) -> String {
    let told: Vec<_> = all.iter().take(TAGS_TOLD_MAX).copied().collect();
    match all.len().saturating_sub(TAGS_TOLD_MAX) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

/// By what tags are sorted: stages in the order in which a message passes them, then all else by name.
pub(super) fn order(tag: &str) -> (usize, String) {
    let is_stage = |it: &Stage| tag == it.label() || is_part_of(tag, it.label());
    let stage = Stage::ALL.iter().position(is_stage);
    (stage.unwrap_or(Stage::ALL.len()), tag.to_owned())
}

/// Whether a tag is a part of another: `total-level1` of `total`.
fn is_part_of(tag: &str, whole: &str) -> bool {
    let rest = tag.strip_prefix(whole);
    rest.is_some_and(|it| it.starts_with(['-', '.']))
}

/// Whether a text is of a pattern, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fit) in [
            ("total", "total", true),
            ("total", "total-level1", false),
            ("total*", "total", true),
            ("total*", "subtotal", false),
            ("*", "", true),
            ("*level1*", "total-level1-a", true),
            ("*level1*", "total-level2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn parts_are_told_by_what_divides_names() {
        assert!(is_part_of("total-level1", "total"));
        assert!(is_part_of("total-level1.others", "total-level1"));
        assert!(!is_part_of("totals", "total") && !is_part_of("total", "total"));
    }

    #[test]
    fn stages_are_in_the_order_of_the_way() {
        let mut tags = [
            "total",
            "waiting",
            "delivery",
            "queue-level2",
            "queue",
            "ingest",
            "a",
        ];
        tags.sort_by_cached_key(|it| order(it));
        let expected = [
            "ingest",
            "queue",
            "queue-level2",
            "delivery",
            "total",
            "a",
            "waiting",
        ];
        assert_eq!(tags, expected);
    }
}
