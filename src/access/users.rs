//! The users: who shows which token, and what each may do.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use subtle::ConditionallySelectable as _;

use super::names::Names;
use super::token::{Token, TokenHash};
use crate::config::{self, Config};

/// One who may connect.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Box<str>,
    /// Its place in the list.
    pub(super) index: usize,
    token: TokenHash,
    pub(super) may_send: Names,
    may_receive: Names,
    may_admin: bool,
    /// The only `sourceServerId` that it may send as.
    pub(super) source: Option<Box<str>>,
}

impl User {
    /// Whether it may send to any destination.
    pub(crate) fn may_send_any(&self) -> bool {
        !self.may_send.is_empty()
    }

    /// Whether it may receive the messages of this destination.
    pub(crate) fn may_receive(&self, destination: &str) -> bool {
        self.may_receive.has(destination)
    }

    /// Whether it may receive anything.
    pub(crate) fn may_receive_any(&self) -> bool {
        !self.may_receive.is_empty()
    }

    /// Whether it may ask over HTTP.
    pub(crate) fn may_admin(&self) -> bool {
        self.may_admin
    }
}

/// Why a peer is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unidentified {
    NoToken,
    WrongToken,
}

impl Unidentified {
    /// What is told to the peer. `how` says how to show a token.
    pub(crate) fn words(self, how: &str) -> String {
        match self {
            Self::NoToken => format!("a token is wanted here; {how}"),
            Self::WrongToken => format!("no user has this token; {how}"),
        }
    }
}

/// All users of an engine. Without any, tokens are not asked for.
#[derive(Debug, Default)]
pub(crate) struct Users {
    list: Vec<Arc<User>>,
}

impl Users {
    /// Those of the settings; [`with_tokens`] has read the tokens that are in files.
    pub(crate) fn new(settings: &[config::User]) -> Self {
        let mut list = Vec::with_capacity(settings.len());
        for user in settings {
            let token = user.token_sha256.expect("`with_tokens` read the others");
            list.push(Arc::new(User {
                name: user.name.as_str().into(),
                index: list.len(),
                token,
                may_send: Names::new(&user.may_send),
                may_receive: Names::new(&user.may_receive),
                may_admin: user.may_admin,
                source: user.source.as_deref().map(Into::into),
            }));
        }
        Self { list }
    }

    /// Whether a peer must show a token.
    pub(crate) fn want_token(&self) -> bool {
        !self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<User>> {
        self.list.iter()
    }

    /// Whose token this is; `None`: tokens are not asked for. All users are compared with, whoever it is.
    ///
    /// # Errors
    /// Nobody's.
    pub(crate) fn identify(
        &self,
        token: Option<&Token>,
    ) -> Result<Option<&Arc<User>>, Unidentified> {
        if !self.want_token() {
            return Ok(None);
        }
        let shown = token.ok_or(Unidentified::NoToken)?.hash();
        let mut found = u64::MAX;
        for (index, user) in (0_u64..).zip(&self.list) {
            found.conditional_assign(&index, user.token.matches(&shown));
        }
        let found = usize::try_from(found).ok();
        let user = found.and_then(|it| self.list.get(it));
        user.map(Some).ok_or(Unidentified::WrongToken)
    }
}

/// A token cannot be had from its file.
#[derive(Debug, thiserror::Error)]
#[error("[[user]] token_file {}: {why}", path.display())]
pub(crate) struct TokenFileError {
    path: PathBuf,
    why: TokenFileFault,
}

#[derive(Debug, thiserror::Error)]
enum TokenFileFault {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("its first line is empty; write the token there")]
    Empty,
    #[error("user \"{0}\" has the same token; give each its own")]
    Taken(String),
}

/// The settings with the hash of each token that is in a file: the file's first line.
///
/// # Errors
/// A file cannot be read, is empty, or has the token of another user.
pub(crate) fn with_tokens(config: &Config) -> Result<Config, TokenFileError> {
    let mut config = config.clone();
    for index in 0..config.users.len() {
        let Some(path) = config.users[index].token_file.clone() else {
            continue;
        };
        let hash = match read(&path) {
            Ok(token) => token.hash(),
            Err(why) => return Err(TokenFileError { path, why }),
        };
        let other = config.users.iter().find(|it| it.token_sha256 == Some(hash));
        if let Some(other) = other {
            let why = TokenFileFault::Taken(other.name.clone());
            return Err(TokenFileError { path, why });
        }
        config.users[index].token_sha256 = Some(hash);
    }
    Ok(config)
}

fn read(path: &PathBuf) -> Result<Token, TokenFileFault> {
    let text = fs::read_to_string(path)?;
    match text.lines().next().unwrap_or_default().trim() {
        "" => Err(TokenFileFault::Empty),
        token => Ok(Token::new(token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, token: &str) -> config::User {
        config::User {
            token_sha256: Some(TokenHash::of(token)),
            ..config::User::named(name)
        }
    }

    #[test]
    fn a_token_finds_its_user_and_no_other_one() {
        let users = Users::new(&[user("one", "a"), user("two", "b")]);
        let name = |token: Option<&str>| {
            let token = token.map(Token::new);
            let user = users.identify(token.as_ref())?;
            Ok(user.map(|it| it.name.to_string()))
        };
        assert_eq!(name(Some("a")), Ok(Some("one".to_owned())));
        assert_eq!(name(Some("b")), Ok(Some("two".to_owned())));
        assert_eq!(name(Some("c")), Err(Unidentified::WrongToken));
        assert_eq!(name(Some("")), Err(Unidentified::WrongToken));
        assert_eq!(name(None), Err(Unidentified::NoToken));
    }

    #[test]
    fn without_users_whoever_comes_is_nobody_and_welcome() {
        let users = Users::default();
        assert!(matches!(users.identify(None), Ok(None)));
        assert!(matches!(users.identify(Some(&Token::new("x"))), Ok(None)));
    }

    #[test]
    fn a_token_may_be_the_first_line_of_a_file() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("token");
        let config = |file: &std::path::Path| Config {
            users: vec![
                user("one", "a"),
                config::User {
                    token_file: Some(file.to_owned()),
                    ..config::User::named("two")
                },
            ],
            ..Config::default()
        };
        fs::write(&file, " b\nnot this\n").expect("it is written");
        let read = with_tokens(&config(&file)).expect("it is there");
        assert_eq!(read.users[1].token_sha256, Some(TokenHash::of("b")));
        for (text, words) in [("\nb\n", "is empty"), ("a\n", "\"one\" has the same token")] {
            fs::write(&file, text).expect("it is written");
            let error = with_tokens(&config(&file)).expect_err("of no use");
            assert!(error.to_string().contains(words), "{error}");
        }
        let error = with_tokens(&config("/no/such".as_ref())).expect_err("no file");
        assert!(
            error.to_string().contains("token_file /no/such: "),
            "{error}"
        );
    }
}
