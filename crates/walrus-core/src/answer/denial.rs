//! What proves in the fast path's replies that something does not exist: NSEC (RFC 4035 section
//! 3.1.3) and NSEC3 (RFC 5155 section 7.2), found and written without allocation. The rules stand
//! beside the complete path, which shares nothing with this.

use walrus_dns::{record_type, reply, split_label};

use super::table::{Entry, NAME_LEN_MAX, ZoneTable, records_of};
use crate::zone::{Nsec3Chain, Nsec3View};

/// What is to be proven of a question's name, in lower case.
#[derive(Clone, Copy)]
pub(super) enum Denial<'n> {
    /// It exists and lacks the type.
    NoType { name: &'n [u8] },
    /// It does not exist, and neither does a wildcard that would stand for it; of its bytes so many
    /// at the end are the closest name that does.
    NoName { name: &'n [u8], encloser_len: usize },
}

/// The records of the chain that prove it.
#[derive(Clone, Copy, Default)]
pub(super) enum Proof<'a> {
    /// It is not asked for, or cannot be had.
    #[default]
    None,
    Nsec([Option<Entry<'a>>; 2]),
    Nsec3 {
        apex: &'a [u8],
        records: [Option<Nsec3View<'a>>; 3],
    },
}

impl<'a> Proof<'a> {
    /// Looks for the proof in a signed zone; `None` if only the complete path can put it together.
    pub(super) fn find(zones: &'a ZoneTable, zone: u16, denial: Denial<'_>) -> Option<Self> {
        if let Some(chain) = zones.nsec3(zone) {
            return Self::find_hashed(chain, zones.apex(zone), denial);
        }
        let (Denial::NoType { name } | Denial::NoName { name, .. }) = denial;
        let first = zones.nsec_at_or_before(zone, name);
        let mut second = None;
        if let Denial::NoName { name, encloser_len } = denial {
            let mut buffer = [0; NAME_LEN_MAX];
            if let Some(wildcard) = wildcard(&name[name.len() - encloser_len..], &mut buffer) {
                let is_other = |entry: &Entry<'_>| first.is_none_or(|first| !entry.is_same(first));
                second = zones.nsec_at_or_before(zone, wildcard).filter(is_other);
            }
        }
        Some(Self::Nsec([first, second]))
    }

    fn find_hashed(chain: &'a Nsec3Chain, apex: &'a [u8], denial: Denial<'_>) -> Option<Self> {
        let hash = |name: &[u8]| chain.parameters().hash(name);
        let covering = |name: &[u8]| chain.matching_or_covering(&hash(name));
        let records = match denial {
            Denial::NoType { name } => [Some(chain.matching(&hash(name))?), None, None],
            Denial::NoName { name, encloser_len } => {
                let encloser = &name[name.len() - encloser_len..];
                let mut buffer = [0; NAME_LEN_MAX];
                let wildcard = wildcard(encloser, &mut buffer);
                let at_encloser = chain.matching(&hash(encloser))?;
                let next_closer = covering(next_closer(name, encloser_len));
                let mut records = [Some(at_encloser), next_closer, wildcard.and_then(covering)];
                for index in 1..records.len() {
                    let (before, rest) = records.split_at_mut(index);
                    let hash = rest[0].map(Nsec3View::hash);
                    if before.iter().any(|record| record.map(Nsec3View::hash) == hash) {
                        rest[0] = None;
                    }
                }
                records
            }
        };
        Some(Self::Nsec3 { apex, records })
    }

    /// Writes the signatures of the zone's SOA record, which is already there, and the records of
    /// the proof to the start of `out`, owners compressed against the question's name; their
    /// length and how many there are, or `None` if there is no room.
    pub(super) fn write(
        &self,
        zones: &ZoneTable,
        zone: u16,
        question: &[u8],
        out: &mut [u8],
    ) -> Option<(usize, u16)> {
        let mut buffer = [0; NAME_LEN_MAX];
        let mut to = Writer { question, ttl_max: zones.negative_ttl(zone), out, at: 0, count: 0 };
        for data in zones.soa_signatures(zone) {
            to.put(zones.apex(zone), record_type::RRSIG, u32::MAX, &[data])?;
        }
        match *self {
            Self::None => {}
            Self::Nsec(entries) => {
                for entry in entries.into_iter().flatten() {
                    let Some(set) = entry.set(record_type::NSEC) else { continue };
                    let owner = entry.name(&mut buffer);
                    for record in records_of(set.bytes).chain(records_of(set.signature_bytes)) {
                        to.put_prebuilt(owner, record)?;
                    }
                }
            }
            Self::Nsec3 { apex, records } => {
                for record in records.into_iter().flatten() {
                    let Some(owner) = hashed_owner(record, apex, &mut buffer) else { continue };
                    to.put(owner, record_type::NSEC3, record.ttl(), &record.data())?;
                    for data in record.signatures() {
                        to.put(owner, record_type::RRSIG, record.ttl(), &[data])?;
                    }
                }
            }
        }
        Some((to.at, to.count))
    }
}

/// The wildcard above which a name stands; `None` if that is too long.
fn wildcard<'b>(encloser: &[u8], buffer: &'b mut [u8; NAME_LEN_MAX]) -> Option<&'b [u8]> {
    let wildcard = buffer.get_mut(..2 + encloser.len())?;
    wildcard[..2].copy_from_slice(&[1, b'*']);
    wildcard[2..].copy_from_slice(encloser);
    Some(wildcard)
}

/// The name that is one label longer than the closest encloser (RFC 5155 section 1.3).
fn next_closer(name: &[u8], encloser_len: usize) -> &[u8] {
    let mut rest = name;
    while let Some((_, above)) = split_label(rest).filter(|(_, above)| above.len() > encloser_len) {
        rest = above;
    }
    rest
}

fn hashed_owner<'b>(
    record: Nsec3View<'_>,
    apex: &[u8],
    buffer: &'b mut [u8; NAME_LEN_MAX],
) -> Option<&'b [u8]> {
    let label = record.label();
    let owner = buffer.get_mut(..1 + label.len() + apex.len())?;
    // 32 letters.
    owner[0] = label.len() as u8;
    owner[1..=label.len()].copy_from_slice(&label);
    owner[1 + label.len()..].copy_from_slice(apex);
    Some(owner)
}

/// Writes records one behind the other, none with a longer TTL than `ttl_max`. `None` is no room.
struct Writer<'a> {
    question: &'a [u8],
    ttl_max: u32,
    out: &'a mut [u8],
    at: usize,
    count: u16,
}

impl Writer<'_> {
    /// A record of a reply to another question, under an owner.
    fn put_prebuilt(&mut self, owner: &[u8], record: &[u8]) -> Option<()> {
        // What it begins with is a pointer to that question.
        let (_, record) = record.split_first_chunk::<2>()?;
        let (head, rest) = record.split_first_chunk::<4>()?;
        let (ttl, data) = rest.split_first_chunk::<4>()?;
        let ttl = self.limited(u32::from_be_bytes(*ttl));
        self.begin(owner)?;
        [&head[..], &ttl, data].into_iter().try_for_each(|part| self.put_bytes(part))
    }

    /// A record whose data is in parts.
    fn put(&mut self, owner: &[u8], record_type: u16, ttl: u32, data: &[&[u8]]) -> Option<()> {
        let len: usize = data.iter().map(|part| part.len()).sum();
        let [type_0, type_1] = record_type.to_be_bytes();
        let [class_0, class_1] = record_type::CLASS_IN.to_be_bytes();
        let head = [type_0, type_1, class_0, class_1];
        let len = u16::try_from(len).ok()?.to_be_bytes();
        let ttl = self.limited(ttl);
        self.begin(owner)?;
        [&head[..], &ttl, &len].iter().chain(data).try_for_each(|part| self.put_bytes(part))
    }

    fn begin(&mut self, owner: &[u8]) -> Option<()> {
        self.at += reply::write_name(owner, self.question, self.out.get_mut(self.at..)?)?;
        self.count += 1;
        Some(())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    fn limited(&self, ttl: u32) -> [u8; 4] {
        ttl.min(self.ttl_max).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_closer_name_has_one_label_more() {
        let name = b"\x01a\x01b\x07example\0";
        assert_eq!(next_closer(name, 9), b"\x01b\x07example\0");
        assert_eq!(next_closer(name, 11), name);
        assert_eq!(next_closer(name, 1), b"\x07example\0");
    }
}
