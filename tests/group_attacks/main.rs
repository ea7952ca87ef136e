//! A group whose servers, members and the ways between them do what is worst for it: real processes, real
//! nats-servers.
//!
//! | what is done | where |
//! | --- | --- |
//! | servers lose what they confirmed, and several members claim; the stream is restored, or another group's | `losses` |
//! | PubAcks come late; a first attempt is held, and arrives much later | `late` |
//! | the servers refuse records | `refusals` |
//! | members die between PubAck and write, stop inside a transaction, have a wrong clock | `deaths` |
//! | all servers and members are restarted, one after the other, under load | `restarts` |
//! | a member is built from nothing beside a million messages | `crowd` |
//!
//! Those of [`ignored`](https://doc.rust-lang.org/cargo/commands/cargo-test.html) take minutes:
//!
//! ```text
//! FLIPPED_LB_TEST_TAKE_OVERS=100 cargo nextest run --test group_attacks -E 'test(byte_identical)'
//! cargo test --release --test group_attacks -- --ignored --nocapture a_million
//! ```
//!
//! `test.sh` puts nats-server into `target/nats-server`, if none is installed.

#![allow(missing_docs, reason = "nobody links to a test")]

mod crowd;
mod deaths;
#[path = "../support/faked_clock.rs"]
mod faked_clock;
#[path = "../replicated/group.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod group;
#[path = "../support/group_peer.rs"]
mod group_peer;
mod late;
#[path = "../group_campaign/load.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod load;
mod losses;
#[path = "../support/mariadb.rs"]
mod mariadb;
#[path = "../support/member.rs"]
mod member;
#[path = "../support/proxy.rs"]
mod proxy;
mod refusals;
mod restarts;
#[path = "../support/servers.rs"]
mod servers;
mod stream;
#[path = "../support/mod.rs"]
mod support;
mod witness;
