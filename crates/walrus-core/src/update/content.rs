//! The address records of one name.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::world::Digest;

/// Addresses that are named to people; others may have put thousands there.
const SHOWN_MAX: usize = 8;

/// What a name server answers for one name, whoever asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Of all its records, in seconds.
    pub ttl: u32,
    /// A records.
    pub ipv4: BTreeSet<Ipv4Addr>,
    /// AAAA records.
    pub ipv6: BTreeSet<Ipv6Addr>,
}

impl Content {
    /// Tells contents apart, as far as 64 bits do: what a mark says of the records that it was written with.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let ttl = self.ttl.to_be_bytes();
        let ipv4: Vec<u8> = self.ipv4.iter().flat_map(Ipv4Addr::octets).collect();
        let ipv6: Vec<u8> = self.ipv6.iter().flat_map(Ipv6Addr::octets).collect();
        let digest = Digest::of([&ttl[..], &ipv4, &ipv6]).to_string();
        digest.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ipv4 = self.ipv4.iter().map(ToString::to_string);
        let all = ipv4.chain(self.ipv6.iter().map(ToString::to_string));
        let first: Vec<String> = all.take(SHOWN_MAX).collect();
        if first.is_empty() {
            return f.write_str("no addresses");
        }
        f.write_str(&first.join(", "))?;
        match self.ipv4.len() + self.ipv6.len() - first.len() {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
        write!(f, " (TTL {})", self.ttl)
    }
}
