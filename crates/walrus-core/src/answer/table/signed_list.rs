//! Beside each list of a service in a signed zone: what is answered at each place of each ring, and
//! its signatures.
//!
//! The set that a ring draws is answered when it is signed. Until then its place gives, in this
//! order: the largest signed set of the same ring's servers that has the drawn server in it; the
//! drawn server alone, whose set is always signed; any signed set of the list's servers. So a set
//! that is new costs variety for the milliseconds until it is signed, and never a valid signature:
//! all of these name servers of the present list only.
//!
//! Example: servers a to d, three an answer, and d dies while the signer is slow. Of the new sets
//! {a b c} was signed before, as the old ring had it too. Had it not been, then clients who draw b
//! would get {a b} if that is signed, else {b}.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use walrus_dns::record_type;

use super::record_data::RECORD_HEAD_LEN;
use super::ring::{Drawn, RingAnswer, RingList, data_of};
use super::signed_set::{SetData, SetSignatures, SetSigner, SignedSets, Terms};
use super::signing::SingleSet;

/// A place whose records are the ring's own.
const OWN_RECORDS: u32 = u32::MAX;

/// A service's signed answers, list by list, and what they were made from.
#[derive(Debug)]
pub(in crate::answer) struct SignedLists {
    pub(super) lists: Box<[Arc<SignedList>]>,
    /// All sets that are signed, those of single servers among them.
    pub(super) sets: SignedSets,
    /// On which terms.
    pub(super) terms: Terms,
    /// The single servers' sets that are signed beside those of the lists.
    pub(super) singles: Option<Arc<[SingleSet]>>,
    /// In seconds since 1970.
    pub(super) made_at: u64,
    /// When the next signatures are due, in seconds since 1970.
    pub(super) renew_at: u64,
    /// When the first of the sets' signatures expires, in seconds since 1970, if there is any.
    pub(super) first_expiry: Option<u64>,
    /// Nothing is missing until `renew_at`.
    pub(super) is_exact: bool,
}

/// One list's signed answers.
#[derive(Debug)]
pub(super) struct SignedList {
    pub(super) list: Arc<RingList>,
    rings: Box<[Box<[Place]>]>,
    /// RRSIG records of all sets, and records that stand in for a ring's.
    bytes: Box<[u8]>,
    /// The sets that were signed for it, those of single servers among them.
    pub(super) sets: Box<[SetData]>,
    /// Everything is answered as drawn, with signatures of the present period.
    pub(super) is_exact: bool,
}

/// What is answered where a ring draws a server.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// In the list's bytes, or [`OWN_RECORDS`].
    records_at: u32,
    signatures_at: u32,
    records_len: u16,
    signatures_len: u16,
    count: u16,
    signature_count: u16,
    /// The first server's ordinal.
    ordinal: u32,
    servers: u32,
}

/// An answer with its signatures, as they go into a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer) struct SignedAnswer<'a> {
    pub(in crate::answer) drawn: Drawn<'a>,
    /// RRSIG records, owners pointing to the question, with the TTL of what they cover.
    pub(in crate::answer) signatures: &'a [u8],
    pub(in crate::answer) signature_count: u16,
}

impl SignedLists {
    /// What is answered for a drawn answer of the list at this place among the service's.
    #[inline]
    pub(in crate::answer) fn answer<'a>(
        &'a self,
        list: u32,
        drawn: Drawn<'a>,
    ) -> Option<SignedAnswer<'a>> {
        let list = self.lists.get(list as usize)?;
        let place = list.rings.get(drawn.ring as usize)?.get(drawn.first as usize)?;
        let run = |at: u32, len: u16| list.bytes.get(at as usize..at as usize + usize::from(len));
        let drawn = if place.records_at == OWN_RECORDS {
            drawn
        } else {
            let records = run(place.records_at, place.records_len)?;
            let Place { count, ordinal, servers, .. } = *place;
            Drawn { records, count, ordinal, servers, ..drawn }
        };
        let signatures = run(place.signatures_at, place.signatures_len)?;
        Some(SignedAnswer { drawn, signatures, signature_count: place.signature_count })
    }
}

/// Makes a list's signed answers. `earlier` holds the sets that may stand in.
///
/// `None` if a place has no signed set at all.
pub(super) fn compile(
    list: &Arc<RingList>,
    signer: &mut SetSigner<'_>,
    earlier: &SignedSets,
) -> Option<SignedList> {
    let missing_before = signer.missing.count();
    let record_type = list.service_type().number();
    let (bytes, written, sets) = Default::default();
    let mut draft = Draft { list, record_type, earlier, bytes, written, sets, is_exact: true };
    let answers: Vec<RingAnswer<'_>> = list.answers().collect();
    // First of all, so that they are known to be needed.
    for answer in &answers {
        let alone = SetData::new(data_of(list.own(answer.ring, answer.first)));
        signer.find_single(record_type, &alone, true);
        draft.sets.insert(alone);
    }
    let rings = answers.chunk_by(|one, other| one.ring == other.ring);
    let rings = rings.map(|ring| draft.ring(ring, signer)).collect::<Option<_>>()?;
    let is_exact = draft.is_exact && missing_before == signer.missing.count();
    let sets = draft.sets.into_iter().collect();
    Some(SignedList { list: Arc::clone(list), rings, bytes: draft.bytes.into(), sets, is_exact })
}

struct Draft<'a> {
    list: &'a RingList,
    record_type: u16,
    earlier: &'a SignedSets,
    bytes: Vec<u8>,
    /// Where signatures stand already, by their allocation: sets share them.
    written: BTreeMap<*const SetSignatures, (u32, u16)>,
    sets: BTreeSet<SetData>,
    is_exact: bool,
}

/// A signed set that may stand in for another.
type StandIn<'a> = (&'a SetData, Arc<SetSignatures>);

impl<'a> Draft<'a> {
    fn ring(
        &mut self,
        answers: &[RingAnswer<'_>],
        signer: &mut SetSigner<'_>,
    ) -> Option<Box<[Place]>> {
        let mut stand_ins = None;
        let mut before: Option<(usize, Option<Arc<SetSignatures>>)> = None;
        let mut places = Vec::with_capacity(answers.len());
        for answer in answers {
            // All servers of a ring are the same set, whoever comes first.
            let is_whole = answer.servers as usize == answers.len() && self.list.overlaps();
            let found = match &before {
                Some((len, found)) if is_whole && *len == answer.records.len() => found.clone(),
                _ => {
                    let data = SetData::new(answer.data());
                    let found = signer.find(self.record_type, &data);
                    self.sets.insert(data);
                    found
                }
            };
            match &found {
                Some(signatures) => {
                    // Another list may have told already that newer ones are missing.
                    self.is_exact &= signer.is_present(self.record_type, signatures);
                    places.push(self.own(answer, signatures)?);
                }
                None => {
                    self.is_exact = false;
                    let stand_ins =
                        stand_ins.get_or_insert_with(|| self.stand_ins(answers, signer));
                    places.push(self.instead(answers, answer, stand_ins, signer)?);
                }
            }
            before = Some((answer.records.len(), found));
        }
        Some(places.into())
    }

    fn own(&mut self, answer: &RingAnswer<'_>, signatures: &Arc<SetSignatures>) -> Option<Place> {
        let (signatures_at, signatures_len) = self.signatures(answer.records, signatures)?;
        Some(Place {
            records_at: OWN_RECORDS,
            signatures_at,
            records_len: 0,
            signatures_len,
            count: answer.count,
            signature_count: u16::try_from(signatures.data.len()).ok()?,
            ordinal: 0,
            servers: answer.servers,
        })
    }

    /// The sets signed before that name only servers of this ring, and whose signatures are valid:
    /// by each record the largest.
    fn stand_ins(
        &self,
        answers: &[RingAnswer<'_>],
        signer: &mut SetSigner<'_>,
    ) -> BTreeMap<&'a [u8], StandIn<'a>> {
        let present = SetData::new(answers.iter().flat_map(RingAnswer::data));
        let mut best: BTreeMap<&[u8], StandIn<'_>> = BTreeMap::new();
        for ((record_type, data), signatures) in self.earlier {
            let names_others = || !data.iter().all(|data| present.contains(data));
            if *record_type != self.record_type || names_others() {
                continue;
            }
            let Some(newest) = signer.standing_in(*record_type, data, signatures) else { continue };
            for record in data.iter() {
                let held = best.entry(record).or_insert_with(|| (data, Arc::clone(&newest)));
                if held.0.len() < data.len() {
                    *held = (data, Arc::clone(&newest));
                }
            }
        }
        best
    }

    fn instead(
        &mut self,
        answers: &[RingAnswer<'_>],
        answer: &RingAnswer<'_>,
        stand_ins: &BTreeMap<&'a [u8], StandIn<'a>>,
        signer: &mut SetSigner<'_>,
    ) -> Option<Place> {
        let own = |answer: &RingAnswer<'_>| self.list.own(answer.ring, answer.first);
        let alone = SetData::new(data_of(own(answer)));
        let best = alone.iter().next().and_then(|data| stand_ins.get(data));
        // Some of a server's addresses alone would be another set than the one always signed.
        let best = best.filter(|(set, _)| set.contains_all(&alone));
        if let Some((set, signatures)) = best {
            return self.standing_in(answer, set, signatures);
        }
        if let Some(signatures) = signer.find_single(self.record_type, &alone, true) {
            return self.standing_in(answer, &alone, &signatures);
        }
        // A server whose own set could not be signed: another one's then.
        answers.iter().find_map(|other| {
            let alone = SetData::new(data_of(self.list.own(other.ring, other.first)));
            let (set, signatures) = stand_ins.get(alone.iter().next()?)?;
            if set.contains_all(&alone) { self.standing_in(other, set, signatures) } else { None }
        })
    }

    /// A set's records, beginning with those of the server that this answer begins with.
    fn standing_in(
        &mut self,
        answer: &RingAnswer<'_>,
        set: &SetData,
        signatures: &Arc<SetSignatures>,
    ) -> Option<Place> {
        let own = self.list.own(answer.ring, answer.first);
        let (signatures_at, signatures_len) = self.signatures(own, signatures)?;
        let records_at = u32::try_from(self.bytes.len()).ok()?;
        self.bytes.extend_from_slice(own);
        let alone = SetData::new(data_of(own));
        let mut count = data_of(own).count();
        // Type, class and TTL are those of the list's own records.
        let head = own.get(..RECORD_HEAD_LEN - 2)?;
        for data in set.iter().filter(|data| !alone.contains(data)) {
            self.bytes.extend_from_slice(head);
            self.bytes.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
            self.bytes.extend_from_slice(data);
            count += 1;
        }
        let records_len = self.bytes.len() - records_at as usize;
        // As many as there are records for the server that comes first.
        let servers = set.len() / alone.len().max(1);
        Some(Place {
            records_at,
            signatures_at,
            records_len: u16::try_from(records_len).ok()?,
            signatures_len,
            count: u16::try_from(count).ok()?,
            signature_count: u16::try_from(signatures.data.len()).ok()?,
            ordinal: self.list.ordinal(answer.ring, answer.first),
            servers: u32::try_from(servers).ok()?,
        })
    }

    /// Writes a set's RRSIG records, once; where they stand. They take the TTL of the records.
    fn signatures(
        &mut self,
        covered: &[u8],
        signatures: &Arc<SetSignatures>,
    ) -> Option<(u32, u16)> {
        if let Some(written) = self.written.get(&Arc::as_ptr(signatures)) {
            return Some(*written);
        }
        let ttl = covered.get(6..10)?;
        let at = self.bytes.len();
        for data in &signatures.data {
            self.bytes.extend_from_slice(&[0xc0, 12]);
            self.bytes.extend_from_slice(&record_type::RRSIG.to_be_bytes());
            self.bytes.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
            self.bytes.extend_from_slice(ttl);
            self.bytes.extend_from_slice(&u16::try_from(data.len()).ok()?.to_be_bytes());
            self.bytes.extend_from_slice(data);
        }
        let place = (u32::try_from(at).ok()?, u16::try_from(self.bytes.len() - at).ok()?);
        // The signer, or `earlier`, keeps what is pointed to until the list is made.
        self.written.insert(Arc::as_ptr(signatures), place);
        Some(place)
    }
}
