//! What a choice may depend on besides the servers: who asks, how much it stands for, and when.

use std::net::IpAddr;

use rapidhash::v3::{RapidSecrets, rapidhash_v3_nano_inline};

use crate::world::{Domain, Time};

/// Fixed: all workers, Directors and Plans name a domain alike.
pub(super) const SECRETS: RapidSecrets = RapidSecrets::seed(0x7761_6c72_7573_0002);

/// A query as the `choose` stage sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// When it came.
    pub now: Time,
    /// How long the answer may be cached, in seconds: where that varies, the mean for this domain.
    pub ttl: u32,
    /// Who asks.
    pub domain: AskingDomain,
}

/// The domain (a resolver, or a client prefix that it told) that asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AskingDomain {
    /// A hash of its address or prefix ([`AskingDomain::key_of`]): the same on all workers and
    /// Directors.
    pub key: u64,
    /// Its hidden load weight: the requests that follow an answer during one TTL, the mean one where
    /// TTLs are adaptive, so that weights are as rates are. Above 0; of one that nothing is known of 1,
    /// or the mean of all that are not named.
    pub weight: f64,
    /// Its place among the hot domains of the Plan; `None` is a normal one.
    pub hot: Option<u32>,
    /// Its class among domains with different TTLs; 0 if the TTL does not depend on it.
    pub class: u32,
    /// How many bits of the client's prefix name it: no answer that looks at the domain is for a
    /// wider one. 0 if the resolver's address does.
    pub prefix_len: u8,
}

impl AskingDomain {
    /// A domain of this key that nothing is known of stands for one request.
    #[must_use]
    pub const fn unknown(key: u64) -> Self {
        Self { key, weight: 1.0, hot: None, class: 0, prefix_len: 0 }
    }

    /// The client prefix if the resolver told one, else the resolver; nothing else is known of it.
    /// Prefixes longer than [`Domain::client_length_max`] are cut. IPv4 written as IPv6 is no client's
    /// prefix (RFC 7871 section 6 has a family for each), and names nobody.
    #[inline]
    #[must_use]
    pub fn of(resolver: IpAddr, subnet: Option<(IpAddr, u8)>) -> Self {
        let says_anything =
            |(address, source): &(IpAddr, u8)| *source > 0 && address.to_canonical() == *address;
        let Some((address, source)) = subnet.filter(says_anything) else {
            return Self::unknown(Self::key_of(resolver, u8::MAX));
        };
        let prefix_len = source.min(Domain::client_length_max(address));
        Self { prefix_len, ..Self::unknown(Self::key_of(address, prefix_len)) }
    }

    /// The key of a prefix; of an address if the length is that of all its bits or more.
    #[inline]
    #[must_use]
    pub fn key_of(address: IpAddr, prefix_len: u8) -> u64 {
        let (address, bits) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix_len = prefix_len.min(bits);
        let host_bits = u32::from(bits - prefix_len);
        let network = address & u128::MAX.checked_shl(host_bits).unwrap_or(0);
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&network.to_be_bytes());
        bytes[16] = prefix_len;
        rapidhash_v3_nano_inline::<true, false>(&bytes, &SECRETS)
    }

    /// The weight as it is reckoned with: finite, and above 0 whatever was told.
    #[inline]
    pub(super) fn counted_weight(&self) -> f64 {
        if self.weight > 0.0 { self.weight.min(WEIGHT_MAX) } else { 1.0 }
    }
}

/// More requests during one TTL than any domain makes; sums of weights stay finite.
const WEIGHT_MAX: f64 = 1e15;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_domain_is_the_client_prefix_else_the_resolver() {
        let resolver = ip("192.0.2.53");
        let of = |subnet| AskingDomain::of(resolver, subnet);
        assert_eq!(of(None).key, AskingDomain::key_of(resolver, 32));
        assert_eq!(of(Some((ip("203.0.113.7"), 0))), of(None));
        assert_eq!(of(Some((ip("::ffff:203.0.113.7"), 128))), of(None), "no scope is wide enough");
        for (address, source, prefix_len) in [
            ("203.0.113.7", 32, 24),
            ("203.0.113.200", 24, 24),
            ("203.0.0.0", 16, 16),
            ("2001:db8::1", 64, 56),
            ("2001:db8::", 48, 48),
        ] {
            let domain = of(Some((ip(address), source)));
            assert_eq!(domain.prefix_len, prefix_len, "{address}/{source}");
            assert_eq!(domain.key, AskingDomain::key_of(ip(address), prefix_len));
        }
    }

    #[test]
    fn keys_differ_by_network_and_length_alone() {
        let key = |text, len| AskingDomain::key_of(ip(text), len);
        assert_eq!(key("203.0.113.7", 24), key("203.0.113.0", 24));
        assert_ne!(key("203.0.113.0", 24), key("203.0.113.0", 25));
        assert_ne!(key("203.0.113.0", 24), key("203.0.112.0", 24));
        assert_eq!(key("::ffff:203.0.113.7", 32), key("203.0.113.7", u8::MAX));
        assert_eq!(key("2001:db8::7", 0), key("::", 0));
    }

    #[test]
    fn no_weight_is_odd_once_it_counts() {
        for (told, counted) in
            [(2.5, 2.5), (0.0, 1.0), (-3.0, 1.0), (f64::NAN, 1.0), (f64::INFINITY, WEIGHT_MAX)]
        {
            let domain = AskingDomain { weight: told, ..AskingDomain::unknown(1) };
            assert_eq!(domain.counted_weight(), counted);
        }
    }
}
