//! Replies to updates: the header with its code, the zone as it was named, and to whoever speaks EDNS
//! why (RFC 2136 section 3.8, RFC 8914).

use walrus_core::answer::Transport;
use walrus_dns::query::HEADER_LEN;
use walrus_dns::{rcode, record_type};

use crate::message_walk::AdditionalRecords;

/// What we say of ourselves in OPT: as for queries.
const UDP_SIZE: u16 = 1232;
const EXTENDED_ERROR: u16 = 15;
/// RFC 8914 section 4.19.
const PROHIBITED: u16 = 18;
/// RFC 8914 section 4.1.
const OTHER: u16 = 0;
const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
/// Its name, type, class (the size), and TTL.
const OPT: [u8; 9] = [0, 0, 41, UDP_SIZE.to_be_bytes()[0], UDP_SIZE.to_be_bytes()[1], 0, 0, 0, 0];
/// No name in a reason is longer.
const TEXT_MAX: usize = 400;

/// The reply to a message that has at least a header, without a signature.
pub(crate) fn reply(message: &[u8], code: u16, why: Option<&str>) -> Vec<u8> {
    let mut reply = message.get(..HEADER_LEN).unwrap_or(&[0; HEADER_LEN]).to_vec();
    reply[2] = RESPONSE | (reply[2] & OPCODE);
    // All codes of an update have four bits.
    reply[3] = (code & 0x0f) as u8;
    reply[4..].fill(0);
    if let Some(zone) = zone_section(message) {
        reply[5] = 1;
        reply.extend_from_slice(zone);
    }
    if has_edns(message) {
        reply[11] = 1;
        put_opt(&mut reply, code, why);
    }
    reply
}

const UNSIGNED: &str = "an update must be signed (TSIG) by a key that the zone's `updates` name";

/// The refusal of an update that has no signature, written without a look at anything but itself: FORMERR if it names
/// no zone. By UDP, to an address that may be forged, goes no more than came from it: no reason.
pub(crate) fn refuse_unsigned(
    message: &[u8],
    transport: Transport,
    reply: &mut [u8],
) -> Option<usize> {
    let zone = zone_section(message);
    let code = if zone.is_some() { rcode::REFUSED } else { rcode::FORMERR };
    let zone = zone.unwrap_or_default();
    let has_edns = has_edns(message);
    let head = [RESPONSE | (message.get(2)? & OPCODE), code as u8];
    let counts = [0, u8::from(!zone.is_empty()), 0, 0, 0, 0, 0, u8::from(has_edns)];
    let is_told = has_edns && transport != Transport::Udp && code == rcode::REFUSED;
    let why = is_told.then_some(UNSIGNED.as_bytes());
    let extended;
    let opt: &[&[u8]] = match why {
        _ if !has_edns => &[],
        None => &[&OPT, &[0, 0]],
        Some(why) => {
            // It is short.
            let len = why.len() as u8 + 2;
            extended = [0, EXTENDED_ERROR as u8, 0, len, 0, PROHIBITED as u8];
            &[&OPT, &[0, len + 4], &extended, why]
        }
    };
    let parts: [&[u8]; 4] = [message.get(..2)?, &head, &counts, zone];
    let mut at = 0;
    for part in parts.iter().chain(opt) {
        reply.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(at)
}

/// The only question, if its name is labels alone: a pointer would lead elsewhere in the reply.
fn zone_section(message: &[u8]) -> Option<&[u8]> {
    const NAME_MAX: usize = 255;
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let rest = message.get(HEADER_LEN..)?;
    let mut end = 0;
    while let length @ 1..=63 = *rest.get(end)? {
        end += 1 + usize::from(length);
    }
    if rest.get(end) != Some(&0) || end >= NAME_MAX {
        return None;
    }
    rest.get(..end + 5)
}

/// Whether there is an OPT record among the additional ones.
fn has_edns(message: &[u8]) -> bool {
    AdditionalRecords::of(message)
        .is_some_and(|records| records.flatten().any(|it| it.record_type == record_type::OPT))
}

fn put_opt(reply: &mut Vec<u8>, code: u16, why: Option<&str>) {
    reply.extend_from_slice(&OPT);
    let Some(why) = why else { return reply.extend_from_slice(&[0, 0]) };
    let text = cut(why, TEXT_MAX).as_bytes();
    let reason = if code == rcode::REFUSED { PROHIBITED } else { OTHER };
    // The text has a few hundred bytes at most.
    let len = text.len() as u16 + 2;
    for number in [len + 4, EXTENDED_ERROR, len, reason] {
        reply.extend_from_slice(&number.to_be_bytes());
    }
    reply.extend_from_slice(text);
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &[u8] =
        b"\x12\x34\x28\x10\0\x01\0\0\0\0\0\x01\x07EXAMPLE\0\0\x06\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";

    #[test]
    fn a_reply_names_the_zone_and_says_why_to_whoever_can_hear_it() {
        let told = reply(UPDATE, rcode::REFUSED, Some("not so"));
        assert_eq!(
            told,
            b"\x12\x34\xa8\x05\0\x01\0\0\0\0\0\x01\x07EXAMPLE\0\0\x06\0\x01\
              \0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0f\0\x08\0\x12not so"
        );
        let mut plain = UPDATE[..25].to_vec();
        plain[11] = 0;
        let told = reply(&plain, rcode::YXRRSET, Some("not so"));
        assert_eq!(told, b"\x12\x34\xa8\x07\0\x01\0\0\0\0\0\0\x07EXAMPLE\0\0\x06\0\x01");
    }

    #[test]
    fn a_refusal_where_it_came_in_is_no_longer_than_what_was_asked_by_udp() {
        let mut room = [0; 512];
        let len = refuse_unsigned(UPDATE, Transport::Udp, &mut room).unwrap();
        assert_eq!(&room[..len], reply(UPDATE, rcode::REFUSED, None));
        assert!(len <= UPDATE.len());
        let len = refuse_unsigned(UPDATE, Transport::Tcp, &mut room).unwrap();
        assert_eq!(&room[..len], reply(UPDATE, rcode::REFUSED, Some(UNSIGNED)));
        for end in HEADER_LEN..UPDATE.len() {
            let len = refuse_unsigned(&UPDATE[..end], Transport::Udp, &mut room).unwrap();
            assert!(len <= end.max(HEADER_LEN), "{end}");
        }
        assert_eq!(refuse_unsigned(UPDATE, Transport::Udp, &mut [0; 20]), None);
    }

    #[test]
    fn a_name_that_is_not_labels_alone_is_not_repeated() {
        let label = [63_u8; 64];
        let long = [&label[..], &label, &label, &label, &[0, 0, 6, 0, 1]].concat();
        for question in
            [&b"\xc0\0\0\x06\0\x01"[..], b"\xc0\x0c\0\x06\0\x01", b"\x01x\xc0\0\0\x06\0\x01", &long]
        {
            let message = [&b"\0\x07\x28\0\0\x01\0\0\0\0\0\0"[..], question].concat();
            let bare = b"\0\x07\xa8\x01\0\0\0\0\0\0\0\0";
            assert_eq!(reply(&message, rcode::FORMERR, None), bare, "{question:x?}");
            let mut room = [0; 512];
            for transport in [Transport::Udp, Transport::Tcp] {
                let len = refuse_unsigned(&message, transport, &mut room).unwrap();
                assert_eq!(&room[..len], bare, "{question:x?}");
            }
        }
    }

    #[test]
    fn anything_has_a_reply() {
        for len in HEADER_LEN..UPDATE.len() {
            assert!(reply(&UPDATE[..len], rcode::FORMERR, Some("x")).len() >= HEADER_LEN);
        }
        assert_eq!(cut("äöü", 3), "ä");
    }
}
