//! Client prefixes as text: `198.51.100.0/24`, or a bare address for one client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv6 address before the IPv4 address that it maps (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Reads a prefix; the error is the rest of a sentence that begins with it. One of mapped addresses
/// (`::ffff:198.51.100.0/120`) is the IPv4 prefix that it stands for: as such its addresses come.
pub(super) fn parse(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let wrong =
        || "is no prefix: write for example \"198.51.100.0/24\" or \"2001:db8::/32\"".to_owned();
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => most,
        Some(length) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => length
            .parse::<u8>()
            .ok()
            .filter(|length| *length <= most)
            .ok_or_else(|| format!("has too long a prefix: it may have {most} bits at most"))?,
        Some(_) => return Err(wrong()),
    };
    let network = network(address, length);
    if network != address {
        return Err(format!("has bits set behind its {length}: write \"{network}/{length}\""));
    }
    Ok(match (address.to_canonical(), length.checked_sub(MAPPED_BITS)) {
        (mapped @ IpAddr::V4(_), Some(length)) => (mapped, length),
        _ => (address, length),
    })
}

fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        for good in ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32"] {
            let (address, length) = parse(good).unwrap();
            assert_eq!(format!("{address}/{length}"), good);
        }
        assert_eq!(parse("192.0.2.1"), Ok(("192.0.2.1".parse().unwrap(), 32)));
        assert_eq!(parse("2001:db8::1"), Ok(("2001:db8::1".parse().unwrap(), 128)));
        for (mapped, address, expected) in [
            ("::ffff:198.51.100.0/120", "198.51.100.0", 24),
            ("::ffff:c633:6407", "198.51.100.7", 32),
            ("::ffff:0:0/96", "0.0.0.0", 0),
            // All IPv4 addresses and much else that nobody has.
            ("::fffe:0:0/95", "::fffe:0:0", 95),
        ] {
            assert_eq!(parse(mapped), Ok((address.parse().unwrap(), expected)), "{mapped}");
        }
        for (bad, told) in [
            ("198.51.100.7/24", "has bits set behind its 24: write \"198.51.100.0/24\""),
            ("2001:db8:ffff::/32", "has bits set behind its 32: write \"2001:db8::/32\""),
            ("10.0.0.0/33", "has too long a prefix: it may have 32 bits at most"),
            ("10.0.0.0/300", "has too long a prefix: it may have 32 bits at most"),
        ] {
            assert_eq!(parse(bad), Err(told.to_owned()));
        }
        for bad in ["", "/", "10/8", "10.0.0.0/", "10.0.0.0/+8", "europe", "10.0.0.0/8/9"] {
            assert!(parse(bad).unwrap_err().starts_with("is no prefix"), "{bad}");
        }
    }
}
