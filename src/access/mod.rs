//! Who may connect, and what they may do there: users, their tokens, their rights.
//!
//! The settings feed it; ingest, delivery and HTTP ask it once a connection or a request, and ingest
//! once a message, in constant time. It holds no socket, and writes no line: who asks does.
//!
//! ```text
//! [[user]] --> Users --identify(proof)--> User --may_receive(name)--> delivery, at a subscription
//!                                          |----may_admin-----------> HTTP, at a request
//!                                          '--> SendRights --allow--> ingest, at a message
//! ```
//!
//! A proof is a token, or the names in a certificate that was verified. A token is compared as its SHA-256, in constant time, with that of every user. Neither is in a log
//! line, an error or a `Debug` output.

mod exposure;
pub(crate) mod first_line;
mod names;
mod permits;
mod refused_clients;
mod senders;
mod token;
mod users;

pub(crate) use exposure::{Exposure, Listener};
pub(crate) use refused_clients::{HOW_BY_HTTP, NO_RIGHT_CHALLENGE, RefusedClients, challenge};
pub(crate) use senders::{Refused, SenderIndex, Senders};
pub use token::TokenHash;
pub(crate) use token::{Token, TokenFault};
pub(crate) use users::{
    CurrentUsers, Proof, TokenFileError, Unidentified, User, Users, with_tokens,
};
