//! The keys of what may stand in the file many times: `[[source]]`, `[[destination]]`,
//! `[[rule]]`, `[[user]]`.
//!
//! The same kind of list as `keys`, for one item instead of the whole settings.

use super::found::Found;
use super::key::{Key, Shown, set};
use super::nats::{FIELDS, Servers, check_name, check_subject};
use super::{Destination, Rule, Source, User, WhenFull};
use crate::access::TokenHash;
use crate::limits;

/// One kind of `[[item]]`.
#[derive(Debug)]
pub(super) struct Items<T: 'static> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [Key<T>],
    /// An item before its keys are read.
    pub(super) blank: fn() -> T,
}

/// The names of all kinds.
pub(super) const ITEM_NAMES: [&str; 4] = [SOURCES.name, DESTINATIONS.name, RULES.name, USERS.name];

pub(super) const SOURCES: Items<Source> = Items {
    name: "source",
    meaning: "The message servers that the engine dials, with a [[source]] for each; any here \
              replace the defaults. source = [] is none at all.",
    keys: &[
        Key {
            name: "address",
            default: Shown::RequiredWithout("\"127.0.0.1:8001\"", "nats"),
            meaning: "host:port; a name is looked up again before each dial.",
            set: |source, v| set(&mut source.address, v.host_port()?),
        },
        Key {
            name: "ack",
            default: Shown::Default("false"),
            meaning: "Whether the engine writes {\"ack\":N} lines back.",
            set: |source, v| set(&mut source.ack, v.boolean()?),
        },
        Key {
            name: "tls",
            default: Shown::Default("false"),
            meaning: "Whether it is spoken to by TLS; then tls_ca is wanted.",
            set: |source, v| set(&mut source.tls.is_on, v.boolean()?),
        },
        Key {
            name: "tls_ca",
            default: Shown::Absent("\"/etc/flipped-lb/ca.pem\""),
            meaning: "The file of the authorities that its certificate is signed by (PEM).",
            set: |source, v| set(&mut source.tls.ca, v.file()?),
        },
        Key {
            name: "tls_name",
            default: Shown::Absent("\"kitchen-1.example\""),
            meaning: "The name in its certificate, where that is not the host of its address.",
            set: |source, v| set(&mut source.tls.name, Some(v.text()?.to_owned())),
        },
        Key {
            name: "tls_cert",
            default: Shown::Absent("\"/etc/flipped-lb/engine.pem\""),
            meaning: "The engine's certificate for it, where it asks for one (PEM).",
            set: |source, v| set(&mut source.tls.cert, v.file()?),
        },
        Key {
            name: "tls_key",
            default: Shown::Absent("\"/etc/flipped-lb/engine.key\""),
            meaning: "The key of that certificate.",
            set: |source, v| set(&mut source.tls.key, v.file()?),
        },
        Key {
            name: "nats",
            default: Shown::Absent("\"nats://127.0.0.1:4222\""),
            meaning: "Instead of address: NATS servers whose stream is read, with commas between them; \
                      tls:// by TLS. A user and password, or a token, may stand before the host.",
            set: |source, v| set(&mut source.nats.servers, Some(servers(v)?)),
        },
        Key {
            name: "stream",
            default: Shown::Absent("\"ORDERS\""),
            meaning: "With nats: the JetStream stream; each of its messages is a line.",
            set: |source, v| set(&mut source.nats.stream, Some(nats_name(v)?)),
        },
        Key {
            name: "subject",
            default: Shown::Absent("\"orders.east.>\""),
            meaning: "With nats: only messages of this subject; * and > are wildcards.",
            set: |source, v| set(&mut source.nats.subject, Some(subject(v, true)?)),
        },
        Key {
            name: "durable",
            default: Shown::Absent("\"flipped-lb\""),
            meaning: "With nats: the consumer that remembers how far the stream was read. The engine makes \
                      it; no other one may use it.",
            set: |source, v| set(&mut source.nats.durable, Some(nats_name(v)?)),
        },
        Key {
            name: "creds",
            default: Shown::Absent("\"/etc/flipped-lb/engine.creds\""),
            meaning: "With nats: the file of the engine's JWT and seed there.",
            set: |source, v| set(&mut source.nats.creds, v.file()?),
        },
        Key {
            name: "nkey",
            default: Shown::Absent("\"/etc/flipped-lb/engine.nkey\""),
            meaning: "With nats: the file of the engine's seed there.",
            set: |source, v| set(&mut source.nats.nkey, v.file()?),
        },
    ],
    blank: || Source::to(""),
};

pub(super) const DESTINATIONS: Items<Destination> = Items {
    name: "destination",
    meaning: "The customers, with a [[destination]] for each; any here replace the defaults.",
    keys: &[
        Key {
            name: "id",
            default: Shown::Required("\"table1\""),
            meaning: "The destinationId of its messages, 1 to 50 bytes.",
            set: |destination, v| set(&mut destination.id, v.name()?),
        },
        Key {
            name: "vip",
            default: Shown::Default("false"),
            meaning: "Whether all its messages are level 1.",
            set: |destination, v| set(&mut destination.vip, v.boolean()?),
        },
        Key {
            name: "max_queued",
            default: Shown::Absent("1_000"),
            meaning: "How many messages may wait for it, where [scheduler] max_queued is not right.",
            set: |destination, v| {
                let count = v.count(1, limits::MESSAGES_MAX)?;
                set(&mut destination.max_queued, Some(count))
            },
        },
        Key {
            name: "when_full",
            default: Shown::Absent("\"reject\""),
            meaning: "What happens to a message for it with max_queued messages, wait or reject, where \
                      [scheduler] when_full is not right.",
            set: |destination, v| {
                let choices = [("wait", WhenFull::Wait), ("reject", WhenFull::Reject)];
                set(&mut destination.when_full, Some(v.choice(&choices)?))
            },
        },
        Key {
            name: "nats",
            default: Shown::Absent("\"nats://127.0.0.1:4222\""),
            meaning: "NATS servers that its messages are published to, as for a source. Then its id may \
                      be a pattern, such as \"west-*\": each destination that fits is created.",
            set: |destination, v| set(&mut destination.nats.servers, Some(servers(v)?)),
        },
        Key {
            name: "subject",
            default: Shown::Absent("\"orders.{id}\""),
            meaning: "With nats: the subject; {id} is the destination's id, as one token.",
            set: |destination, v| set(&mut destination.nats.subject, Some(subject(v, false)?)),
        },
        Key {
            name: "at_most_once",
            default: Shown::Default("false"),
            meaning: "With nats: whether the subject needs no stream; a message is delivered once it is \
                      sent, and lost where nobody listens. Else the stream's answer settles it.",
            set: |destination, v| set(&mut destination.nats.at_most_once, v.boolean()?),
        },
        Key {
            name: "headers",
            default: Shown::Default("[]"),
            meaning: "With nats: fields of a message that are headers too, besides its messageId, which \
                      is Nats-Msg-Id: sourceServerId, destinationId, messageType, priority, timestamp.",
            set: |destination, v| {
                let found = v.list()?;
                let fields = found.iter().map(|it| it.choice(&FIELDS));
                set(
                    &mut destination.nats.headers,
                    fields.collect::<Result<_, _>>()?,
                )
            },
        },
        Key {
            name: "creds",
            default: Shown::Absent("\"/etc/flipped-lb/engine.creds\""),
            meaning: "With nats: the file of the engine's JWT and seed there.",
            set: |destination, v| set(&mut destination.nats.creds, v.file()?),
        },
        Key {
            name: "nkey",
            default: Shown::Absent("\"/etc/flipped-lb/engine.nkey\""),
            meaning: "With nats: the file of the engine's seed there.",
            set: |destination, v| set(&mut destination.nats.nkey, v.file()?),
        },
        Key {
            name: "tls_ca",
            default: Shown::Absent("\"/etc/flipped-lb/ca.pem\""),
            meaning: "With nats: the file of the authorities that the servers' certificates are signed by \
                      (PEM); else the usual ones.",
            set: |destination, v| set(&mut destination.nats.ca, v.file()?),
        },
        Key {
            name: "tls_cert",
            default: Shown::Absent("\"/etc/flipped-lb/engine.pem\""),
            meaning: "With nats: the engine's certificate for servers that ask for one (PEM).",
            set: |destination, v| set(&mut destination.nats.cert, v.file()?),
        },
        Key {
            name: "tls_key",
            default: Shown::Absent("\"/etc/flipped-lb/engine.key\""),
            meaning: "The key of that certificate.",
            set: |destination, v| set(&mut destination.nats.key, v.file()?),
        },
    ],
    blank: || Destination::to(""),
};

pub(super) const RULES: Items<Rule> = Items {
    name: "rule",
    meaning: "What sets a message's level besides its own priority, with a [[rule]] for each: \
              all the conditions that are present must hold, and the first rule that fits wins. \
              By default there are none.",
    keys: &[
        Key {
            name: "destination",
            default: Shown::Absent("\"table2\""),
            meaning: "Equals the message's destinationId.",
            set: |rule, v| set(&mut rule.destination, Some(v.name()?)),
        },
        Key {
            name: "source",
            default: Shown::Absent("\"server1\""),
            meaning: "Equals the message's sourceServerId.",
            set: |rule, v| set(&mut rule.source, Some(v.name()?)),
        },
        Key {
            name: "message_type",
            default: Shown::Absent("\"breakfast\""),
            meaning: "Equals the message's messageType.",
            set: |rule, v| set(&mut rule.message_type, Some(v.name()?)),
        },
        Key {
            name: "hours",
            default: Shown::Absent("\"07:00-11:00\""),
            meaning: "Local time of the day; may wrap past midnight.",
            set: |rule, v| set(&mut rule.hours, Some(v.hours()?)),
        },
        Key {
            name: "priority",
            default: Shown::Required("1"),
            meaning: "The level that it sets, 1 = most urgent.",
            set: |rule, v| {
                let level = v.integer(1, limits::LEVELS_MAX as u64)?;
                set(&mut rule.priority, level as u8)
            },
        },
    ],
    blank: || Rule {
        destination: None,
        source: None,
        message_type: None,
        hours: None,
        priority: 0,
    },
};

pub(super) const USERS: Items<User> = Items {
    name: "user",
    meaning: "Who may connect, with a [[user]] for each; by default there are none, and nobody is \
              asked. With any, whoever shows no token is refused: in the first line \
              {\"subscribe\":[\"table1\"],\"token\":\"...\"} or {\"producer\":{\"token\":\"...\"}}, over \
              HTTP as Authorization: Bearer. A certificate of client_ca may stand in for it.",
    keys: &[
        Key {
            name: "name",
            default: Shown::Required("\"kitchen\""),
            meaning: "What logs call it.",
            set: |user, v| set(&mut user.name, v.name()?),
        },
        Key {
            name: "token_sha256",
            default: Shown::Absent(
                "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
            ),
            meaning: "The SHA-256 of its token: flipped-lb user hash makes it.",
            set: |user, v| set(&mut user.token_sha256, Some(token_hash(v)?)),
        },
        Key {
            name: "token_file",
            default: Shown::Absent("\"/etc/flipped-lb/kitchen.token\""),
            meaning: "Instead of that, the file whose first line is the token.",
            set: |user, v| match v.text()? {
                "" => Err("found nothing; write a file".to_owned()),
                path => set(&mut user.token_file, Some(path.into())),
            },
        },
        Key {
            name: "certificate",
            default: Shown::Absent("\"kitchen-1.example\""),
            meaning: "Also instead: a common or DNS name in its certificate, of client_ca.",
            set: |user, v| match v.text()? {
                "" => Err("found nothing; write a name in its certificate".to_owned()),
                name => set(&mut user.certificate, Some(name.to_owned())),
            },
        },
        Key {
            name: "may_send",
            default: Shown::Default("[]"),
            meaning: "Destinations that it may send to; * stands for any part of a name.",
            set: |user, v| set(&mut user.may_send, names(v)?),
        },
        Key {
            name: "may_receive",
            default: Shown::Default("[]"),
            meaning: "Destinations whose messages it may receive; likewise.",
            set: |user, v| set(&mut user.may_receive, names(v)?),
        },
        Key {
            name: "may_admin",
            default: Shown::Default("false"),
            meaning: "Whether it may ask over HTTP; /healthz and /readyz answer everybody.",
            set: |user, v| set(&mut user.may_admin, v.boolean()?),
        },
        Key {
            name: "source",
            default: Shown::Absent("\"server1\""),
            meaning: "The only sourceServerId that it may send as.",
            set: |user, v| set(&mut user.source, Some(v.name()?)),
        },
    ],
    blank: || User::named(""),
};

/// What was written may hold a password, and is not repeated.
fn servers(found: &Found) -> Result<Servers, String> {
    Servers::parse(found.secret_text()?)
}

fn subject(found: &Found, wild: bool) -> Result<String, String> {
    let text = found.text()?;
    check_subject(text, wild).map_err(|why| format!("found \"{text}\"; {why}"))?;
    Ok(text.to_owned())
}

fn nats_name(found: &Found) -> Result<String, String> {
    let text = found.text()?;
    check_name(text).map_err(|why| format!("found \"{text}\"; {why}"))?;
    Ok(text.to_owned())
}

/// Whoever writes the token itself here by mistake does not find it in a log.
fn token_hash(found: &Found) -> Result<TokenHash, String> {
    let hash = TokenHash::parse(found.secret_text()?);
    let hash = hash.ok_or_else(|| {
        "found no SHA-256, which is 64 hexadecimal digits; `flipped-lb user hash` makes it of a \
         token"
            .to_owned()
    })?;
    if hash.is_of_nothing() {
        return Err(
            "found the hash of an empty token, which is none; `flipped-lb user hash --generate` makes \
             a token and its hash"
                .to_owned(),
        );
    }
    Ok(hash)
}

fn names(found: &Found) -> Result<Vec<String>, String> {
    found.list()?.iter().map(Found::name).collect()
}
