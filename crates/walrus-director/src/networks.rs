//! A few networks that every query's sender is looked for in.

use std::net::IpAddr;

/// Networks by prefix. Compared one by one: for a few that is faster than any tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks(Box<[(IpAddr, u8)]>);

impl Networks {
    pub(crate) fn new(prefixes: &[(IpAddr, u8)]) -> Self {
        Self(prefixes.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has the address.
    #[inline]
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, length)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(*length)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(*length)
            }
            _ => false,
        })
    }
}
