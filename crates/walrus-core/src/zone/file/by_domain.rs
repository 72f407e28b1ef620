//! The `domain` crate's scanner: what it is given, what it does not check, and its problems in words
//! that say what to write instead.

use bytes::Bytes;
use domain::base::iana::{Class, Rtype};
use domain::base::name::{Name, ParsedName};
use domain::base::rdata::{ComposeRecordData as _, ParseRecordData as _};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace;
use walrus_dns::DomainName;

use super::tokens::Tokens;

pub(super) const NO_OWNER: &str =
    "this line begins with a space, but there is no record above whose name it could take";

/// Whether a word stands right behind a quoted one; in a directive `domain` panics at a name there.
pub(super) fn has_glued_word(text: &[u8]) -> bool {
    let mut quoted_end = None;
    Tokens::new(text).any(|token| {
        let glued = quoted_end == Some(token.start);
        quoted_end = token.text.starts_with(b"\"").then(|| token.start + token.text.len());
        glued
    })
}

/// Whether data can be read as its type, to the last byte and without compressed names.
pub(super) fn is_well_formed(record_type: Rtype, data: &[u8]) -> bool {
    let mut parser = Parser::from_ref(data);
    let parsed = ZoneRecordData::<_, ParsedName<_>>::parse_rdata(record_type, &mut parser);
    let Ok(Some(parsed)) = parsed else { return false };
    let mut composed = Vec::with_capacity(data.len());
    // Composing into a vector cannot fail.
    let _ = parsed.compose_rdata(&mut composed);
    parser.remaining() == 0 && composed == data
}

/// `domain` leaves the last quote on a quoted path without escapes.
pub(super) fn path_of(path: &str, text: &[u8]) -> String {
    let written = Tokens::new(text).nth(1).map_or(&b""[..], |token| token.text);
    let quoted = written.starts_with(b"\"") && !written.contains(&b'\\');
    let path = if quoted { path.strip_suffix('"').unwrap_or(path) } else { path };
    path.to_owned()
}

/// As the scanner sees it: a quoted directive is one, too.
pub(super) fn is_directive(word: &[u8]) -> bool {
    word.strip_prefix(b"\"").unwrap_or(word).starts_with(b"$")
}

pub(super) fn new_zonefile(origin: Name<Bytes>) -> inplace::Zonefile {
    let mut zonefile = inplace::Zonefile::new();
    zonefile.set_origin(origin);
    zonefile.set_default_class(Class::IN);
    zonefile
}

pub(super) fn name_of(apex: &DomainName) -> Name<Bytes> {
    // A `DomainName` is a valid name in wire format.
    Name::from_octets(Bytes::copy_from_slice(apex.as_wire())).unwrap_or_else(|_| Name::root_bytes())
}

pub(super) fn lines_in(text: &[u8]) -> u32 {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX - 1)
}

/// `domain` shows an error's line and column only as text, "LINE:COLUMN: MESSAGE".
pub(super) fn parts_of(error: &inplace::Error) -> (u32, u32, String) {
    let text = error.to_string();
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(1);
    let (line, column) = (number(), number());
    (line, column, parts.next().unwrap_or(&text).trim().to_owned())
}

/// Says what to write instead where the scanner only says what it saw.
pub(super) fn advice(message: String, text: &[u8]) -> String {
    // Like 1h30, and unlike 1h.
    let is_half_a_time = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_digit)
            && word.last().is_some_and(u8::is_ascii_digit)
            && word.iter().all(|byte| byte.is_ascii_digit() || b"smhdwSMHDW".contains(byte))
            && !word.iter().all(u8::is_ascii_digit)
    };
    let has_half_a_time = Tokens::new(text).any(|token| is_half_a_time(token.text));
    match message.as_str() {
        _ if has_half_a_time && !message.starts_with("different class") => {
            format!("{message} (in a time with units every number has one: 1h30m, not 1h30)")
        }
        "expected rtype" => {
            "expected a record: NAME [TTL] [IN] TYPE DATA, with a known type or TYPE123 \
             (RFC 3597)"
                .to_owned()
        }
        "missing last owner" => NO_OWNER.to_owned(),
        "unexpected end of entry" => "the record's data is not complete".to_owned(),
        "trailing tokens" => "there is more on this line than the record's type takes".to_owned(),
        "unbalanced parens" => "a closing parenthesis without an opening one".to_owned(),
        _ if message.starts_with("different class") => {
            "only records of class IN are served".to_owned()
        }
        _ => message,
    }
}
