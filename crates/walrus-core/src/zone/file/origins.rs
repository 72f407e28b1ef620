//! A free-standing `@` in a record's data: the origin (RFC 1035 section 5.1), where a name stands. In
//! texts it is a letter like any other. (`domain` knows it as an owner only.)

use domain::base::iana::Rtype;

use super::rewrite::Change;
use super::times::is_class;
use super::tokens::{Token, Tokens};

/// The origin, given in wire format, for each `@` of a record that means it.
pub(super) fn origins(text: &[u8], origin: &[u8]) -> Vec<Change> {
    let mut tokens = Tokens::new(text).peekable();
    if tokens.peek().is_some_and(|first| !first.after_blank) {
        let owner = tokens.next();
        if owner.is_some_and(|owner| owner.text.starts_with(b"$") || owner.text.starts_with(b"\"$"))
        {
            return Vec::new();
        }
    }
    let (mut ttl, mut class) = (false, false);
    let Some(record_type) = tokens.by_ref().find(|token| {
        let is_ttl = !ttl && token.text.first().is_some_and(u8::is_ascii_digit);
        let is_class = !is_ttl && !class && is_class(token.text);
        (ttl, class) = (ttl || is_ttl, class || is_class);
        !is_ttl && !is_class
    }) else {
        return Vec::new();
    };
    let Some(record_type) = Rtype::from_bytes(record_type.text) else { return Vec::new() };
    let is_origin =
        |(place, token): &(usize, Token<'_>)| token.text == b"@" && is_name(record_type, *place);
    let change = |(_, token): (usize, Token<'_>)| Change {
        start: token.start,
        len: token.text.len(),
        text: written(origin),
    };
    tokens.enumerate().filter(is_origin).map(change).collect()
}

/// Whether a name stands at this place of a type's data.
const fn is_name(record_type: Rtype, place: usize) -> bool {
    match record_type {
        Rtype::NS
        | Rtype::MD
        | Rtype::MF
        | Rtype::CNAME
        | Rtype::MB
        | Rtype::MG
        | Rtype::MR
        | Rtype::PTR
        | Rtype::DNAME
        | Rtype::NSEC => place == 0,
        Rtype::SOA | Rtype::MINFO | Rtype::RP => place < 2,
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::SVCB | Rtype::HTTPS => place == 1,
        Rtype::PX => place == 1 || place == 2,
        Rtype::SRV => place == 3,
        Rtype::NAPTR => place == 5,
        Rtype::RRSIG => place == 7,
        _ => false,
    }
}

/// A name as text, with its last dot; what is not a letter, digit or hyphen is escaped.
fn written(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [len @ 1..=63, tail @ ..] = rest {
        let (label, next) = tail.split_at(usize::from(*len).min(tail.len()));
        for byte in label {
            match byte {
                byte if byte.is_ascii_alphanumeric() || b"-_".contains(byte) => text.push(*byte),
                byte => text.extend_from_slice(format!("\\{byte:03}").as_bytes()),
            }
        }
        text.push(b'.');
        rest = next;
    }
    if text.is_empty() {
        text.push(b'.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::rewrite;

    #[test]
    fn an_at_sign_in_data_is_the_origin_where_a_name_stands() {
        let origin = b"\x03a.b\x07Example\0";
        for (text, expected) in [
            ("@ IN SOA @ @ 1 1h 1 1 1", "@ IN SOA a\\046b.Example. a\\046b.Example. 1 3600 1 1 1"),
            ("x NS @", "x NS a\\046b.Example."),
            (" 60 in MX 10 @ ; @", " 60 in MX 10 a\\046b.Example. ; @"),
            ("x IN 1h MX (10\n@)", "x IN 3600 MX (10\na\\046b.Example.)"),
            ("x HTTPS 1 @ alpn=h2", "x HTTPS 1 a\\046b.Example. alpn=h2"),
            ("x NAPTR 1 2 @ @ @ @", "x NAPTR 1 2 @ @ @ a\\046b.Example."),
            ("@ TXT @", "@ TXT @"),
            ("x CAA 0 issue @", "x CAA 0 issue @"),
            ("x CNAME \\@", "x CNAME \\@"),
            ("x CNAME \"@\"", "x CNAME \"@\""),
            ("x CNAME @.y", "x CNAME @.y"),
            ("x 60 60 CNAME @", "x 60 60 CNAME @"),
            ("$ORIGIN @", "$ORIGIN @"),
            ("@", "@"),
            ("@ NS", "@ NS"),
        ] {
            let written = rewrite(text.as_bytes(), origin).unwrap();
            assert_eq!(String::from_utf8_lossy(&written.text), expected);
        }
        let root = rewrite(b"x NS @", b"\0").unwrap();
        assert_eq!(&*root.text, b"x NS .");
    }
}
