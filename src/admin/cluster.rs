//! The group as HTTP shows it: the key `cluster` of `/stats`, who serves in `/readyz`, and the command to
//! hand over.
//!
//! ```text
//! POST /cluster/hand-over?to=n2
//! 202 {"handing_over":true,"from":"n1","to":"n2"}    it has begun; /readyz says who serves then
//! 409 {"handing_over":false,"error":".."}             no standby is ready, or this is one
//! 404                                                 there is no group
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::AdminState;
use crate::cluster::addresses::{Endpoint, address_of};
use crate::cluster::members::successor;
use crate::cluster::other_member::OtherMember;
use crate::cluster::record::Announcement;
use crate::cluster::status::Snapshot;

/// The key `cluster` of `/stats`.
pub(super) fn stats(it: &Snapshot) -> Value {
    let (server, version) = it.server.clone().unzip();
    json!({
        "group": it.group,
        "node": it.node,
        "role": it.role.name(),
        "ready": it.could_serve(),
        "active": it.active.as_ref().map(active),
        "epoch": it.epoch,
        "term_since_ms": it.term_since_ms,
        "sequence": it.sequence,
        "stream_sequence": it.stream_last,
        "lag": it.lag(),
        "stored": it.stored,
        "server": server,
        "server_version": version,
        "trouble": it.trouble,
        "warning": it.namesake_words(),
        "trouble_since_ms": it.trouble.as_ref().map(|_| it.trouble_since_ms),
        "members": it.members.iter().map(member).collect::<Vec<_>>(),
        "lease_left_ms": it.lease_left.as_millis() as u64,
        "round_trip_us": it.round_trip.as_micros() as u64,
    })
}

/// Another member, as it was heard last.
fn member(it: &OtherMember) -> Value {
    json!({
        "node": it.node,
        "active": it.is_active,
        "paused": it.is_paused,
        "ready": it.is_ready && it.is_present(),
        "sequence": it.sequence,
        "stored": it.stored,
        "admin": it.admin,
        "heard_seconds_ago": it.at.elapsed().as_secs(),
    })
}

/// Who serves, as far as this member knows.
fn active(it: &Announcement) -> Value {
    let known = Endpoint::ALL.into_iter();
    let addresses = known.filter_map(|endpoint| {
        let address = address_of(it, endpoint)?;
        Some((endpoint.name().to_owned(), address.into()))
    });
    json!({ "node": it.node, "addresses": Value::Object(addresses.collect::<Map<_, _>>()) })
}

/// In the answer of a standby's `/readyz`: the name of the member that serves, and its admin address.
pub(super) fn tell_active(member: &Snapshot, answer: &mut Value) {
    if let Some(node) = member.other_active() {
        answer["active_node"] = node.into();
        answer["active"] = member.other_address(Endpoint::Admin).into();
    }
}

/// What `POST /cluster/hand-over` is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// The standby that is to be ready; without it, any.
    to: Option<String>,
}

pub(super) async fn hand_over(
    State(state): State<Arc<AdminState>>,
    Query(wanted): Query<Wanted>,
) -> (StatusCode, Json<Value>) {
    let refused = |status, why: String| {
        let answer = json!({ "handing_over": false, "error": why });
        (status, Json(answer))
    };
    let Some(handle) = &state.member else {
        let why = "this engine is in no group: durability is not \"replicated\"";
        return refused(StatusCode::NOT_FOUND, why.to_owned());
    };
    let member = handle.status.snapshot();
    match successor(&member, wanted.to.as_deref()) {
        Err(why) => refused(StatusCode::CONFLICT, why),
        Ok(to) => {
            tracing::info!(%to, "asked to hand over");
            handle.hand_over.ask(wanted.to.as_deref());
            let answer = json!({ "handing_over": true, "from": member.node, "to": to });
            (StatusCode::ACCEPTED, Json(answer))
        }
    }
}
