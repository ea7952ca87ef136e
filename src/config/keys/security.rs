//! The keys of `[security]`.

use crate::config::key::{Section, key, set};

pub(super) const SECURITY: Section = Section {
    name: "security",
    meaning: "Who may connect without a token.",
    keys: &[key(
        "anonymous",
        "\"refuse\"",
        "While there is no [[user]], nobody is asked for a token. Then refuse: the engine does not \
         start where other machines reach an address that it listens on; allow: it does, and \
         whoever reaches it may send, receive and see all.",
        |c, v| {
            let allow = v.choice(&[("refuse", false), ("allow", true)])?;
            set(&mut c.security.allow_anonymous, allow)
        },
    )],
};
