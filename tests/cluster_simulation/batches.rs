//! What the simulated engines journal: orders as settlements, which are the shortest entries there are. What is
//! carried has the same entries in a batch of another kind.

use flipped_lb::cluster::record::{Kind, PLACE_LEN, Record};
use flipped_lb::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, SETTLEMENT_LEN, Settlement,
};

/// A line of a source: the source in the upper half, its number in the lower.
pub type Order = u64;

pub fn order(source: usize, number: u64) -> Order {
    (source as u64) << 32 | number
}

/// Bytes of the batch of so many orders.
pub fn len_of(orders: usize) -> usize {
    BATCH_HEADER_LEN + orders * SETTLEMENT_LEN
}

/// The batch behind a place at this position.
pub fn encode(position: u64, orders: &[Order]) -> Vec<u8> {
    let position = position + PLACE_LEN as u64;
    batch(BatchKind::Settlements, (position, PLACE_LEN), orders)
}

/// The batch of a carried record, which names a position of long ago.
pub fn carry(orders: &[Order]) -> Vec<u8> {
    batch(BatchKind::Ids, (1, 0), orders)
}

fn batch(kind: BatchKind, (position, behind): (u64, usize), orders: &[Order]) -> Vec<u8> {
    let mut body = Vec::new();
    for order in orders {
        let mut bytes = [0; SETTLEMENT_LEN];
        let settlement = Settlement {
            sequence: *order,
            settled_us: 0,
        };
        settlement.encode(0, &mut bytes);
        body.extend_from_slice(&bytes);
    }
    let header = BatchHeader {
        crc: 0,
        body_len: body.len() as u32,
        kind,
        entries: orders.len() as u32,
        position,
        first_sequence: 1,
        time_us: 0,
    };
    let mut out = [0; BATCH_HEADER_LEN];
    header.encode_behind(behind as u32, std::iter::once(&body[..]), &mut out);
    [&out[..], &body].concat()
}

/// The orders that came with a message, if it is a record.
pub fn orders(bytes: &[u8]) -> Vec<Order> {
    entries_of(bytes, Kind::Batches)
}

/// The orders that a message carries, if it is a carried record.
pub fn carried(bytes: &[u8]) -> Vec<Order> {
    entries_of(bytes, Kind::Carried)
}

fn entries_of(bytes: &[u8], kind: Kind) -> Vec<Order> {
    let record = Record::decode(bytes)
        .ok()
        .filter(|it| it.place.kind == kind);
    let Some(record) = record else {
        return Vec::new();
    };
    let body = record.batches.get(BATCH_HEADER_LEN..).unwrap_or_default();
    let entries = body.as_chunks::<SETTLEMENT_LEN>().0;
    entries
        .iter()
        .map(|it| Settlement::decode(0, it).sequence)
        .collect()
}
