//! The users: who shows which token, and what each may do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConditionallySelectable as _;

use super::names::Names;
use super::token::{Token, TokenFault, TokenHash};
use crate::config::{self, Config};
use crate::setting_file;

/// One who may connect.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Box<str>,
    /// Its place in the list.
    pub(super) index: usize,
    /// `None`: it shows a certificate.
    token: Option<TokenHash>,
    /// The name in its certificate.
    certificate: Option<Box<str>>,
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

    /// Whether it may receive what the other one may.
    pub(crate) fn receives_as(&self, other: &User) -> bool {
        self.may_receive == other.may_receive
    }

    /// Whether it may ask over HTTP.
    pub(crate) fn may_admin(&self) -> bool {
        self.may_admin
    }

    /// Whether a certificate with these names is its own. DNS names have no case, and a common name may be
    /// one.
    fn is_named(&self, names: &[String]) -> bool {
        let own = self.certificate.as_deref();
        own.is_some_and(|own| names.iter().any(|it| it.eq_ignore_ascii_case(own)))
    }
}

/// What a peer shows of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Proof<'a> {
    pub(crate) token: Option<&'a Token>,
    /// The names in its certificate, which was verified.
    pub(crate) certificate: Option<&'a [String]>,
}

/// Why a peer is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unidentified {
    NoToken,
    WrongToken,
    /// What it shows has not the form of one.
    NotAToken,
    /// Its certificate is no user's, and it shows no token.
    UnknownCertificate,
    /// Its certificate has the names of several users, and it shows no token.
    SharedCertificate,
}

impl Unidentified {
    /// Whether it has shown a token.
    pub(crate) fn shows_token(self) -> bool {
        matches!(self, Self::WrongToken | Self::NotAToken)
    }

    /// What is told to the peer. `how` says how to show a token.
    pub(crate) fn words(self, how: &str) -> String {
        match self {
            Self::NoToken => format!("a token is wanted here; {how}"),
            Self::WrongToken => format!("no user has this token; {how}"),
            Self::NotAToken => {
                format!("this is not a token, which is printable ASCII without spaces; {how}")
            }
            Self::UnknownCertificate => {
                format!("no user has a name of this certificate, and there is no token; {how}")
            }
            Self::SharedCertificate => {
                format!("several users have names of this certificate; {how}")
            }
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
            list.push(Arc::new(User {
                name: user.name.as_str().into(),
                index: list.len(),
                // `with_tokens` has read those in files.
                token: user.token_sha256,
                certificate: user.certificate.as_deref().map(Into::into),
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

    /// Who somebody is among these users, where it was one of others before a reload; `None`: tokens
    /// are not asked for. `before` is `None` where they were not asked for then.
    ///
    /// # Errors
    /// Nobody any more, in words for the peer.
    pub(crate) fn follow(&self, before: Option<&User>) -> Result<Option<&Arc<User>>, String> {
        if !self.want_token() {
            return Ok(None);
        }
        let before = before.ok_or("a token is wanted here now; connect anew with one")?;
        let user = self.list.iter().find(|it| it.name == before.name);
        match user {
            None => Err("this user is not in the settings any more".to_owned()),
            Some(user) if before.token.is_some() && user.token != before.token => {
                Err("this user has another token now; connect anew with it".to_owned())
            }
            Some(user)
                if before.certificate.is_some() && user.certificate != before.certificate =>
            {
                Err("this user has another certificate now; connect anew with it".to_owned())
            }
            user => Ok(user),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<User>> {
        self.list.iter()
    }

    /// Who shows this; `None`: nobody is asked. A token that is shown decides, whatever the certificate.
    ///
    /// # Errors
    /// Nobody.
    pub(crate) fn identify(&self, proof: Proof<'_>) -> Result<Option<&Arc<User>>, Unidentified> {
        if !self.want_token() {
            return Ok(None);
        }
        match proof {
            Proof {
                token: Some(it), ..
            } => self.of_token(it),
            Proof {
                certificate: Some(names),
                ..
            } => self.of_certificate(names),
            _ => Err(Unidentified::NoToken),
        }
        .map(Some)
    }

    /// Whose token this is. All users are compared with, whoever it is.
    fn of_token(&self, token: &Token) -> Result<&Arc<User>, Unidentified> {
        let shown = token.hash();
        let mut found = u64::MAX;
        for (index, user) in (0_u64..).zip(&self.list) {
            if let Some(token) = &user.token {
                found.conditional_assign(&index, token.matches(&shown));
            }
        }
        let found = usize::try_from(found).ok();
        let user = found.and_then(|it| self.list.get(it));
        user.ok_or(if token.is_well_formed() {
            Unidentified::WrongToken
        } else {
            Unidentified::NotAToken
        })
    }

    /// Whose certificate this is.
    fn of_certificate(&self, names: &[String]) -> Result<&Arc<User>, Unidentified> {
        let mut named = self.list.iter().filter(|it| it.is_named(names));
        match (named.next(), named.next()) {
            (Some(user), None) => Ok(user),
            (Some(_), Some(_)) => Err(Unidentified::SharedCertificate),
            (None, _) => Err(Unidentified::UnknownCertificate),
        }
    }
}

/// The users that count now: a reload puts others in their place. The lock is held for a copy.
#[derive(Debug, Default)]
pub(crate) struct CurrentUsers(Mutex<Arc<Users>>);

impl CurrentUsers {
    pub(crate) fn new(users: Arc<Users>) -> Self {
        Self(Mutex::new(users))
    }

    pub(crate) fn get(&self) -> Arc<Users> {
        Arc::clone(&self.lock())
    }

    pub(crate) fn set(&self, users: Arc<Users>) {
        *self.lock() = users;
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Users>> {
        // Nothing in the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    #[error(transparent)]
    Token(#[from] TokenFault),
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

fn read(path: &Path) -> Result<Token, TokenFileFault> {
    Ok(Token::of_first_line(&setting_file::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

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
            let user = users.identify(Proof {
                token: token.as_ref(),
                certificate: None,
            })?;
            Ok(user.map(|it| it.name.to_string()))
        };
        assert_eq!(name(Some("a")), Ok(Some("one".to_owned())));
        assert_eq!(name(Some("b")), Ok(Some("two".to_owned())));
        assert_eq!(name(Some("c")), Err(Unidentified::WrongToken));
        for wrong in ["c d", "\u{e4}", "c\n"] {
            assert_eq!(name(Some(wrong)), Err(Unidentified::NotAToken), "{wrong:?}");
        }
        assert_eq!(name(None), Err(Unidentified::NoToken));
    }

    #[test]
    fn without_users_whoever_comes_is_nobody_and_welcome() {
        let users = Users::default();
        let token = Token::new("x");
        let proofs = [
            (None, None),
            (Some(&token), None),
            (None, Some(&["x".to_owned()][..])),
        ];
        for (token, certificate) in proofs {
            let proof = Proof { token, certificate };
            assert!(matches!(users.identify(proof), Ok(None)));
        }
    }

    #[test]
    fn a_certificate_finds_the_one_user_of_its_names_and_a_token_goes_before_it() {
        let named = |name: &str, certificate: &str| config::User {
            certificate: Some(certificate.to_owned()),
            ..config::User::named(name)
        };
        let users = Users::new(&[
            user("one", "a"),
            named("two", "till.example"),
            named("three", "Bar"),
        ]);
        let name = |token: Option<&str>, names: &[&str]| {
            let token = token.map(Token::new);
            let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
            let user = users.identify(Proof {
                token: token.as_ref(),
                certificate: Some(&names),
            })?;
            Ok(user.map(|it| it.name.to_string()).unwrap_or_default())
        };
        assert_eq!(name(None, &["till.example"]), Ok("two".to_owned()));
        assert_eq!(name(None, &["x", "TILL.example"]), Ok("two".to_owned()));
        assert_eq!(name(None, &["bar"]), Ok("three".to_owned()));
        assert_eq!(name(Some("a"), &["bar"]), Ok("one".to_owned()));
        assert_eq!(name(Some("b"), &["bar"]), Err(Unidentified::WrongToken));
        let unknown = Err(Unidentified::UnknownCertificate);
        for names in [&[][..], &["one"], &["till"], &["till.example.", ""]] {
            assert_eq!(name(None, names), unknown, "{names:?}");
        }
        let shared = Err(Unidentified::SharedCertificate);
        assert_eq!(name(None, &["bar", "till.example"]), shared);
    }

    #[test]
    fn who_was_one_of_other_users_is_one_by_name_and_token() {
        let (before, nobody) = (Users::new(&[user("one", "a")]), Users::default());
        let one = before.list[0].as_ref();
        let after = |users: &[config::User], who| {
            let users = Users::new(users);
            users.follow(who).map(|it| it.map(|it| it.name.to_string()))
        };
        let certified = |token: Option<&str>, name: &str| config::User {
            token_sha256: token.map(TokenHash::of),
            certificate: Some(name.to_owned()),
            ..config::User::named("one")
        };
        let with_certificate = Users::new(&[certified(None, "till")]);
        let certified_one = with_certificate.list[0].as_ref();
        // What is added takes nothing away.
        let more = [certified(Some("a"), "till")];
        for who in [one, certified_one] {
            assert_eq!(after(&more, Some(who)), Ok(Some("one".to_owned())));
        }
        let same = [user("new", "n"), user("one", "a")];
        assert_eq!(after(&same, Some(one)), Ok(Some("one".to_owned())));
        assert_eq!(after(&[], Some(one)), Ok(None));
        assert!(matches!(nobody.follow(None), Ok(None)));
        for (users, who, words) in [
            (user("one", "b"), Some(one), "another token"),
            (certified(None, "till"), Some(one), "another token"),
            (
                certified(Some("a"), "bar"),
                Some(certified_one),
                "another certificate",
            ),
            (user("other", "a"), Some(one), "not in the settings"),
            (user("one", "a"), None, "a token is wanted"),
        ] {
            let why = after(&[users], who).expect_err("nobody any more");
            assert!(why.contains(words), "{why}");
        }
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
        for (text, words) in [
            ("\nb\n", "is empty"),
            ("\u{feff}b\n", "byte order mark"),
            ("b\u{e4}\n", "not a token"),
            ("a\n", "\"one\" has the same token"),
        ] {
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
