//! The address of a database server, out of `[store] url`, and its password.
//!
//! ```text
//! mysql://user:password@host:3306/database?ssl-mode=verify-ca&ssl-ca=/etc/ca.pem
//! ```
//!
//! The words of the options are those of the `mysql` command. Nothing here repeats what was
//! written, for it may hold a password, and a [`Secret`] prints as stars.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

/// Where the server listens if the address does not say.
const PORT_DEFAULT: u16 = 3306;
/// The database's name if the address does not say.
const DATABASE_DEFAULT: &str = "flipped_lb";
const OPTIONS: &str = "the options are ssl-mode, ssl-ca and socket";

/// A password: it is used, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the driver.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Not at all.
    Disabled,
    /// Encrypted; the server's certificate is not checked.
    Required,
    /// ... and its certificate is signed by an authority that is trusted.
    VerifyCa,
    /// ... and the certificate is of the host that was dialled.
    VerifyIdentity,
}

const SSL_MODES: [(&str, SslMode); 4] = [
    ("disabled", SslMode::Disabled),
    ("required", SslMode::Required),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-identity", SslMode::VerifyIdentity),
];

impl SslMode {
    /// As it stands in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        let mut modes = SSL_MODES.iter();
        let found = modes.find(|(_, mode)| *mode == self);
        found.map_or("", |(word, _)| word)
    }
}

/// A MySQL or MariaDB server, and a database on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A socket of this machine instead of host and port.
    pub socket: Option<PathBuf>,
    /// Who asks.
    pub user: String,
    /// The password of the address itself; others come before it.
    pub password: Option<Secret>,
    /// The database with the table `messages`.
    pub database: String,
    /// How the way there is protected.
    pub ssl_mode: SslMode,
    /// The file of the authorities that are trusted besides the usual ones (PEM).
    pub ssl_ca: Option<PathBuf>,
}

impl Server {
    /// Reads an address that begins with `mysql:` or `mariadb:`.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|why| wrong(&why.to_string()))?;
        let host = url.host_str().filter(|it| !it.is_empty());
        let database = decoded(url.path().trim_start_matches('/'));
        let mut server = Self {
            host: decoded(host.unwrap_or("127.0.0.1").trim_matches(['[', ']'])),
            port: url.port().unwrap_or(PORT_DEFAULT),
            socket: None,
            user: decoded(url.username()),
            password: url.password().map(|it| Secret(decoded(it))),
            database: match database.as_str() {
                "" => DATABASE_DEFAULT.to_owned(),
                name => name.to_owned(),
            },
            ssl_mode: SslMode::Disabled,
            ssl_ca: None,
        };
        if server.user.is_empty() {
            return Err(wrong("it names no user"));
        }
        if server.database.contains(['/', '`', '\0']) {
            return Err(wrong("its path is not the name of one database"));
        }
        server.take_options(&url)?;
        Ok(server)
    }

    fn take_options(&mut self, url: &Url) -> Result<(), String> {
        let mut mode = None;
        for (name, value) in url.query_pairs() {
            match name.replace('_', "-").as_str() {
                "ssl-mode" => mode = Some(ssl_mode(&value)?),
                "ssl-ca" => self.ssl_ca = Some(PathBuf::from(&*value)),
                "socket" => self.socket = Some(PathBuf::from(&*value)),
                _ => {
                    return Err(wrong(&format!(
                        "it has an option that is not known; {OPTIONS}"
                    )));
                }
            }
        }
        // As the `mysql` command: an authority that is named is used.
        let implied = match self.ssl_ca {
            Some(_) => SslMode::VerifyCa,
            None => SslMode::Disabled,
        };
        self.ssl_mode = mode.unwrap_or(implied);
        Ok(())
    }

    /// The server and the database in words, without the password.
    #[must_use]
    pub fn place(&self) -> String {
        let (user, database) = (&self.user, &self.database);
        match &self.socket {
            Some(socket) => format!("mysql://{user}@{}/{database}", socket.display()),
            None => format!("mysql://{user}@{}:{}/{database}", self.host, self.port),
        }
    }
}

fn ssl_mode(value: &str) -> Result<SslMode, String> {
    let value = value.to_lowercase().replace('_', "-");
    let found = SSL_MODES.iter().find(|(word, _)| *word == value);
    found.map(|(_, mode)| *mode).ok_or_else(|| {
        wrong("ssl-mode is one of disabled, required, verify-ca and verify-identity")
    })
}

fn wrong(why: &str) -> String {
    format!(
        "found a database address that cannot be used: {why}; write mysql://user@host:3306/name"
    )
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_parts_and_defaults() {
        let server = Server::parse("mysql://me@db").expect("right");
        assert_eq!(
            (server.host.as_str(), server.port, server.user.as_str()),
            ("db", 3306, "me")
        );
        assert_eq!(server.database, "flipped_lb");
        assert_eq!(
            (server.password, server.ssl_mode),
            (None, SslMode::Disabled)
        );
        let server =
            Server::parse("mariadb://m%40e:p%3Aw@[::1]:33/rows?socket=/run/x").expect("right");
        assert_eq!((server.host.as_str(), server.port), ("::1", 33));
        assert_eq!(server.user, "m@e");
        assert_eq!(server.password, Some(Secret::new("p:w")));
        assert_eq!(server.socket, Some(PathBuf::from("/run/x")));
        assert_eq!(server.database, "rows");
    }

    #[test]
    fn protection_has_the_words_of_the_mysql_command() {
        let mode = |options: &str| {
            Server::parse(&format!("mysql://me@db/x?{options}")).map(|it| it.ssl_mode)
        };
        for (word, expected) in SSL_MODES {
            assert_eq!(mode(&format!("ssl-mode={word}")), Ok(expected));
            assert_eq!(expected.word(), word);
        }
        assert_eq!(mode("ssl_mode=VERIFY_CA"), Ok(SslMode::VerifyCa));
        assert_eq!(mode("ssl-ca=/ca.pem"), Ok(SslMode::VerifyCa));
        assert_eq!(
            mode("ssl-ca=/ca.pem&ssl-mode=REQUIRED"),
            Ok(SslMode::Required)
        );
        assert!(mode("ssl-mode=perhaps").is_err());
        assert!(mode("sslmode=required").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let server = Server::parse("mysql://me:secret@db/x").expect("right");
        assert!(!format!("{server:?} {}", server.place()).contains("secret"));
        for wrong in [
            "mysql://me:secret@db:99999/x",
            "mysql://:secret@db/x",
            "mysql://me:secret@db/x/secret",
            "mysql://me:secret@db/x?secret=secret",
            "mysql://me:secret@/x?ssl-mode=secret",
        ] {
            let why = Server::parse(wrong).expect_err("wrong");
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
