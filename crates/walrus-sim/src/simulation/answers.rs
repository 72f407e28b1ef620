//! Replies read back from their bytes, and answers that were seen before under one number.
//!
//! A client holds an answer, not a server: if an address fails, it tries the next. Of a table's answers
//! there are few (one for each first server of a list), so that each is kept once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use super::study::RecordType;

/// The answers that name servers ever gave.
#[derive(Debug)]
pub(super) struct Answers {
    /// The server of each address.
    servers: BTreeMap<IpAddr, u16>,
    /// All answers' servers, one after another.
    listed: Vec<u16>,
    /// By number: where its servers stand, and where its bytes.
    places: Vec<(Range<u32>, Range<u32>)>,
    /// All answers' addresses as they came.
    bytes: Vec<u8>,
    /// Numbers by hash: open addressing, a power of two, at most half full.
    found: Vec<(u64, u32)>,
    /// The addresses of the reply at hand.
    key: Vec<u8>,
}

/// What a resolver learns from a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    /// The answer's number.
    pub(super) answer: u32,
    /// Seconds.
    pub(super) ttl: u32,
    /// The client subnet's scope, if the reply has one.
    pub(super) scope: Option<u8>,
}

impl Answers {
    /// For servers with these addresses, in their order.
    pub(super) fn new(servers: impl Iterator<Item = (IpAddr, u16)>) -> Self {
        Self {
            servers: servers.collect(),
            listed: Vec::new(),
            places: Vec::new(),
            bytes: Vec::new(),
            found: vec![(0, u32::MAX); 64],
            key: Vec::new(),
        }
    }

    /// The servers of an answer, the first one first.
    #[inline]
    pub(super) fn servers(&self, answer: u32) -> &[u16] {
        let place = self.places.get(answer as usize);
        let range = place.map_or(0..0, |(range, _)| range.start as usize..range.end as usize);
        self.listed.get(range).unwrap_or_default()
    }

    /// Reads a reply; `None` if it has no address of this type.
    pub(super) fn learn(&mut self, reply: &[u8], wanted: RecordType) -> Option<Learned> {
        self.key.clear();
        let (ttl, scope) = read(reply, wanted, &mut self.key)?;
        let hash = hash(&self.key);
        let mask = self.found.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (known, answer) = self.found[at];
            if answer == u32::MAX {
                break;
            }
            if known == hash && self.bytes_of(answer) == self.key {
                return Some(Learned { answer, ttl, scope });
            }
            at = (at + 1) & mask;
        }
        let answer = self.add(hash)?;
        Some(Learned { answer, ttl, scope })
    }

    fn bytes_of(&self, answer: u32) -> &[u8] {
        let (_, bytes) = &self.places[answer as usize];
        &self.bytes[bytes.start as usize..bytes.end as usize]
    }

    /// Gives the answer at hand a number; `None` if no address is a server's.
    #[cold]
    fn add(&mut self, hash: u64) -> Option<u32> {
        let listed = self.listed.len() as u32;
        let size = if self.key.first() == Some(&4) { 5 } else { 17 };
        for address in self.key.chunks_exact(size) {
            let address = match address {
                [4, rest @ ..] => <[u8; 4]>::try_from(rest).ok().map(IpAddr::from),
                [_, rest @ ..] => <[u8; 16]>::try_from(rest).ok().map(IpAddr::from),
                [] => None,
            };
            self.listed.extend(address.and_then(|address| self.servers.get(&address)));
        }
        if self.listed.len() as u32 == listed {
            return None;
        }
        let bytes = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&self.key);
        let answer = self.places.len() as u32;
        let ranges = (listed..self.listed.len() as u32, bytes..self.bytes.len() as u32);
        self.places.push(ranges);
        if self.places.len() * 2 > self.found.len() {
            self.grow();
        }
        self.put(hash, answer);
        Some(answer)
    }

    fn put(&mut self, hash: u64, answer: u32) {
        let mask = self.found.len() - 1;
        let mut at = hash as usize & mask;
        while self.found[at].1 != u32::MAX {
            at = (at + 1) & mask;
        }
        self.found[at] = (hash, answer);
    }

    fn grow(&mut self) {
        let larger = vec![(0, u32::MAX); self.found.len() * 2];
        let old = std::mem::replace(&mut self.found, larger);
        for (hash, answer) in old.into_iter().filter(|(_, answer)| *answer != u32::MAX) {
            self.put(hash, answer);
        }
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hash = key.len() as u64;
    for chunk in key.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash =
            (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash ^ hash >> 32
}

const OPT: u16 = 41;
const CLIENT_SUBNET: u16 = 8;

/// Writes the addresses of a reply, each behind its family (4 or 6), and gives the TTL and the scope;
/// `None` if it has none or is no reply at all.
fn read(reply: &[u8], wanted: RecordType, addresses: &mut Vec<u8>) -> Option<(u32, Option<u8>)> {
    let (wanted, family, size) = match wanted {
        RecordType::A => (1, 4, 4),
        RecordType::Aaaa => (28, 6, 16),
    };
    let answers = word(reply, 6)?;
    let others = word(reply, 8)? + word(reply, 10)?;
    let mut at = skip_name(reply, 12)? + 4;
    let (mut ttl, mut scope) = (u32::MAX, None);
    for number in 0..answers.saturating_add(others) {
        at = skip_name(reply, at)?;
        let record_type = word(reply, at)?;
        let size_here = usize::from(word(reply, at + 8)?);
        let data = reply.get(at + 10..at + 10 + size_here)?;
        if number < answers && record_type == wanted && size_here == size {
            ttl = ttl.min(u32::from(word(reply, at + 4)?) << 16 | u32::from(word(reply, at + 6)?));
            addresses.push(family);
            addresses.extend_from_slice(data);
        } else if record_type == OPT {
            scope = scope_of(data);
        }
        at += 10 + size_here;
    }
    (!addresses.is_empty()).then_some((ttl, scope))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn scope_of(mut options: &[u8]) -> Option<u8> {
    while let (Some(code), Some(size)) = (word(options, 0), word(options, 2)) {
        let data = options.get(4..4 + usize::from(size))?;
        if code == CLIENT_SUBNET {
            return data.get(3).copied();
        }
        options = options.get(4 + usize::from(size)..)?;
    }
    None
}
