//! A server that answers as it is told, and replies that no server should send.

use tokio::net::TcpListener;

use super::*;

/// Answers every query with `reply(query)`, by UDP and TCP on one port.
async fn server(reply: fn(&[u8], bool) -> Vec<u8>) -> SocketAddr {
    let (udp, tcp) = sockets().await;
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (len, peer) = udp.recv_from(&mut buffer).await.unwrap();
            udp.send_to(&reply(&buffer[..len], false), peer).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let reply = reply(&query, true);
            let len = (reply.len() as u16).to_be_bytes();
            stream.write_all(&[&len[..], &reply].concat()).await.unwrap();
        }
    });
    address
}

/// A UDP and a TCP socket on one port: what is free for one may be taken for the other.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

/// The query as a reply with one A record whose owner points to the question.
fn one_address(query: &[u8], _tcp: bool) -> Vec<u8> {
    let mut reply = query[..query.len() - 11].to_vec();
    reply[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    reply
}

fn cut_short(query: &[u8], tcp: bool) -> Vec<u8> {
    let mut reply = one_address(query, tcp);
    if !tcp {
        reply.truncate(query.len() - 11);
        reply[2..8].copy_from_slice(&[0x86, 0, 0, 1, 0, 0]);
    }
    reply
}

#[tokio::test]
async fn a_question_is_answered_also_if_it_takes_tcp() {
    let name: DomainName = "www.walrus.example".parse().unwrap();
    for reply in [one_address, cut_short] {
        let server = server(reply).await;
        let reply = ask(server, &name, record_type::A).await.unwrap();
        assert_eq!((reply.rcode, reply.is_authoritative), (0, true));
        assert_eq!(reply.answers[0].owner, name);
        assert_eq!(reply.answers[0].address(), Some("192.0.2.7".parse().unwrap()));
        assert_eq!(reply.answers[0].ttl, 60);
    }
}

#[tokio::test]
async fn a_reply_to_another_question_is_not_believed() {
    fn other(query: &[u8], tcp: bool) -> Vec<u8> {
        let mut reply = one_address(query, tcp);
        reply[13] = b'x';
        reply
    }
    let server = server(other).await;
    let name: DomainName = "www.walrus.example".parse().unwrap();
    let refused = ask(server, &name, record_type::A).await.unwrap_err();
    assert!(matches!(refused, DnsClientError::Silent(_)), "{refused}");
}

#[test]
fn no_reply_makes_it_panic_or_run_on() {
    let name: DomainName = "a.b.example".parse().unwrap();
    let whole = one_address(&query([1, 2], &name, record_type::A), false);
    for len in 0..whole.len() {
        let _ = parse(&whole[..len]);
        for byte in 0..=255 {
            let mut odd = whole.clone();
            odd[len] = byte;
            let _ = parse(&odd);
        }
    }
    // A name that points to itself.
    assert_eq!(read_name(&[0xc0, 0], 0), None);
}
