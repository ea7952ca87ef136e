//! The message servers as one thing: started, watched, stopped.
//!
//! The command, the engine's demo and the tests use it. It binds the sockets and starts a thread
//! for each server; what those do is said in `server` and `stream`.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;

use crate::clock::Clock;
use crate::door::{Dialer, Door, Entrance};
use crate::error::SimulatorError;
use crate::options::{Endpoint, Options, ServerOptions};
use crate::orders::Orders;
use crate::server::Server;
use crate::stream::Stream;
use crate::tls::TlsFiles;
use crate::totals::{Published, Totals};

/// A simulation whose options make sense, not yet started.
#[derive(Debug)]
pub struct Simulation {
    options: Options,
    seed: u64,
    run: u32,
}

/// A running simulation. Dropping it stops it.
#[derive(Debug)]
pub struct Handle {
    servers: Vec<Running>,
    stop: Arc<AtomicBool>,
    seed: u64,
}

#[derive(Debug)]
struct Running {
    name: String,
    address: SocketAddr,
    published: Arc<Published>,
    thread: Option<JoinHandle<()>>,
}

impl Simulation {
    /// Checks the options; chooses seed and run where they are not given.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn new(options: Options) -> Result<Self, SimulatorError> {
        options.check()?;
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        let run = options.run.unwrap_or_else(|| fastrand::u32(..));
        Ok(Self { options, seed, run })
    }

    /// Opens all doors, then starts all servers: an error leaves nothing running.
    ///
    /// # Errors
    /// A port in use, an address not ours, frames that cannot be made.
    pub fn start(self) -> Result<Handle, SimulatorError> {
        let clock = Clock::start();
        let tls = self.options.tls.as_ref().map(TlsFiles::load).transpose()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut servers = Vec::new();
        for (index, options) in self.options.servers.iter().enumerate() {
            let seed = self.seed.wrapping_add(index as u64);
            let (door, address) = self.open_door(options, seed, tls.clone())?;
            let server = Server {
                stream: self.stream(index, seed)?,
                door,
                close_at_end: self.options.close_at_end,
                clock,
                published: Arc::default(),
                stop: Arc::clone(&stop),
            };
            servers.push((options.name.clone(), address, server));
        }
        let mut handle = Handle {
            servers: Vec::new(),
            stop,
            seed: self.seed,
        };
        for (name, address, server) in servers {
            handle.servers.push(Running::start(name, address, server)?);
        }
        Ok(handle)
    }

    fn stream(&self, index: usize, seed: u64) -> Result<Stream, SimulatorError> {
        let frames = self.options.frame_spec(index, seed, self.run);
        let orders = Orders::new(frames, &self.options.faults())?;
        Ok(Stream::new(self.options.stream_spec(seed), orders))
    }

    fn open_door(
        &self,
        server: &ServerOptions,
        seed: u64,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<(Door, SocketAddr), SimulatorError> {
        match server.endpoint {
            Endpoint::Dial(address) => Ok((
                Door::Dial(Dialer::new(address, self.options.ack, seed)),
                address,
            )),
            Endpoint::Listen(address) => {
                let listener = listen(&server.name, address)?;
                let start = |source| SimulatorError::Start {
                    server: server.name.clone(),
                    source,
                };
                listener.set_nonblocking(true).map_err(start)?;
                let address = listener.local_addr().map_err(start)?;
                Ok((Door::Listen(Entrance { listener, tls }), address))
            }
        }
    }
}

fn listen(server: &str, address: SocketAddr) -> Result<TcpListener, SimulatorError> {
    TcpListener::bind(address).map_err(|source| {
        let server = server.to_owned();
        match source.kind() {
            ErrorKind::AddrInUse => SimulatorError::PortInUse { server, address },
            _ => SimulatorError::Listen {
                server,
                address,
                source,
            },
        }
    })
}

impl Running {
    fn start(name: String, address: SocketAddr, server: Server) -> Result<Self, SimulatorError> {
        let published = Arc::clone(&server.published);
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn(move || server.run())
            .map_err(|source| SimulatorError::Start {
                server: name.clone(),
                source,
            })?;
        Ok(Self {
            name,
            address,
            published,
            thread: Some(thread),
        })
    }
}

impl Handle {
    /// Where each server listens (with the port it really got), or what it dials.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// What all servers have sent so far.
    #[must_use]
    pub fn sent(&self) -> Totals {
        let mut sum = Totals::default();
        self.servers
            .iter()
            .for_each(|server| sum += server.published.snapshot());
        sum
    }

    /// What each server has sent so far, by name.
    #[must_use]
    pub fn sent_by_server(&self) -> Vec<(String, Totals)> {
        let of = |server: &Running| (server.name.clone(), server.published.snapshot());
        self.servers.iter().map(of).collect()
    }

    /// How many servers have a connection now.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.servers
            .iter()
            .filter(|server| server.published.is_connected())
            .count()
    }

    /// True when every server has sent its count, and has it acknowledged where that is asked for.
    /// Totals read after it are final.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.servers
            .iter()
            .all(|server| server.published.is_finished())
    }

    /// The seed of this run: given again, it makes the same orders (under new ids).
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Stops all servers, within 50 ms (a dial under way: a second); gives the final totals.
    #[must_use = "the final totals; drop the handle where they do not matter"]
    pub fn stop(mut self) -> Totals {
        self.stop_threads();
        self.sent()
    }

    fn stop_threads(&mut self) {
        // Relaxed: joining orders everything that matters.
        self.stop.store(true, Ordering::Relaxed);
        for thread in self
            .servers
            .iter_mut()
            .filter_map(|server| server.thread.take())
        {
            // A panic there was printed there; the totals stand as last published.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop_threads();
    }
}
