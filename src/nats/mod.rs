//! NATS as source and as customer: streams are read, and messages are published to subjects.
//!
//! ```text
//! stream ==pull==> source ---lines, socket pair---> INGEST ... DELIVERY ---frames---> destination ==> subject
//!        <==ack===        <--answers---------------                     <--acks-----              <== PubAck
//!        \_______________________ one thread, async-nats on a current-thread runtime ______________________/
//! ```
//! To the agents a source is one that is dialled and acknowledged, a destination a subscriber that
//! acknowledges: what they promise to any peer holds here. Nothing of this runs without a `nats` key.

pub(crate) mod connect;
mod destination;
mod link;
pub(crate) mod look;
mod rights;
mod source;
mod thread;
pub(crate) mod version;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::destination::{Customer, Destination, Scope, StuckAfter};
use self::link::Link;
use self::source::Source;
use self::thread::{Make, NatsThread, Party};
use crate::access::{Token, TokenHash};
use crate::clock::SystemClock;
use crate::config::{self, Config, User};
use crate::counters::Counters;
use crate::limits::{NATS_LAST_WORDS_MAX, NATS_UNACKNOWLEDGED_MAX};
use crate::net::local::LocalConnector;
use crate::net::offer::{Offer, Offers};

/// What NATS needs of the engine.
pub(crate) struct NatsParts {
    /// By source, those that are read from NATS.
    pub(crate) offers: Offers,
    /// The delivery agents.
    pub(crate) delivery: Vec<LocalConnector>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: SystemClock,
}

/// All sources and destinations at NATS, as the settings in force have them. A reload has those leave that
/// go or change, then others join:
///
/// ```text
/// prepare (may fail) --> leave --> [ agents take the change ] <-- offer --> join
/// ```
pub(crate) struct Nats {
    parts: NatsParts,
    stuck_after: StuckAfter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None`: nothing has been at NATS yet.
    thread: Option<NatsThread>,
    /// Those at work.
    at_work: Vec<Wanted>,
    /// Of sources, by address.
    offers: BTreeMap<String, Arc<Offer>>,
    /// Destinations that have joined: they take turns among the delivery agents.
    joined: usize,
    is_over: bool,
}

/// A source or destination as the settings want it.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    /// An address or an id.
    name: String,
    role: Role,
    nats: config::Nats,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Source,
    Destination(Scope),
}

impl Wanted {
    /// All of these settings.
    fn all(config: &Config) -> Vec<Self> {
        let sources = config.sources.iter().filter(|it| it.nats.servers.is_some());
        let sources = sources.map(|it| Self {
            name: it.address.clone(),
            role: Role::Source,
            nats: of_source(it),
        });
        let destinations = destinations(config).map(|it| Self {
            name: it.id.clone(),
            role: Role::Destination(match it.is_pattern() {
                true => Scope::Pattern,
                false => Scope::One,
            }),
            nats: it.nats.clone(),
        });
        sources.chain(destinations).collect()
    }

    /// What it is called in the log; each has another one.
    fn label(&self) -> String {
        let role = match self.role {
            Role::Source => "source",
            Role::Destination(_) => "destination",
        };
        format!("{role} {}", self.name)
    }
}

impl Nats {
    /// Nobody has joined yet.
    pub(crate) fn new(parts: NatsParts) -> Self {
        Self {
            parts,
            stuck_after: StuckAfter::default(),
            state: Mutex::default(),
        }
    }

    /// Makes sure that there is a thread where these settings need one.
    ///
    /// # Errors
    /// The system has no thread or no descriptor to give.
    pub(crate) fn prepare(&self, config: &Config) -> io::Result<()> {
        let mut state = self.state();
        if state.thread.is_none() && !state.is_over && !Wanted::all(config).is_empty() {
            state.thread = Some(NatsThread::start()?);
        }
        Ok(())
    }

    /// Those that these settings do not want, or want otherwise, come to an end: what they have begun is
    /// answered first, for a bounded time.
    pub(crate) fn leave(&self, config: &Config) {
        let wanted = Wanted::all(config);
        let mut state = self.state();
        let (stay, gone) = std::mem::take(&mut state.at_work)
            .into_iter()
            .partition::<Vec<_>, _>(|it| wanted.contains(it));
        state.at_work = stay;
        for it in gone.iter().filter(|it| it.role == Role::Source) {
            state.offers.remove(&it.name);
        }
        let thread = state.thread.as_ref();
        let ended = thread.map(|it| it.end(gone.iter().map(Wanted::label)));
        // An engine that stops meanwhile does not wait for this.
        drop(state);
        if let Some(ended) = ended {
            // Nobody sends: the last one that ends closes it.
            let _ = ended.recv_timeout(2 * NATS_LAST_WORDS_MAX);
        }
    }

    /// Ingest finds the sources of these settings in their slots.
    pub(crate) fn offer(&self, config: &Config, slots: &[usize]) {
        let mut state = self.state();
        let len = slots.iter().max().map_or(0, |it| it + 1);
        let mut offers = vec![None; len];
        for (source, slot) in config.sources.iter().zip(slots) {
            if source.nats.servers.is_some() {
                let none = || Arc::new(Offer::none("it is not connected to the stream yet"));
                let offer = state.offers.entry(source.address.clone());
                offers[*slot] = Some(Arc::clone(offer.or_insert_with(none)));
            }
        }
        self.parts.offers.set(offers);
    }

    /// Those of these settings that are not at work begin. `token` shows who the destinations' subscribers
    /// are; `None`: nobody is asked.
    pub(crate) fn join(&self, config: &Config, token: Option<&Token>) {
        self.stuck_after.follow(config.delivery.ack_timeout);
        let mut state = self.state();
        for wanted in Wanted::all(config) {
            if state.at_work.contains(&wanted) {
                continue;
            }
            let make = match wanted.role {
                Role::Source => self.source(&wanted, &state, config),
                Role::Destination(scope) => {
                    state.joined += 1;
                    Some(self.destination(&wanted, scope, (state.joined, token)))
                }
            };
            if let (Some(make), Some(thread)) = (make, &state.thread) {
                thread.begin(wanted.label(), make);
                state.at_work.push(wanted);
            }
        }
    }

    fn link(&self) -> impl FnOnce(String) -> Link + Send + use<> {
        let (counters, clock) = (Arc::clone(&self.parts.counters), self.parts.clock.clone());
        |name| Link::new(name, counters, clock)
    }

    fn source(&self, wanted: &Wanted, state: &State, config: &Config) -> Option<Make> {
        let offer = Arc::clone(state.offers.get(&wanted.name)?);
        let open_max = NATS_UNACKNOWLEDGED_MAX.min(config.dedup.window_messages);
        let (nats, label, link) = (wanted.nats.clone(), wanted.label(), self.link());
        Some(Box::new(move |stop| {
            Party::Source(Box::new(Source {
                nats,
                offer,
                link: link(label),
                open_max,
                known: None,
                stop,
            }))
        }))
    }

    fn destination(
        &self,
        wanted: &Wanted,
        scope: Scope,
        (turn, token): (usize, Option<&Token>),
    ) -> Make {
        let Wanted { name, nats, .. } = wanted.clone();
        let servers = nats.servers.as_ref().map(ToString::to_string);
        let promise = if nats.at_most_once {
            ", at most once"
        } else {
            ""
        };
        let label = format!(
            "{} at {}{promise}",
            wanted.label(),
            servers.unwrap_or_default()
        );
        let delivery = self.parts.delivery[turn % self.parts.delivery.len()].clone();
        let (token, link, stuck_after) = (token.cloned(), self.link(), self.stuck_after.clone());
        Box::new(move |stop| {
            let customer = Customer {
                scope,
                id: name,
                nats,
                delivery,
                token,
                link: link(label),
                stuck_after,
                stop,
            };
            Party::Destination(Box::new(Destination::new(customer)))
        })
    }

    /// Sessions end when the engine's side has ended, and soon; nobody joins any more.
    pub(crate) fn begin_shutdown(&self) {
        let mut state = self.state();
        state.is_over = true;
        if let Some(thread) = &state.thread {
            thread.begin_shutdown();
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let state = self.state();
        state.thread.as_ref().is_none_or(NatsThread::has_ended)
    }

    /// Whoever panicked while it held the lock has ended the process.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All destinations and patterns whose messages go to NATS.
pub(crate) fn destinations(config: &Config) -> impl Iterator<Item = &config::Destination> {
    let all = config
        .destinations
        .iter()
        .chain(&config.destination_patterns);
    all.filter(|it| it.nats.servers.is_some())
}

/// The user that the destinations at NATS are, where there are users. Its token is random, and lives as
/// long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) token: Token,
    user: User,
}

/// The engine's own user, with the token that it has or a new one; `None`: nothing is published to NATS.
///
/// # Errors
/// The system has no randomness to give.
pub(crate) fn own(config: &Config, before: Option<&Own>) -> io::Result<Option<Own>> {
    let may_receive: Vec<_> = destinations(config).map(|it| it.id.clone()).collect();
    if let Some(own) = before {
        let mut own = own.clone();
        own.user.may_receive = may_receive;
        return Ok(Some(own));
    }
    if may_receive.is_empty() {
        return Ok(None);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|why| io::Error::other(why.to_string()))?;
    let text: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
    let user = User {
        token_sha256: Some(TokenHash::of(&text)),
        may_receive,
        ..User::named("the engine's own, for NATS")
    };
    let token = Token::new(text);
    Ok(Some(Own { token, user }))
}

impl Own {
    /// The settings with this user among the others; where there are none, nobody is asked who it is.
    pub(crate) fn among(own: Option<&Self>, config: &Config) -> Config {
        let mut config = config.clone();
        if !config.users.is_empty() {
            config.users.extend(own.map(|it| it.user.clone()));
        }
        config
    }
}

/// What a source says of its servers, with its files of TLS.
pub(crate) fn of_source(source: &config::Source) -> config::Nats {
    config::Nats {
        ca: source.tls.ca.clone(),
        cert: source.tls.cert.clone(),
        key: source.tls.key.clone(),
        ..source.nats.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_are_users_the_destinations_have_one_of_their_own() {
        let text = "[[destination]]\nid = 'a'\nnats = 'nats://h'\nsubject = 'x'\n\
                    [[destination]]\nid = 'w-*'\nnats = 'nats://h'\nsubject = 'o.{id}'\n\
                    [[destination]]\nid = 'b'\n";
        let config = config::parse("x.toml", text, &[]).expect("it is right");
        let ids: Vec<_> = destinations(&config).map(|it| &*it.id).collect();
        assert_eq!(ids, ["a", "w-*"]);
        let own = own(&config, None).expect("randomness");
        let own = own.as_ref();
        assert_eq!(Own::among(own, &config), config, "nobody is asked");
        let mut config = config;
        config.users.push(User {
            token_sha256: Some(TokenHash::of("x")),
            ..User::named("one")
        });
        let with = Own::among(own, &config);
        assert_eq!(with.users[1].may_receive, ["a", "w-*"]);
        let token = own.map(|it| it.token.hash());
        assert_eq!(with.users[1].token_sha256, token);
        assert!(with.users[1].may_send.is_empty() && !with.users[1].may_admin);
    }
}
