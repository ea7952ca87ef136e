//! `[[user]]` and `[security]`: who may connect.

use std::path::PathBuf;

use crate::access::TokenHash;

/// One `[[user]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// For logs and for `check`.
    pub name: String,
    /// The hash of its token; of this, `token_file` and `certificate` one is there.
    pub token_sha256: Option<TokenHash>,
    /// The file whose first line is its token.
    pub token_file: Option<PathBuf>,
    /// A name in its certificate, the subject's common name or a DNS name.
    pub certificate: Option<String>,
    /// Destinations that it may send to, names or patterns.
    pub may_send: Vec<String>,
    /// Destinations whose messages it may receive, names or patterns.
    pub may_receive: Vec<String>,
    /// Whether it may ask over HTTP.
    pub may_admin: bool,
    /// The only `sourceServerId` that it may send as; `None`: any.
    pub source: Option<String>,
}

impl User {
    /// One that has no token and no right yet.
    #[must_use]
    pub fn named(name: impl Into<String>) -> User {
        User {
            name: name.into(),
            token_sha256: None,
            token_file: None,
            certificate: None,
            may_send: Vec::new(),
            may_receive: Vec::new(),
            may_admin: false,
            source: None,
        }
    }
}

/// `[security]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Whether other machines may connect without a token while there are no users.
    pub allow_anonymous: bool,
}
