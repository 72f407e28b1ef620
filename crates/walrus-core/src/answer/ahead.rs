//! Looking ahead over a batch: what its queries will want from memory, before the first is answered.
//!
//! A table of some ten thousand names is larger than what the kernel's own work for a batch leaves in
//! a near cache, so that each answer waits twice: for the slot of its name and for the entry behind
//! it. One after the other these waits were nearly all that a static answer took beside the socket.
//! Told of together, they pass at the same time; a hash computed once more is the price.

use walrus_dns::edns::guess_client_subnet_ipv4;
use walrus_dns::query::{self, HEADER_LEN};

use super::table::AnswerTable;

/// Type and class behind a question's name.
const QUESTION_TAIL_LEN: usize = 4;

/// So many queries are looked at; further ones wait as they would without.
pub const AHEAD_MAX: usize = 64;

/// Names what answering these queries will read, by addresses to be handed to the processor as
/// prefetch hints (which change nothing but time, whatever the address).
///
/// First the places where the names' hashes are looked up, then, when these have had time to arrive,
/// the entries that they point to. Last, only if some service's map is large, where client subnets
/// will be looked up: in a small one that would cost more than the wait.
pub fn look_ahead<'a>(
    table: &AnswerTable,
    queries: impl Iterator<Item = &'a [u8]>,
    mut fetch: impl FnMut(*const u8),
) {
    let mut hashes = [0; AHEAD_MAX];
    let mut subnets = [None; AHEAD_MAX];
    let mut count = 0;
    let mut folded = [0; 256];
    for query in queries.take(AHEAD_MAX) {
        let Some(name) = query::fold_question_name(query, &mut folded) else { continue };
        hashes[count] = table.zones().hash_ahead(name, &mut fetch);
        if table.looks_far() {
            let opt = query.get(HEADER_LEN + name.len() + QUESTION_TAIL_LEN..);
            subnets[count] = opt.and_then(guess_client_subnet_ipv4);
        }
        count += 1;
    }
    for hash in &hashes[..count] {
        table.zones().entry_ahead(*hash, &mut fetch);
    }
    if table.looks_far() {
        for (hash, subnet) in hashes[..count].iter().zip(subnets) {
            let Some(subnet) = subnet else { continue };
            table.client_ahead(*hash, subnet, &mut fetch);
        }
    }
}
