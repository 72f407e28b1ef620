//! The address records of one name.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

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
    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ipv4 = self.ipv4.iter().map(ToString::to_string);
        let all: Vec<String> = ipv4.chain(self.ipv6.iter().map(ToString::to_string)).collect();
        match all.is_empty() {
            true => f.write_str("no addresses"),
            false => write!(f, "{} (TTL {})", all.join(", "), self.ttl),
        }
    }
}
