//! How a cold message is packed: as what tells it from the one before it in its lane.
//!
//! ```text
//! type, level, flag  | sequence | position | record length | timestamp
//! 4 bits from 0 up   | differences to the message before: to what its successor in the journal
//!                    | would have, then zigzag
//! ```
//! Each is a varint, so the usual message - the next but one or two of the journal, as long as the
//! last to a few bytes, in the same millisecond - takes six or seven bytes, and any other as many
//! as it needs. Pure values; a lane keeps the bytes.

use super::ColdMessage;
use crate::message::TypeIndex;

/// Bytes that a packed message may take: five varints of 64 bits.
pub(super) const PACKED_LEN_MAX: usize = 50;

/// A packed message, and its length.
pub(super) type Packed = ([u8; PACKED_LEN_MAX], usize);

/// Packs `message`, which stands behind `before`.
pub(super) fn pack(before: &ColdMessage, message: &ColdMessage) -> Packed {
    let tag = u64::from(message.message_type) << 4
        | u64::from(message.level0) << 1
        | u64::from(message.redelivered);
    let end = before.position.wrapping_add(u64::from(before.record_len));
    let differences = [
        message
            .sequence
            .wrapping_sub(before.sequence.wrapping_add(1)),
        message.position.wrapping_sub(end),
        u64::from(message.record_len).wrapping_sub(u64::from(before.record_len)),
        message.timestamp_ms.wrapping_sub(before.timestamp_ms),
    ];
    let mut packed = ([0; PACKED_LEN_MAX], 0);
    put(&mut packed, tag);
    for difference in differences {
        put(&mut packed, zigzag(difference));
    }
    packed
}

/// Unpacks the message at the front of `bytes`, which stands behind `before`; gives its packed
/// length as well.
pub(super) fn unpack(before: &ColdMessage, bytes: &[u8]) -> (ColdMessage, usize) {
    let mut at = 0;
    let tag = take(bytes, &mut at);
    let [sequence, position, record_len, timestamp_ms] =
        std::array::from_fn(|_| unzigzag(take(bytes, &mut at)));
    let end = before.position.wrapping_add(u64::from(before.record_len));
    let message = ColdMessage {
        sequence: before.sequence.wrapping_add(1).wrapping_add(sequence),
        position: end.wrapping_add(position),
        timestamp_ms: before.timestamp_ms.wrapping_add(timestamp_ms),
        record_len: u64::from(before.record_len).wrapping_add(record_len) as u32,
        message_type: (tag >> 4) as TypeIndex,
        level0: (tag >> 1 & 7) as u8,
        redelivered: tag & 1 == 1,
    };
    (message, at)
}

/// Small differences, up or down, become small numbers.
fn zigzag(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    (signed << 1 ^ signed >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// Seven bits a byte, the lowest first; the last byte has its top bit clear.
#[inline]
fn put((bytes, len): &mut Packed, mut number: u64) {
    while number >= 0x80 {
        bytes[*len] = number as u8 | 0x80;
        *len += 1;
        number >>= 7;
    }
    bytes[*len] = number as u8;
    *len += 1;
}

#[inline]
fn take(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_number() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0u64..300, any::<u64>(), Just(u64::MAX)]
    }

    pub(super) fn any_message() -> impl Strategy<Value = ColdMessage> {
        let numbers = (any_number(), any_number(), any_number());
        let small = (any::<u32>(), any::<u16>(), 0u8..8, any::<bool>());
        (numbers, small).prop_map(
            |(
                (sequence, position, timestamp_ms),
                (record_len, message_type, level0, redelivered),
            )| {
                ColdMessage {
                    sequence,
                    position,
                    timestamp_ms,
                    record_len,
                    message_type,
                    level0,
                    redelivered,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(before in any_message(), message in any_message()) {
            let (bytes, len) = pack(&before, &message);
            prop_assert_eq!(unpack(&before, &bytes[..len]), (message, len));
        }
    }

    #[test]
    fn the_next_message_of_the_journal_takes_five_bytes_and_one_of_many_lanes_seven() {
        let first = ColdMessage {
            sequence: 10_000_000,
            position: 1 << 40,
            timestamp_ms: 1_693_123_456_789,
            record_len: 435,
            message_type: 5,
            level0: 2,
            redelivered: false,
        };
        let next = ColdMessage {
            sequence: first.sequence + 1,
            position: first.position + 435,
            record_len: 430,
            ..first
        };
        assert_eq!(pack(&first, &next).1, 5);
        let far = ColdMessage {
            sequence: first.sequence + 20,
            position: first.position + 20 * 435,
            timestamp_ms: first.timestamp_ms + 1,
            ..first
        };
        assert_eq!(pack(&first, &far).1, 7);
    }
}
