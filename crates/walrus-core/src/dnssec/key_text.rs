//! Keys and DS records as text, and whether one belongs to the other.

use sha2::{Digest as _, Sha256, Sha384};
use walrus_dns::DomainName;

use super::{DnsKey, DnsKeyError};

/// DS digest types (RFC 4509, RFC 6605).
const SHA256: u8 = 2;
const SHA384: u8 = 4;

impl DnsKey {
    /// The data of its DNSKEY record in hexadecimal digits: what names a key in files and messages
    /// without doubt, as its tag does not.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.data())
    }

    /// The key that [`Self::to_hex`] wrote.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn from_hex(text: &str) -> Result<Self, DnsKeyError> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| match *pair {
            [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        };
        let data: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        Self::from_data(&data.ok_or(DnsKeyError::Length(text.len() / 2))?)
    }

    /// Whether a DS record of the zone names this key. A digest of a type that Walrus cannot
    /// compute (SHA-1, GOST) is taken at its word.
    #[must_use]
    pub fn matches_ds(&self, zone: &DomainName, ds: &[u8]) -> bool {
        let Some((&[tag_high, tag_low, algorithm, digest_type], digest)) =
            ds.split_first_chunk::<4>()
        else {
            return false;
        };
        let tag = u16::from_be_bytes([tag_high, tag_low]);
        let covered = [zone.as_wire(), &self.data()].concat();
        tag == self.tag()
            && algorithm == self.algorithm().number()
            && match digest_type {
                SHA256 => Sha256::digest(&covered)[..] == *digest,
                SHA384 => Sha384::digest(&covered)[..] == *digest,
                _ => true,
            }
    }

    /// Its DS record, as a registrar's form or the parent's zone file takes it.
    #[must_use]
    pub fn ds_text(&self, zone: &DomainName) -> String {
        let data = self.ds_data(zone);
        let digest = data.get(4..).map(hex).unwrap_or_default().to_uppercase();
        let owner = zone.to_string();
        let owner = owner.trim_end_matches('.');
        format!("{owner}. IN DS {} {} {SHA256} {digest}", self.tag(), self.algorithm().number())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::Algorithm;

    #[test]
    fn the_ds_of_rfc_8080_is_ours() {
        // RFC 8080 section 6.1: `example.com. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX
        // 1SxZJA4=` and `DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b`.
        let public: [u8; 32] = [
            0x97, 0x4d, 0x96, 0xa2, 0x2d, 0x22, 0x4b, 0xc0, 0x1a, 0xdb, 0x91, 0x50, 0x91, 0x47,
            0x7d, 0x44, 0xcc, 0xd9, 0x1c, 0x9a, 0x41, 0xa1, 0x14, 0x30, 0x01, 0x01, 0x17, 0xd5,
            0x2c, 0x59, 0x24, 0x0e,
        ];
        let key = DnsKey::new(257, Algorithm::Ed25519, &public).unwrap();
        let zone: DomainName = "example.com".parse().unwrap();
        assert_eq!(
            key.ds_text(&zone),
            "example.com. IN DS 3613 15 2 \
             3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B"
        );
        assert!(key.matches_ds(&zone, &key.ds_data(&zone)));
        let mut other = key.ds_data(&zone);
        other[10] ^= 1;
        assert!(!key.matches_ds(&zone, &other));
        assert!(!key.matches_ds(&"example.net".parse().unwrap(), &key.ds_data(&zone)));
        assert!(!key.matches_ds(&zone, &[1, 2]));
        assert_eq!(DnsKey::from_hex(&key.to_hex()).unwrap(), key);
        for text in ["", "x", "abc", "zz", "0101030f"] {
            assert!(DnsKey::from_hex(text).is_err(), "{text}");
        }
    }
}
