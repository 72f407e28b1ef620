//! DNS cookies (RFC 7873), made as all servers of an address make them that share a secret (RFC 9018).
//!
//! A client whose query brings back the cookie that it was given has shown that it receives what is
//! sent to its address: it is no victim of somebody who writes its address onto queries.

use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// A client's part, in bytes.
const CLIENT_LEN: usize = 8;
/// Our own part: version, three reserved bytes, seconds, hash.
const SERVER_LEN: usize = 16;
/// The longest part that a server may give (RFC 7873 section 4).
const SERVER_LEN_MAX: usize = 32;
/// RFC 9018 section 4.1.
const VERSION: u8 = 1;
/// What is reserved behind it, where we give it (section 4.2).
const RESERVED: [u8; 3] = [0; 3];
/// How old a server's part may be, in seconds (RFC 9018 section 4.3).
const AGE_MAX: i32 = 3600;
/// How far ahead its clock may have been that gave it.
const AHEAD_MAX: i32 = 300;
/// From this age on a new one is given, in seconds.
const RENEWED_FROM: i32 = 1800;

/// The cookie option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    client: [u8; CLIENT_LEN],
    /// `None` if there is none, or one that is surely not ours.
    server: Option<[u8; SERVER_LEN]>,
    has_server_part: bool,
}

impl Cookie {
    /// From the option's data; `None` if its length is none that RFC 7873 section 5.2.2 allows.
    #[inline]
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<CLIENT_LEN>()?;
        if !matches!(server.len(), 0 | CLIENT_LEN..=SERVER_LEN_MAX) {
            return None;
        }
        let has_server_part = !server.is_empty();
        Some(Self { client: *client, server: server.try_into().ok(), has_server_part })
    }

    /// Whether it brings a server's part, ours or not.
    #[must_use]
    pub const fn has_server_part(&self) -> bool {
        self.has_server_part
    }
}

/// What server parts are made with: 128 random bits that all servers of an address share.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecret([u8; 16]);

impl CookieSecret {
    /// Of these bits.
    #[must_use]
    pub const fn new(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    fn server_part(
        &self,
        client: &[u8; CLIENT_LEN],
        address: IpAddr,
        (reserved, secs): ([u8; 3], u32),
    ) -> [u8; SERVER_LEN] {
        let mut part = [0; SERVER_LEN];
        part[0] = VERSION;
        part[1..4].copy_from_slice(&reserved);
        part[4..8].copy_from_slice(&secs.to_be_bytes());
        let hasher = SipHasher24::new_with_key(&self.0);
        // In one piece, which the hasher takes with half the work of several; each length is known when this is compiled.
        let hash = match address {
            IpAddr::V4(address) => {
                hasher.hash(&hashed::<{ 2 * CLIENT_LEN + 4 }>(client, &part, &address.octets()))
            }
            IpAddr::V6(address) => {
                hasher.hash(&hashed::<{ 2 * CLIENT_LEN + 16 }>(client, &part, &address.octets()))
            }
        };
        part[8..].copy_from_slice(&hash.to_le_bytes());
        part
    }
}

/// What is hashed (RFC 9018 section 4.4): the client's part, ours but for the hash, and the client's address.
#[inline]
fn hashed<const N: usize>(
    client: &[u8; CLIENT_LEN],
    part: &[u8; SERVER_LEN],
    address: &[u8],
) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..CLIENT_LEN].copy_from_slice(client);
    bytes[CLIENT_LEN..2 * CLIENT_LEN].copy_from_slice(&part[..8]);
    bytes[2 * CLIENT_LEN..].copy_from_slice(address);
    bytes
}

impl std::fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// The secrets in force: the first makes cookies, all of them are honoured (RFC 9018 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Makes what is given.
    pub current: CookieSecret,
    /// What was given with it is honoured on, or what another server gives that was told sooner.
    pub other: Option<CookieSecret>,
}

/// The cookie option of a reply: the client's part and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenCookie {
    /// The option's data.
    pub data: [u8; CLIENT_LEN + SERVER_LEN],
    /// The query brought one back that was given to this very client lately.
    pub is_known: bool,
}

impl CookieSecrets {
    /// What a client that asks with this cookie is given at a time in seconds since 1970 (modulo
    /// 2^32, compared as serial numbers).
    #[must_use]
    #[inline]
    pub fn give(&self, cookie: &Cookie, address: IpAddr, unix_secs: u32) -> GivenCookie {
        let known = cookie.server.filter(|server| self.gave(server, cookie, address, unix_secs));
        let part = known.filter(|part| age(part, unix_secs) < RENEWED_FROM);
        let part = part.unwrap_or_else(|| {
            self.current.server_part(&cookie.client, address, (RESERVED, unix_secs))
        });
        let mut data = [0; CLIENT_LEN + SERVER_LEN];
        data[..CLIENT_LEN].copy_from_slice(&cookie.client);
        data[CLIENT_LEN..].copy_from_slice(&part);
        GivenCookie { data, is_known: known.is_some() }
    }

    fn gave(
        &self,
        server: &[u8; SERVER_LEN],
        cookie: &Cookie,
        address: IpAddr,
        unix_secs: u32,
    ) -> bool {
        let age = age(server, unix_secs);
        if server[0] != VERSION || !(-AHEAD_MAX..=AGE_MAX).contains(&age) {
            return false;
        }
        let made_with = |secret: &CookieSecret| {
            // As one number, so that no time tells how much of it was right.
            // What is reserved is hashed as it came (section 4.4), whoever gave it.
            let reserved = [server[1], server[2], server[3]];
            let part = secret.server_part(&cookie.client, address, (reserved, given_at(server)));
            u128::from_ne_bytes(part) == u128::from_ne_bytes(*server)
        };
        made_with(&self.current) || self.other.as_ref().is_some_and(made_with)
    }
}

const fn given_at(server: &[u8; SERVER_LEN]) -> u32 {
    u32::from_be_bytes([server[4], server[5], server[6], server[7]])
}

/// Seconds since a server's part was made (RFC 1982).
const fn age(server: &[u8; SERVER_LEN], unix_secs: u32) -> i32 {
    unix_secs.wrapping_sub(given_at(server)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        std::array::from_fn(|index| digit(index * 2))
    }

    fn secrets(current: &str, other: Option<&str>) -> CookieSecrets {
        let secret = |hex: &str| CookieSecret::new(bytes(hex));
        CookieSecrets { current: secret(current), other: other.map(secret) }
    }

    /// RFC 9018 appendix A.
    #[test]
    fn cookies_are_those_of_all_servers() {
        const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        let first: [u8; 8] = bytes("2464c4abcf10c957");
        let cookie = Cookie::parse(&first).unwrap();
        let address = "198.51.100.100".parse().unwrap();
        let given = secrets(SECRET, None).give(&cookie, address, 1_559_731_985);
        let expected: [u8; 24] = bytes("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        assert_eq!((given.data, given.is_known), (expected, false));
        // The same cookie comes back and stays.
        let cookie = Cookie::parse(&expected).unwrap();
        let given = secrets(SECRET, None).give(&cookie, address, 1_559_734_385 - 601);
        assert_eq!((given.data, given.is_known), (expected, true));
        // It is renewed after half an hour.
        let given = secrets(SECRET, None).give(&cookie, address, 1_559_734_385);
        let expected: [u8; 24] = bytes("2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
        assert_eq!((given.data, given.is_known), (expected, true));
    }

    /// RFC 9018 appendix A.3: another server has put something where we put nothing.
    #[test]
    fn what_is_reserved_is_taken_as_it_is() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf", None);
        let data: [u8; 24] = bytes("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        let cookie = Cookie::parse(&data).unwrap();
        let given = secrets.give(&cookie, "203.0.113.203".parse().unwrap(), 0x5cf7_8f71 + 60);
        assert_eq!((given.is_known, given.data), (true, data));
    }

    /// RFC 9018 appendix A.4.
    #[test]
    fn a_secret_that_was_replaced_is_honoured() {
        let old = "dd3bdf9344b678b185a6f5cb60fca715";
        let new = "445536bcd2513298075a5d379663c962";
        let data: [u8; 24] = bytes("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let cookie = Cookie::parse(&data).unwrap();
        let address = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let given = secrets(new, Some(old)).give(&cookie, address, 1_559_741_961);
        assert!(given.is_known);
        assert!(!secrets(new, None).give(&cookie, address, 1_559_741_961).is_known);
    }

    #[test]
    fn what_is_not_believed() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf", None);
        let address: IpAddr = "198.51.100.100".parse().unwrap();
        let asked = Cookie::parse(&[7; 8]).unwrap();
        let given = secrets.give(&asked, address, 1_000_000).data;
        let is_known = |data: &[u8], address: IpAddr, secs| {
            let cookie = Cookie::parse(data).unwrap();
            secrets.give(&cookie, address, secs).is_known
        };
        assert!(is_known(&given, address, 1_000_000));
        for (secs, expected) in
            [(1_003_600, true), (1_003_601, false), (999_700, true), (999_699, false)]
        {
            assert_eq!(is_known(&given, address, secs), expected, "{secs}");
        }
        assert!(!is_known(&given, "198.51.100.101".parse().unwrap(), 1_000_000));
        for place in 0..24 {
            // The reserved ones are hashed, so that they cannot be changed either.
            let mut other = given;
            other[place] ^= 1;
            assert!(!is_known(&other, address, 1_000_000), "{place}");
        }
        assert!(!is_known(&given[..16], address, 1_000_000), "of another server");
        assert!(!is_known(&[&given[..], &[0; 16]].concat(), address, 1_000_000));
    }

    #[test]
    fn lengths() {
        for len in 0..64 {
            let expected = matches!(len, 8 | 16..=40);
            assert_eq!(Cookie::parse(&vec![1; len]).is_some(), expected, "{len}");
        }
    }
}
