//! The addresses that a member announces: one text for each listener, `delivery=host:port`.
//!
//! The active announces them; standbys name them to their clients. A listener at a wildcard address is
//! announced by a name or address that other machines can use.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use super::record::Announcement;
use crate::config::{Cluster, Config};
use crate::net::machine;

/// A listener of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Subscribers connect there.
    Delivery,
    /// Producers connect there.
    Ingest,
    /// HTTP for customers and producers.
    Http,
    /// Figures, health and commands.
    Admin,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Delivery, Self::Ingest, Self::Http, Self::Admin];

    /// Its section of the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Ingest => "ingest",
            Self::Http => "http",
            Self::Admin => "admin",
        }
    }

    fn listen(self, config: &Config) -> Option<SocketAddr> {
        match self {
            Self::Delivery => Some(config.delivery.listen),
            Self::Ingest => config.ingest.listen,
            Self::Http => config.http.listen,
            Self::Admin => config.admin.listen,
        }
    }
}

/// What a member with these settings announces. It may ask the resolver for the servers' addresses, and
/// sends nothing. A listener whose port the system chooses has another one after each take-over, and is not
/// announced.
#[must_use]
pub fn announced(config: &Config) -> Vec<String> {
    let mut reached = None;
    let mut announced = Vec::new();
    for endpoint in Endpoint::ALL {
        let Some(address) = endpoint.listen(config).filter(|it| it.port() != 0) else {
            continue;
        };
        let place = if address.ip().is_unspecified() {
            let host = reached.get_or_insert_with(|| reached_by(&config.cluster));
            join(host, address.port())
        } else {
            address.to_string()
        };
        announced.push(format!("{}={place}", endpoint.name()));
    }
    announced
}

/// The address of this endpoint.
#[must_use]
pub fn address_of(announcement: &Announcement, endpoint: Endpoint) -> Option<&str> {
    let mut all = announcement.addresses.iter();
    all.find_map(|it| it.strip_prefix(endpoint.name())?.strip_prefix('='))
}

/// Before the name of the standby that is to take over, among the addresses of a goodbye.
const SUCCESSOR: &str = "successor=";

/// The same announcement, as the goodbye has it after which this standby is to serve.
#[must_use]
pub(crate) fn naming(announcement: &Announcement, successor: &str) -> Announcement {
    let mut naming = announcement.clone();
    naming.addresses.push(format!("{SUCCESSOR}{successor}"));
    naming
}

/// The standby that a goodbye names.
#[must_use]
pub(crate) fn successor_of(announcement: &Announcement) -> Option<&str> {
    let mut all = announcement.addresses.iter();
    all.find_map(|it| it.strip_prefix(SUCCESSOR))
}

/// The name or address by which other machines reach this one.
fn reached_by(cluster: &Cluster) -> String {
    let own = || towards(cluster).map(|it| it.to_string());
    let advertised = cluster.advertise.clone();
    advertised.or_else(own).unwrap_or_else(machine::name)
}

/// The address of the interface towards the first server that has one.
fn towards(cluster: &Cluster) -> Option<IpAddr> {
    let servers = cluster.nats.servers.as_ref()?;
    servers.addresses.iter().find_map(|server| {
        let server = server.to_socket_addrs().ok()?.next()?;
        let any: SocketAddr = if server.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0_u16; 8], 0).into()
        };
        // A datagram socket that is connected sends nothing: the system picks the way.
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

fn join(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn of(text: &str) -> Vec<String> {
        let group = "[cluster]\nservers = ['nats://127.0.0.1:1']\ngroup = 'east'\n";
        let all = format!("durability = 'replicated'\n{text}\n[security]\nanonymous = 'allow'\n");
        let text = all.replace("GROUP\n", group);
        announced(&parse("f", &text, &[]).expect("right"))
    }

    #[test]
    fn each_listener_is_announced_by_what_others_can_use() {
        let text = "GROUP\n[delivery]\nlisten = '10.0.0.1:9000'\n[ingest]\nlisten = '0.0.0.0:9001'\n\
                    [admin]\nlisten = '127.0.0.1:0'\n[http]\nlisten = '[::]:9080'";
        let expected = [
            "delivery=10.0.0.1:9000",
            "ingest=127.0.0.1:9001",
            "http=127.0.0.1:9080",
        ];
        assert_eq!(
            of(text),
            expected,
            "towards a server on loopback, by loopback"
        );
        let named = text.replace("GROUP\n", "GROUP\nadvertise = 'engine1.example'\n");
        let expected = ["delivery=10.0.0.1:9000", "ingest=engine1.example:9001"];
        assert_eq!(of(&named)[..2], expected);
        let v6 = text.replace("GROUP\n", "GROUP\nadvertise = 'fd00::7'\n");
        assert_eq!(of(&v6)[1], "ingest=[fd00::7]:9001");
    }

    #[test]
    fn an_address_is_found_by_its_door_and_what_is_none_is_not() {
        let told = Announcement {
            addresses: ["ingest=a:1", "delivery=b:2", "adminx=c:3", "d:4"]
                .map(str::to_owned)
                .into(),
            ..Announcement::default()
        };
        assert_eq!(address_of(&told, Endpoint::Delivery), Some("b:2"));
        assert_eq!(address_of(&told, Endpoint::Ingest), Some("a:1"));
        assert_eq!(address_of(&told, Endpoint::Admin), None);
        assert_eq!(address_of(&told, Endpoint::Http), None);
        assert_eq!(successor_of(&told), None);
        let naming = naming(&told, "n3");
        assert_eq!(successor_of(&naming), Some("n3"));
        assert_eq!(address_of(&naming, Endpoint::Ingest), Some("a:1"));
    }
}
