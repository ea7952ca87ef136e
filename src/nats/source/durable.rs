//! The durable consumer of a source, made anew so that nothing comes again behind what is newer.
//!
//! JetStream sends what was not acknowledged again when its time is over, behind messages that came
//! later. So what an earlier session left open is asked for from the start: a new consumer of the same
//! name begins behind the last acknowledged message. What of that the engine knows, dedup drops.
//!
//! ```text
//! NAME       [ acknowledged ][ open ]        1. NAME-next is made, from the floor on
//! NAME-next                  ^               2. NAME is removed
//! NAME                       ^               3. NAME is made, from the floor on
//!                            floor           4. NAME-next is removed
//! ```
//! A process that dies between two steps leaves one of them, which knows the floor.

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;

use crate::limits::NATS_ACK_WAIT;

/// What a source's consumer is to be like.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    /// Empty: all subjects.
    pub(super) filter: &'a str,
    /// Messages that may be open.
    pub(super) open_max: usize,
}

/// The consumer that stands for the source's while that is made anew.
pub(in crate::nats) fn spare_name(name: &str) -> String {
    format!("{name}-next")
}

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It goes on where it is: nothing is open.
    Here,
    /// With the stream's first message.
    First,
    At(u64),
}

/// A consumer to pull from, and up to where it is acknowledged. `known`: up to where the engine is
/// responsible, as far as this process knows.
///
/// # Errors
/// Why not, in words.
pub(super) async fn make(
    stream: &Stream,
    wanted: &Wanted<'_>,
    known: Option<u64>,
) -> Result<(PullConsumer, u64), String> {
    let name = wanted.name;
    let spare_name = spare_name(name);
    let main = look(stream, name).await?;
    let spare = look(stream, &spare_name).await?;
    let start = start(wanted, main.as_ref(), spare.as_ref(), known);
    if start != Start::Here && main.is_some() {
        // Its floor is that of `main` or a lower one: a message may come twice, none is passed over.
        if spare.is_some() {
            remove(stream, &spare_name).await?;
        }
        create(stream, &config(wanted, &spare_name, start)).await?;
        remove(stream, name).await?;
    }
    if start != Start::Here {
        create(stream, &config(wanted, name, start)).await?;
    }
    if start != Start::Here || spare.is_some() {
        // It is of no use any more; the next start removes what is left.
        let _ = stream.delete_consumer(&spare_name).await;
    }
    let consumer = stream.get_consumer::<Config>(name).await;
    let consumer =
        consumer.map_err(|why| format!("the consumer \"{name}\" cannot be used: {why}"))?;
    let floor = match start {
        Start::Here => main.map_or(0, |it| it.ack_floor.stream_sequence),
        Start::First => 0,
        Start::At(sequence) => sequence - 1,
    };
    Ok((consumer, floor))
}

fn start(
    wanted: &Wanted<'_>,
    main: Option<&Info>,
    spare: Option<&Info>,
    known: Option<u64>,
) -> Start {
    let known = known.unwrap_or(0);
    if let Some(main) = main {
        let floor = main.ack_floor.stream_sequence;
        let is_right = main.config.ack_policy == AckPolicy::All
            && main.config.deliver_subject.is_none()
            && main.config.filter_subject == wanted.filter
            && main.config.filter_subjects.is_empty()
            && main.config.max_ack_pending == wanted.open_max as i64;
        let is_settled = main.num_ack_pending == 0 && main.delivered.stream_sequence <= floor;
        if is_right && is_settled && known <= floor {
            return Start::Here;
        }
        return Start::At(floor.max(known) + 1);
    }
    let spare = spare.and_then(|it| match it.config.deliver_policy {
        DeliverPolicy::ByStartSequence { start_sequence } => Some(start_sequence),
        _ => None,
    });
    match spare.unwrap_or(0).max(known + 1) {
        1 => Start::First,
        sequence => Start::At(sequence),
    }
}

fn config(wanted: &Wanted<'_>, name: &str, start: Start) -> Config {
    Config {
        durable_name: Some(name.to_owned()),
        description: Some("Flipped Load Balancer: how far it has read".to_owned()),
        deliver_policy: match start {
            Start::At(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
            Start::Here | Start::First => DeliverPolicy::All,
        },
        ack_policy: AckPolicy::All,
        ack_wait: NATS_ACK_WAIT,
        filter_subject: wanted.filter.to_owned(),
        max_ack_pending: wanted.open_max as i64,
        ..Config::default()
    }
}

/// A consumer, if there is one. Only the stream's own word counts for "none".
async fn look(stream: &Stream, name: &str) -> Result<Option<Info>, String> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "the consumer \"{name}\" cannot be looked for: {error}"
        )),
    }
}

/// An existing one of the name is an error: it was not seen a moment ago.
async fn create(stream: &Stream, config: &Config) -> Result<(), String> {
    let name = config.durable_name.as_deref().unwrap_or_default();
    let created = stream.create_consumer_strict(config.clone()).await;
    created.map_err(|why| {
        let why = format!("the consumer \"{name}\" cannot be made: {why}");
        match why.contains(IS_WORK_QUEUE) {
            true => format!(
                "{why}; a source acknowledges many messages at once, which a work queue does not take: make the \
                 stream with --retention limits or interest"
            ),
            false => why,
        }
    })?;
    Ok(())
}

/// JetStream's number for it.
const IS_WORK_QUEUE: &str = "10098";

async fn remove(stream: &Stream, name: &str) -> Result<(), String> {
    let removed = stream.delete_consumer(name).await;
    removed.map_err(|why| format!("the consumer \"{name}\" cannot be removed: {why}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WANTED: Wanted<'_> = Wanted {
        name: "d",
        filter: "",
        open_max: 10,
    };

    fn info(policy: serde_json::Value, floor: u64, delivered: u64, open: usize) -> Info {
        let mut config = json!({
            "ack_policy": "all", "replay_policy": "instant", "max_ack_pending": 10,
        });
        for (key, value) in policy.as_object().expect("an object") {
            config[key] = value.clone();
        }
        let sequence = |at: u64| json!({ "consumer_seq": 0, "stream_seq": at });
        serde_json::from_value(json!({
            "stream_name": "S", "name": "d", "created": "2026-01-31T07:00:00Z", "config": config,
            "delivered": sequence(delivered), "ack_floor": sequence(floor),
            "num_ack_pending": open, "num_redelivered": 0, "num_waiting": 0, "num_pending": 0,
        }))
        .expect("an answer as servers give it")
    }

    #[test]
    fn a_consumer_begins_behind_all_that_is_known_to_be_acknowledged() {
        let all = || json!({ "deliver_policy": "all" });
        let from = |at: u64| json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": at });
        let start = |main: Option<Info>, spare: Option<Info>, known| {
            start(&WANTED, main.as_ref(), spare.as_ref(), known)
        };
        assert_eq!(start(None, None, None), Start::First);
        assert_eq!(start(None, None, Some(7)), Start::At(8));
        let settled = || Some(info(all(), 5, 5, 0));
        assert_eq!(start(settled(), None, None), Start::Here);
        assert_eq!(start(settled(), None, Some(5)), Start::Here);
        assert_eq!(
            start(settled(), None, Some(7)),
            Start::At(8),
            "an acknowledgement was lost"
        );
        let open = || Some(info(all(), 5, 9, 4));
        assert_eq!(start(open(), None, None), Start::At(6));
        assert_eq!(start(open(), None, Some(8)), Start::At(9));
        // It died behind the second step.
        assert_eq!(
            start(None, Some(info(from(6), 5, 5, 0)), None),
            Start::At(6)
        );
        assert_eq!(
            start(None, Some(info(from(6), 5, 5, 0)), Some(8)),
            Start::At(9)
        );
        // It died behind the third one.
        let spare = || Some(info(from(6), 5, 5, 0));
        assert_eq!(start(settled(), spare(), None), Start::Here);
    }

    #[test]
    fn one_that_somebody_else_made_is_made_anew_where_it_is() {
        let other = |policy| Some(info(policy, 5, 5, 0));
        for policy in [
            json!({ "deliver_policy": "all", "ack_policy": "explicit" }),
            json!({ "deliver_policy": "all", "filter_subject": "a.b" }),
            json!({ "deliver_policy": "all", "deliver_subject": "x" }),
            json!({ "deliver_policy": "all", "max_ack_pending": 1 }),
        ] {
            let start = start(&WANTED, other(policy.clone()).as_ref(), None, None);
            assert_eq!(start, Start::At(6), "{policy}");
        }
    }
}
