//! The names of a zone as an NSEC3 chain (RFC 5155 section 7.1 with RFC 9276): every name and every
//! empty non-terminal, hashed once without salt, no opt-out.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use crate::zone::{HashedName, Nsec3Chain, Nsec3Parameters, Nsec3Part};

/// Names as they come, in canonical order.
pub(super) struct Nsec3Names {
    apex_labels: usize,
    last: DomainName,
    parameters: Nsec3Parameters,
    hashed: Vec<(HashedName, u32)>,
    bitmaps: Vec<Box<[u8]>>,
    known: BTreeMap<Box<[u8]>, u32>,
}

impl Nsec3Names {
    pub(super) fn new(apex: &DomainName) -> Self {
        Self {
            apex_labels: apex.label_count(),
            last: apex.clone(),
            parameters: Nsec3Parameters::default(),
            hashed: Vec::new(),
            bitmaps: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    /// Adds a name, and the empty non-terminals that it makes: the names above it that are not
    /// above the one before it, for whatever is above both is there already.
    pub(super) fn add(&mut self, name: &DomainName, bitmap: &[u8]) {
        let labels = name.labels().rev().zip(self.last.labels().rev());
        let shared = labels.take_while(|(one, other)| one == other).count();
        for labels in shared.max(self.apex_labels) + 1..name.label_count() {
            self.push(&name.suffix(labels), &[]);
        }
        self.push(name, bitmap);
        self.last = name.clone();
    }

    fn push(&mut self, name: &DomainName, bitmap: &[u8]) {
        let number = match self.known.get(bitmap) {
            Some(number) => *number,
            None => {
                // No zone has as many names as that.
                let number = self.bitmaps.len() as u32;
                self.known.insert(bitmap.into(), number);
                self.bitmaps.push(bitmap.into());
                number
            }
        };
        self.hashed.push((self.parameters.hash(name.as_wire()), number));
    }

    /// The chain, not signed yet.
    pub(super) fn into_chain(mut self, ttl: u32) -> Nsec3Chain {
        self.hashed.sort_unstable();
        // Two names with one hash have never been seen.
        self.hashed.dedup_by_key(|(hash, _)| *hash);
        let part = |(hash, number): &(HashedName, u32)| Nsec3Part {
            hash: *hash,
            flags: 0,
            bitmap: &self.bitmaps[*number as usize],
        };
        Nsec3Chain::from_sorted(self.parameters.clone(), ttl, self.hashed.iter().map(part))
    }
}
