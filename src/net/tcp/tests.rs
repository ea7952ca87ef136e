use socket2::{Domain, SockRef, Socket, Type};

use super::*;

#[test]
fn no_limit_of_the_kernel_s_cuts_a_peer_that_does_not_read() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut net = Tcp::new(Some(listener), SocketOptions::of_sources()).expect("a poller");
    let _peer = std::net::TcpStream::connect(address).expect("it listens");
    let key = loop {
        match net.accept() {
            Ok((key, _)) => break key,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    };
    let keepalive = |net: &mut Tcp| {
        let socket = SockRef::from(&live(&mut net.streams, key).expect("it is there").socket);
        assert_eq!(socket.tcp_user_timeout().expect("an option"), None);
        socket.keepalive().expect("an option")
    };
    assert!(!keepalive(&mut net), "it may be refused: nothing is set up");
    net.let_in(key).expect("it is let in");
    assert!(keepalive(&mut net));
}

#[test]
fn who_is_refused_reads_why_though_it_has_sent_something() {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut net = Tcp::new(Some(listener), SocketOptions::of_sources()).expect("a poller");
    let mut peers = Vec::new();
    for _ in 0..2 * crate::limits::REFUSED_HELD_MAX {
        let mut peer = std::net::TcpStream::connect(address).expect("it listens");
        peer.write_all(b"something\n").expect("it is connected");
        peers.push(peer);
    }
    for _ in &peers {
        let (key, _) = net.accept().expect("it waits");
        net.refuse(key, "{\"error\":\"no room\"}");
        assert_eq!(key, 0, "its key is free again");
    }
    for mut peer in peers {
        let mut line = String::new();
        peer.read_to_string(&mut line).expect("no reset");
        assert_eq!(line, "{\"error\":\"no room\"}\n");
    }
}

#[test]
fn a_socket_that_reached_itself_is_not_connected() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a port");
    let own = socket.local_addr().expect("it is bound");
    socket.connect(&own).expect("TCP allows it");
    socket.set_nonblocking(true).expect("an option");
    let mut net = Tcp::new(None, SocketOptions::of_sources()).expect("a poller");
    let key = net
        .adopt(TcpStream::from_std(socket.into()).into(), Speech::Plain)
        .expect("room");
    let error = net.connected(key).expect_err("nobody else is there");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
