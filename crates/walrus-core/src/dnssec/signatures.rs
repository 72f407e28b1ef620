//! Signatures that were made, by what they cover.
//!
//! They are kept in many small maps behind [`Arc`]s: a copy of them all, to look at a large table
//! with, costs some microseconds and no memory, and the next signature copies one small map.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A signature of either algorithm (RFC 6605 section 4, RFC 8080 section 4).
pub type Signature = [u8; 64];

/// Names a signature by everything that went into it: 16 bytes of SHA-256 over the public key and
/// the signed bytes, so that two sets never share one by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureId(pub [u8; 16]);

/// How many bits of an id choose its map: with 100,000 signatures each map has some fifty.
const SHARD_BITS: u32 = 11;

/// All signatures that this node has. A copy shares them until one of both changes.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// In the order of ids, which are hashes: they spread evenly.
    shards: Box<[Arc<BTreeMap<SignatureId, Signature>>]>,
    len: usize,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); 1 << SHARD_BITS].into(), len: 0 }
    }
}

impl Signatures {
    /// The signature of this id, if it was made.
    #[must_use]
    pub fn get(&self, id: SignatureId) -> Option<&Signature> {
        self.shards.get(shard_of(id))?.get(&id)
    }

    /// Takes in a signature.
    pub fn insert(&mut self, id: SignatureId, signature: Signature) {
        let Some(shard) = self.shards.get_mut(shard_of(id)) else { return };
        self.len += usize::from(Arc::make_mut(shard).insert(id, signature).is_none());
    }

    /// Drops a signature, if it is there.
    pub fn remove(&mut self, id: SignatureId) {
        let shard = self.shards.get_mut(shard_of(id)).filter(|shard| shard.contains_key(&id));
        let Some(shard) = shard else { return };
        Arc::make_mut(shard).remove(&id);
        self.len -= 1;
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (SignatureId, &Signature)> {
        let shards = self.shards.iter();
        shards.flat_map(|shard| shard.iter().map(|(id, signature)| (*id, signature)))
    }
}

fn shard_of(id: SignatureId) -> usize {
    let [first, second, ..] = id.0;
    usize::from(u16::from_be_bytes([first, second]) >> (u16::BITS - SHARD_BITS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_copy_stays_as_it_was_and_ids_come_in_order(
            changes in prop::collection::vec((any::<[u8; 2]>(), any::<bool>(), any::<u8>()), 0..300),
            copied_at in 0_usize..300,
        ) {
            let mut signatures = Signatures::default();
            let mut expected = BTreeMap::new();
            let mut copied = None;
            for (place, (start, is_new, value)) in changes.into_iter().enumerate() {
                if place == copied_at {
                    copied = Some((signatures.clone(), expected.clone()));
                }
                let mut id = [0; 16];
                // Few different ones, of which several share a map.
                (id[0], id[15]) = (start[0] & 0x83, start[1] & 3);
                let id = SignatureId(id);
                if is_new {
                    signatures.insert(id, [value; 64]);
                    expected.insert(id, [value; 64]);
                } else {
                    signatures.remove(id);
                    expected.remove(&id);
                }
            }
            for (signatures, expected) in copied.into_iter().chain([(signatures, expected)]) {
                prop_assert_eq!(signatures.len(), expected.len());
                prop_assert_eq!(signatures.is_empty(), expected.is_empty());
                for (id, signature) in &expected {
                    prop_assert_eq!(signatures.get(*id), Some(signature));
                }
                prop_assert!(signatures.iter().eq(expected.iter().map(|(id, it)| (*id, it))));
            }
        }
    }
}
