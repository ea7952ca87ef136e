//! Patterns of names: `*` stands for any bytes, also none; everything else for itself.
//!
//! Subscribers send them instead of names. A name that holds a `*` is matched by itself too.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Takes a pattern; `None`: it is a plain name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.contains('*').then(|| Self(text.into()))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name fits. It takes at most as many steps as the product of both lengths.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where the last star stands, and how much of the name it has left to what follows.
        let mut star = None;
        while seen < name.len() {
            if pattern.get(at) == Some(&b'*') {
                star = Some((at, seen));
                at += 1;
            } else if pattern.get(at) == Some(&name[seen]) {
                (at, seen) = (at + 1, seen + 1);
            } else if let Some((star_at, taken)) = star {
                (at, seen) = (star_at + 1, taken + 1);
                star = Some((star_at, taken + 1));
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|it| *it == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).expect("a star").matches(name)
    }

    /// The definition, as slow as it is plain.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|len| naive(rest, &name[len..])),
            Some((byte, rest)) => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    #[test]
    fn a_star_stands_for_anything_or_nothing() {
        for name in ["table1", "table", "table*", "tabletable1"] {
            assert!(matches("table*", name), "{name}");
        }
        for name in ["atable1", "tabl", "", "Table1"] {
            assert!(!matches("table*", name), "{name}");
        }
        assert!(matches("*", "") && matches("**", "x"));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-c-b"));
        assert!(matches("*k\u{fc}che", "k\u{fc}che"));
        assert_eq!(Pattern::parse("table1"), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(pattern in "[ab*]{0,8}", name in "[ab*]{0,12}") {
            if let Some(parsed) = Pattern::parse(&pattern) {
                prop_assert_eq!(parsed.matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
            }
        }
    }
}
