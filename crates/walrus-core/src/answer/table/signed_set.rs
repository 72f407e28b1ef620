//! One service's record sets with their signatures: those that are there, and what is missing.
//!
//! A signature covers a *set* (RFC 4034 section 3.1.8.1): whichever server an answer begins with, and
//! whatever its TTL, answers of the same servers share one. A set whose new signature is not made
//! yet goes on with an older one as long as that is valid.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_dns::DomainName;

use crate::dnssec::{
    Covered, DnsKey, SignRequest, Signatures, SignedBy, Validity, ValidityPolicy, phase, sign_set,
};

/// A signature that ends sooner than this is not used any more: whoever gets it must still be able
/// to check it, with a clock that is a little ahead.
pub(super) const LEFT_MIN_SECS: i32 = 300;

/// Data of a set's records, sorted, no two alike. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetData(Arc<[Box<[u8]>]>);

impl SetData {
    pub(super) fn new<'a>(data: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut data: Vec<Box<[u8]>> = data.into_iter().map(Into::into).collect();
        data.sort();
        data.dedup();
        Self(data.into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|data| &**data)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|data| self.contains(data))
    }

    pub(super) fn contains(&self, data: &[u8]) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(data)).is_ok()
    }
}

/// Data of the RRSIG records over one set, and until when they are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SetSignatures {
    pub(super) data: Box<[Box<[u8]>]>,
    validity: Validity,
}

impl SetSignatures {
    /// When they expire, in seconds since 1970.
    pub(super) const fn ends_at(&self, now: u64) -> u64 {
        self.validity.ends_at(now)
    }
}

/// Whether whoever gets a signature of this validity now can check it.
fn is_good(validity: Validity, now: u64) -> bool {
    good_for(validity, now).is_some()
}

/// For how many seconds more that is so; `None` if it is not, as with a signature that begins later
/// since the clock was set back.
fn good_for(validity: Validity, now: u64) -> Option<u64> {
    // Serial numbers: the difference counts (RFC 4034 section 3.1.5).
    let left = validity.expiry.wrapping_sub(now as u32).cast_signed();
    let has_begun = validity.inception.wrapping_sub(now as u32).cast_signed() <= 0;
    let left = left.checked_sub(LEFT_MIN_SECS).filter(|left| *left > 0 && has_begun)?;
    u64::try_from(left).ok()
}

/// Signed sets by type and data.
pub(super) type SignedSets = BTreeMap<(u16, SetData), Arc<SetSignatures>>;

/// Who signs a service's sets, and how: what its signed sets are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) zone: DomainName,
    pub(super) keys: Arc<[DnsKey]>,
    pub(super) policy: ValidityPolicy,
    /// The original TTL of all its sets, in seconds.
    pub(super) ttl_max: u32,
}

/// Looks up the signatures of one service's sets.
pub(super) struct SetSigner<'a> {
    pub(super) owner: &'a DomainName,
    pub(super) terms: &'a Terms,
    pub(super) signatures: &'a Signatures,
    /// Seconds since 1970.
    pub(super) now: u64,
    /// Sets that were signed on the same terms before.
    pub(super) earlier: Option<&'a SignedSets>,
    /// How many more sets of several servers may be signed.
    sets_left: usize,
    /// What was looked for already; `None` is not signed.
    found: BTreeMap<(u16, SetData), Option<Arc<SetSignatures>>>,
    /// When the first signature that is of an earlier period can be used no more, in seconds since
    /// 1970.
    good_until: Option<u64>,
    /// What is missing.
    pub(super) missing: Missing,
}

/// Signatures that are to be made.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Without these there is nothing to answer with.
    pub(super) needed: Vec<SignRequest>,
    /// Without these something else is answered, or signatures are not renewed.
    pub(super) wanted: Vec<SignRequest>,
    /// Sets that are not signed since there would be too many.
    pub(super) left_out: usize,
}

impl Missing {
    pub(super) fn count(&self) -> usize {
        self.needed.len() + self.wanted.len() + self.left_out
    }
}

impl<'a> SetSigner<'a> {
    pub(super) fn new(
        owner: &'a DomainName,
        terms: &'a Terms,
        (signatures, now): (&'a Signatures, u64),
        earlier: Option<&'a SignedSets>,
        sets_left: usize,
    ) -> Self {
        let (found, good_until, missing) = Default::default();
        Self { owner, terms, signatures, now, earlier, sets_left, found, good_until, missing }
    }

    /// The signatures of a set of several servers; `None` if it has none that are valid.
    pub(super) fn find(&mut self, record_type: u16, data: &SetData) -> Option<Arc<SetSignatures>> {
        let key = (record_type, data.clone());
        if let Some(found) = self.found.get(&key) {
            return found.clone();
        }
        if self.sets_left == 0 {
            self.missing.left_out += 1;
            self.found.insert(key, None);
            return None;
        }
        self.sets_left -= 1;
        self.find_new(key, false)
    }

    /// The signatures of one server's set; if it is needed, then nothing else can stand for it.
    pub(super) fn find_single(
        &mut self,
        record_type: u16,
        data: &SetData,
        is_needed: bool,
    ) -> Option<Arc<SetSignatures>> {
        let key = (record_type, data.clone());
        match self.found.get(&key) {
            Some(found) => found.clone(),
            None => self.find_new(key, is_needed),
        }
    }

    /// The newest signatures of a set that was signed before and may stand in for another; `None`
    /// if they have expired.
    pub(super) fn standing_in(
        &mut self,
        record_type: u16,
        data: &SetData,
        earlier: &Arc<SetSignatures>,
    ) -> Option<Arc<SetSignatures>> {
        if let Some(Some(found)) = self.found.get(&(record_type, data.clone())) {
            return Some(Arc::clone(found));
        }
        self.while_good(record_type, earlier)
    }

    /// Signatures of some period, as long as they are valid; notes until when, if they are not those
    /// of the present one.
    fn while_good(
        &mut self,
        record_type: u16,
        signed: &Arc<SetSignatures>,
    ) -> Option<Arc<SetSignatures>> {
        let good_for = good_for(signed.validity, self.now)?;
        if !self.is_present(record_type, signed) {
            let until = self.now.saturating_add(good_for);
            self.good_until = Some(self.good_until.map_or(until, |held| held.min(until)));
        }
        Some(Arc::clone(signed))
    }

    /// Whether signatures are those of the present period.
    pub(super) fn is_present(&self, record_type: u16, signed: &SetSignatures) -> bool {
        signed.validity == self.terms.policy.at(self.now, phase(self.owner, record_type))
    }

    /// Takes over sets that a list goes on with.
    pub(super) fn keep(&mut self, record_type: u16, sets: &[SetData]) {
        for data in sets {
            let key = (record_type, data.clone());
            let earlier = self.earlier.and_then(|earlier| earlier.get(&key)).cloned();
            if earlier.is_some() && self.found.insert(key, earlier).is_none() {
                self.sets_left = self.sets_left.saturating_sub(1);
            }
        }
    }

    fn find_new(&mut self, key: (u16, SetData), is_needed: bool) -> Option<Arc<SetSignatures>> {
        let validity = self.terms.policy.at(self.now, phase(self.owner, key.0));
        let earlier = self.earlier.and_then(|earlier| earlier.get(&key));
        let found = match earlier {
            Some(earlier) if earlier.validity == validity => Some(Arc::clone(earlier)),
            _ => self.look_up(&key, validity, earlier, is_needed),
        };
        self.found.insert(key, found.clone());
        found
    }

    fn look_up(
        &mut self,
        (record_type, data): &(u16, SetData),
        validity: Validity,
        earlier: Option<&Arc<SetSignatures>>,
        is_needed: bool,
    ) -> Option<Arc<SetSignatures>> {
        let mut missing = Vec::new();
        if let Some(signed) = self.signed(*record_type, data, validity, &mut missing) {
            return Some(Arc::new(signed));
        }
        let old = earlier.filter(|signed| is_good(signed.validity, self.now)).cloned();
        let old = old.or_else(|| self.signed_before(*record_type, data).map(Arc::new));
        let old = old.and_then(|old| self.while_good(*record_type, &old));
        let is_needed = is_needed && old.is_none();
        let list = if is_needed { &mut self.missing.needed } else { &mut self.missing.wanted };
        list.append(&mut missing);
        old
    }

    /// The signatures of an earlier period: another process may have made them before this one.
    fn signed_before(&self, record_type: u16, data: &SetData) -> Option<SetSignatures> {
        let phase = phase(self.owner, record_type);
        let period = self.terms.policy.renew_every.as_secs().max(1);
        let mut then = self.now;
        for _ in 0..PERIODS_MAX {
            then = then.checked_sub(period)?;
            let validity = self.terms.policy.at(then, phase);
            if !is_good(validity, self.now) {
                return None;
            }
            if let Some(signed) = self.signed(record_type, data, validity, &mut Vec::new()) {
                return Some(signed);
            }
        }
        None
    }

    fn signed(
        &self,
        record_type: u16,
        data: &SetData,
        validity: Validity,
        missing: &mut Vec<SignRequest>,
    ) -> Option<SetSignatures> {
        let records: Vec<&[u8]> = data.iter().collect();
        let (owner, ttl) = (self.owner, self.terms.ttl_max);
        let covered = Covered { owner, record_type, ttl, data: &records };
        let by = SignedBy { zone: &self.terms.zone, keys: &self.terms.keys, validity };
        let data = sign_set(&covered, &by, self.signatures, missing)?;
        Some(SetSignatures { data: data.into(), validity })
    }

    /// When the first of these types is renewed, or what is used of an earlier period expires, in
    /// seconds since 1970.
    pub(super) fn renew_at(&self, types: impl Iterator<Item = u16>) -> Option<u64> {
        let renew = |of: u16| self.terms.policy.next_renewal(self.now, phase(self.owner, of));
        types.map(renew).chain(self.good_until).min()
    }

    /// All sets that have signatures, for the next look, and what is missing.
    pub(super) fn finish(self) -> (SignedSets, Missing) {
        let signed = self.found.into_iter().filter_map(|(key, found)| Some((key, found?)));
        (signed.collect(), self.missing)
    }
}

/// How many periods back a signature is looked for: more are valid only with odd settings.
const PERIODS_MAX: u32 = 8;
