//! One question out of a log, and the bytes of the query that asks it again.

use std::net::{IpAddr, SocketAddr};

use walrus_core::plan::PlanNumber;
use walrus_dns::{DomainName, record_type};

/// No later time is believed: in November 2286. Counted in nanoseconds, as name servers do, it leaves room for
/// any TTL.
const UNIX_MS_MAX: u64 = 10_000_000_000_000;

/// A log's time in milliseconds, if it is one.
pub(super) fn time(unix_ms: u64) -> Result<u64, String> {
    if unix_ms > UNIX_MS_MAX {
        return Err(format!("its time is {unix_ms} ms after 1970, beyond any"));
    }
    Ok(unix_ms)
}

/// A query that was asked once, with what the log says about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The name that was asked for.
    pub name: DomainName,
    /// The type that was asked for.
    pub record_type: u16,
    /// Who asked.
    pub resolver: IpAddr,
    /// The client's network that the resolver told, and its length in bits (0: it told that it
    /// tells none).
    pub subnet: Option<(IpAddr, u8)>,
    /// The address that was asked, if the log knows it.
    pub local: Option<SocketAddr>,
    /// By UDP, not TCP.
    pub is_udp: bool,
    /// Signatures were wanted.
    pub dnssec_ok: bool,
    /// When, in milliseconds of Unix time; 0 if the log does not know.
    pub unix_ms: u64,
    /// How many queries this one stands for: at least 1.
    pub weight: u32,
    /// The Plan that it was answered from, if the log knows it.
    pub plan: Option<PlanNumber>,
    /// What it was answered, if the log knows it.
    pub recorded: Option<Recorded>,
}

/// An answer as a log tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// The reply's code.
    pub rcode: u16,
    /// The area that the client was taken to be in, if the log knows it.
    pub area: Option<String>,
    /// The first server's name, if the log knows it.
    pub server: Option<String>,
    /// ... and its cluster.
    pub cluster: Option<String>,
    /// The first address of the answer.
    pub address: Option<IpAddr>,
}

impl Asked {
    /// Writes the query anew, in place of what `query` held.
    pub(super) fn write_query(&self, query: &mut Vec<u8>) {
        query.clear();
        query.extend_from_slice(&[0x57, 0x57, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        query.extend_from_slice(self.name.as_wire());
        query.extend_from_slice(&self.record_type.to_be_bytes());
        query.extend_from_slice(&record_type::CLASS_IN.to_be_bytes());
        let dnssec_ok = if self.dnssec_ok { 0x80 } else { 0 };
        query.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, dnssec_ok, 0, 0]);
        let Some((network, bits)) = self.subnet else {
            query.push(0);
            return;
        };
        let (network, bits) = masked(network, bits);
        let (family, mut octets) = match network {
            IpAddr::V4(address) => (1, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        octets.truncate(usize::from(bits).div_ceil(8));
        let sent = octets.len() as u8;
        query.extend_from_slice(&[8 + sent, 0, 8, 0, 4 + sent, 0, family, bits, 0]);
        query.extend_from_slice(&octets);
    }

    /// Names the domain that asked, evenly spread over all numbers: the client's network if one was
    /// told, else the resolver.
    pub(super) fn domain(&self) -> u64 {
        let (address, bits) = match self.subnet {
            Some((network, bits)) if bits > 0 => masked(network, bits),
            _ => (self.resolver.to_canonical(), u8::MAX),
        };
        let (family, number) = match address {
            IpAddr::V4(address) => (4, u128::from(address.to_bits())),
            IpAddr::V6(address) => (6, address.to_bits()),
        };
        let low = mix(number as u64 ^ (u64::from(bits) << 8 | family));
        mix(low ^ (number >> 64) as u64)
    }
}

/// A network without what stands behind its prefix, which RFC 7871 section 6 wants to be 0.
fn masked(network: IpAddr, bits: u8) -> (IpAddr, u8) {
    match network.to_canonical() {
        IpAddr::V4(address) => {
            let bits = bits.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or_default();
            (IpAddr::V4((address.to_bits() & mask).into()), bits)
        }
        IpAddr::V6(address) => {
            let bits = bits.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or_default();
            (IpAddr::V6((address.to_bits() & mask).into()), bits)
        }
    }
}

/// One step of `splitmix64` (Steele, Lea, Flood 2014): a change of any bit changes half of them.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn asked(subnet: Option<(IpAddr, u8)>) -> Asked {
        Asked {
            name: "www.walrus.example".parse().unwrap(),
            record_type: 1,
            resolver: "192.0.2.1".parse().unwrap(),
            subnet,
            local: None,
            is_udp: true,
            dnssec_ok: true,
            unix_ms: 0,
            weight: 1,
            plan: None,
            recorded: None,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bits in any::<u8>(), address in any::<[u8; 16]>(), four: bool) {
            let address = match address.first_chunk::<4>() {
                Some(octets) if four => IpAddr::from(*octets),
                _ => IpAddr::from(address),
            };
            let mut query = Vec::new();
            asked(Some((address, bits))).write_query(&mut query);
            let read = walrus_dns::query::parse(&query).unwrap();
            let edns = read.edns.unwrap();
            prop_assert!(edns.dnssec_ok);
            let longest = if address.to_canonical().is_ipv4() { 32 } else { 128 };
            prop_assert_eq!(edns.client_subnet.unwrap().source(), bits.min(longest));
        }
    }

    #[test]
    fn a_domain_is_the_network_if_one_was_told_else_the_resolver() {
        let network = |text: &str, bits| Some((text.parse().unwrap(), bits));
        let domains = [
            asked(None),
            asked(network("198.51.100.0", 24)),
            asked(network("198.51.100.0", 25)),
            asked(network("2001:db8::", 56)),
        ]
        .map(|asked| asked.domain());
        for (place, domain) in domains.iter().enumerate() {
            assert!(!domains[..place].contains(domain), "{place}");
        }
        assert_eq!(asked(network("0.0.0.0", 0)).domain(), domains[0]);
        assert_eq!(asked(network("::ffff:198.51.100.0", 24)).domain(), domains[1]);
        assert_eq!(asked(network("198.51.100.77", 24)).domain(), domains[1], "behind the prefix");
    }
}
