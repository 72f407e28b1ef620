//! Record types that the answer paths tell apart (IANA's registry of RR TYPEs) and the class IN.

/// An IPv4 address.
pub const A: u16 = 1;
/// A name server; away from an apex, a delegation.
pub const NS: u16 = 2;
/// Another name for this one.
pub const CNAME: u16 = 5;
/// A zone's start.
pub const SOA: u16 = 6;
/// A pointer to a name.
pub const PTR: u16 = 12;
/// Host information; the answer to ANY (RFC 8482).
pub const HINFO: u16 = 13;
/// A mail exchanger.
pub const MX: u16 = 15;
/// Text.
pub const TXT: u16 = 16;
/// An IPv6 address.
pub const AAAA: u16 = 28;
/// A service's place.
pub const SRV: u16 = 33;
/// Renames what is below it (RFC 6672).
pub const DNAME: u16 = 39;
/// EDNS (RFC 6891).
pub const OPT: u16 = 41;
/// A delegation's signer: the one type that a parent answers at a delegation (RFC 4035).
pub const DS: u16 = 43;
/// A signature over a record set (RFC 4034 section 3).
pub const RRSIG: u16 = 46;
/// The next name, and what there is at this one (RFC 4034 section 4).
pub const NSEC: u16 = 47;
/// A zone's public key (RFC 4034 section 2).
pub const DNSKEY: u16 = 48;
/// The next hashed name (RFC 5155).
pub const NSEC3: u16 = 50;
/// How a zone's names are hashed (RFC 5155).
pub const NSEC3PARAM: u16 = 51;
/// What the zone wants its parent's DS to be (RFC 7344).
pub const CDS: u16 = 59;
/// The same as keys (RFC 7344).
pub const CDNSKEY: u16 = 60;
/// A digest of a whole zone (RFC 8976).
pub const ZONEMD: u16 = 63;
/// How to connect to a service of any kind (RFC 9460).
pub const SVCB: u16 = 64;
/// How to connect to a web server (RFC 9460).
pub const HTTPS: u16 = 65;
/// An incremental zone transfer.
pub const IXFR: u16 = 251;
/// A zone transfer.
pub const AXFR: u16 = 252;
/// Any type (RFC 8482).
pub const ANY: u16 = 255;
/// Certification authority authorisation.
pub const CAA: u16 = 257;

/// The Internet, the only class that is answered.
pub const CLASS_IN: u16 = 1;
/// Class CH: what servers say of themselves (RFC 4892).
pub const CLASS_CH: u16 = 3;
