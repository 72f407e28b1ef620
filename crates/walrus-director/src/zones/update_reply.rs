//! Replies to updates: the header with its code, the zone as it was named, and to whoever speaks EDNS
//! why (RFC 2136 section 3.8, RFC 8914).

use walrus_dns::query::HEADER_LEN;
use walrus_dns::{DomainName, rcode};

/// What we say of ourselves in OPT: as for queries.
const UDP_SIZE: u16 = 1232;
const EXTENDED_ERROR: u16 = 15;
/// RFC 8914 section 4.19.
const PROHIBITED: u16 = 18;
/// RFC 8914 section 4.1.
const OTHER: u16 = 0;
/// No name in a reason is longer.
const TEXT_MAX: usize = 400;

/// The reply to a message that has at least a header, without a signature.
pub(crate) fn reply(message: &[u8], code: u16, why: Option<&str>) -> Vec<u8> {
    const RESPONSE: u8 = 0x80;
    const OPCODE: u8 = 0x78;
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

/// The only question, if its name is not compressed.
fn zone_section(message: &[u8]) -> Option<&[u8]> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let rest = &message[HEADER_LEN..];
    let name = DomainName::from_wire(rest).ok()?;
    rest.get(..name.as_wire().len() + 4)
}

/// Whether there is an OPT record among the additional ones.
fn has_edns(message: &[u8]) -> bool {
    let message = domain::base::Message::from_slice(message).ok();
    message.is_some_and(|message| message.opt().is_some())
}

fn put_opt(reply: &mut Vec<u8>, code: u16, why: Option<&str>) {
    reply.extend_from_slice(&[0, 0, 41]);
    reply.extend_from_slice(&UDP_SIZE.to_be_bytes());
    reply.extend_from_slice(&[0; 4]);
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
    fn anything_has_a_reply() {
        for len in HEADER_LEN..UPDATE.len() {
            assert!(reply(&UPDATE[..len], rcode::FORMERR, Some("x")).len() >= HEADER_LEN);
        }
        assert_eq!(cut("äöü", 3), "ä");
    }
}
