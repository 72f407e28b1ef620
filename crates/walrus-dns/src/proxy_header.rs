//! The header of the PROXY protocol, version 2: what a proxy in front writes before a message or a
//! connection to tell who asked it (HAProxy's `proxy-protocol.txt`, section 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// The twelve bytes that it begins with. Taken for a DNS message they would be an inverse query, which
/// nobody sends; taken for TLS, nothing.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// What stands before the addresses: signature, version and command, family, length of the rest.
const FIXED_SIZE: usize = 16;

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// So many bytes it takes; what the proxy passes on begins behind.
    pub size: usize,
    /// Who asked the proxy; `None` if the proxy asks for itself (LOCAL, to see whether the server
    /// lives).
    pub asked: Option<ProxiedAddresses>,
}

/// Both ends of what a proxy passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxiedAddresses {
    /// Who asked.
    pub client: SocketAddr,
    /// The address that it asked.
    pub server: SocketAddr,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProxyHeaderError {
    /// More must come: so many bytes in all, as far as is known.
    #[error("the PROXY header is cut: it has {0} bytes at least")]
    Cut(usize),
    /// It begins otherwise.
    #[error("no PROXY header of version 2 stands before it")]
    Other,
    /// A command or a family that version 2 does not know.
    #[error("a PROXY header with an unknown command or family")]
    Unknown,
    /// It passes something on, but has no addresses: unspecified, or those of Unix sockets.
    #[error("a PROXY header that does not say who asks")]
    Nameless,
    /// Too short for its family's addresses.
    #[error("a PROXY header without room for its addresses")]
    Short,
}

impl ProxyHeader {
    /// Reads the header that `bytes` begin with. What follows the addresses (TLVs) is passed over.
    ///
    /// # Errors
    /// If there is none, or not the whole of it.
    pub fn read(bytes: &[u8]) -> Result<Self, ProxyHeaderError> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(ProxyHeaderError::Other);
        }
        let Some(&[version_and_command, family, high, low]) =
            bytes.get(SIGNATURE.len()..FIXED_SIZE).and_then(|it| it.first_chunk())
        else {
            return Err(ProxyHeaderError::Cut(FIXED_SIZE));
        };
        let size = FIXED_SIZE + usize::from(u16::from_be_bytes([high, low]));
        let is_local = match version_and_command {
            0x20 => true,
            0x21 => false,
            _ => return Err(ProxyHeaderError::Unknown),
        };
        let rest = bytes.get(FIXED_SIZE..size).ok_or(ProxyHeaderError::Cut(size))?;
        let asked = match (family >> 4, family & 0x0f) {
            _ if is_local => None,
            // "Must be rejected as invalid by receivers."
            (4.., _) | (_, 3..) => return Err(ProxyHeaderError::Unknown),
            // Which of TCP and UDP the client used makes no difference: Walrus goes by what it reads itself.
            (1, 1 | 2) => Some(ipv4(rest).ok_or(ProxyHeaderError::Short)?),
            (2, 1 | 2) => Some(ipv6(rest).ok_or(ProxyHeaderError::Short)?),
            // Whoever could not name the client must not have it taken for the proxy.
            _ => return Err(ProxyHeaderError::Nameless),
        };
        Ok(Self { size, asked })
    }
}

fn ipv4(rest: &[u8]) -> Option<ProxiedAddresses> {
    let (client, rest) = rest.split_first_chunk::<4>()?;
    let (server, rest) = rest.split_first_chunk::<4>()?;
    let ends = (Ipv4Addr::from(*client).into(), Ipv4Addr::from(*server).into());
    addresses(ends, rest)
}

fn ipv6(rest: &[u8]) -> Option<ProxiedAddresses> {
    let (client, rest) = rest.split_first_chunk::<16>()?;
    let (server, rest) = rest.split_first_chunk::<16>()?;
    let ends = (Ipv6Addr::from(*client).into(), Ipv6Addr::from(*server).into());
    addresses(ends, rest)
}

fn addresses((client, server): (IpAddr, IpAddr), ports: &[u8]) -> Option<ProxiedAddresses> {
    let [a, b, c, d] = *ports.first_chunk::<4>()?;
    Some(ProxiedAddresses {
        client: SocketAddr::new(client.to_canonical(), u16::from_be_bytes([a, b])),
        server: SocketAddr::new(server.to_canonical(), u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn headers_of_both_families_tell_who_asked_and_where() {
        let four = [192, 0, 2, 7, 203, 0, 113, 53, 0x9c, 0x40, 0, 53];
        let read = ProxyHeader::read(&[header(0x21, 0x12, &four), b"query".to_vec()].concat());
        let asked = ProxiedAddresses {
            client: "192.0.2.7:40000".parse().unwrap(),
            server: "203.0.113.53:53".parse().unwrap(),
        };
        assert_eq!(read, Ok(ProxyHeader { size: 28, asked: Some(asked) }));
        let [client, server] =
            ["2001:db8::7", "2001:db8::53"].map(|it| it.parse::<Ipv6Addr>().unwrap().octets());
        let six = [&client[..], &server, &[0x9c, 0x40, 0, 53]].concat();
        let asked = ProxyHeader::read(&header(0x21, 0x21, &six)).unwrap().asked.unwrap();
        assert_eq!(asked.client, "[2001:db8::7]:40000".parse().unwrap());
        assert_eq!(asked.server, "[2001:db8::53]:53".parse().unwrap());
        let mapped: Ipv6Addr = "::ffff:192.0.2.7".parse().unwrap();
        let six = [&mapped.octets()[..], &server, &[0, 1, 0, 53]].concat();
        let asked = ProxyHeader::read(&header(0x21, 0x22, &six)).unwrap().asked.unwrap();
        assert_eq!(asked.client, "192.0.2.7:1".parse().unwrap(), "as if it had asked itself");
    }

    #[test]
    fn what_a_proxy_adds_is_passed_over_and_its_own_questions_have_no_addresses() {
        let four = [192, 0, 2, 7, 203, 0, 113, 53, 0, 1, 0, 53];
        // A TLV: a unique id.
        let rest = [&four[..], &[5, 0, 2, 1, 2]].concat();
        assert_eq!(ProxyHeader::read(&header(0x21, 0x11, &rest)).unwrap().size, 33);
        for local in [header(0x20, 0, &[]), header(0x20, 0x11, &four), header(0x20, 0x5f, &[])] {
            let read = ProxyHeader::read(&local).unwrap();
            assert_eq!((read.size, read.asked), (local.len(), None));
        }
    }

    #[test]
    fn each_cut_asks_for_more_and_anything_else_is_told() {
        let whole = header(0x21, 0x11, &[192, 0, 2, 7, 203, 0, 113, 53, 0, 1, 0, 53]);
        for length in 0..whole.len() {
            let needed = if length < 16 { 16 } else { 28 };
            let cut = Err(ProxyHeaderError::Cut(needed));
            assert_eq!(ProxyHeader::read(&whole[..length]), cut, "{length}");
        }
        for (bytes, error) in [
            (b"PROXY TCP4 192.0.2.7".to_vec(), ProxyHeaderError::Other),
            (vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], ProxyHeaderError::Other),
            (header(0x11, 0x11, &[]), ProxyHeaderError::Unknown),
            (header(0x22, 0x11, &[]), ProxyHeaderError::Unknown),
            (header(0x21, 0x41, &[]), ProxyHeaderError::Unknown),
            (header(0x21, 0x13, &[0; 12]), ProxyHeaderError::Unknown),
            (header(0x21, 0x5f, &[]), ProxyHeaderError::Unknown),
            (header(0x21, 0x00, &[]), ProxyHeaderError::Nameless),
            (header(0x21, 0x10, &[0; 12]), ProxyHeaderError::Nameless),
            (header(0x21, 0x31, &[0; 216]), ProxyHeaderError::Nameless),
            (header(0x21, 0x11, &[0; 11]), ProxyHeaderError::Short),
            (header(0x21, 0x21, &[0; 35]), ProxyHeaderError::Short),
        ] {
            assert_eq!(ProxyHeader::read(&bytes), Err(error), "{bytes:?}");
        }
    }
}
