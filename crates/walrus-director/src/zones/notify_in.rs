//! NOTIFY (RFC 1996): a primary tells that a zone of its changed, and is asked for it at once.

use std::net::IpAddr;

use walrus_core::transfer::{Notify, read_notify};
use walrus_dns::{DomainName, rcode};

use super::secondary::Notified;
use crate::director::DirectorHandle;
use crate::tsig::{Signed, TsigKeys};

/// Where a message's question begins.
const HEADER_LEN: usize = 12;
/// The code for a zone that is not served here, or a key that is not one of its (RFC 2136 section 2.2).
const NOTAUTH: u16 = 9;
/// QR and AA of a reply.
const REPLY_FLAGS: u8 = 0x84;
/// Opcode and its place.
const NOTIFY_FLAGS: u8 = 4 << 3;

/// Takes a NOTIFY in: the reply to it, if it is one. Signed ones are believed by their key, others by
/// their address; whoever lies has a primary asked for its serial, once a second at most.
pub(crate) fn reply(
    director: &DirectorHandle,
    (mut message, signed): (Vec<u8>, Option<Signed>),
    client: IpAddr,
    (keys, now): (&TsigKeys, u64),
) -> Option<Vec<u8>> {
    // Whoever passed it on may have given it another id than was signed (RFC 8945 section 5.5).
    let id = *message.first_chunk::<2>()?;
    let signer = match keys.verify_once(signed, &mut message, now) {
        Ok(signer) => signer,
        Err(refusal) => return refusal.reply(&message, now),
    };
    let code = match read_notify(&message) {
        None => rcode::FORMERR,
        Some(Notify { apex, serial, .. }) => {
            let key = signer.as_ref().map(|signer| signer.key());
            match director.notified(&apex, (client, key), serial) {
                Notified::Taken => {
                    tracing::debug!(zone = %apex, %client, serial, "a primary tells of a change");
                    rcode::NOERROR
                }
                Notified::Stranger => rcode::REFUSED,
                Notified::NotSecondary => NOTAUTH,
            }
        }
    };
    let mut reply = head(id, &message, code)?;
    if let Some(mut signer) = signer {
        signer.sign(&mut reply, now);
    }
    Some(reply)
}

/// A reply of header and, if it can be read, question.
fn head(id: [u8; 2], message: &[u8], code: u16) -> Option<Vec<u8>> {
    let flags = *message.get(2)?;
    // RD comes back as it was; the code has four bits here.
    let flags = [REPLY_FLAGS | NOTIFY_FLAGS | flags & 1, code as u8 & 0x0f];
    let question =
        read_notify(message).and_then(|notify| message.get(HEADER_LEN..notify.question_end));
    // A pointer would lead elsewhere in the reply.
    let is_plain = |question: &&[u8]| {
        question
            .split_last_chunk::<4>()
            .is_some_and(|(name, _)| DomainName::from_wire(name).is_ok())
    };
    let question = question.filter(is_plain);
    let questions = u8::from(question.is_some());
    let counts = [0, questions, 0, 0, 0, 0, 0, 0];
    Some([&id[..], &flags, &counts, question.unwrap_or_default()].concat())
}
