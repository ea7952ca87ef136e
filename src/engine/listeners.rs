//! All addresses that the engine listens on, bound before anything else begins: a port in use is
//! reported at once, and nothing is left half-started. Connections wait in the system's queue until the
//! agents run.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::Addresses;
use crate::config::Config;

pub(super) struct Listeners {
    pub(super) delivery: TcpListener,
    pub(super) ingest: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
    pub(super) http: Option<TcpListener>,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "{setting} = \"{address}\" cannot be listened on: {source}; {}",
    what_to_do(source)
)]
pub(crate) struct ListenError {
    setting: &'static str,
    address: SocketAddr,
    source: io::Error,
}

fn what_to_do(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => {
            "is the port in use? Stop the program that has it (`ss -ltnp` names it), or set another \
             address"
        }
        ErrorKind::AddrNotAvailable => "set an address that this machine has (`ip address`)",
        ErrorKind::PermissionDenied => {
            "ports below 1024 want a privilege (CAP_NET_BIND_SERVICE): grant it, or set another port"
        }
        _ => "set another address",
    }
}

impl Listeners {
    /// Binds all of them, or none.
    pub(super) fn bind(config: &Config) -> Result<Self, ListenError> {
        let optional = |setting, address: Option<SocketAddr>| {
            address.map(|address| bind(setting, address)).transpose()
        };
        Ok(Self {
            delivery: bind("[delivery] listen", config.delivery.listen)?,
            ingest: optional("[ingest] listen", config.ingest.listen)?,
            admin: optional("[admin] listen", config.admin.listen)?,
            http: optional("[http] listen", config.http.listen)?,
        })
    }

    /// Where they are; of use where the setting's port was 0.
    pub(super) fn addresses(&self) -> io::Result<Addresses> {
        let address = TcpListener::local_addr;
        Ok(Addresses {
            delivery: address(&self.delivery)?,
            ingest: self.ingest.as_ref().map(address).transpose()?,
            admin: self.admin.as_ref().map(address).transpose()?,
            http: self.http.as_ref().map(address).transpose()?,
        })
    }
}

/// The settings with the ports that the system has given where they say 0.
pub(super) fn at_addresses(config: &Config, addresses: &Addresses) -> Config {
    let mut config = config.clone();
    config.delivery.listen = addresses.delivery;
    config.ingest.listen = addresses.ingest;
    config.admin.listen = addresses.admin;
    config.http.listen = addresses.http;
    config
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).map_err(|source| ListenError {
        setting,
        address,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_had_is_named_with_its_setting_and_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("it is bound");
        let error = bind("[admin] listen", address).expect_err("it is taken");
        let said = error.to_string();
        assert!(said.contains(&format!("[admin] listen = \"{address}\"")));
        assert!(
            said.contains("in use") && said.contains("ss -ltnp"),
            "{said}"
        );
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        let said = bind("[delivery] listen", elsewhere).expect_err("not ours");
        assert!(said.to_string().contains("ip address"), "{said}");
    }
}
