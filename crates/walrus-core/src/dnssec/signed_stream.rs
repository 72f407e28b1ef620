//! Sets in, the same sets with their signatures out, in the same order; signatures are asked for
//! in batches.

use std::collections::VecDeque;

use walrus_dns::DomainName;

use super::set::{canonical, identify, signature_head};
use super::{Covered, DnsKey, SignBatch, SignRequest, SignedBy, ZoneKeys, ZoneSigning, phase};
use crate::zone::RecordSet;

/// Requests that are asked for at once: some 60 ms of one core's work, and a megabyte.
const BATCH: usize = 4096;
/// Sets that wait for a batch to fill, when most signatures are there already.
const WAITING_MAX: usize = 16_384;

/// A set that is to be signed.
pub(super) struct Unsigned<'a> {
    pub(super) owner: DomainName,
    pub(super) set: RecordSet,
    /// Who signs; nobody if it is not signed.
    pub(super) keys: &'a [DnsKey],
    /// The data of the RRSIG records that the same set had before.
    pub(super) before: Vec<&'a [u8]>,
}

/// What is asked for and counted while a zone is signed.
pub(super) struct Pass<'a, E> {
    signing: &'a ZoneSigning,
    now: u64,
    /// The keys of the signatures from before.
    keys_before: Option<&'a ZoneKeys>,
    sign: &'a mut SignBatch<'a, E>,
    failed: Option<E>,
    pub(super) next_renewal: u64,
    pub(super) first_expiry: u64,
    pub(super) signatures: usize,
    pub(super) made: usize,
}

impl<'a, E> Pass<'a, E> {
    pub(super) fn new(
        signing: &'a ZoneSigning,
        now: u64,
        keys_before: Option<&'a ZoneKeys>,
        sign: &'a mut SignBatch<'a, E>,
    ) -> Self {
        let failed = None;
        Self {
            signing,
            now,
            keys_before,
            sign,
            failed,
            next_renewal: u64::MAX,
            first_expiry: u64::MAX,
            signatures: 0,
            made: 0,
        }
    }

    /// Whether all went well so far.
    pub(super) fn check(&mut self) -> Result<(), E> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Whether a signature with a key's tag can only be that key's. A new algorithm's keys sign
    /// before they are published.
    fn is_known(&self, key: &DnsKey) -> bool {
        let Some(keys) = self.keys_before else { return false };
        let alike =
            |other: &&DnsKey| other.tag() == key.tag() && other.algorithm() == key.algorithm();
        let mut alike = keys.published.iter().chain(&keys.sign_zone).filter(alike).peekable();
        alike.peek().is_some() && alike.all(|other| other == key)
    }
}

/// See the file's first line.
pub(super) struct SignedStream<'p, 'a, I, E> {
    source: I,
    pass: &'p mut Pass<'a, E>,
    waiting: VecDeque<(DomainName, RecordSet)>,
    /// At the start of `waiting` so many are signed.
    ready: usize,
    requests: Vec<SignRequest>,
    /// For each request the set in `waiting` and which of its signatures.
    places: Vec<(usize, usize)>,
}

impl<'p, 'a, I, E> SignedStream<'p, 'a, I, E> {
    pub(super) fn new(source: I, pass: &'p mut Pass<'a, E>) -> Self {
        let (waiting, requests, places) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { source, pass, waiting, ready: 0, requests, places }
    }
}

impl<'a, I: Iterator<Item = Unsigned<'a>>, E> Iterator for SignedStream<'_, '_, I, E> {
    type Item = (DomainName, RecordSet);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready == 0 {
            self.fill();
        }
        self.ready = self.ready.checked_sub(1)?;
        self.waiting.pop_front()
    }
}

impl<'a, I: Iterator<Item = Unsigned<'a>>, E> SignedStream<'_, '_, I, E> {
    /// Takes in the next sets and has them signed; nothing is ready after that at the end, or when
    /// something fails.
    fn fill(&mut self) {
        if self.pass.failed.is_some() {
            return;
        }
        while self.requests.len() < BATCH && self.waiting.len() < WAITING_MAX {
            let Some(unsigned) = self.source.next() else { break };
            self.take(unsigned);
        }
        let mut made = vec![[0; 64]; self.requests.len()];
        if !self.requests.is_empty() {
            if let Err(error) = (self.pass.sign)(&self.requests, &mut made) {
                self.pass.failed = Some(error);
                return;
            }
            self.pass.made += made.len();
        }
        self.requests.clear();
        for ((set, index), signature) in self.places.drain(..).zip(made) {
            let signatures = &mut self.waiting[set].1.signatures;
            let data = [&signatures[index], &signature[..]].concat();
            signatures[index] = data.into();
        }
        self.ready = self.waiting.len();
    }

    fn take(&mut self, unsigned: Unsigned<'a>) {
        let Unsigned { owner, mut set, keys, before } = unsigned;
        if keys.is_empty() {
            self.waiting.push_back((owner, set));
            return;
        }
        let signing = self.pass.signing;
        let ZoneSigning { apex, validity, .. } = signing;
        let phase = phase(&owner, set.record_type);
        let renewal = validity.next_renewal(self.pass.now, phase);
        self.pass.next_renewal = self.pass.next_renewal.min(renewal);
        self.pass.signatures += keys.len();
        let data: Vec<&[u8]> = set.data.iter().map(|data| &**data).collect();
        let covered =
            Covered { owner: &owner, record_type: set.record_type, ttl: set.ttl, data: &data };
        let made_for = signing.validity_of(&owner, set.record_type, self.pass.now);
        let expiry = made_for.ends_at(self.pass.now);
        self.pass.first_expiry = self.pass.first_expiry.min(expiry);
        let by = SignedBy { zone: apex, keys, validity: made_for };
        let mut records = None;
        let mut signatures = Vec::with_capacity(keys.len());
        for key in keys {
            let head = signature_head(&covered, &by, key);
            let same =
                |before: &&&[u8]| before.len() == head.len() + 64 && before.starts_with(&head);
            if let Some(before) = before.iter().find(same)
                && self.pass.is_known(key)
            {
                signatures.push((*before).into());
                continue;
            }
            let records = records.get_or_insert_with(|| canonical(&covered));
            let id = identify(key, &head, records);
            let bytes = [&head[..], records].concat().into();
            self.requests.push(SignRequest { id, key: key.clone(), bytes });
            self.places.push((self.waiting.len(), signatures.len()));
            // The signature itself follows when it is made.
            signatures.push(head.into());
        }
        set.signatures = signatures;
        self.waiting.push_back((owner, set));
    }
}
