//! Just enough of DNS to ask a name server anything, malformed things too.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::running::{PATIENCE, wait_for};

pub(crate) const A: u16 = 1;
pub(crate) const MX: u16 = 15;
pub(crate) const AAAA: u16 = 28;
const NSEC: u16 = 47;
pub(crate) const HTTPS: u16 = 65;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NAME_ERROR: u8 = 3;

/// The ID of all queries here.
const ID: u16 = 0x5757;

/// A query for IN, with EDNS and a client subnet /24 if one is given.
pub(crate) fn query(name: &str, record_type: u16, subnet: Option<[u8; 3]>) -> Vec<u8> {
    let mut query = ID.to_be_bytes().to_vec();
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(record_type.to_be_bytes());
    query.extend([0, 1]);
    // OPT of 1232 bytes (RFC 6891), its option 8 (RFC 7871).
    query.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
    match subnet {
        Some([a, b, c]) => query.extend([0, 11, 0, 8, 0, 7, 0, 1, 24, 0, a, b, c]),
        None => query.extend([0, 0]),
    }
    query
}

/// Asks by UDP; `None` if nothing comes within a moment.
pub(crate) fn ask_udp(server: SocketAddr, query: &[u8], within: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(within)).unwrap();
    socket.send_to(query, server).unwrap();
    let mut reply = vec![0; 65_535];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    Some(reply)
}

/// Asks by TCP with the length that the query has; `None` if the connection is closed unanswered.
pub(crate) fn ask_tcp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(query).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

/// The addresses that a client in 203.0.113.0/24 gets for `www.walrus.example`, once there are
/// some.
pub(crate) fn addresses(server: SocketAddr) -> Vec<Ipv4Addr> {
    let query = query("www.walrus.example", 1, Some([203, 0, 113]));
    wait_for("an answer with addresses", || {
        let reply = ask_udp(server, &query, Duration::from_millis(500))?;
        Some(addresses_in(&reply)).filter(|addresses| !addresses.is_empty())
    })
}

/// The A records of a reply whose answers all point at the question's name.
pub(crate) fn addresses_in(reply: &[u8]) -> Vec<Ipv4Addr> {
    let question = reply[12..].iter().position(|byte| *byte == 0).unwrap() + 1 + 4;
    let mut rest = &reply[12 + question..];
    let mut addresses = Vec::new();
    for _ in 0..u16::from_be_bytes([reply[6], reply[7]]) {
        assert!(rest[0] >= 0xc0, "an answer's name is a pointer");
        let length = usize::from(u16::from_be_bytes([rest[10], rest[11]]));
        if rest[2..4] == [0, 1] {
            addresses.push(Ipv4Addr::new(rest[12], rest[13], rest[14], rest[15]));
        }
        rest = &rest[12 + length..];
    }
    addresses.sort_unstable();
    addresses
}

/// A reply's code (without EDNS' upper bits).
pub(crate) fn code(reply: &[u8]) -> u8 {
    reply[3] & 0x0f
}

/// A reply as far as it matters here.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: u8,
    pub(crate) answers: u16,
    /// The types that its NSEC records have.
    pub(crate) beside: Vec<u16>,
}

impl Seen {
    pub(crate) fn is_answer(&self) -> bool {
        self.code == 0 && self.answers > 0
    }

    /// The name is there, the type is not.
    pub(crate) fn is_no_type(&self) -> bool {
        self.code == 0 && self.answers == 0
    }

    /// The type is not there, and the proof of it says that it is.
    pub(crate) fn contradicts(&self, record_type: u16) -> bool {
        self.is_no_type() && self.beside.contains(&record_type)
    }
}

/// Asks once with DO; `None` if nothing comes.
pub(crate) fn ask(server: SocketAddr, name: &str, record_type: u16) -> Option<Seen> {
    let mut query = query(name, record_type, None);
    // DO: the first bit of the two bytes before the length of the OPT record's data.
    let flags = query.len() - 2 - 2;
    query[flags] = 0x80;
    let reply = ask_udp(server, &query, Duration::from_secs(2))?;
    let count = |at: usize| u16::from_be_bytes([reply[at], reply[at + 1]]);
    let mut at = end_of_name(&reply, 12) + 4;
    let mut beside = Vec::new();
    for _ in 0..count(6) + count(8) {
        at = end_of_name(&reply, at);
        let data = at + 10..at + 10 + usize::from(count(at + 8));
        if count(at) == NSEC {
            beside.extend(types(&reply[end_of_name(&reply, data.start)..data.end]));
        }
        at = data.end;
    }
    Some(Seen { code: code(&reply), answers: count(6), beside })
}

/// Behind a name of a message.
pub(crate) fn end_of_name(message: &[u8], mut at: usize) -> usize {
    loop {
        match message[at] {
            0 => return at + 1,
            length if length >= 0xc0 => return at + 2,
            length => at += 1 + usize::from(length),
        }
    }
}

/// The types below 256 of a bitmap (RFC 4034 section 4.1.2).
fn types(bitmap: &[u8]) -> Vec<u16> {
    let [0, length, bits @ ..] = bitmap else { return Vec::new() };
    let bits = &bits[..usize::from(*length)];
    let number = |number: &u16| bits[usize::from(number / 8)] & (0x80 >> (number % 8)) != 0;
    (0..u16::from(*length) * 8).filter(number).collect()
}
