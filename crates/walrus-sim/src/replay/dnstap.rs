//! A dnstap frame: one query or reply as a name server, or what stands before it, saw it.
//!
//! Of dnstap.proto these fields are read: the frame's `message` (14) and `type` (15), the message's
//! `type` (1), `socket_protocol` (3), `query_address` (4), `response_address` (5), `response_port`
//! (7), `query_time_sec` (8), `query_message` (10), `response_time_sec` (12) and `response_message`
//! (14). A message counts if it is between a client
//! of a name server and that server: AUTH_QUERY and AUTH_RESPONSE, and the CLIENT_ pair, which
//! dnsdist writes before name servers. What a resolver or forwarder asks itself does not.

use std::net::{IpAddr, SocketAddr};

use domain::base::Message;
use domain::base::iana::Class;
use domain::base::opt::ClientSubnet;
use domain::rdata::{A, Aaaa};
use walrus_dns::DomainName;

use super::asked::{Asked, Recorded, time};
use super::protobuf::{Fields, Value};

/// `Dnstap.type` MESSAGE.
const TYPE_MESSAGE: u64 = 1;
/// `SocketProtocol` UDP.
const PROTOCOL_UDP: u64 = 1;
/// Message types that count, as (queries, replies): AUTH_ and CLIENT_.
const QUERIES: [u64; 2] = [1, 5];
const REPLIES: [u64; 2] = [2, 6];

/// Which half of an exchange counts: a file may hold both, and every query once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Queries; what was answered is not known.
    Queries,
    /// Replies, with what was answered.
    Replies,
}

/// The fields of a message.
#[derive(Default)]
struct Fielded<'a> {
    kind: u64,
    protocol: u64,
    query_address: &'a [u8],
    response_address: &'a [u8],
    response_port: u64,
    /// Seconds of Unix time.
    time: u64,
    query: &'a [u8],
    reply: &'a [u8],
}

/// Reads a frame. `None` if it is none of those that count, of whichever half.
///
/// # Errors
/// Why it makes no query, in a few words.
pub(super) fn parse(frame: &[u8]) -> Result<Option<(Half, Asked)>, String> {
    let (mut kind, mut message) = (TYPE_MESSAGE, &[][..]);
    for field in Fields::of(frame) {
        match field? {
            (14, Value::Bytes(bytes)) => message = bytes,
            (15, Value::Number(number)) => kind = number,
            _ => {}
        }
    }
    if kind != TYPE_MESSAGE {
        return Ok(None);
    }
    let message = Fielded::of(message)?;
    if QUERIES.contains(&message.kind) {
        let asked = message.asked(message.query, None)?;
        return Ok(Some((Half::Queries, asked)));
    }
    if !REPLIES.contains(&message.kind) {
        return Ok(None);
    }
    let recorded = recorded(message.reply)?;
    // The query itself says more: a reply need not repeat what was asked with.
    let query = if message.query.is_empty() { message.reply } else { message.query };
    Ok(Some((Half::Replies, message.asked(query, Some(recorded))?)))
}

impl<'a> Fielded<'a> {
    fn of(message: &'a [u8]) -> Result<Self, String> {
        let mut fields = Self::default();
        for field in Fields::of(message) {
            match field? {
                (1, Value::Number(number)) => fields.kind = number,
                (3, Value::Number(number)) => fields.protocol = number,
                (4, Value::Bytes(bytes)) => fields.query_address = bytes,
                (5, Value::Bytes(bytes)) => fields.response_address = bytes,
                (7, Value::Number(number)) => fields.response_port = number,
                (8 | 12, Value::Number(number)) => fields.time = number,
                (10, Value::Bytes(bytes)) => fields.query = bytes,
                (14, Value::Bytes(bytes)) => fields.reply = bytes,
                _ => {}
            }
        }
        Ok(fields)
    }

    fn asked(&self, message: &[u8], recorded: Option<Recorded>) -> Result<Asked, String> {
        let resolver = address(self.query_address).ok_or("it does not say who asked")?;
        let local = address(self.response_address).map(|address| {
            let port = u16::try_from(self.response_port).ok().filter(|port| *port != 0);
            SocketAddr::new(address, port.unwrap_or(53))
        });
        let message = Message::from_slice(message).map_err(|_| "the DNS message is cut short")?;
        let question = message.sole_question().map_err(|_| "it has no single question")?;
        if question.qclass() != Class::IN {
            return Err(format!("class {} is not asked here", question.qclass()));
        }
        let name = question.qname().to_string();
        let name: DomainName = name.parse().map_err(|error| format!("`{name}`: {error}"))?;
        let opt = message.opt();
        let subnet = opt.as_ref().and_then(|opt| {
            let subnet = opt.opt().iter::<ClientSubnet>().flatten().next()?;
            Some((subnet.addr(), subnet.source_prefix_len()))
        });
        Ok(Asked {
            name,
            record_type: question.qtype().to_int(),
            resolver,
            subnet,
            local,
            is_udp: self.protocol == PROTOCOL_UDP,
            dnssec_ok: opt.is_some_and(|opt| opt.dnssec_ok()),
            unix_ms: time(self.time.saturating_mul(1000))?,
            weight: 1,
            plan: None,
            recorded,
        })
    }
}

/// What a reply says.
fn recorded(reply: &[u8]) -> Result<Recorded, String> {
    let message = Message::from_slice(reply).map_err(|_| "the DNS message is cut short")?;
    let records = message.answer().ok();
    let address = records.and_then(|records| {
        records.flatten().find_map(|record| {
            let ipv4 = record.to_record::<A>().ok().flatten().map(|it| it.data().addr().into());
            ipv4.or_else(|| Some(record.to_record::<Aaaa>().ok()??.data().addr().into()))
        })
    });
    Ok(Recorded { rcode: message.opt_rcode().to_int(), address, ..Recorded::default() })
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let ipv4 = || Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?));
    ipv4().or_else(|| Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::protobuf::tests::{put_bytes, put_number};
    use super::*;
    use crate::{Question, query_bytes};

    fn query() -> Vec<u8> {
        let question = Question {
            name: "www.walrus.example".to_owned(),
            record_type: "A".to_owned(),
            subnet: Some(("203.0.113.0".parse().unwrap(), 24)),
            client: "192.0.2.7".parse().unwrap(),
            server: None,
        };
        query_bytes(&question).unwrap()
    }

    /// The query answered with one address.
    fn reply() -> Vec<u8> {
        let question = b"\x03www\x06walrus\x07example\0\0\x01\0\x01";
        let head = [0x57, 0x57, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        [&head[..], question, b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01"].concat()
    }

    /// A frame of a message type.
    pub(crate) fn frame(kind: u64, resolver: [u8; 4]) -> Vec<u8> {
        let mut message = Vec::new();
        put_number(&mut message, 1, kind);
        put_number(&mut message, 2, 1);
        put_number(&mut message, 3, PROTOCOL_UDP);
        put_bytes(&mut message, 4, &resolver);
        put_bytes(&mut message, 5, &[192, 0, 2, 53]);
        put_number(&mut message, 7, 5300);
        put_number(&mut message, 8, 1_795_332_600);
        if QUERIES.contains(&kind) {
            put_bytes(&mut message, 10, &query());
        } else {
            put_bytes(&mut message, 14, &reply());
        }
        let mut frame = Vec::new();
        put_bytes(&mut frame, 1, b"ns1");
        put_bytes(&mut frame, 14, &message);
        put_number(&mut frame, 15, TYPE_MESSAGE);
        frame
    }

    #[test]
    fn queries_and_replies_are_told_apart_and_the_rest_left_out() {
        for (kind, half) in [(1, Half::Queries), (5, Half::Queries), (2, Half::Replies)] {
            let (found, asked) = parse(&frame(kind, [192, 0, 2, 7])).unwrap().unwrap();
            assert_eq!(found, half);
            assert_eq!(asked.name, "www.walrus.example".parse().unwrap());
            assert_eq!((asked.record_type, asked.is_udp), (1, true));
            assert_eq!(asked.unix_ms, 1_795_332_600_000);
            assert_eq!(asked.resolver, "192.0.2.7".parse::<IpAddr>().unwrap());
            assert_eq!(asked.local, Some("192.0.2.53:5300".parse().unwrap()));
        }
        let (_, asked) = parse(&frame(1, [192, 0, 2, 7])).unwrap().unwrap();
        assert_eq!(asked.subnet, Some(("203.0.113.0".parse().unwrap(), 24)));
        let (_, asked) = parse(&frame(2, [192, 0, 2, 7])).unwrap().unwrap();
        let address = asked.recorded.unwrap().address;
        assert_eq!(address, Some("192.0.2.1".parse().unwrap()));
        for kind in [3, 4, 11, 13] {
            assert_eq!(parse(&frame(kind, [192, 0, 2, 7])), Ok(None), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_none(bytes: Vec<u8>, kind in 1..7_u64, at: usize, byte: u8) {
            let _ = parse(&bytes);
            let mut damaged = frame(kind, [192, 0, 2, 7]);
            let at = at % damaged.len();
            damaged[at] = byte;
            let _ = parse(&damaged);
            let _ = parse(&damaged[..at]);
        }
    }
}
