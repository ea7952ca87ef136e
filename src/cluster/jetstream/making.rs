//! Rebuilds the stream from one member's records, each at its own sequence.
//!
//! Used by `flipped-lb cluster restore` while no member runs. A void message that the member has passed over
//! becomes something void again, so that all sequences stay.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Config;
use async_nats::{Client, HeaderMap, header};

use super::Settings;
use super::requests::{context, find};
use super::stream::wanted;
use crate::cluster::core::{filler, subject_of};
use crate::cluster::record::Place;
use crate::limits::LOG_ANSWER_MAX;
use crate::nats::connect::{dial, options};
use crate::nats::version::{Verdict, check_version};

/// A stream that is being filled.
pub(crate) struct Making {
    context: Context,
    settings: Settings,
    /// The sequence of the next message.
    next: u64,
}

impl Making {
    /// Makes the stream, whose first message is to have this sequence. One that has messages stays, unless
    /// `replaces`.
    ///
    /// # Errors
    /// In words: no server answers, or there is such a stream.
    pub(crate) async fn begin(
        settings: Settings,
        first: u64,
        replaces: bool,
    ) -> Result<Self, String> {
        let client = connect(&settings).await?;
        let making = Self {
            context: context(&client),
            settings,
            next: first,
        };
        making.clear(replaces).await?;
        let config = Config {
            first_sequence: (first > 1).then_some(first),
            ..wanted(&making.settings)
        };
        let made = making.context.create_stream(config).await;
        made.map_err(|it| format!("the stream {} cannot be made: {it}", making.name()))?;
        Ok(making)
    }

    fn name(&self) -> String {
        self.settings.stream()
    }

    /// Takes a stream away that is in the place.
    async fn clear(&self, replaces: bool) -> Result<(), String> {
        let name = self.name();
        let found = find(&self.context, &name).await;
        let found = found.map_err(|it| format!("the stream {name} cannot be looked at: {it}"))?;
        let Some(found) = found else {
            return Ok(());
        };
        let state = &found.cached_info().state;
        if state.messages > 0 && !replaces {
            return Err(format!(
                "there is a stream {name} with the messages {} to {}: if they are not this group's, or its \
                 members have all of them, --replace removes it and makes it anew",
                state.first_sequence, state.last_sequence
            ));
        }
        let deleted = self.context.delete_stream(&name).await;
        deleted.map_err(|it| format!("the stream {name} cannot be removed: {it}"))?;
        Ok(())
    }

    /// Publishes a record at its sequence, and something void in each place before it.
    ///
    /// # Errors
    /// In words: it is not confirmed.
    pub(crate) async fn put(&mut self, place: &Place, bytes: &[u8]) -> Result<(), String> {
        let (void, nothing) = filler(&self.settings.group);
        while self.next < place.sequence {
            self.publish(&void, &nothing).await?;
        }
        let subject = subject_of(&self.settings.group, place.term);
        self.publish(&subject, bytes).await
    }

    async fn publish(&mut self, subject: &str, bytes: &[u8]) -> Result<(), String> {
        let sequence = self.next;
        let failed = |words: String| format!("record {sequence} is not in the stream: {words}");
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_STREAM, self.name().as_str());
        let last = (sequence - 1).to_string();
        headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, last.as_str());
        let sent =
            self.context
                .publish_with_headers(subject.to_owned(), headers, bytes.to_vec().into());
        let sent = sent.await.map_err(|it| failed(it.to_string()))?;
        let ack = sent.await.map_err(|it| failed(it.to_string()))?;
        if ack.sequence != sequence {
            return Err(failed(format!("it was given {}", ack.sequence)));
        }
        self.next += 1;
        Ok(())
    }
}

async fn connect(settings: &Settings) -> Result<Client, String> {
    let servers = settings.nats.urls();
    let name = servers.join(", ");
    let options = options(&settings.nats)?.name("flipped-lb cluster restore");
    let client = dial(options, servers, &name, 2 * LOG_ANSWER_MAX).await?;
    match check_version(&client.server_info().version) {
        Verdict::Refused(why) => Err(format!("{name} is refused: {why}")),
        Verdict::Old(_) | Verdict::Fine => Ok(client),
    }
}
