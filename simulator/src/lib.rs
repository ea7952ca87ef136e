//! The message servers, played: any number of order streams, at any pace, with any faults.
//!
//! ```text
//!  menu -> payload -> frame -> orders -> stream -> server ==TCP==> whoever connects (or is dialed)
//!                   (valid) (faults)   (schedule, (socket,
//!                                       outbox)    door)    <==== {"ack":N}
//! ```
//! Everything up to `stream` is pure: bytes from a seed and the time it is told. `server` is the
//! only thread, one for each message server; [`Simulation`] starts them, [`Handle`] watches and
//! stops them.
//!
//! ```
//! use message_server_simulator::{Options, Pace, Simulation, listening};
//!
//! # fn main() -> Result<(), message_server_simulator::SimulatorError> {
//! let options = Options {
//!     servers: listening(2, [127, 0, 0, 1].into(), 0),
//!     pace: Pace::FlatOut,
//!     count: Some(1_000),
//!     ..Options::default()
//! };
//! let running = Simulation::new(options)?.start()?;
//! // ... connect to running.addresses() ...
//! let totals = running.stop();
//! assert_eq!(totals.valid, 0); // nobody came
//! # Ok(())
//! # }
//! ```

pub mod limits;

mod clock;
mod connection;
mod door;
mod error;
mod frame;
mod malformed;
mod menu;
mod options;
mod orders;
mod outbox;
mod payload;
mod peer;
mod schedule;
mod server;
mod simulation;
mod stream;
mod tls;
mod totals;

pub use error::SimulatorError;
pub use frame::{FrameMaker, FrameSpec};
pub use malformed::Reason;
pub use menu::Meal;
pub use options::{Endpoint, Options, ServerOptions, listening, tables};
pub use orders::{Faults, LineKind, Orders};
pub use schedule::Pace;
pub use simulation::{Handle, Simulation};
pub use tls::TlsFiles;
pub use totals::Totals;
