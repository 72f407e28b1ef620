//! What a checked configuration says of transfers of a zone to other name servers.

use std::net::{IpAddr, SocketAddr};

use walrus_dns::DomainName;

/// To whom a zone goes, and how. By default to nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneTransfers {
    /// Who may have it; any of these rules.
    pub transfer_to: Vec<TransferRule>,
    /// Who is told that it has changed.
    pub notify: Vec<NotifyTarget>,
    /// What stands for services.
    pub services: TransferredServices,
    /// How its serials are made.
    pub serial: SerialPolicy,
}

impl ZoneTransfers {
    /// Whether it goes to anybody.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        !self.transfer_to.is_empty()
    }

    /// Whether a client at this address, whose request was signed with this key, may have the zone.
    #[must_use]
    pub fn admits(&self, client: IpAddr, key: Option<&DomainName>) -> bool {
        let client = client.to_canonical();
        self.transfer_to.iter().any(|rule| {
            rule.from.is_none_or(|prefix| contains(prefix, client))
                && rule.key.as_ref().is_none_or(|wanted| Some(wanted) == key)
        })
    }
}

/// Who may have a zone: whoever fits all that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferRule {
    /// Addresses.
    pub from: Option<(IpAddr, u8)>,
    /// The key that signs the request.
    pub key: Option<DomainName>,
}

/// A name server that is told of changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotifyTarget {
    /// Where it listens.
    pub address: SocketAddr,
    /// What signs the notification.
    pub key: Option<DomainName>,
    /// The address that it is told from; `None`: the one where this server listens, if that is one alone.
    pub source: Option<IpAddr>,
}

/// What stands for services in a zone that is transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransferredServices {
    /// The functioning servers of area `world`.
    #[default]
    World,
    /// Nothing.
    None,
}

/// How the serials of a zone that is transferred are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SerialPolicy {
    /// Seconds since 1970, or one more than the last if that is more.
    #[default]
    UnixTime,
    /// One more than the last.
    Increment,
}

impl SerialPolicy {
    /// The serial of the next content, always newer (RFC 1982) than the last. `unix_secs` is the time in seconds since
    /// 1970.
    #[must_use]
    pub const fn next(self, last: u32, unix_secs: u64) -> u32 {
        let now = unix_secs as u32;
        let ahead = now.wrapping_sub(last);
        match self {
            Self::UnixTime if ahead != 0 && ahead < 1 << 31 => now,
            Self::UnixTime | Self::Increment => last.wrapping_add(1),
        }
    }
}

/// Whether an address lies in a prefix of its own family.
fn contains((network, length): (IpAddr, u8), address: IpAddr) -> bool {
    let shared = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= u32::from(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_with_address_and_key_needs_both() {
        let key: DomainName = "transfer".parse().expect("a name");
        let other: DomainName = "other".parse().expect("a name");
        let prefix = ([192, 0, 2, 0].into(), 24);
        let rule = |from, key: Option<&DomainName>| ZoneTransfers {
            transfer_to: vec![TransferRule { from, key: key.cloned() }],
            ..ZoneTransfers::default()
        };
        let (near, far) = (IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 3, 7]));
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().expect("an address");
        let both = rule(Some(prefix), Some(&key));
        assert!(both.admits(near, Some(&key)) && both.admits(mapped, Some(&key)));
        assert!(!both.admits(near, None) && !both.admits(near, Some(&other)));
        assert!(!both.admits(far, Some(&key)));
        assert!(rule(Some(prefix), None).admits(near, Some(&other)));
        assert!(rule(None, Some(&key)).admits(far, Some(&key)));
        assert!(!ZoneTransfers::default().admits(near, Some(&key)), "no rule: nobody");
    }

    #[test]
    fn serials_always_rise() {
        let (time, plus) = (SerialPolicy::UnixTime, SerialPolicy::Increment);
        assert_eq!(time.next(7, 1_790_000_000), 1_790_000_000);
        assert_eq!(time.next(1_790_000_000, 1_790_000_000), 1_790_000_001);
        assert_eq!(time.next(2_026_112_301, 1_790_000_000), 2_026_112_302, "a date is further on");
        assert_eq!((plus.next(7, 1_790_000_000), plus.next(u32::MAX, 1)), (8, 0));
    }
}
