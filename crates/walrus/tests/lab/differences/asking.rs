//! Sends many queries to one server and hears which of them it answers, without waiting for silence:
//! behind some queries goes one that every server answers, and what has not come by then does not come.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::queries::{Asked, IDS};

const PATIENCE: Duration = Duration::from_secs(5);

/// The replies in the queries' order. `behind` is a query that is always answered; so many are on their way
/// at once, fewer than the server's socket holds.
pub(super) fn ask_all(
    server: SocketAddr,
    asked: &[Asked],
    behind: &[u8],
    together: usize,
) -> Vec<Option<Vec<u8>>> {
    let mut replies = vec![None; asked.len()];
    let (by_tcp, by_udp): (Vec<_>, Vec<_>) = (0..asked.len()).partition(|index| asked[*index].tcp);
    let socket = connect(server);
    for (number, chunk) in by_udp.chunks(together).enumerate() {
        let mut waiting = HashMap::new();
        for index in chunk {
            let bytes = &asked[*index].bytes;
            waiting.insert([bytes[0], bytes[1]], *index);
            socket.send(bytes).unwrap();
        }
        let last = marked(behind, number);
        socket.send(&last).unwrap();
        let mut reply = vec![0; 65_535];
        loop {
            let len = socket.recv(&mut reply).unwrap_or_else(|error| panic!("{server}: {error}"));
            if len >= 2 && reply[..2] == last[..2] {
                break;
            }
            if let Some(index) = waiting.remove(&[reply[0], reply[1]]) {
                replies[index] = Some(reply[..len].to_vec());
            }
        }
    }
    for (number, chunk) in by_tcp.chunks(together).enumerate() {
        let closed = ask_tcp(server, asked, chunk, &marked(behind, number), &mut replies);
        // Each on a connection of its own, so that none suffers for another.
        for index in chunk {
            if closed && replies[*index].is_none() {
                ask_tcp(server, asked, &[*index], &marked(behind, number), &mut replies);
            }
        }
    }
    replies
}

fn connect(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn marked(behind: &[u8], number: usize) -> Vec<u8> {
    let id = IDS as u16 + (number % 0x100) as u16;
    [&id.to_be_bytes(), &behind[2..]].concat()
}

/// Asks all of these over one connection; whether the server closed it before the end.
fn ask_tcp(
    server: SocketAddr,
    asked: &[Asked],
    chunk: &[usize],
    last: &[u8],
    replies: &mut [Option<Vec<u8>>],
) -> bool {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut framed = Vec::new();
    for message in chunk.iter().map(|index| asked[*index].bytes.as_slice()).chain([last]) {
        framed.extend_from_slice(&(message.len() as u16).to_be_bytes());
        framed.extend_from_slice(message);
    }
    if stream.write_all(&framed).is_err() {
        return true;
    }
    loop {
        let mut len = [0; 2];
        if stream.read_exact(&mut len).is_err() {
            return true;
        }
        let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut reply).is_err() {
            return true;
        }
        if reply.get(..2) == last.get(..2) {
            return false;
        }
        let index = chunk.iter().find(|index| asked[**index].bytes.get(..2) == reply.get(..2));
        if let Some(index) = index {
            replies[*index] = Some(reply);
        }
    }
}
