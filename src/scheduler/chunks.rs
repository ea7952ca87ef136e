//! The chunk supply: keeps ingest and the replay agent in empty chunks.

use super::messages::Messages;
use super::protocol::ToIngest;
use super::rings::Outputs;
use crate::arena::Writer;
use crate::limits::{CHUNKS_AT_INGEST, CHUNKS_AT_REPLAY, CHUNKS_FOR_REPLAY, CHUNKS_FREE_MIN};

/// How many chunks the two have.
#[derive(Debug, Default)]
pub(crate) struct ChunkSupply {
    at_ingest: usize,
    at_replay: usize,
}

impl ChunkSupply {
    /// Ingest has filled a chunk.
    pub(crate) fn take_from_ingest(&mut self, writer: Writer, messages: &mut Messages) {
        self.at_ingest -= 1;
        messages.seal_chunk(writer);
    }

    /// The replay agent has filled a chunk.
    pub(crate) fn take_from_replay(&mut self, writer: Writer, messages: &mut Messages) {
        self.at_replay -= 1;
        messages.seal_chunk(writer);
    }

    /// Sends chunks where they lack. Where too few are free, the oldest ones are evicted from the
    /// queued messages in them, which are in the journal; returns how many. The replay agent goes
    /// first: what waits on disk is delivered however much is accepted and not recorded.
    pub(crate) fn supply(&mut self, messages: &mut Messages, out: &mut Outputs) -> u64 {
        let mut evicted = 0;
        while messages.free_chunks() < CHUNKS_FREE_MIN && messages.evict_chunk() {
            evicted += 1;
        }
        while self.at_replay < CHUNKS_AT_REPLAY
            && let Some(mut permit) = out.replay_chunks.claim(1)
            && let Some(writer) = messages.chunk()
        {
            self.at_replay += 1;
            permit.send(writer);
        }
        while self.at_ingest < CHUNKS_AT_INGEST
            && messages.free_chunks() > CHUNKS_FOR_REPLAY
            && let Some(mut permit) = out.ingest.claim(1)
            && let Some(writer) = messages.chunk()
        {
            self.at_ingest += 1;
            permit.send(ToIngest::Chunk(writer));
        }
        evicted
    }
}
