//! Who can reach the listeners, and what they must show there: for the check at start, `check` and
//! `doctor`.

use std::net::SocketAddr;

use crate::config::{Config, TlsFiles};

/// An address that the engine listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Its section of the settings.
    pub(crate) section: &'static str,
    pub(crate) address: SocketAddr,
}

/// Who gets in at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Whoever is on this machine.
    Loopback,
    /// Whoever is a user.
    Users,
    /// Whoever has a certificate of an authority that is trusted.
    Certificates,
    /// Whoever reaches it, as `[security] anonymous` allows.
    Anonymous,
    /// Whoever reaches it, and the settings do not say that this is meant.
    Open,
}

impl Listener {
    /// All of the settings'.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let listeners = [
            ("delivery", Some(config.delivery.listen)),
            ("ingest", config.ingest.listen),
            ("admin", config.admin.listen),
            ("http", config.http.listen),
        ];
        let listeners = listeners.into_iter();
        let set = listeners
            .filter_map(|(section, address)| address.map(|address| Self { section, address }));
        set.collect()
    }

    /// Whether other machines can reach it.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Who gets in.
    pub(crate) fn exposure(&self, config: &Config) -> Exposure {
        match (config.users.is_empty(), self.is_reachable()) {
            (false, _) => Exposure::Users,
            _ if self.asks_certificates(config) => Exposure::Certificates,
            (true, false) => Exposure::Loopback,
            (true, true) if config.security.allow_anonymous => Exposure::Anonymous,
            (true, true) => Exposure::Open,
        }
    }

    /// Its files, where it speaks TLS.
    pub(crate) fn tls(&self, config: &Config) -> Option<TlsFiles> {
        let own = match self.section {
            "delivery" => &config.delivery.tls,
            "ingest" => &config.ingest.tls,
            "http" => &config.http.tls,
            _ => &config.admin.tls,
        };
        config.tls.of(own)
    }

    /// Whether clients must show a certificate there.
    pub(crate) fn asks_certificates(&self, config: &Config) -> bool {
        self.tls(config).is_some_and(|it| it.client_ca.is_some())
    }

    /// What one can do there.
    fn verb(&self) -> &'static str {
        match self.section {
            "delivery" => "read every customer's messages",
            "ingest" => "send as any server",
            "http" => "send as any server and read every customer's messages",
            _ => "see all figures",
        }
    }

    /// Who gets in, in a sentence.
    pub(crate) fn words(&self, config: &Config) -> String {
        let Self { section, address } = self;
        let reach = match self.is_reachable() {
            true => "other machines reach it",
            false => "this machine only",
        };
        let who = match self.exposure(config) {
            Exposure::Loopback => "no token is asked for",
            Exposure::Users if self.asks_certificates(config) => {
                "with a certificate that client_ca has signed, and as a user"
            }
            Exposure::Users => "with a user's token",
            Exposure::Certificates => "with a certificate that client_ca has signed",
            Exposure::Anonymous => "no token is asked for, as [security] anonymous allows",
            Exposure::Open => "no token is asked for",
        };
        let speech = match self.tls(config) {
            Some(_) => "TLS",
            None => "plain TCP",
        };
        format!("[{section}] {address}, {speech}: {reach}; {who}")
    }

    /// Why the engine does not start, and both ways out.
    pub(crate) fn refusal(&self) -> String {
        let (section, address, verb) = (self.section, self.address, self.verb());
        format!(
            "[{section}] listen: other machines reach {address}, and there are no users: whoever is \
             there could {verb}; add a [[user]] (`flipped-lb user hash` makes its token's setting), \
             or let everybody in with [security] anonymous = \"allow\""
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn an_address_that_is_not_loopback_is_open_until_there_are_users_or_everybody_is_let_in() {
        let mut config = Config::default();
        let at = |address: &str| Listener {
            section: "delivery",
            address: address.parse().expect("an address"),
        };
        for address in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(
                at(address).exposure(&config),
                Exposure::Loopback,
                "{address}"
            );
        }
        for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1"] {
            assert_eq!(at(address).exposure(&config), Exposure::Open, "{address}");
        }
        config.security.allow_anonymous = true;
        assert_eq!(at("[::]:1").exposure(&config), Exposure::Anonymous);
        config.users.push(config::User::named("one"));
        assert_eq!(at("[::]:1").exposure(&config), Exposure::Users);
        assert_eq!(at("127.0.0.1:1").exposure(&config), Exposure::Users);
    }

    #[test]
    fn the_refusal_says_both_ways_out() {
        let words = Listener::all(&Config::default())[0].refusal();
        for way_out in ["[[user]]", "[security] anonymous = \"allow\""] {
            assert!(words.contains(way_out), "{words}");
        }
    }
}
