//! Plain lines of a zone file, which are nearly all lines of large ones: `NAME [TTL] [IN] TYPE DATA`
//! with an address or a name and without quotes, escapes or parentheses. Whatever is not as plain
//! as that, right or wrong, is left to the `domain` crate's scanner, so that both read the same.

use walrus_dns::record_type;

/// What a line's meaning depends on beside its text.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// In wire format, as it was written.
    pub origin: Vec<u8>,
    /// The origin without the apex, in lower case; `None` if it is not in the zone.
    pub relative_origin: Option<Vec<u8>>,
    /// In wire format, in lower case.
    pub apex: Vec<u8>,
    /// For records that give no TTL; `None` if that is not known here.
    pub ttl: Option<u32>,
}

/// A line's parts that have no place in its text.
pub(super) struct Room {
    /// The owner relative to the apex, in lower case.
    pub owner: [u8; NAME_ROOM],
    pub data: [u8; NAME_ROOM],
}

impl Room {
    pub(super) const fn new() -> Self {
        Self { owner: [0; NAME_ROOM], data: [0; NAME_ROOM] }
    }
}

/// A plain line that was understood.
pub(super) struct PlainLine<'t> {
    /// With its line feed.
    pub len: usize,
    /// As it is written.
    pub owner: &'t [u8],
    pub owner_len: usize,
    pub record_type: u16,
    pub ttl: u32,
    /// The line gives its TTL.
    pub has_ttl: bool,
    pub data_len: usize,
}

/// Room for what a name may have too much before that is seen.
const NAME_ROOM: usize = 512;
const NAME_LEN_MAX: usize = 255;
const LABEL_LEN_MAX: usize = 63;
/// A TTL has 31 bits (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// Reads the line at the start of a text; `None` if it is not plain.
pub(super) fn read<'t>(
    text: &'t [u8],
    context: &Context,
    room: &mut Room,
) -> Option<PlainLine<'t>> {
    let owner = word(text)?;
    let mut rest = &text[owner.len()..];
    let owner_len = read_owner(owner, context, &mut room.owner)?;
    let (mut ttl, mut has_class) = (None, false);
    let record_type = loop {
        rest = skip_blanks(rest)?;
        let token = word(rest)?;
        rest = &rest[token.len()..];
        if token[0].is_ascii_digit() {
            if ttl.is_some() {
                return None;
            }
            ttl = Some(number(token).filter(|ttl| *ttl <= TTL_MAX)?);
        } else if token.eq_ignore_ascii_case(b"IN") {
            if has_class {
                return None;
            }
            has_class = true;
        } else {
            break type_of(token)?;
        }
    };
    rest = skip_blanks(rest)?;
    let (data_len, after) = read_data(record_type, rest, context, &mut room.data)?;
    let end = line_end(after)?;
    Some(PlainLine {
        len: text.len() - after.len() + end,
        owner,
        owner_len,
        record_type,
        ttl: ttl.or(context.ttl)?,
        has_ttl: ttl.is_some(),
        data_len,
    })
}

fn type_of(token: &[u8]) -> Option<u16> {
    let types: [(&[u8], u16); 6] = [
        (b"A", record_type::A),
        (b"AAAA", record_type::AAAA),
        (b"CNAME", record_type::CNAME),
        (b"NS", record_type::NS),
        (b"PTR", record_type::PTR),
        (b"MX", record_type::MX),
    ];
    let found = types.into_iter().find(|(name, _)| token.eq_ignore_ascii_case(name));
    found.map(|(_, record_type)| record_type)
}

/// Writes the data; its length, and what follows it.
fn read_data<'t>(
    record_type: u16,
    text: &'t [u8],
    context: &Context,
    out: &mut [u8; NAME_ROOM],
) -> Option<(usize, &'t [u8])> {
    let token = word(text)?;
    let rest = &text[token.len()..];
    match record_type {
        record_type::A => {
            out[..4].copy_from_slice(&ipv4(token)?);
            Some((4, rest))
        }
        record_type::AAAA => {
            let address = std::str::from_utf8(token).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
            out[..16].copy_from_slice(&address.octets());
            Some((16, rest))
        }
        record_type::MX => {
            let preference = u16::try_from(number(token)?).ok()?;
            let rest = skip_blanks(rest)?;
            let name = word(rest)?;
            let mut exchange = [0; NAME_ROOM];
            let len = read_name(name, &context.origin, &mut exchange)?;
            out[..2].copy_from_slice(&preference.to_be_bytes());
            out[2..2 + len].copy_from_slice(&exchange[..len]);
            Some((2 + len, &rest[name.len()..]))
        }
        _ => Some((read_name(token, &context.origin, out)?, rest)),
    }
}

/// A token of the characters that plain names, numbers and addresses have.
#[inline]
fn word(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
    // What follows it must end it, too.
    let ends = text.get(len).is_none_or(|byte| b" \t\r\n".contains(byte));
    (len > 0 && ends).then(|| &text[..len])
}

#[inline]
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'.' | b':' | b'@')
}

/// Without the blanks at the start, of which there must be one.
#[inline]
fn skip_blanks(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    (len > 0).then(|| &text[len..])
}

/// How many bytes there are up to the line feed, with it, if only blanks or a comment stand there.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    let mut is_comment = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' => return Some(at + 1),
            b' ' | b'\t' | b'\r' => {}
            b';' => is_comment = true,
            _ if is_comment => {}
            _ => return None,
        }
    }
    Some(text.len())
}

#[inline]
fn number(token: &[u8]) -> Option<u32> {
    if token.len() > 10 {
        return None;
    }
    let mut number = 0_u64;
    for byte in token {
        number = number * 10 + u64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    u32::try_from(number).ok()
}

/// Four numbers up to 255 without leading zeros.
#[inline]
fn ipv4(token: &[u8]) -> Option<[u8; 4]> {
    let mut address = [0; 4];
    let mut parts = token.split(|byte| *byte == b'.');
    for byte in &mut address {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 3 || (part.len() > 1 && part[0] == b'0') {
            return None;
        }
        *byte = u8::try_from(number(part)?).ok()?;
    }
    parts.next().is_none().then_some(address)
}

/// Writes an owner relative to the apex in lower case; its length.
#[inline]
fn read_owner(word: &[u8], context: &Context, out: &mut [u8; NAME_ROOM]) -> Option<usize> {
    let (origin, apex) = (&context.origin, &context.apex);
    let len = match &context.relative_origin {
        // It need not be looked for in the whole name.
        Some(relative) if !word.ends_with(b".") => {
            let len = if word == b"@" { 0 } else { read_labels(word, out)? };
            if len + origin.len() > NAME_LEN_MAX {
                return None;
            }
            out[len..len + relative.len()].copy_from_slice(relative);
            len + relative.len()
        }
        _ => {
            if word == b"@" {
                return None;
            }
            let len = read_name(word, origin, out)?;
            out[..len].make_ascii_lowercase();
            let relative_len = len.checked_sub(apex.len())?;
            let mut at = 0;
            while at < relative_len {
                at += 1 + usize::from(out[at]);
            }
            if at != relative_len || out[at..len] != **apex {
                return None;
            }
            relative_len
        }
    };
    out[..len].make_ascii_lowercase();
    Some(len)
}

/// Writes a name in wire format; its length. Alone `@` is the origin.
#[inline]
fn read_name(word: &[u8], origin: &[u8], out: &mut [u8; NAME_ROOM]) -> Option<usize> {
    if word == b"@" {
        out[..origin.len()].copy_from_slice(origin);
        return Some(origin.len());
    }
    if let Some(absolute) = word.strip_suffix(b".") {
        let len = read_labels(absolute, out)?;
        out[len] = 0;
        return (len < NAME_LEN_MAX).then_some(len + 1);
    }
    let len = read_labels(word, out)?;
    if len + origin.len() > NAME_LEN_MAX {
        return None;
    }
    out[len..len + origin.len()].copy_from_slice(origin);
    Some(len + origin.len())
}

/// Writes labels without a root; their length.
#[inline]
fn read_labels(word: &[u8], out: &mut [u8; NAME_ROOM]) -> Option<usize> {
    if word.is_empty() || word.len() >= NAME_LEN_MAX {
        return None;
    }
    let mut start = 0;
    for (at, byte) in word.iter().enumerate() {
        match byte {
            b'.' => {
                out[start] = label_len(at - start)?;
                start = at + 1;
            }
            b'@' | b':' => return None,
            byte => out[at + 1] = *byte,
        }
    }
    out[start] = label_len(word.len() - start)?;
    Some(word.len() + 1)
}

#[inline]
fn label_len(len: usize) -> Option<u8> {
    u8::try_from(len).ok().filter(|len| (1..=LABEL_LEN_MAX as u8).contains(len))
}
