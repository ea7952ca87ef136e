//! One connection to the servers: made, checked, and watched for its end.
//!
//! A lost connection is not restored: it ends the session, and the next session makes another.
//! So nothing that was queued for one connection goes out on another.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ToServerAddrs};
use tokio::sync::mpsc::{Receiver, channel};
use tracing::warn;

use super::rights::Rights;
use super::version::{Verdict, check_version};
use crate::config::Nats;
use crate::config::nats::Login;
use crate::escape::Escaped;
use crate::limits::{NATS_ANSWER_MAX, NATS_PING_INTERVAL};
use crate::setting_file;

/// Events that may wait to be heard; further ones are lost, but for the end, which is asked for.
const EVENTS: usize = 64;

/// A connection that stands.
pub(super) struct Connection {
    pub(super) client: Client,
    events: Receiver<Event>,
    /// What the user needs, in words.
    rights: String,
    /// The last error that the server has sent.
    last_error: Rc<RefCell<Option<String>>>,
}

/// The last error that the server has sent: it may say why something was not answered.
#[derive(Debug, Clone)]
pub(super) struct LastError(Rc<RefCell<Option<String>>>);

impl LastError {
    /// `; the server says: ...`, or nothing.
    pub(super) fn words(&self) -> String {
        let said = self.0.borrow();
        let said = said.as_ref();
        said.map_or(String::new(), |it| format!("; the server says: {it}"))
    }
}

/// Connects to one of the servers of a source or a destination, called `name` in the log, whose user needs
/// these rights.
///
/// # Errors
/// Why not, in words.
pub(super) async fn connect(
    nats: &Nats,
    name: &str,
    rights: &Rights,
) -> Result<Connection, String> {
    let servers = nats.servers.as_ref().ok_or("no server is set")?;
    let (sender, events) = channel(EVENTS);
    let options = options(nats)?
        .name(format!("flipped-lb {name}"))
        .event_callback(move |event| {
            let sender = sender.clone();
            async move { drop(sender.try_send(event)) }
        });
    let named = servers.to_string();
    let client = dial(options, nats.urls(), &named, 2 * NATS_ANSWER_MAX).await?;
    let info = client.server_info();
    match check_version(&info.version) {
        Verdict::Refused(why) => return Err(format!("{servers} is refused: {why}")),
        Verdict::Old(why) => warn!(%name, "{}", Escaped(why)),
        Verdict::Fine => {}
    }
    Ok(Connection {
        client,
        events,
        rights: rights.words(),
        last_error: Rc::default(),
    })
}

/// How to connect; the files of the credentials are read anew each time.
pub(crate) fn options(nats: &Nats) -> Result<ConnectOptions, String> {
    let mut options = ConnectOptions::new()
        .ping_interval(NATS_PING_INTERVAL)
        .connection_timeout(NATS_ANSWER_MAX)
        .request_timeout(Some(NATS_ANSWER_MAX))
        // Each server is tried once. A lost connection is not restored: see the module.
        .max_reconnects(Some(
            nats.servers.as_ref().map_or(1, |it| it.addresses.len()),
        ));
    let servers = nats.servers.as_ref();
    options = match servers.and_then(|it| it.login.as_ref()) {
        Some(Login::Password(user, password)) => {
            options.user_and_password(user.clone(), password.reveal().to_owned())
        }
        Some(Login::Token(token)) => options.token(token.reveal().to_owned()),
        None => options,
    };
    let failed = |path: &Path, why: io::Error| format!("{} cannot be read: {why}", path.display());
    let read = |path: &Path| setting_file::read_text(path).map_err(|why| failed(path, why));
    if let Some(path) = &nats.creds {
        let parsed = options.credentials(&read(path)?);
        // The error may repeat what is in the file.
        options = parsed.map_err(|_| format!("{} has no JWT and seed", path.display()))?;
    } else if let Some(path) = &nats.nkey {
        options = options.nkey(read(path)?.trim().to_owned());
    }
    // The client opens these itself, and would wait for a pipe.
    for path in [&nats.ca, &nats.cert, &nats.key].into_iter().flatten() {
        setting_file::read(path).map_err(|why| failed(path, why))?;
    }
    if let Some(ca) = &nats.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&nats.cert, &nats.key) {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    if servers.is_some_and(|it| it.is_tls) {
        options = options.require_tls(true);
    }
    Ok(options)
}

/// Connects to one of these servers, which the error calls `name`.
///
/// # Errors
/// Why not, in words.
pub(crate) async fn dial(
    options: ConnectOptions,
    urls: impl ToServerAddrs,
    name: &str,
    within: Duration,
) -> Result<Client, String> {
    let connected = tokio::time::timeout(within, options.connect(urls)).await;
    let connected = connected.map_err(|_| format!("{name} does not answer"))?;
    connected.map_err(|error| refused(name, &error))
}

/// Why a server was not connected to. Nothing of the credentials is repeated.
fn refused(servers: &str, error: &async_nats::ConnectError) -> String {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => format!(
            "{servers} refuses the credentials (authorization violation); look at the user and password, \
             creds or nkey"
        ),
        ConnectErrorKind::Authentication => {
            format!(
                "the seed in creds or nkey cannot sign what {servers} asks for; is it a user's seed?"
            )
        }
        ConnectErrorKind::TimedOut => format!("{servers} does not answer in time"),
        _ => format!("{servers} is not reached: {error}"),
    }
}

impl Connection {
    /// Ends when the connection has ended; why.
    pub(super) async fn ended(&mut self) -> String {
        while let Some(event) = self.events.recv().await {
            match event {
                Event::Disconnected | Event::Closed => break,
                Event::ServerError(said) => {
                    let said = with_remedy(said.to_string(), &self.rights);
                    if is_unacknowledged(&said) {
                        return format!("no message can be acknowledged: {said}");
                    }
                    *self.last_error.borrow_mut() = Some(said);
                }
                Event::LameDuckMode => return "the server is shutting down".to_owned(),
                _ => {}
            }
        }
        format!("the connection was lost{}", self.last_error().words())
    }

    /// What the server complains of, for others.
    pub(super) fn last_error(&self) -> LastError {
        LastError(Rc::clone(&self.last_error))
    }
}

/// Whether the server has refused an acknowledgement to a stream, which nothing else tells.
fn is_unacknowledged(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.contains("permissions violation for publish to \"$js.ack.")
}

/// What the server says; of rights that are missing, with all that are needed.
fn with_remedy(said: String, rights: &str) -> String {
    match said.to_ascii_lowercase().contains("permissions violation") {
        true => format!("{said}; this user needs the rights to {rights}"),
        false => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::nats::Servers;

    #[test]
    fn who_lacks_a_right_is_told_all_that_are_needed() {
        let said = "Permissions Violation for Publish to \"out.a\"";
        let told = with_remedy(said.to_owned(), "publish to out.*");
        assert!(told.ends_with("needs the rights to publish to out.*"));
        let other = with_remedy("slow consumer".to_owned(), "publish to out.*");
        assert_eq!(other, "slow consumer");
    }

    #[test]
    fn an_acknowledgement_that_is_refused_is_told_from_other_errors() {
        assert!(is_unacknowledged(
            "Permissions Violation for Publish to \"$JS.ACK.IN.durable.1.2.3.4.5\""
        ));
        assert!(!is_unacknowledged(
            "Permissions Violation for Publish to \"out.a\""
        ));
    }

    #[test]
    fn files_of_credentials_that_cannot_be_used_are_named_and_not_repeated() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("engine.creds");
        let nats = Nats {
            servers: Some(Servers::parse("nats://127.0.0.1:1").expect("a server")),
            creds: Some(file.clone()),
            ..Nats::default()
        };
        let why = options(&nats).expect_err("no file");
        assert!(why.contains("engine.creds cannot be read"), "{why}");
        std::fs::write(&file, "s3cret").expect("it is written");
        let why = options(&nats).expect_err("no credentials");
        assert!(
            why.contains("has no JWT") && !why.contains("s3cret"),
            "{why}"
        );
    }
}
