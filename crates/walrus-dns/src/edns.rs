//! EDNS (RFC 6891): what a query's OPT record says, and the client subnet option (RFC 7871).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::added_options::{OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING};
use crate::cookie::Cookie;
use crate::record_type;

/// The UDP payload size that we offer: fits an IPv6 packet on every usual path (DNS flag day 2020).
pub const UDP_SIZE: u16 = 1232;
/// The smallest size that a client may name (RFC 6891 section 6.2.3), and all without EDNS.
pub const UDP_SIZE_MIN: u16 = 512;
/// An OPT record without options, in bytes.
pub const OPT_LEN: usize = 11;
/// Option code of the client subnet.
pub const OPTION_CLIENT_SUBNET: u16 = 8;
/// Option code of the extended error (RFC 8914).
pub const OPTION_EXTENDED_ERROR: u16 = 15;
/// The DO bit among OPT's flags.
pub(crate) const FLAG_DO: u8 = 0x80;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP reply that the client takes, in bytes; at least 512.
    pub udp_size: u16,
    /// DNSSEC records are wanted (DO, RFC 3225).
    pub dnssec_ok: bool,
    /// For whom the resolver asks.
    pub client_subnet: Option<ClientSubnet>,
    /// What else it would know.
    pub asked: Asked,
}

/// What a query's options ask of the server, whatever the question is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The client's cookie (RFC 7873).
    pub cookie: Option<Cookie>,
    /// Which server this is (RFC 5001).
    pub nsid: bool,
    /// How long an idle connection is kept (RFC 7828).
    pub keepalive: bool,
    /// The query is padded (RFC 7830).
    pub padding: bool,
}

impl Asked {
    /// Whether nothing is asked, which is so of most queries.
    #[inline]
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.cookie.is_none() && !self.nsid && !self.keepalive && !self.padding
    }
}

/// A query's options.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) client_subnet: Option<ClientSubnet>,
    pub(crate) asked: Asked,
}

/// The client subnet option of a query: well formed, its address zero beyond the source prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// 1 is IPv4, 2 IPv6; 0 only with a source of 0 (`dig +subnet=0` sends it).
    family: u16,
    source: u8,
    address: [u8; 16],
}

/// The IPv4 address of a client subnet that is the first option of the OPT record that these bytes
/// begin with. Nothing is checked: only for whoever wants to know early what will likely be asked.
#[inline]
#[must_use]
pub fn guess_client_subnet_ipv4(opt: &[u8]) -> Option<u32> {
    // Root, type (2), size, code and flags (6), length (2); code and length of the option (4),
    // family (2), source and scope (2), as much of the address as the source needs.
    let (fixed, address) = opt.split_first_chunk::<19>()?;
    let is_opt = matches!(fixed, [0, 0, 41, ..]);
    let is_ipv4_subnet = matches!(fixed, [.., 0, 8, _, _, 0, 1, _, _]);
    let byte = |place: usize| u32::from(address.get(place).copied().unwrap_or(0));
    (is_opt && is_ipv4_subnet).then(|| byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3))
}

impl ClientSubnet {
    /// Address family number as it came: 1 is IPv4, 2 IPv6, 0 none (only with source 0).
    #[must_use]
    pub const fn family(&self) -> u16 {
        self.family
    }

    /// Source prefix length in bits; 0 means that the client's address must play no part.
    #[must_use]
    pub const fn source(&self) -> u8 {
        self.source
    }

    /// The network's address; `None` for a source of 0.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        if self.source == 0 {
            return None;
        }
        if self.family == 1 {
            let [a, b, c, d, ..] = self.address;
            return Some(Ipv4Addr::new(a, b, c, d).into());
        }
        Some(Ipv6Addr::from(self.address).into())
    }

    /// How many address bytes travel: as many as the source prefix needs.
    #[must_use]
    pub const fn address_len(&self) -> usize {
        (self.source as usize).div_ceil(8)
    }

    /// The address bytes that travel.
    #[must_use]
    pub fn address_bytes(&self) -> &[u8] {
        &self.address[..self.address_len()]
    }

    /// From the option's data in a query (RFC 7871 section 6); `None` if it is malformed: unknown
    /// family, a source longer than the family's addresses, a length that is not exactly what the
    /// source needs, bits set beyond the source, or a scope that is not 0.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[family_high, family_low, source, 0, ref sent @ ..] = data else { return None };
        let family = u16::from_be_bytes([family_high, family_low]);
        let source_max = match family {
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if source > source_max || sent.len() != usize::from(source).div_ceil(8) {
            return None;
        }
        let mut address = [0; 16];
        address[..sent.len()].copy_from_slice(sent);
        let tail_bits = source % 8;
        if tail_bits != 0 && sent.last().is_some_and(|&last| last << tail_bits != 0) {
            return None;
        }
        Some(Self { family, source, address })
    }
}

/// Reads an OPT record's options.
///
/// Unknown options are skipped. `Err` if an option runs past the data, a client subnet is malformed
/// or given twice, or the first cookie has a length that cookies do not have.
#[inline(always)]
pub(crate) fn parse_options(mut data: &[u8]) -> Result<Options, Malformed> {
    let mut options = Options::default();
    while !data.is_empty() {
        let &[code_high, code_low, len_high, len_low, ref rest @ ..] = data else {
            return Err(Malformed);
        };
        let code = u16::from_be_bytes([code_high, code_low]);
        let len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let (value, after) = rest.split_at_checked(len).ok_or(Malformed)?;
        match code {
            OPTION_CLIENT_SUBNET => {
                let subnet = ClientSubnet::parse(value).ok_or(Malformed)?;
                if options.client_subnet.replace(subnet).is_some() {
                    return Err(Malformed);
                }
            }
            // RFC 7873 section 5.2: all but the first are ignored.
            OPTION_COOKIE if options.asked.cookie.is_none() => {
                options.asked.cookie = Some(Cookie::parse(value).ok_or(Malformed)?);
            }
            OPTION_NSID => options.asked.nsid = true,
            OPTION_KEEPALIVE => options.asked.keepalive = true,
            OPTION_PADDING => options.asked.padding = true,
            _ => {}
        }
        data = after;
    }
    Ok(options)
}

/// Where the first option of a code stands among options, its code and length included.
pub(crate) fn find_option(options: &[u8], wanted: u16) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(&[code_high, code_low, len_high, len_low]) =
        options.get(at..).and_then(|rest| rest.first_chunk::<4>())
    {
        let end = at + 4 + usize::from(u16::from_be_bytes([len_high, len_low]));
        if u16::from_be_bytes([code_high, code_low]) == wanted {
            return (end <= options.len()).then_some(at..end);
        }
        at = end;
    }
    None
}

/// The options are no options.
pub(crate) struct Malformed;

/// What an OPT record in a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyOpt {
    /// DO as it came.
    pub dnssec_ok: bool,
    /// The client subnet as it came, with our scope in bits.
    pub client_subnet: Option<(ClientSubnet, u8)>,
    /// An extended error's code.
    pub extended_error: Option<u16>,
}

impl ReplyOpt {
    /// The longest that [`Self::write`] writes, in bytes.
    pub const LEN_MAX: usize = OPT_LEN + 8 + 16 + 6;

    /// The record's length in bytes.
    #[inline]
    #[must_use]
    pub fn wire_len(&self) -> usize {
        OPT_LEN + self.options_len()
    }

    fn options_len(&self) -> usize {
        let subnet = self.client_subnet.as_ref().map_or(0, |(subnet, _)| 8 + subnet.address_len());
        subnet + if self.extended_error.is_some() { 6 } else { 0 }
    }

    /// Writes the record with the upper bits of `rcode` to the start of `out`; the client subnet
    /// comes before the extended error. Returns its length, or `None` if `out` is too short.
    #[inline]
    pub fn write(&self, rcode: u16, out: &mut [u8]) -> Option<usize> {
        if self.client_subnet.is_none() && self.extended_error.is_none() {
            // What nearly every reply has.
            *out.first_chunk_mut()? = self.head(rcode, 0);
            return Some(OPT_LEN);
        }
        self.write_with_options(rcode, out)
    }

    /// All before the options.
    #[inline]
    fn head(&self, rcode: u16, options_len: u16) -> [u8; OPT_LEN] {
        let [type_high, type_low] = record_type::OPT.to_be_bytes();
        let [size_high, size_low] = UDP_SIZE.to_be_bytes();
        let extended = (rcode >> 4) as u8;
        let flags = if self.dnssec_ok { FLAG_DO } else { 0 };
        let [len_high, len_low] = options_len.to_be_bytes();
        [0, type_high, type_low, size_high, size_low, extended, 0, flags, 0, len_high, len_low]
    }

    fn write_with_options(&self, rcode: u16, out: &mut [u8]) -> Option<usize> {
        let len = self.wire_len();
        let out = out.get_mut(..len)?;
        out[..OPT_LEN].copy_from_slice(&self.head(rcode, self.options_len() as u16));
        let mut at = OPT_LEN;
        if let Some((subnet, scope)) = &self.client_subnet {
            let address = subnet.address_bytes();
            let [family_high, family_low] = subnet.family.to_be_bytes();
            let head = [
                0,
                8,
                0,
                (4 + address.len()) as u8,
                family_high,
                family_low,
                subnet.source,
                *scope,
            ];
            out[at..at + 8].copy_from_slice(&head);
            out[at + 8..at + 8 + address.len()].copy_from_slice(address);
            at += 8 + address.len();
        }
        if let Some(code) = self.extended_error {
            let [code_high, code_low] = code.to_be_bytes();
            out[at..at + 6].copy_from_slice(&[0, 15, 0, 2, code_high, code_low]);
        }
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_subnet_is_guessed_if_it_is_the_first_option() {
        let opt = |code, family, address: &[u8]| {
            let fixed = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 15, 0, code, 0, 7, 0, family, 24, 0];
            [&fixed[..], address].concat()
        };
        for (bytes, expected) in [
            (opt(8, 1, &[192, 0, 2]), Some(0xc000_0200)),
            (opt(8, 1, &[192, 0, 2, 1, 9]), Some(0xc000_0201)),
            (opt(8, 1, &[]), Some(0)),
            (opt(8, 2, &[0x20, 1, 0xd]), None),
            (opt(10, 1, &[192, 0, 2]), None),
            (opt(8, 1, &[])[..18].to_vec(), None),
            (opt(8, 1, &[192, 0, 2])[1..].to_vec(), None),
            (Vec::new(), None),
        ] {
            assert_eq!(guess_client_subnet_ipv4(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn client_subnets() {
        for (data, address) in [
            (&[0, 1, 24, 0, 192, 0, 2][..], Some("192.0.2.0")),
            (&[0, 1, 32, 0, 192, 0, 2, 1], Some("192.0.2.1")),
            (&[0, 1, 9, 0, 10, 128], Some("10.128.0.0")),
            (&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8], Some("2001:db8::")),
            (&[0, 1, 0, 0], None),
            (&[0, 2, 0, 0], None),
            (&[0, 0, 0, 0], None),
        ] {
            let subnet = ClientSubnet::parse(data).unwrap();
            assert_eq!(subnet.address(), address.map(|text| text.parse().unwrap()), "{data:?}");
            assert_eq!(subnet.address_bytes(), &data[4..]);
        }
    }

    #[test]
    fn malformed_client_subnets() {
        for data in [
            &[][..],
            &[0, 1, 0],
            &[0, 3, 0, 0],
            &[1, 1, 0, 0],
            &[0, 0, 1, 0, 128],
            &[0, 1, 33, 0, 1, 2, 3, 4, 0],
            &[0, 1, 24, 0, 1, 2],
            &[0, 1, 24, 0, 1, 2, 3, 4],
            &[0, 1, 24, 8, 1, 2, 3],
            &[0, 1, 20, 0, 1, 2, 8],
        ] {
            assert_eq!(ClientSubnet::parse(data), None, "{data:?}");
        }
    }

    #[test]
    fn an_opt_record_with_everything() {
        let subnet = ClientSubnet::parse(&[0, 1, 20, 0, 10, 1, 16]).unwrap();
        let opt = ReplyOpt {
            dnssec_ok: true,
            client_subnet: Some((subnet, 17)),
            extended_error: Some(14),
        };
        let mut out = [0; ReplyOpt::LEN_MAX];
        let len = opt.write(0x10, &mut out).unwrap();
        assert_eq!(
            out[..len],
            [
                0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 17, 0, 8, 0, 7, 0, 1, 20, 17, 10, 1, 16, 0, 15,
                0, 2, 0, 14
            ]
        );
        assert_eq!(len, opt.wire_len());
        assert_eq!(opt.write(0, &mut out[..len - 1]), None);
    }
}
