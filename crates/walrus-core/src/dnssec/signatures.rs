//! Signatures that were made, by what they cover.

use std::collections::BTreeMap;

/// A signature of either algorithm (RFC 6605 section 4, RFC 8080 section 4).
pub type Signature = [u8; 64];

/// Names a signature by everything that went into it: 16 bytes of SHA-256 over the public key and
/// the signed bytes, so that two sets never share one by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureId(pub [u8; 16]);

/// All signatures that this node has.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    by_id: BTreeMap<SignatureId, Signature>,
}

impl Signatures {
    /// The signature of this id, if it was made.
    #[must_use]
    pub fn get(&self, id: SignatureId) -> Option<&Signature> {
        self.by_id.get(&id)
    }

    /// Takes in a signature.
    pub fn insert(&mut self, id: SignatureId, signature: Signature) {
        self.by_id.insert(id, signature);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Drops whatever `is_used` does not want to keep.
    pub fn retain(&mut self, mut is_used: impl FnMut(SignatureId) -> bool) {
        self.by_id.retain(|id, _| is_used(*id));
    }

    /// In the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (SignatureId, &Signature)> {
        self.by_id.iter().map(|(id, signature)| (*id, signature))
    }
}
