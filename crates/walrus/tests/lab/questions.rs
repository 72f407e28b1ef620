//! Asks a name server, over UDP or TCP, and reads what comes back.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::Rcode;
use domain::rdata::A;
use walrus_sim::{Question, query_bytes};

/// A name server on loopback that takes longer has lost the query, also where the machine has much else
/// to do.
const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// What a service's clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) rcode: Rcode,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Of the first record; `None` without one.
    pub(crate) ttl_seconds: Option<u32>,
}

/// A resolver that keeps its socket, so that asking costs no more than the query.
pub(crate) struct Resolver {
    socket: UdpSocket,
}

impl Resolver {
    pub(crate) fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
        Self { socket }
    }

    /// Asks for a service's IPv4 addresses, on behalf of a client in this /24.
    pub(crate) fn ask(&self, service: &str, client: IpAddr) -> Answer {
        let query = query_bytes(&Question {
            name: service.to_owned(),
            record_type: "A".to_owned(),
            client,
            subnet: Some((client, 24)),
            server: None,
        });
        let mut query = query.unwrap();
        // Recursion desired: a resolver needs to hear it, and a name server does not mind.
        query[2] |= 1;
        self.socket.send(&query).unwrap();
        let mut reply = [0; 4096];
        let len = self.socket.recv(&mut reply).expect("a reply");
        let message = Message::from_octets(&reply[..len]).unwrap();
        let mut answer = Answer {
            rcode: message.header().rcode(),
            addresses: BTreeSet::new(),
            ttl_seconds: None,
        };
        for record in message.answer().unwrap().limit_to::<A>() {
            let record = record.unwrap();
            answer.addresses.insert(IpAddr::V4(record.data().addr()));
            answer.ttl_seconds.get_or_insert(record.ttl().as_secs());
        }
        answer
    }
}

/// Sends a query as it is and gives the reply as it is; `None` if none comes.
pub(crate) fn ask_udp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
    socket.send(query).unwrap();
    let mut reply = vec![0; 65_535];
    let len = socket.recv(&mut reply).ok()?;
    reply.truncate(len);
    Some(reply)
}

/// Sends a query that may well be answered with silence, and behind it one that never is: what has
/// not come when that one is answered does not come.
pub(crate) fn ask_udp_or_hear_silence(
    server: SocketAddr,
    query: &[u8],
    behind: &[u8],
) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
    assert_ne!(query[..2], behind[..2], "told apart by their IDs");
    socket.send(query).unwrap();
    socket.send(behind).unwrap();
    let mut found = None;
    let mut reply = vec![0; 65_535];
    loop {
        let len = socket.recv(&mut reply).expect("an answer to the second query");
        if reply[..2] == behind[..2] {
            return found;
        }
        found = Some(reply[..len].to_vec());
    }
}

/// Sends a query over a TCP connection of its own.
pub(crate) fn ask_tcp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(REPLY_WITHIN)).unwrap();
    let mut framed = u16::try_from(query.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).ok()?;
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}
