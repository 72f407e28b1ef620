//! A zone's NSEC3 records (RFC 5155): kept apart from its names, for a hash looks like a name that
//! exists, and is none.

use sha1::{Digest as _, Sha1};
use walrus_dns::DomainName;

/// A hashed owner name. SHA-1 is the only algorithm there is (RFC 5155 section 11).
pub type HashedName = [u8; 20];
/// A hashed owner name's label: base32 with the extended hex alphabet (RFC 5155 section 3.3).
pub type HashedLabel = [u8; 32];

/// How names are hashed (RFC 5155 section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nsec3Parameters {
    /// Times that the hash is hashed again: zero when we sign (RFC 9276), up to
    /// [`Self::ITERATIONS_MAX`] in a zone that was signed elsewhere.
    pub iterations: u16,
    /// Goes into each hash; empty when we sign.
    pub salt: Box<[u8]>,
}

impl Nsec3Parameters {
    /// The most iterations that are served: every query for what is not there costs so many hashes,
    /// and validators treat more as insecure or bogus (RFC 9276 section 3.2).
    pub const ITERATIONS_MAX: u16 = 50;

    /// The data of the NSEC3PARAM record (RFC 5155 section 4.2).
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        let mut data = vec![1, 0];
        self.put_rest(&mut data);
        data
    }

    /// What NSEC3 and NSEC3PARAM have in common behind their flags.
    fn put_rest(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(&self.iterations.to_be_bytes());
        // A salt comes out of a record, where its length has one byte.
        data.push(self.salt.len() as u8);
        data.extend_from_slice(&self.salt);
    }

    /// The hash of a name in lower-case wire format. Allocates nothing.
    #[must_use]
    pub fn hash(&self, name: &[u8]) -> HashedName {
        let once = |bytes: &[u8]| -> HashedName {
            let mut hash = Sha1::new();
            hash.update(bytes);
            hash.update(&self.salt);
            hash.finalize().into()
        };
        (0..self.iterations).fold(once(name), |hash, _| once(&hash))
    }
}

/// All NSEC3 records of a zone, by hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nsec3Chain {
    parameters: Nsec3Parameters,
    /// Of every record.
    ttl: u32,
    /// Sorted.
    hashes: Box<[HashedName]>,
    /// For each hash, which of `kinds`.
    kind_of: Box<[u32]>,
    /// What stands before and behind the next hash: few, for most names have the same types.
    kinds: Box<[Kind]>,
    /// For each hash where its signatures begin in `signatures`; at last where they all end.
    starts: Box<[usize]>,
    /// Data of RRSIG records, each behind its length in two bytes.
    signatures: Box<[u8]>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    before: Box<[u8]>,
    bitmap: Box<[u8]>,
}

/// A record on its way into a chain.
#[derive(Clone, Copy, Debug)]
pub struct Nsec3Part<'a> {
    /// Its hashed owner.
    pub hash: HashedName,
    /// Its flags: 1 for opt-out.
    pub flags: u8,
    /// Its bitmap of types, empty at an empty non-terminal.
    pub bitmap: &'a [u8],
}

impl Nsec3Chain {
    /// A chain of these records, which must be sorted by hash without doubles. They are signed by
    /// [`Self::sign`] in the same order.
    pub fn from_sorted<'a>(
        parameters: Nsec3Parameters,
        ttl: u32,
        parts: impl IntoIterator<Item = Nsec3Part<'a>>,
    ) -> Self {
        let mut hashes = Vec::new();
        let mut kind_of = Vec::new();
        let mut kinds = Vec::new();
        let mut known = std::collections::BTreeMap::new();
        for part in parts {
            debug_assert!(hashes.last().is_none_or(|last| *last < part.hash), "sorted");
            hashes.push(part.hash);
            let mut before = vec![1, part.flags];
            parameters.put_rest(&mut before);
            before.push(part.hash.len() as u8);
            let kind = Kind { before: before.into(), bitmap: part.bitmap.into() };
            let next = kinds.len() as u32;
            let number = *known.entry(kind.clone()).or_insert(next);
            if number == next {
                kinds.push(kind);
            }
            kind_of.push(number);
        }
        Self {
            starts: vec![0; hashes.len() + 1].into(),
            parameters,
            ttl,
            hashes: hashes.into(),
            kind_of: kind_of.into(),
            kinds: kinds.into(),
            signatures: Box::default(),
        }
    }

    /// This chain with signatures: for each record in order the data of its RRSIG records.
    #[must_use]
    pub fn sign<S: AsRef<[u8]>>(mut self, signed: impl IntoIterator<Item = Vec<S>>) -> Self {
        let mut signatures = Vec::new();
        let mut signed = signed.into_iter();
        for index in 0..self.hashes.len() {
            for data in signed.next().unwrap_or_default() {
                let data = data.as_ref();
                // Data fits into a record, whose length has two bytes.
                signatures.extend_from_slice(&(data.len() as u16).to_be_bytes());
                signatures.extend_from_slice(data);
            }
            self.starts[index + 1] = signatures.len();
        }
        self.signatures = signatures.into();
        self
    }

    /// How names are hashed.
    #[must_use]
    pub const fn parameters(&self) -> &Nsec3Parameters {
        &self.parameters
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none; a zone has at least its apex.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// All records in the order of their hashes.
    pub fn iter(&self) -> impl Iterator<Item = Nsec3View<'_>> {
        (0..self.len()).map(|index| Nsec3View { chain: self, index })
    }

    /// The record whose owner is this hash: the name exists.
    #[must_use]
    pub fn matching(&self, hash: &HashedName) -> Option<Nsec3View<'_>> {
        let index = self.hashes.binary_search(hash).ok()?;
        Some(Nsec3View { chain: self, index })
    }

    /// The record at this hash, or else the one that jumps over it: the last before it, or the very
    /// last if none is before it. `None` only if there are no records.
    #[must_use]
    pub fn matching_or_covering(&self, hash: &HashedName) -> Option<Nsec3View<'_>> {
        let after = self.hashes.partition_point(|other| other <= hash);
        let index = after.checked_sub(1).or_else(|| self.len().checked_sub(1))?;
        Some(Nsec3View { chain: self, index })
    }
}

/// One NSEC3 record with its signatures.
#[derive(Clone, Copy, Debug)]
pub struct Nsec3View<'a> {
    chain: &'a Nsec3Chain,
    index: usize,
}

impl<'a> Nsec3View<'a> {
    /// Its hashed owner.
    #[must_use]
    pub const fn hash(self) -> &'a HashedName {
        &self.chain.hashes[self.index]
    }

    /// The hash that follows; behind the last comes the first.
    #[must_use]
    pub const fn next_hash(self) -> &'a HashedName {
        let next = self.index + 1;
        &self.chain.hashes[if next < self.chain.hashes.len() { next } else { 0 }]
    }

    /// Its owner's first label; the others are the apex.
    #[must_use]
    pub fn label(self) -> HashedLabel {
        hashed_label(self.hash())
    }

    /// Seconds.
    #[must_use]
    pub const fn ttl(self) -> u32 {
        self.chain.ttl
    }

    /// Its bitmap of types.
    #[must_use]
    pub const fn bitmap(self) -> &'a [u8] {
        &self.kind().bitmap
    }

    /// Its data, in three parts to be put together.
    #[must_use]
    pub const fn data(self) -> [&'a [u8]; 3] {
        let kind = self.kind();
        [&kind.before, self.next_hash(), &kind.bitmap]
    }

    /// The data of the RRSIG records over it.
    pub fn signatures(self) -> impl Iterator<Item = &'a [u8]> {
        let range = self.chain.starts[self.index]..self.chain.starts[self.index + 1];
        let mut rest = &self.chain.signatures[range];
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk::<2>()?;
            let (data, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
            rest = behind;
            Some(data)
        })
    }

    const fn kind(self) -> &'a Kind {
        &self.chain.kinds[self.chain.kind_of[self.index] as usize]
    }
}

/// A hash as a label, in lower case.
#[must_use]
pub fn hashed_label(hash: &HashedName) -> HashedLabel {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut label = [0; 32];
    for (bytes, letters) in hash.chunks_exact(5).zip(label.chunks_exact_mut(8)) {
        let bits = bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for (index, letter) in letters.iter_mut().enumerate() {
            *letter = ALPHABET[(bits >> (35 - 5 * index) & 31) as usize];
        }
    }
    label
}

/// The hash that a label in base32 stands for; `None` if it is none.
#[must_use]
pub fn hash_of_label(label: &[u8]) -> Option<HashedName> {
    let label: &HashedLabel = label.try_into().ok()?;
    let mut hash = [0; 20];
    for (letters, bytes) in label.chunks_exact(8).zip(hash.chunks_exact_mut(5)) {
        let mut bits = 0_u64;
        for letter in letters {
            let value = match letter.to_ascii_lowercase() {
                digit @ b'0'..=b'9' => digit - b'0',
                letter @ b'a'..=b'v' => letter - b'a' + 10,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        bytes.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(hash)
}

/// The owner of the NSEC3 record of a hash; `None` if the apex is too long for that.
#[must_use]
pub fn hashed_owner(hash: &HashedName, apex: &DomainName) -> Option<DomainName> {
    let mut wire = vec![32];
    wire.extend_from_slice(&hashed_label(hash));
    wire.extend_from_slice(apex.as_wire());
    DomainName::from_wire(&wire).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    /// RFC 5155 appendix A.
    #[test]
    fn names_are_hashed_as_in_the_rfc() {
        let parameters = Nsec3Parameters { iterations: 12, salt: [0xaa, 0xbb, 0xcc, 0xdd].into() };
        for (text, label) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ai.example", "gjeqe526plbf1g8mklp59enfd789njgi"),
            ("ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("x.y.w.example", "2vptu5timamqttgl4luu9kg21e0aor3s"),
        ] {
            let hash = parameters.hash(name(text).as_wire());
            assert_eq!(hashed_label(&hash), label.as_bytes(), "{text}");
            assert_eq!(hash_of_label(label.to_ascii_uppercase().as_bytes()), Some(hash));
        }
        assert_eq!(hash_of_label(b"w"), None);
        assert_eq!(hash_of_label(&[b'w'; 32]), None);
    }

    #[test]
    fn records_are_found_at_and_around_a_hash() {
        let part = |first: u8, bitmap| Nsec3Part { hash: [first; 20], flags: 0, bitmap };
        let parts = [part(2, &b"x"[..]), part(4, b""), part(9, b"x")];
        let chain = Nsec3Chain::from_sorted(Nsec3Parameters::default(), 5, parts).sign([
            vec![b"one".to_vec()],
            vec![],
            vec![b"two".to_vec(), b"three".to_vec()],
        ]);
        assert_eq!(chain.kinds.len(), 2, "equal bitmaps are kept once");
        for (hash, expected) in [(0, 9), (2, 2), (3, 2), (4, 4), (8, 4), (9, 9), (200, 9)] {
            let found = chain.matching_or_covering(&[hash; 20]).unwrap();
            assert_eq!(found.hash(), &[expected; 20], "{hash}");
            assert_eq!(chain.matching(&[hash; 20]).is_some(), hash == expected);
        }
        let last = chain.matching(&[9; 20]).unwrap();
        assert_eq!(last.next_hash(), &[2; 20]);
        assert_eq!(last.data().concat(), [&[1, 0, 0, 0, 0, 20][..], &[2; 20], b"x"].concat());
        assert_eq!(last.signatures().collect::<Vec<_>>(), [&b"two"[..], b"three"]);
        assert_eq!(chain.matching(&[4; 20]).unwrap().signatures().count(), 0);
        let none = Nsec3Chain::from_sorted(Nsec3Parameters::default(), 5, []);
        assert!(none.matching_or_covering(&[0; 20]).is_none());
    }
}
