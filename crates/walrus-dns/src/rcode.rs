//! Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9) and extended errors (RFC 8914).

/// No error.
pub const NOERROR: u16 = 0;
/// The query could not be understood.
pub const FORMERR: u16 = 1;
/// The server could not answer.
pub const SERVFAIL: u16 = 2;
/// The name does not exist.
pub const NXDOMAIN: u16 = 3;
/// The kind of query is not implemented.
pub const NOTIMP: u16 = 4;
/// The server will not answer this.
pub const REFUSED: u16 = 5;
/// A name exists that was to be absent (RFC 2136).
pub const YXDOMAIN: u16 = 6;
/// A record set exists that was to be absent (RFC 2136).
pub const YXRRSET: u16 = 7;
/// A record set does not exist, or not as it was to be (RFC 2136).
pub const NXRRSET: u16 = 8;
/// The server does not speak for the zone (RFC 2136), or a signature does not hold (RFC 8945).
pub const NOTAUTH: u16 = 9;
/// A name lies outside of the zone (RFC 2136).
pub const NOTZONE: u16 = 10;
/// The query's EDNS version is above ours: 12 bits, of which the upper 8 travel in OPT.
pub const BADVERS: u16 = 16;
/// The server's part of the query's cookie is not one that it was given (RFC 7873 section 5.4).
pub const BADCOOKIE: u16 = 23;

/// All of these by name.
pub const NAMES: [(&str, u16); 13] = [
    ("NOERROR", NOERROR),
    ("FORMERR", FORMERR),
    ("SERVFAIL", SERVFAIL),
    ("NXDOMAIN", NXDOMAIN),
    ("NOTIMP", NOTIMP),
    ("REFUSED", REFUSED),
    ("YXDOMAIN", YXDOMAIN),
    ("YXRRSET", YXRRSET),
    ("NXRRSET", NXRRSET),
    ("NOTAUTH", NOTAUTH),
    ("NOTZONE", NOTZONE),
    ("BADVERS", BADVERS),
    ("BADCOOKIE", BADCOOKIE),
];

/// A code as people write it: its name, or `RCODE` and its number.
#[must_use]
pub fn name(code: u16) -> String {
    let known = NAMES.iter().find(|(_, known)| *known == code);
    known.map_or_else(|| format!("RCODE{code}"), |(name, _)| (*name).to_owned())
}

/// Extended error 14, Not Ready: no Plan has arrived yet (RFC 8914 section 4.15).
pub const EDE_NOT_READY: u16 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_as_people_write_them() {
        assert_eq!((name(3), name(24)), ("NXDOMAIN".to_owned(), "RCODE24".to_owned()));
    }
}
