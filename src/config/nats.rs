//! NATS in the settings: which servers, who the engine is there, and what of them a `[[source]]` or a
//! `[[destination]]` uses.
//!
//! ```text
//! nats = "nats://user:password@host:4222,nats://other:4222"     tls:// instead: by TLS
//! ```
//!
//! What is shown is [`Servers`]' `Display`, which has no user and no password.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Destination, Secret, Source};

/// Where a NATS server listens if the address does not say.
const PORT_DEFAULT: u16 = 4222;
/// In a subject, the destination's id.
pub(crate) const ID: &str = "{id}";

/// Who the engine is to the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A user and its password.
    Password(String, Secret),
    /// A token.
    Token(Secret),
}

/// The servers of one system: one of them is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// `host:port` each.
    pub addresses: Vec<String>,
    /// By TLS.
    pub is_tls: bool,
    /// Out of the address; files come beside it.
    pub login: Option<Login>,
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "tls" } else { "nats" };
        for (at, address) in self.addresses.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{scheme}://{address}")?;
        }
        Ok(())
    }
}

impl Servers {
    /// Reads one address, or several with commas between them.
    ///
    /// # Errors
    /// What is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut servers = Self {
            addresses: Vec::new(),
            is_tls: false,
            login: None,
        };
        for (at, one) in text.split(',').map(str::trim).enumerate() {
            let url = Url::parse(one).map_err(|why| wrong(&why.to_string()))?;
            let is_tls = match url.scheme() {
                "nats" => false,
                "tls" => true,
                _ => return Err(wrong("it begins with nats:// or tls://")),
            };
            if at > 0 && is_tls != servers.is_tls {
                return Err(wrong("some are nats:// and some tls://"));
            }
            servers.is_tls = is_tls;
            let host = url.host_str().filter(|it| !it.is_empty());
            let host = host.ok_or_else(|| wrong("it has no host"))?;
            if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some()
            {
                return Err(wrong("nothing stands behind the port"));
            }
            let port = url.port().unwrap_or(PORT_DEFAULT);
            servers.addresses.push(format!("{host}:{port}"));
            let login = login(&url)?;
            if login.is_some() && servers.login.is_some() && login != servers.login {
                return Err(wrong(
                    "it has two users; write the same one, or only one of them",
                ));
            }
            servers.login = servers.login.or(login);
        }
        Ok(servers)
    }

    /// The addresses as the client takes them; nothing of the login.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.to_string().split(',').map(str::to_owned).collect()
    }
}

fn wrong(why: &str) -> String {
    format!("found no address of NATS servers: {why}; write such as \"nats://127.0.0.1:4222\"")
}

fn login(url: &Url) -> Result<Option<Login>, String> {
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|it| it.into_owned())
            .map_err(|_| wrong("its user or password is not UTF-8"))
    };
    let user = decoded(url.username())?;
    Ok(match url.password() {
        Some(password) => Some(Login::Password(user, Secret::new(decoded(password)?))),
        None if user.is_empty() => None,
        None => Some(Login::Token(Secret::new(user))),
    })
}

/// What a `[[source]]` or a `[[destination]]` says of NATS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nats {
    /// `None`: it has nothing to do with NATS.
    pub servers: Option<Servers>,
    /// The file of a user's JWT and seed.
    pub creds: Option<PathBuf>,
    /// The file of a seed.
    pub nkey: Option<PathBuf>,
    /// The file of the authorities that the servers' certificates are signed by (PEM); `None`: the usual
    /// ones.
    pub ca: Option<PathBuf>,
    /// The file of the engine's certificate for them, ...
    pub cert: Option<PathBuf>,
    /// ... and that of its key.
    pub key: Option<PathBuf>,
    /// The stream that a source reads.
    pub stream: Option<String>,
    /// Of a source: which messages of the stream, `None`: all. Of a destination: where its messages go.
    pub subject: Option<String>,
    /// The consumer that remembers how far a source was read.
    pub durable: Option<String>,
    /// A destination's messages are published without an answer.
    pub at_most_once: bool,
    /// Fields of its messages that are headers too.
    pub headers: Vec<Field>,
}

impl Nats {
    /// Servers that ask for nobody's name, or for the one in their address.
    ///
    /// # Errors
    /// What is wrong with the address, without repeating it.
    pub fn to(servers: &str) -> Result<Self, String> {
        Ok(Self {
            servers: Some(Servers::parse(servers)?),
            ..Self::default()
        })
    }

    /// The servers as the client takes them; empty: there are none.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.servers.as_ref().map_or_else(Vec::new, Servers::urls)
    }

    /// Whether it has a certificate without its key, or a key alone.
    pub(super) fn has_half_a_certificate(&self) -> bool {
        self.cert.is_some() != self.key.is_some()
    }

    /// Whether a key that is of use with `nats` alone was given.
    pub(super) fn is_orphan(&self) -> bool {
        self.servers.is_none() && *self != Self::default()
    }
}

/// A field of a message that may be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `sourceServerId`.
    SourceServerId,
    /// `destinationId`.
    DestinationId,
    /// `messageType`.
    MessageType,
    /// `priority`.
    Priority,
    /// `timestamp`.
    Timestamp,
}

/// Their names.
pub(crate) const FIELDS: [(&str, Field); 5] = [
    ("sourceServerId", Field::SourceServerId),
    ("destinationId", Field::DestinationId),
    ("messageType", Field::MessageType),
    ("priority", Field::Priority),
    ("timestamp", Field::Timestamp),
];

impl Source {
    /// What logs and `/stats` call a stream that is read: servers, stream and durable.
    pub(super) fn name_after_stream(&mut self) {
        let nats = &self.nats;
        if let (Some(servers), Some(stream), Some(durable)) =
            (&nats.servers, &nats.stream, &nats.durable)
            && self.address.is_empty()
        {
            self.address = format!("{servers}/{stream}/{durable}");
            self.ack = true;
        }
    }
}

impl Destination {
    /// Where its messages go; `None`: to subscribers.
    #[must_use]
    pub fn nats_subject(&self) -> Option<(&Servers, &str)> {
        Some((self.nats.servers.as_ref()?, self.nats.subject.as_deref()?))
    }

    /// Whether it stands for all destinations whose ids fit.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.nats.servers.is_some() && self.id.contains('*')
    }
}

/// The subject of a destination: its id is one token, and other ids have other subjects. What a token
/// cannot hold is written as `%` and two hexadecimal digits.
#[must_use]
pub(crate) fn subject_of(template: &str, id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for char in id.chars() {
        if char.is_control() || char.is_whitespace() || ".*>%".contains(char) {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                token.push_str(&format!("%{byte:02X}"));
            }
        } else {
            token.push(char);
        }
    }
    template.replace(ID, &token)
}

/// Whether a text is a subject: tokens with dots between them; `wild`: `*` and `>` may be tokens.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_subject(text: &str, wild: bool) -> Result<(), String> {
    if text.is_empty() || text.split('.').any(str::is_empty) {
        return Err("a subject is tokens with dots between them, none of them empty".to_owned());
    }
    if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
        return Err("a subject has no spaces".to_owned());
    }
    let count = text.split('.').count();
    for (at, token) in text.split('.').enumerate() {
        let is_wild = token == "*" || (token == ">" && at + 1 == count);
        if token.contains(['*', '>']) && !(wild && is_wild) {
            return Err(match wild {
                true => {
                    "* stands for a whole token, and > for all that follow, at the end".to_owned()
                }
                false => {
                    "messages are published to one subject; write it without * and >".to_owned()
                }
            });
        }
    }
    Ok(())
}

/// A name of a stream or of a durable.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_name(text: &str) -> Result<(), String> {
    let odd = |it: char| it.is_whitespace() || it.is_control() || ".*>/\\".contains(it);
    match text.is_empty() || text.contains(odd) {
        true => Err("it has at least one character, and no space, dot, *, >, / or \\".to_owned()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_their_login_and_shown_without() {
        let text = "nats://bob:s%40cret@one:4223, nats://two";
        let servers = Servers::parse(text).expect("two servers");
        assert_eq!(servers.addresses, ["one:4223", "two:4222"]);
        let login = Login::Password("bob".to_owned(), Secret::new("s@cret"));
        assert_eq!(servers.login, Some(login));
        assert_eq!(servers.to_string(), "nats://one:4223,nats://two:4222");
        assert!(!format!("{servers:?}").contains("s@cret"));
        let token = Servers::parse("tls://t0ken@one").expect("a server");
        assert_eq!(token.login, Some(Login::Token(Secret::new("t0ken"))));
        assert_eq!(token.urls(), ["tls://one:4222"]);
        let v6 = Servers::parse("nats://[::1]:4222").expect("a server");
        assert_eq!(v6.addresses, ["[::1]:4222"]);
    }

    #[test]
    fn what_is_no_server_is_refused_without_repeating_it() {
        for text in [
            "",
            "host:4222",
            "http://s3cret@host",
            "nats://",
            "nats://s3cret@host/path",
            "nats://host?s3cret",
            "nats://a,tls://b",
            "nats://u:s3cret@a,nats://u:s3creT@b",
            "nats://host:99999",
            "nats://host,",
        ] {
            let why = Servers::parse(text).expect_err(text);
            assert!(why.contains("nats://127.0.0.1:4222"), "{why}");
            assert!(!why.contains("s3cre"), "{why}");
        }
    }

    #[test]
    fn an_id_is_one_token_and_other_ids_have_other_subjects() {
        assert_eq!(subject_of("orders.{id}", "west-1"), "orders.west-1");
        assert_eq!(
            subject_of("orders.{id}.new", "a.b c"),
            "orders.a%2Eb%20c.new"
        );
        assert_eq!(subject_of("{id}", "k\u{fc}che"), "k\u{fc}che");
        assert_eq!(subject_of("orders", "a"), "orders");
        let ids = ["a.b", "a%2Eb", "a*", "a>", "a", "a\u{a0}b", "a b", "%"];
        let mut subjects = ids.map(|it| subject_of("o.{id}", it)).to_vec();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), ids.len());
        for subject in subjects {
            assert_eq!(check_subject(&subject, false), Ok(()));
        }
    }

    #[test]
    fn subjects_and_names_are_checked() {
        for text in ["orders", "orders.*.new", "orders.>", ">", "*"] {
            assert_eq!(check_subject(text, true), Ok(()), "{text}");
        }
        for text in [
            "", ".", "a.", ".a", "a..b", "a b", "a.>.b", "a*", "a.b>", "a\n",
        ] {
            assert!(check_subject(text, true).is_err(), "{text:?}");
        }
        for text in ["orders.*", ">"] {
            assert!(check_subject(text, false).is_err(), "{text}");
        }
        assert_eq!(check_name("ORDERS_1-x"), Ok(()));
        for text in ["", "a.b", "a b", "a*", ">", "a/b"] {
            assert!(check_name(text).is_err(), "{text:?}");
        }
    }
}
