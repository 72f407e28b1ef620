//! A dnstap frame's bytes (dnstap.proto): AUTH_QUERY and AUTH_RESPONSE.

use std::net::IpAddr;

use walrus_core::answer::Transport;

use crate::answering::Incoming;

/// Everything in two frames but messages and identity: tags, lengths, addresses, times, version.
const FIXED_LEN_MAX: usize = 160;
const VERSION: &[u8] = concat!("walrus ", env!("CARGO_PKG_VERSION")).as_bytes();

/// What a frame is about.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    Query(&'a [u8]),
    Reply(&'a [u8]),
}

/// Room that a frame takes at most, besides a reply, in bytes.
pub(super) fn len_max(incoming: &Incoming<'_>, identity: &[u8]) -> usize {
    FIXED_LEN_MAX + identity.len() + incoming.query.len()
}

/// Appends a frame with its length before it.
pub(super) fn write(
    into: &mut Vec<u8>,
    kind: Kind<'_>,
    incoming: &Incoming<'_>,
    unix_ns: u64,
    identity: &[u8],
) {
    let message_len = message(&mut Length(0), kind, incoming, unix_ns);
    let mut len = Length(0);
    frame(&mut len, identity, message_len);
    end(&mut len);
    into.extend_from_slice(&((len.0 + message_len) as u32).to_be_bytes());
    frame(into, identity, message_len);
    message(into, kind, incoming, unix_ns);
    end(into);
}

/// Takes bytes, or only counts them: protobuf wants lengths first.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
    fn len(&self) -> usize;
}

struct Length(usize);

impl Sink for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn len(&self) -> usize {
        self.0
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.len()
    }
}

/// What stands before the message.
fn frame(into: &mut impl Sink, identity: &[u8], message_len: usize) {
    put_bytes(into, 1, identity);
    put_bytes(into, 2, VERSION);
    put_varint(into, (14 << 3) | 2);
    put_varint(into, message_len as u64);
}

/// What a frame is: behind the message, so that nobody's bytes stand where a stream's end is looked for.
fn end(into: &mut impl Sink) {
    put_number(into, 15, 1);
}

fn message(into: &mut impl Sink, kind: Kind<'_>, incoming: &Incoming<'_>, unix_ns: u64) -> usize {
    let begin = into.len();
    let (secs, nanos) = (unix_ns / 1_000_000_000, (unix_ns % 1_000_000_000) as u32);
    put_number(into, 1, if matches!(kind, Kind::Query(_)) { 1 } else { 2 });
    put_number(into, 2, if incoming.client.is_ipv4() { 1 } else { 2 });
    put_number(into, 3, protocol(incoming.transport));
    put_address(into, 4, incoming.client);
    // A proxy may name ends of two families, and a frame has one for both.
    if incoming.local.is_ipv4() == incoming.client.is_ipv4() {
        put_address(into, 5, incoming.local.ip());
    }
    put_number(into, 7, incoming.local.port().into());
    put_number(into, 8, secs);
    put_fixed(into, 9, nanos);
    match kind {
        Kind::Query(query) => put_bytes(into, 10, query),
        Kind::Reply(reply) => {
            put_number(into, 12, secs);
            put_fixed(into, 13, nanos);
            put_bytes(into, 14, reply);
        }
    }
    into.len() - begin
}

const fn protocol(transport: Transport) -> u64 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Https => 4,
    }
}

fn put_address(into: &mut impl Sink, field: u64, address: IpAddr) {
    match address {
        IpAddr::V4(address) => put_bytes(into, field, &address.octets()),
        IpAddr::V6(address) => put_bytes(into, field, &address.octets()),
    }
}

fn put_bytes(into: &mut impl Sink, field: u64, bytes: &[u8]) {
    put_varint(into, field << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.put(bytes);
}

fn put_number(into: &mut impl Sink, field: u64, number: u64) {
    put_varint(into, field << 3);
    put_varint(into, number);
}

fn put_fixed(into: &mut impl Sink, field: u64, number: u32) {
    put_varint(into, field << 3 | 5);
    into.put(&number.to_le_bytes());
}

fn put_varint(into: &mut impl Sink, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            into.put(&[low]);
            return;
        }
        into.put(&[low | 0x80]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_ends_a_frame_as_a_stream_ends() {
        let stop = super::super::output::control(super::super::output::STOP, false);
        let incoming = Incoming {
            query: &stop,
            client: [192, 0, 2, 7].into(),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Udp,
        };
        let mut frame = Vec::new();
        write(&mut frame, Kind::Query(&stop), &incoming, 1, b"ns1");
        assert!(frame.windows(stop.len()).any(|it| it == stop) && !frame.ends_with(&stop));
        assert_eq!(frame.len(), 4 + u32::from_be_bytes(*frame.first_chunk().unwrap()) as usize);
    }
}
