//! `[http]`: HTTP for customers and producers.

use std::net::SocketAddr;

use super::{Connections, ListenerTls};
use crate::limits;

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where customers and producers may ask by HTTP; `None`: they may not.
    pub listen: Option<SocketAddr>,
    /// Origins whose pages may ask, as browsers write them; `*`: all.
    pub cors: Vec<String>,
    /// Bytes of one request's body at most.
    pub max_body: u64,
    /// How many may be connected.
    pub connections: Connections,
    /// Its TLS.
    pub tls: ListenerTls,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: None,
            cors: Vec::new(),
            max_body: limits::HTTP_BODY_LEN_MAX_DEFAULT,
            connections: Connections::at_most(limits::HTTP_CUSTOMERS_MAX_DEFAULT),
            tls: ListenerTls::default(),
        }
    }
}
