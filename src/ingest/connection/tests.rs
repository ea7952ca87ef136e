use super::*;

#[test]
fn a_source_that_comes_again_is_told_from_its_earlier_connection() {
    let mut connections = Connections::new(1, 100, 7);
    connections.open(3, Origin::Configured(0), "s".to_owned(), true, 0);
    assert!(connections.of_source(0, 1).is_some_and(|(key, _)| key == 3));
    connections.get_mut(3).expect("it is there").lines.floor_ms = 9;
    assert!(connections.close(3).is_some() && connections.close(3).is_none());
    connections.open(3, Origin::Configured(0), "s".to_owned(), true, 0);
    assert!(connections.of_source(0, 1).is_none());
    let (_, connection) = connections.of_source(0, 2).expect("the second one");
    assert_eq!(
        connection.lines.floor_ms, 9,
        "nothing goes before what was there"
    );
}

#[test]
fn producers_get_the_indices_of_those_that_went() {
    let peer = Origin::DialledIn("127.0.0.1:1".parse().expect("an address"));
    let mut connections = Connections::new(2, 100, 0);
    let open = |connections: &mut Connections, key| {
        connections.open(key, peer, "p".to_owned(), false, 0);
        connections.get_mut(key).expect("it is there").lines.source
    };
    assert_eq!(
        [open(&mut connections, 0), open(&mut connections, 1)],
        [2, 3]
    );
    connections.close(0);
    assert_eq!(
        [open(&mut connections, 5), open(&mut connections, 0)],
        [2, 4]
    );
}

#[test]
fn a_source_that_comes_has_an_index_of_its_own_while_one_that_went_still_ends() {
    let mut connections = Connections::new(2, 100, 0);
    let open = |connections: &mut Connections, key, origin| {
        connections.open(key, origin, "s".to_owned(), true, 0);
        connections.get_mut(key).expect("it is there").lines.source
    };
    assert_eq!(open(&mut connections, 0, Origin::Configured(0)), 0);
    assert_eq!(connections.remove_source(0), Some(0));
    assert_eq!(
        (connections.slot_of(0), connections.slot_of(1)),
        (None, Some(1))
    );
    assert!(
        connections.of_source(0, 1).is_some(),
        "it is acknowledged still"
    );
    connections.add_source(0);
    assert_eq!(open(&mut connections, 1, Origin::Configured(0)), 2);
    assert_eq!(connections.of_slot(0).map(|it| it.0), Some(1));
    assert_eq!(connections.remove_source(1), None);
    connections.close(0);
    // Both indices are free again.
    connections.add_source(1);
    connections.add_source(2);
    let slots = [connections.slot_of(0), connections.slot_of(1)];
    assert_eq!(slots, [Some(1), Some(2)]);
}

#[test]
fn a_connection_is_in_the_queue_once_and_not_while_it_waits() {
    let mut connections = Connections::new(1, 100, 0);
    connections.open(0, Origin::Configured(0), "s".to_owned(), false, 0);
    connections.enqueue(0);
    connections.enqueue(9);
    assert_eq!(connections.readable_len(), 1);
    assert_eq!(connections.next_readable(), Some(0));
    connections.get_mut(0).expect("it is there").waits_for = Some(Wait::Rejects);
    connections.enqueue(0);
    assert_eq!(connections.next_readable(), None);
}

#[test]
fn an_end_is_told_once_and_a_reset_that_a_write_has_seen_is_told_by_the_next_read() {
    let kind = |read: io::Result<usize>| read.map_err(|error| error.kind());
    let mut peer = Peer::default();
    assert_eq!(kind(peer.note_read(Ok(5))), Ok(5));
    assert_eq!(kind(peer.note_read(Ok(0))), Ok(0));
    assert_eq!(kind(peer.note_read(Ok(0))), Err(ErrorKind::WouldBlock));
    let mut peer = Peer::default();
    let closed = Err(ErrorKind::BrokenPipe.into());
    assert_eq!(kind(peer.note_read(closed)), Ok(0));
    assert!(peer.has_ended && peer.broken.is_some());
    let mut peer = Peer {
        has_ended: false,
        broken: Some(ErrorKind::ConnectionReset),
    };
    assert_eq!(kind(peer.note_read(Ok(3))), Ok(3));
    assert_eq!(kind(peer.note_read(Ok(0))), Err(ErrorKind::ConnectionReset));
}
