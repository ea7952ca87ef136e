//! Fuzzing of records: any bytes are refused, or are exactly what their parts make.
//!
//! ```text
//! input   | any bytes, read as they are |
//!         | 0xff, then bytes that choose a record's parts, and damage to it: at u16, value u8 ... |
//! ```

use super::record::{Announcement, Kind, Record, encode};
use super::testing::{announcement, batches_at, place};

/// Reads any bytes as a record, and a record with damage that they choose.
pub fn cluster_records(input: &[u8]) {
    read(input);
    if let Some((0xff, script)) = input.split_first() {
        damaged(script);
    }
}

/// What can be read is made again, byte for byte.
fn read(bytes: &[u8]) -> bool {
    let Ok(record) = Record::decode(bytes) else {
        return false;
    };
    let again = encode(&record.place, record.announcement.as_ref(), record.batches);
    assert_eq!(again.as_deref(), Ok(bytes));
    true
}

fn damaged(script: &[u8]) {
    let Some(([kind, count, number, len], script)) = script.split_first_chunk::<4>() else {
        return;
    };
    let kinds = [Kind::Beat, Kind::Batches, Kind::Claim, Kind::Goodbye];
    let mut place = place(kinds[usize::from(*kind) % kinds.len()]);
    place.sequence = u64::from(*number);
    let bodies = vec![vec![u64::from(*number); usize::from(*len)]; usize::from(*count) % 8 + 1];
    let bodies: Vec<&[u64]> = bodies.iter().map(Vec::as_slice).collect();
    let (announcement, batches) = match place.kind.has_batches() {
        true => (None, batches_at(place.position, &bodies)),
        false => {
            let addresses = vec!["a:1".into(); usize::from(*count) % 8];
            let said = Announcement {
                addresses,
                ..announcement()
            };
            (Some(said), Vec::new())
        }
    };
    let whole = encode(&place, announcement.as_ref(), &batches).expect("its parts fit");
    assert!(read(&whole), "it was made");
    let mut bytes = whole.clone();
    for [low, high, value] in script.as_chunks::<3>().0 {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len();
        bytes[at] ^= value;
    }
    if let [cut] = script.as_chunks::<3>().1 {
        bytes.truncate(bytes.len().saturating_sub(usize::from(*cut)));
    }
    // Four bytes can be chosen so that a CRC fits again; what passes must still be a record.
    assert!(!read(&bytes) || bytes == whole || script.len() > 12);
}
