//! Counts in words for people: "1 source", "2 sources".

use std::fmt::Display;

/// So many of them; the plural is regular.
pub(crate) fn several(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// So many of them, in words of their own for one.
pub(crate) fn counted(count: impl Into<u64>, one: &str, many: impl Display) -> String {
    match count.into() {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_else_are_several() {
        let words = [0_u64, 1, 2].map(|it| several(it, "source"));
        assert_eq!(words, ["0 sources", "1 source", "2 sources"]);
        let words = [1_u64, 2].map(|it| counted(it, "source waits", "sources wait"));
        assert_eq!(words, ["1 source waits", "2 sources wait"]);
    }
}
