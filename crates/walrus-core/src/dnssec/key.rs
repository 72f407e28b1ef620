//! Public keys of a zone, as DNSKEY records hold them (RFC 4034 section 2), and which of them sign.

use sha2::{Digest as _, Sha256};
use walrus_dns::DomainName;

use crate::world::Algorithm;

/// DNSKEY flag: a zone key (RFC 4034 section 2.1.1).
pub const FLAG_ZONE: u16 = 0x0100;
/// DNSKEY flag: secure entry point, a key that the parent's DS may name (RFC 4034 section 2.1.1).
pub const FLAG_SEP: u16 = 0x0001;
/// DNSKEY flag: revoked (RFC 5011); never set by us.
pub const FLAG_REVOKE: u16 = 0x0080;

/// A public key of a zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsKey {
    flags: u16,
    algorithm: Algorithm,
    public: Box<[u8]>,
}

/// Why bytes are no key that Walrus signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsKeyError {
    /// Not 13 or 15.
    #[error("algorithm {0} is not supported: use 13 (ECDSAP256SHA256) or 15 (ED25519)")]
    Algorithm(u8),
    /// The public key is cut short or too long.
    #[error("a public key of {0} bytes does not fit its algorithm: the key is damaged")]
    Length(usize),
    /// Not a zone key, or not of protocol 3.
    #[error("the record is no zone key (flags {flags}, protocol {protocol})")]
    NoZoneKey {
        /// DNSKEY flags.
        flags: u16,
        /// DNSKEY protocol, always 3.
        protocol: u8,
    },
}

impl DnsKey {
    /// A key of these parts.
    ///
    /// # Errors
    /// If the public key's length is not the algorithm's, or the flags lack [`FLAG_ZONE`].
    pub fn new(flags: u16, algorithm: Algorithm, public: &[u8]) -> Result<Self, DnsKeyError> {
        if flags & FLAG_ZONE == 0 || flags & FLAG_REVOKE != 0 {
            return Err(DnsKeyError::NoZoneKey { flags, protocol: 3 });
        }
        if public.len() != algorithm.public_len() {
            return Err(DnsKeyError::Length(public.len()));
        }
        Ok(Self { flags, algorithm, public: public.into() })
    }

    /// The key of a DNSKEY record's data.
    ///
    /// # Errors
    /// As [`Self::new`], and for another protocol or algorithm.
    pub fn from_data(data: &[u8]) -> Result<Self, DnsKeyError> {
        let Some((&[high, low, protocol, algorithm], public)) = data.split_first_chunk::<4>()
        else {
            return Err(DnsKeyError::Length(data.len()));
        };
        let flags = u16::from_be_bytes([high, low]);
        if protocol != 3 {
            return Err(DnsKeyError::NoZoneKey { flags, protocol });
        }
        let algorithm = Algorithm::of_number(algorithm).ok_or(DnsKeyError::Algorithm(algorithm))?;
        Self::new(flags, algorithm, public)
    }

    /// The data of its DNSKEY record, and of its CDNSKEY record (RFC 7344).
    #[must_use]
    pub fn data(&self) -> Vec<u8> {
        let mut data = self.flags.to_be_bytes().to_vec();
        data.extend_from_slice(&[3, self.algorithm.number()]);
        data.extend_from_slice(&self.public);
        data
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// DNSKEY flags.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.flags
    }

    /// The public key as its algorithm's RFC writes it.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Whether the parent's DS may name it: a KSK or a CSK.
    #[must_use]
    pub const fn is_entry_point(&self) -> bool {
        self.flags & FLAG_SEP != 0
    }

    /// The key tag (RFC 4034 appendix B). Two keys may share one.
    #[must_use]
    pub fn tag(&self) -> u16 {
        let mut sum = 0_u32;
        for (index, byte) in self.data().into_iter().enumerate() {
            sum += if index % 2 == 0 { u32::from(byte) << 8 } else { u32::from(byte) };
        }
        (sum + (sum >> 16)) as u16
    }

    /// The data of its DS record, and of its CDS record: SHA-256 (RFC 4509).
    #[must_use]
    pub fn ds_data(&self, zone: &DomainName) -> Vec<u8> {
        let mut data = self.tag().to_be_bytes().to_vec();
        data.extend_from_slice(&[self.algorithm.number(), 2]);
        let mut hash = Sha256::new();
        hash.update(zone.as_wire());
        hash.update(self.data());
        data.extend_from_slice(&hash.finalize());
        data
    }
}

/// What each of a zone's keys does at the moment. Made from the state of a roll-over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneKeys {
    /// In the DNSKEY set, in a fixed order.
    pub published: Vec<DnsKey>,
    /// Sign the DNSKEY, CDS and CDNSKEY sets.
    pub sign_keys: Vec<DnsKey>,
    /// Sign everything else.
    pub sign_zone: Vec<DnsKey>,
    /// What the parent's DS is to become: CDS and CDNSKEY name these. Empty: no such records.
    pub wanted_at_parent: Vec<DnsKey>,
    /// Since when it is to become that, in seconds since 1970; 0 if that is not known. Signatures of
    /// CDS and CDNSKEY begin no earlier, so that a parent tells newer ones by them.
    pub wanted_since: u64,
    /// How often any of the above has changed: the zone's serial is so much higher than its file's.
    pub changes: u32,
}

impl ZoneKeys {
    /// Whether each key does the same, whatever came before.
    #[must_use]
    pub fn does_the_same(&self, other: &Self) -> bool {
        let what = |keys: &Self| {
            let Self { published, sign_keys, sign_zone, wanted_at_parent, .. } = keys.clone();
            (published, sign_keys, sign_zone, wanted_at_parent)
        };
        what(self) == what(other)
    }

    /// Whether a whole zone can be signed with them: half signed it would be bogus.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        !self.sign_keys.is_empty() && !self.sign_zone.is_empty()
    }
}
