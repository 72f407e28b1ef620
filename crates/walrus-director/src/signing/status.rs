//! How signing stands, for `walrus status`, metrics and `walrus keys`.

use walrus_core::dnssec::{DnsKey, ZoneKeys};
use walrus_dns::DomainName;

/// How signing stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningStatus {
    /// The zones that are signed, or should be, in the order of their names.
    pub zones: Vec<ZoneSigningStatus>,
    /// Answer sets of services that are signed.
    pub answer_sets: usize,
    /// Answer sets beyond `[dnssec] answer_sets_max`: single servers are answered there.
    pub left_out: usize,
    /// Signatures of answer sets that the background has still to make.
    pub pending: usize,
    /// When signatures of answer sets are renewed next, in seconds since 1970.
    pub next_renewal: Option<u64>,
    /// When the first signature of an answer set expires, in seconds since 1970.
    pub first_expiry: Option<u64>,
    /// Why answer sets are not signed.
    pub error: Option<String>,
    /// What is wrong with the clock.
    pub clock: Option<String>,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSigningStatus {
    /// The zone.
    pub apex: DomainName,
    /// Whether it is answered with signatures.
    pub is_served: bool,
    /// Whether it is answered without, as before, until it can be signed; if neither, it is refused.
    pub is_unsigned: bool,
    /// Signatures over what is static.
    pub signatures: usize,
    /// What they were made for, in seconds since 1970.
    pub signed_at: Option<u64>,
    /// When the next of them are renewed, in seconds since 1970.
    pub next_renewal: Option<u64>,
    /// When the first of them expires, in seconds since 1970.
    pub first_expiry: Option<u64>,
    /// The keys that are served with it.
    pub keys: Vec<KeyUse>,
    /// Why it is not signed as it should be.
    pub error: Option<String>,
}

/// What a key does in the zone as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The public key.
    pub key: DnsKey,
    /// It signs the DNSKEY, CDS and CDNSKEY sets.
    pub signs_keys: bool,
    /// It signs everything else.
    pub signs_zone: bool,
}

impl KeyUse {
    pub(crate) fn all(keys: &ZoneKeys) -> Vec<Self> {
        let mut all: Vec<DnsKey> = keys.published.clone();
        for key in keys.sign_keys.iter().chain(&keys.sign_zone) {
            if !all.contains(key) {
                all.push(key.clone());
            }
        }
        let one = |key: DnsKey| Self {
            signs_keys: keys.sign_keys.contains(&key),
            signs_zone: keys.sign_zone.contains(&key),
            key,
        };
        all.into_iter().map(one).collect()
    }
}
