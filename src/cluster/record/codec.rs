//! Encodes and decodes records.

use super::announcement::Announcement;
use super::error::RecordError;
use super::place::{FIELDS_LEN, Lengths, Place};
use super::{PLACE_LEN, batches};
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind};
use crate::limits::RECORD_MESSAGE_LEN_MAX;

/// A record, over the bytes of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Everything about it but what is in it.
    pub place: Place,
    /// In beats, claims and goodbyes: who speaks.
    pub announcement: Option<Announcement>,
    /// The batches of one write, as they stand in the journal behind the place.
    pub batches: &'a [u8],
}

/// Makes a record's bytes.
///
/// # Errors
/// It is longer than a record may be, or its parts do not belong together.
pub fn encode(
    place: &Place,
    announcement: Option<&Announcement>,
    batches: &[u8],
) -> Result<Vec<u8>, RecordError> {
    if place.kind.has_batches() == announcement.is_some() {
        return Err(RecordError::Shape("its announcement"));
    }
    let mut out = vec![0; PLACE_LEN];
    if let Some(announcement) = announcement {
        announcement.encode(&mut out)?;
    }
    let ahead = out.len();
    if ahead + batches.len() > RECORD_MESSAGE_LEN_MAX {
        return Err(RecordError::TooLong(ahead + batches.len()));
    }
    batches::check(place, ahead, batches)?;
    let lengths = Lengths {
        rest_crc: crc32fast::hash(batches),
        announcement: (ahead - PLACE_LEN) as u32,
        batches: batches.len() as u32,
    };
    out[BATCH_HEADER_LEN..PLACE_LEN].copy_from_slice(&place.fields(lengths));
    let mut header = [0; BATCH_HEADER_LEN];
    let body = &out[BATCH_HEADER_LEN..];
    header_of(place, body.len()).encode(std::iter::once(body), &mut header);
    out[..BATCH_HEADER_LEN].copy_from_slice(&header);
    out.extend_from_slice(batches);
    Ok(out)
}

fn header_of(place: &Place, body_len: usize) -> BatchHeader {
    BatchHeader {
        crc: 0,
        body_len: body_len as u32,
        kind: BatchKind::Place,
        entries: 0,
        position: place.position,
        first_sequence: place.next_message,
        time_us: place.time_us,
    }
}

/// Bytes of the record that begins with these, as it says; they may be anything.
#[must_use]
pub(crate) fn len_of(head: &[u8; PLACE_LEN]) -> Option<usize> {
    let (header, fields) = head.split_first_chunk::<BATCH_HEADER_LEN>()?;
    BatchHeader::decode(header).filter(|it| it.kind == BatchKind::Place)?;
    let (_, lengths) = Place::read(fields.first_chunk()?).ok()?;
    let len = PLACE_LEN + lengths.announcement as usize + lengths.batches as usize;
    (len <= RECORD_MESSAGE_LEN_MAX).then_some(len)
}

impl<'a> Record<'a> {
    /// Reads a record, and checks all of it.
    ///
    /// # Errors
    /// It is none, or not whole.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_MESSAGE_LEN_MAX {
            return Err(RecordError::TooLong(bytes.len()));
        }
        let length = RecordError::Length(bytes.len());
        let (header, rest) = bytes
            .split_first_chunk::<BATCH_HEADER_LEN>()
            .ok_or(length)?;
        let fields = rest.first_chunk::<FIELDS_LEN>().ok_or(length)?;
        let place = read_header(header, rest)?;
        let (mut read, lengths) = Place::read(fields)?;
        (read.position, read.next_message, read.time_us) = place;
        let ahead = PLACE_LEN + lengths.announcement as usize;
        if ahead + lengths.batches as usize != bytes.len() {
            return Err(length);
        }
        let batches = &bytes[ahead..];
        if crc32fast::hash(batches) != lengths.rest_crc {
            return Err(RecordError::Damaged);
        }
        batches::check(&read, ahead, batches)?;
        let announcement = match read.kind.has_batches() {
            true if lengths.announcement == 0 => None,
            true => return Err(RecordError::Shape("its announcement")),
            false => Some(
                Announcement::decode(&bytes[PLACE_LEN..ahead])
                    .ok_or(RecordError::Shape("its announcement"))?,
            ),
        };
        Ok(Self {
            place: read,
            announcement,
            batches,
        })
    }
}

/// Position, next message and time, if header and body are those of a whole place.
fn read_header(
    header: &[u8; BATCH_HEADER_LEN],
    rest: &[u8],
) -> Result<(u64, u64, u64), RecordError> {
    let read = BatchHeader::decode(header).filter(|it| it.kind == BatchKind::Place);
    let read = read.ok_or(RecordError::Magic)?;
    let body = rest.get(..read.body_len as usize);
    let body = body.ok_or(RecordError::Length(BATCH_HEADER_LEN + rest.len()))?;
    if !read.matches(header, body, read.position) {
        return Err(RecordError::Damaged);
    }
    let is_plain =
        read.entries == 0 && BatchHeader::behind(header) == 0 && header[13..16] == [0; 3];
    if !is_plain || body.len() < FIELDS_LEN || body.len() - FIELDS_LEN != announced(body) {
        return Err(RecordError::Shape("the header of its place"));
    }
    Ok((read.position, read.first_sequence, read.time_us))
}

/// What the place says of its announcement's length.
fn announced(body: &[u8]) -> usize {
    crate::message::layout::u32_at(body, 8) as usize
}
