//! A model of validating resolvers: whatever mixture of what was served lately lies in their
//! caches, it must be valid. Stricter than any real one: every algorithm counts everywhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::dnssec::{DnsKey, ZoneKeys};

/// What several servers serve, and what caches may hold of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Served<T> {
    now: BTreeMap<usize, T>,
    /// (first second in which no cache has it any more, what).
    cached: Vec<(u64, T)>,
}

impl<T: Clone + PartialEq> Served<T> {
    /// From now on this server serves this.
    pub(super) fn set(&mut self, server: usize, what: T) {
        self.now.insert(server, what);
    }

    pub(super) fn all_now(&self) -> impl Iterator<Item = &T> {
        self.now.values()
    }

    /// A second passes in which somebody asks every server; caches keep for `ttl` what they get.
    /// Tells whether any has now what none had.
    pub(super) fn ask(&mut self, at: u64, ttl: u32) -> bool {
        let until = at + u64::from(ttl);
        let mut has_news = false;
        for what in self.now.values() {
            match self.cached.iter_mut().find(|(_, cached)| cached == what) {
                Some((cached_until, _)) => *cached_until = until.max(*cached_until),
                None => {
                    self.cached.push((until, what.clone()));
                    has_news = true;
                }
            }
        }
        self.cached.retain(|(until, _)| *until > at);
        has_news
    }

    /// Each thing that a cache may hold.
    pub(super) fn in_caches(&self) -> impl Iterator<Item = &T> {
        self.cached.iter().map(|(_, what)| what)
    }
}

/// Why a resolver with these three in its caches refuses the zone.
pub(super) fn refusal(
    ds: &BTreeSet<DnsKey>,
    dnskey: &ZoneKeys,
    signed: &ZoneKeys,
) -> Option<String> {
    if ds.is_empty() {
        return None;
    }
    for algorithm in ds.iter().map(DnsKey::algorithm) {
        let trusted = ds.iter().filter(|key| key.algorithm() == algorithm);
        if !trusted.into_iter().any(|key| dnskey.sign_keys.contains(key)) {
            return Some(format!("no DS of {algorithm:?} names a key that signs the DNSKEY set"));
        }
    }
    for algorithm in dnskey.published.iter().map(DnsKey::algorithm) {
        let mut of_it = dnskey.published.iter().filter(|key| key.algorithm() == algorithm);
        if !of_it.clone().any(|key| dnskey.sign_keys.contains(key)) {
            return Some(format!("the DNSKEY set is not signed with {algorithm:?}"));
        }
        if !of_it.any(|key| signed.sign_zone.contains(key)) {
            return Some(format!("a record set is not signed with {algorithm:?}"));
        }
    }
    None
}
