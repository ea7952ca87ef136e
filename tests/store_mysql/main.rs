//! The store at a server: one row a message, whatever happens to the server or the engine.
//!
//! Against a private MariaDB, or against any server: see `support/mariadb.rs`.

#[path = "../support/at_server.rs"]
mod at_server;
mod gone;
#[path = "../support/mariadb.rs"]
mod mariadb;
mod poison;
mod schema;
#[path = "../support/mod.rs"]
mod support;
mod values;

use std::collections::BTreeMap;

use mysql::prelude::Queryable;
use serde_json::{Value, json};

use at_server::{
    assert_all_delivered, engine, frames, home, schema, send, take_all, wait_for_rows, words,
};
use mariadb::MariaDb;
use support::Subscriber;
