//! An active's description of itself in claims, beats and goodbyes: its name, segment length and addresses.

use super::error::RecordError;
use crate::limits::{ANNOUNCED_ADDRESS_LEN_MAX, ANNOUNCED_ADDRESSES_MAX, CLUSTER_NAME_LEN_MAX};

/// Who speaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The member's name.
    pub node: String,
    /// Bytes of a segment: the same for all members.
    pub segment_len: u64,
    /// Where it serves, `host:port` each; standbys tell whoever comes to them.
    pub addresses: Vec<String>,
}

impl Announcement {
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let fits = self.addresses.len() <= ANNOUNCED_ADDRESSES_MAX
            && self.node.len() <= CLUSTER_NAME_LEN_MAX
            && (self.addresses.iter()).all(|it| it.len() <= ANNOUNCED_ADDRESS_LEN_MAX);
        if !fits {
            return Err(RecordError::Shape("its announcement"));
        }
        out.extend_from_slice(&self.segment_len.to_le_bytes());
        out.push(self.addresses.len() as u8);
        for text in std::iter::once(&self.node).chain(&self.addresses) {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Ok(())
    }

    pub(super) fn decode(from: &[u8]) -> Option<Self> {
        let (segment_len, rest) = from.split_first_chunk::<8>()?;
        let (count, mut rest) = rest.split_first()?;
        let node = text(&mut rest, CLUSTER_NAME_LEN_MAX)?;
        if usize::from(*count) > ANNOUNCED_ADDRESSES_MAX {
            return None;
        }
        let addresses = (0..*count).map(|_| text(&mut rest, ANNOUNCED_ADDRESS_LEN_MAX));
        let addresses = addresses.collect::<Option<Vec<_>>>()?;
        rest.is_empty().then(|| Self {
            node,
            segment_len: u64::from_le_bytes(*segment_len),
            addresses,
        })
    }
}

fn text(rest: &mut &[u8], len_max: usize) -> Option<String> {
    let (len, behind) = rest.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_le_bytes(*len));
    let (bytes, behind) = behind.split_at_checked(len)?;
    *rest = behind;
    (len <= len_max)
        .then(|| String::from_utf8(bytes.to_vec()).ok())
        .flatten()
}
