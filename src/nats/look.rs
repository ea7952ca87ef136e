//! A check of the servers of a source or a destination, for `doctor`: are they reachable, is the stream there, has
//! the user its rights. It makes, reads and changes nothing there.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use serde::Deserialize;

use super::connect::{Connection, connect};
use super::of_source;
use super::rights::{Permissions, Rights};
use super::source::no_stream;
use crate::config;

/// A server tells by this which rights a user has.
const USER_INFO: &str = "$SYS.REQ.USER.INFO";

/// How long that may take: it is left out where the user may not ask.
const USER_INFO_MAX: Duration = Duration::from_secs(2);

/// What was found, in sentences.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// What is right.
    pub(crate) found: Vec<String>,
    /// What could not be looked at.
    pub(crate) unknown: Vec<String>,
    /// What will not work.
    pub(crate) wrong: Vec<String>,
}

#[derive(Deserialize)]
struct UserInfo {
    data: User,
}

#[derive(Deserialize)]
struct User {
    /// `None`: it may do all.
    permissions: Option<Permissions>,
}

/// A `[[source]]` with `nats`.
pub(crate) async fn at_source(source: &config::Source) -> Look {
    let nats = of_source(source);
    let rights = Rights::of_source(&nats);
    let mut look = Look::default();
    let Some(connection) = look.connect(&nats, &source.address, &rights).await else {
        return look;
    };
    look.ask_rights(&connection.client, &rights).await;
    let name = nats.stream.as_deref().unwrap_or_default();
    let stream = jetstream::new(connection.client.clone())
        .get_stream(name)
        .await;
    match stream {
        Ok(stream) => {
            let count = stream.cached_info().state.messages;
            let found = format!("stream \"{name}\" is there, with {count} messages");
            look.found.push(found);
        }
        Err(why) => look.wrong.push(no_stream(name, &nats, &why)),
    }
    look
}

/// A `[[destination]]` with `nats`.
pub(crate) async fn at_destination(destination: &config::Destination) -> Look {
    let nats = &destination.nats;
    let rights = Rights::of_destination(nats, &destination.id);
    let mut look = Look::default();
    let name = format!("destination {}", destination.id);
    let Some(connection) = look.connect(nats, &name, &rights).await else {
        return look;
    };
    look.ask_rights(&connection.client, &rights).await;
    let subject = &rights.publish[0];
    if nats.at_most_once {
        let found =
            format!("\"{subject}\": at most once, as at_most_once says; nothing is answered");
        look.found.push(found);
        return look;
    }
    let streams = jetstream::new(connection.client.clone());
    match streams.stream_by_subject(subject.clone()).await {
        Ok(stream) => look
            .found
            .push(format!("\"{subject}\" is taken by the stream \"{stream}\"")),
        // Only who publishes without JetStream's rights may not ask either.
        Err(why) if why.to_string().contains("timed out") => {
            let unknown = format!("which stream takes \"{subject}\": {why}");
            look.unknown.push(unknown);
        }
        Err(_) => look.wrong.push(format!(
            "no stream takes the subject \"{subject}\": add it to one, or set at_most_once = true, and \
             messages are delivered at most once"
        )),
    }
    look
}

impl Look {
    async fn connect(
        &mut self,
        nats: &config::Nats,
        name: &str,
        rights: &Rights,
    ) -> Option<Connection> {
        match connect(nats, name, rights).await {
            Ok(connection) => {
                let info = connection.client.server_info();
                let found = format!("nats-server {} is reached", info.version);
                self.found.push(found);
                Some(connection)
            }
            Err(why) => {
                self.wrong.push(why);
                None
            }
        }
    }

    async fn ask_rights(&mut self, client: &Client, rights: &Rights) {
        let asked = client.request(USER_INFO, "".into());
        let told = match tokio::time::timeout(USER_INFO_MAX, asked).await {
            Ok(Ok(message)) => serde_json::from_slice::<UserInfo>(&message.payload).ok(),
            _ => None,
        };
        let Some(told) = told else {
            self.unknown.push(format!(
                "the user's rights: it may not ask {USER_INFO}; it needs those to {}",
                rights.words()
            ));
            return;
        };
        let missing = rights.missing(&told.data.permissions.unwrap_or_default());
        match missing.is_empty() {
            true => self.found.push("the user has its rights".to_owned()),
            false => self
                .wrong
                .push(format!("the user lacks the rights to {}", missing.words())),
        }
    }
}
