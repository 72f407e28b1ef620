//! Whether a pretended signature stands for the set that it is found with.

use walrus_core::dnssec::{Covered, Signatures, SignedBy, Validity, sign_set};
use walrus_dns::DomainName;

use crate::signed;

/// Whether an RRSIG record's data is what it must be over this set, in its original TTL.
pub(crate) fn is_signature_of(
    rrsig: &[u8],
    owner: &DomainName,
    record_type: u16,
    data: &[&[u8]],
) -> bool {
    let Some((head, rest)) = rrsig.split_first_chunk::<18>() else { return false };
    let Ok(zone) = DomainName::from_wire(rest) else { return false };
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let labels = usize::from(head[3]);
    let mut owner = owner.clone();
    if owner.label_count() - usize::from(owner.is_wildcard()) > labels {
        owner = owner.suffix(labels).wildcard().expect("a short name");
    }
    let covered = Covered { owner: &owner, record_type, ttl: number(4), data };
    let keys = [signed::key()];
    let validity = Validity { expiry: number(8), inception: number(12) };
    let by = SignedBy { zone: &zone, keys: &keys, validity };
    let (mut signatures, mut requests) = (Signatures::default(), Vec::new());
    let _ = sign_set(&covered, &by, &signatures, &mut requests);
    for request in &requests {
        signatures.insert(request.id, signed::pretend(request));
    }
    let made = sign_set(&covered, &by, &signatures, &mut Vec::new()).expect("all are there");
    *made[0] == *rrsig
}
