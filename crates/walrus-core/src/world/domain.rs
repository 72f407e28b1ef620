//! A domain: those who ask as one, by their resolver's address or their prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A resolver's address or a client prefix (ECS, or from an access log). The order is that of
/// addresses, IPv4 first, and a prefix comes before all that lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Domain {
    network: IpAddr,
    length: u8,
}

/// Text that is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither an address nor a prefix like 198.51.100.0/24")]
pub struct DomainInvalid;

impl Domain {
    /// The prefix of so many bits (at most all) that the address lies in. An IPv4 address that is
    /// written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4, with all its bits.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let length = length.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { network: Ipv4Addr::from_bits(address.to_bits() & mask).into(), length }
            }
            IpAddr::V6(address) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { network: Ipv6Addr::from_bits(address.to_bits() & mask).into(), length }
            }
        }
    }

    /// The longest client prefix that is a domain of its own, in bits: answers look for no longer one
    /// (RFC 7871 section 11.1 wants resolvers to send none).
    #[must_use]
    pub const fn client_length_max(address: IpAddr) -> u8 {
        if address.is_ipv4() { 24 } else { 56 }
    }

    /// The domain of a client in this prefix or at this address: shortened to what answers look for.
    #[must_use]
    pub fn of_client(self) -> Self {
        Self::new(self.network, self.length.min(Self::client_length_max(self.network)))
    }

    /// A single address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self::new(address, 128)
    }

    /// The first address.
    #[must_use]
    pub const fn network(self) -> IpAddr {
        self.network
    }

    /// The prefix' length in bits.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The bits of a single address of this family.
    #[must_use]
    pub const fn length_max(self) -> u8 {
        if self.network.is_ipv4() { 32 } else { 128 }
    }

    /// The domain of the last address in it: nothing in this prefix comes after it in order.
    #[must_use]
    pub fn last(self) -> Self {
        let free = u32::from(self.length_max() - self.length);
        let address = match self.network {
            IpAddr::V4(network) => {
                let hosts = u32::MAX.checked_shr(32 - free).unwrap_or(0);
                Ipv4Addr::from_bits(network.to_bits() | hosts).into()
            }
            IpAddr::V6(network) => {
                let hosts = u128::MAX.checked_shr(128 - free).unwrap_or(0);
                Ipv6Addr::from_bits(network.to_bits() | hosts).into()
            }
        };
        Self { network: address, length: self.length_max() }
    }

    /// Whether all of the other lies in it.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.length <= other.length
            && self.network.is_ipv4() == other.network.is_ipv4()
            && Self::new(other.network, self.length) == self
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length == self.length_max() {
            true => write!(f, "{}", self.network),
            false => write!(f, "{}/{}", self.network, self.length),
        }
    }
}

impl FromStr for Domain {
    type Err = DomainInvalid;

    fn from_str(text: &str) -> Result<Self, DomainInvalid> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| DomainInvalid)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if (1..=3).contains(&digits.len()) && digits.as_bytes()[0] != b'+' => {
                digits.parse().map_err(|_| DomainInvalid)?
            }
            Some(_) => return Err(DomainInvalid),
        };
        if length > most {
            return Err(DomainInvalid);
        }
        Ok(Self::new(address, length))
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.to_string()
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainInvalid;

    fn try_from(text: String) -> Result<Self, DomainInvalid> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn clients_are_told_apart_as_far_as_answers_do() {
        for (text, cut) in [
            ("192.0.2.129", "192.0.2.0/24"),
            ("192.0.2.0/25", "192.0.2.0/24"),
            ("192.0.0.0/16", "192.0.0.0/16"),
            ("2001:db8:1:2:3::/64", "2001:db8:1::/56"),
            ("2001:db8::/48", "2001:db8::/48"),
            ("::ffff:192.0.2.1", "192.0.2.0/24"),
        ] {
            assert_eq!(domain(text).of_client().to_string(), cut);
        }
    }

    #[test]
    fn texts_are_read_and_written() {
        for (text, written) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("198.51.100.7/24", "198.51.100.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8:ffff:1::/48", "2001:db8:ffff::/48"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(domain(text).to_string(), written);
            assert_eq!(domain(written), domain(text));
        }
        for bad in ["", "/", "x", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "::/129", "::/0128"] {
            assert_eq!(bad.parse::<Domain>(), Err(DomainInvalid), "{bad}");
        }
    }

    #[test]
    fn a_prefix_stands_before_all_that_lies_in_it_and_nothing_else_up_to_its_last() {
        for (prefix, inside, outside) in [
            ("198.51.100.0/24", "198.51.100.0/25", "198.51.101.0"),
            ("198.51.100.0/24", "198.51.100.255", "198.51.0.0/16"),
            ("198.51.100.0/24", "198.51.100.0", "198.51.99.255"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("2001:db8::/48", "2001:db8:0:ffff::/64", "2001:db8:1::"),
            ("::/0", "ffff::/16", "1.2.3.4"),
        ] {
            let (prefix, inside, outside) = (domain(prefix), domain(inside), domain(outside));
            assert!(prefix.contains(inside) && prefix.contains(prefix));
            assert!(prefix <= inside && inside <= prefix.last());
            assert!(!prefix.contains(outside) && !inside.contains(prefix));
            assert!(outside < prefix || outside > prefix.last());
        }
    }
}
