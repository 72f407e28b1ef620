//! Client address to class for one service, with the ECS scope that follows from it.

use std::net::IpAddr;

use super::lines::Lines;
use super::ranges::Ranges;

/// Bits in front of the IPv4 address in an IPv4-mapped IPv6 one.
const MAPPED_BITS: u8 = 96;

/// Of a second-level cache of a megabyte or two the kernel's own work leaves about this much.
const NEAR_MAX: usize = 256 * 1024;

/// A [`super::Map`] seen through one service's eyes: areas that it treats alike are one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTable {
    ipv4: Lines,
    ipv6: Ranges<u128>,
}

/// What a [`ClassTable`] knows about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassHit {
    /// The class of the address.
    pub class: u16,
    /// The length of the widest prefix around the address in which every address has this class:
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix_len: u8,
}

impl ClassTable {
    pub(super) fn new(ipv4: &Ranges<u32>, ipv6: Ranges<u128>) -> Self {
        Self { ipv4: Lines::new(ipv4), ipv6 }
    }

    /// The class of an address and how far around it holds.
    ///
    /// An IPv4-mapped IPv6 address is looked up as IPv4, with a length of 96 and more. Lengths of
    /// other IPv6 addresses leave the mapped block out of account: no client comes from there.
    #[inline]
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> ClassHit {
        match address {
            IpAddr::V4(address) => self.lookup_ipv4(address.to_bits()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(mapped) => {
                    let hit = self.lookup_ipv4(mapped.to_bits());
                    ClassHit { prefix_len: MAPPED_BITS + hit.prefix_len, ..hit }
                }
                None => self.lookup_ipv6(address.to_bits()),
            },
        }
    }

    /// As [`ClassTable::lookup`] for an IPv4 address as an integer.
    #[inline]
    #[must_use]
    pub fn lookup_ipv4(&self, address: u32) -> ClassHit {
        let (class, prefix_len) = self.ipv4.value_and_prefix(address);
        ClassHit { class, prefix_len }
    }

    /// As [`ClassTable::lookup`] for an IPv6 address as an integer that is not IPv4-mapped.
    #[inline]
    #[must_use]
    pub fn lookup_ipv6(&self, address: u128) -> ClassHit {
        let (class, prefix_len) = self.ipv6.value_and_prefix(address);
        ClassHit { class, prefix_len }
    }

    /// Whether IPv4 clients are looked up in more memory than a near cache is likely to hold.
    #[must_use]
    pub const fn is_large(&self) -> bool {
        self.ipv4.memory() > NEAR_MAX
    }

    /// Where the lookup of an IPv4 address begins, for a prefetch.
    #[inline]
    #[must_use]
    pub fn begin_ipv4(&self, address: u32) -> *const u8 {
        self.ipv4.begin(address)
    }

    /// Ranges of IPv4 and IPv6 after merging.
    #[must_use]
    pub fn range_counts(&self) -> (usize, usize) {
        (self.ipv4.len(), self.ipv6.len())
    }
}
