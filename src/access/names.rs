//! Lists of destinations: names, and patterns as subscribers write them.

use crate::message::Pattern;

/// Destinations that a right is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    patterns: Vec<Pattern>,
    has_all: bool,
}

impl Names {
    pub(super) fn new(list: &[String]) -> Self {
        let mut all = Self::default();
        for text in list {
            match Pattern::parse(text) {
                Some(pattern) => all.patterns.push(pattern),
                None => all.names.push(text.as_str().into()),
            }
        }
        all.has_all = list.iter().any(|it| it == "*");
        all
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Whether each destination is one of them, whatever its name.
    pub(super) fn has_all(&self) -> bool {
        self.has_all
    }

    /// Whether this name is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.has_all
            || self.names.iter().any(|it| **it == *name)
            || self.patterns.iter().any(|it| it.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Names {
        Names::new(&list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_stand_for_themselves_and_patterns_for_what_fits() {
        let some = names(&["bar", "table*"]);
        for (name, is_there) in [
            ("bar", true),
            ("bart", false),
            ("table", true),
            ("table9", true),
            ("Table9", false),
        ] {
            assert_eq!(some.has(name), is_there, "{name}");
        }
        assert!(!some.has_all() && !some.is_empty());
        assert!(names(&["x", "*"]).has_all() && names(&["*"]).has("y"));
        assert!(names(&[]).is_empty() && !names(&[]).has(""));
    }
}
