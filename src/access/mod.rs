//! Who may connect, and what they may do there: users, their tokens, their rights.
//!
//! The settings feed it; ingest, delivery and HTTP ask it once a connection or a request, and ingest
//! once a message, in constant time. It holds no socket, and writes no line: who asks does.
//!
//! ```text
//! [[user]] --> Users --identify(token)--> User --may_receive(name)--> delivery, at a subscription
//!                                          |----may_admin-----------> HTTP, at a request
//!                                          '--> SendRights --allow--> ingest, at a message
//! ```
//!
//! A token is compared as its SHA-256, in constant time, with that of every user. Neither is in a log
//! line, an error or a `Debug` output.

mod exposure;
mod names;
mod permits;
mod senders;
mod token;
mod users;

pub(crate) use exposure::{Exposure, Listener};
pub(crate) use senders::{Refused, SenderIndex, Senders};
pub(crate) use token::Token;
pub use token::TokenHash;
pub(crate) use users::{TokenFileError, Unidentified, User, Users, with_tokens};
