//! Frame memory: fixed chunks that are lent down the pipeline and returned.
//!
//! Ingest fills a chunk through a [`Writer`]. Each record becomes a [`Committed`], which the
//! scheduler seals and turns into a [`Place`]: the address of a record, which may be stale. Reading
//! needs a [`Lease`]; only the [`Ledger`], which the scheduler owns, hands leases out and takes
//! them back. A chunk is free when its writer is returned, no lease of it is out and no message
//! needs it, or earlier, if it is evicted: then its places are stale, and their messages are read
//! from the journal.
//!
//! ```text
//!  Ledger --Writer--> ingest --Committed--> Ledger::place --Place--> (queued)
//!    ^                                        |
//!    +----Returned <-- journal, delivery <----+ Lease
//!
//!  chunk   [ record | record | record |      free        ]
//!            placed   placed   committed ^ tail: only the Writer touches bytes from here on
//! ```

mod ledger;
mod memory;
mod region;

pub(crate) use ledger::Ledger;
pub(crate) use region::{Committed, EndedLeases, Lease, Place, Returned, View, Writer};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::layout::{RECORD_HEADER_LEN, record_len};

    fn put(ledger: &mut Ledger, writer: &mut Writer, frame: &[u8]) -> Place {
        let claim = writer.claim(frame).expect("there is room");
        assert_eq!(claim.frame(), frame);
        let committed = claim.commit();
        ledger.place(committed)
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let mut ledger = Ledger::new(1024, 2);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"hello");
        let lease = ledger.lend(place).expect("resident");
        let bytes = view.bytes(&lease);
        assert_eq!(&bytes[RECORD_HEADER_LEN..], b"hello\n");
        assert_eq!(place.wire_len(), 6);
        ledger.take_back(Returned::one(lease));
    }

    #[test]
    fn a_chunk_is_free_when_writer_leases_and_messages_are_gone() {
        let mut ledger = Ledger::new(1024, 1);
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"a");
        let lease = ledger.lend(place).expect("resident");
        assert!(ledger.writer().is_none());
        ledger.seal(writer);
        ledger.release(place);
        assert_eq!(ledger.free_count(), 0, "the lease is still out");
        assert_eq!(ledger.used_count(), 1);
        ledger.take_back(Returned::one(lease));
        assert_eq!((ledger.free_count(), ledger.used_count()), (1, 0));
        assert!(
            ledger.lend(place).is_none(),
            "its chunk is of another generation"
        );
    }

    #[test]
    fn a_run_covers_adjacent_records_only() {
        let mut ledger = Ledger::new(1024, 2);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let places: Vec<_> = [b"one", b"two", b"six"]
            .map(|it| put(&mut ledger, &mut writer, it))
            .into();
        let mut run = ledger.lend(places[0]).expect("resident");
        assert!(!ledger.extend(&mut run, places[2]));
        assert!(ledger.extend(&mut run, places[1]) && ledger.extend(&mut run, places[2]));
        assert_eq!(view.bytes(&run).len(), 3 * record_len(3));
        ledger.take_back(Returned::one(run));
    }

    #[test]
    fn eviction_takes_only_what_nobody_holds() {
        let mut ledger = Ledger::new(1024, 2);
        let mut writer = ledger.writer().expect("free");
        let place = put(&mut ledger, &mut writer, b"a");
        assert!(!ledger.evict(), "its writer is out");
        ledger.seal(writer);
        let lease = ledger.lend(place).expect("resident");
        assert!(!ledger.evict(), "it is being read");
        ledger.take_back(Returned::one(lease));
        assert!(ledger.evict());
        assert_eq!(ledger.free_count(), 2);
        assert!(!ledger.is_resident(place));
        ledger.release(place);
        assert_eq!(
            ledger.free_count(),
            2,
            "a stale place is released without effect"
        );
    }

    #[test]
    fn what_was_sealed_first_is_evicted_first() {
        let mut ledger = Ledger::new(1024, 3);
        let mut places = Vec::new();
        for _ in 0..3 {
            let mut writer = ledger.writer().expect("free");
            places.push(put(&mut ledger, &mut writer, b"a"));
            ledger.seal(writer);
        }
        for gone in 1..=3 {
            assert!(ledger.evict());
            let resident = places.iter().filter(|&&it| ledger.is_resident(it)).count();
            assert_eq!(resident, 3 - gone);
            assert!(!ledger.is_resident(places[gone - 1]));
        }
        assert!(!ledger.evict());
        assert!(ledger.lend(Place::nowhere(100)).is_none());
    }

    #[test]
    fn a_claim_that_is_dropped_leaves_no_trace() {
        let mut ledger = Ledger::new(256, 1);
        let mut writer = ledger.writer().expect("free");
        let room = writer.room();
        assert!(writer.claim(b"rejected").is_some());
        assert_eq!(writer.room(), room);
        assert!(writer.claim(&[b'x'; 256]).is_none());
        assert!(writer.claim(&vec![b'x'; room - record_len(0)]).is_some());
    }

    #[test]
    fn frames_cross_threads() {
        let mut ledger = Ledger::new(64 * 1024, 1);
        let view = ledger.view();
        let mut writer = ledger.writer().expect("free");
        let (mut producer, mut consumer) = rtrb::RingBuffer::new(16);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..500_u32 {
                    let committed = writer.claim(&number.to_le_bytes()).expect("room").commit();
                    let mut token = Some(committed);
                    while let Some(it) = token.take() {
                        if let Err(rtrb::PushError::Full(back)) = producer.push(it) {
                            token = Some(back);
                            std::thread::yield_now();
                        }
                    }
                }
            });
            let mut expected = 0_u32;
            while expected < 500 {
                let Ok(mut committed) = consumer.pop() else {
                    continue;
                };
                view.header_mut(&mut committed)[0] = 7;
                let place = ledger.place(committed);
                let lease = ledger.lend(place).expect("resident");
                let bytes = view.bytes(&lease);
                assert_eq!(bytes[0], 7);
                assert_eq!(bytes[RECORD_HEADER_LEN..][..4], expected.to_le_bytes());
                ledger.take_back(Returned::one(lease));
                ledger.release(place);
                expected += 1;
            }
        });
    }
}
