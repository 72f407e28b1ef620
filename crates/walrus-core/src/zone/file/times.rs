//! Times with units (`1h30m`), as BIND reads them, to the seconds that the scanner understands.
//!
//! A time stands in `$TTL`, in a record's TTL field, and in an SOA record's last four fields; the
//! same letters anywhere else are a name or text. No class or type begins with a digit, so a TTL
//! is known by its place and its form.

use domain::base::iana::{Class, Rtype};

use super::rewrite::Change;
use super::tokens::{Token, Tokens};

/// A time that has more seconds than 32 bits hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// The line in the entry, from 0.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// Seconds for the times with units of one entry that leaves nothing open.
pub(super) fn times(text: &[u8]) -> Result<Vec<Change>, TooLong> {
    let change = |Time { start, len, seconds }| match u32::try_from(seconds) {
        Ok(seconds) => Ok(Change { start, len, text: seconds.to_string().into_bytes() }),
        Err(_) => {
            let (line, column) = line_and_column(text, start);
            Err(TooLong { line, column })
        }
    };
    found(text).into_iter().map(change).collect()
}

/// A token that is a time with units.
struct Time {
    start: usize,
    len: usize,
    /// At most `u64::MAX`, however much is written.
    seconds: u64,
}

fn found(text: &[u8]) -> Vec<Time> {
    let mut tokens = Tokens::new(text);
    let Some(first) = tokens.next() else { return Vec::new() };
    if !first.after_blank {
        if first.text.starts_with(b"$") || first.text.starts_with(b"\"$") {
            let is_ttl = first.text.eq_ignore_ascii_case(b"$TTL");
            return tokens.next().filter(|_| is_ttl).and_then(time).into_iter().collect();
        }
        return record_times(tokens.next(), tokens);
    }
    record_times(Some(first), tokens)
}

/// `[TTL] [CLASS] TYPE` or `[CLASS] [TTL] TYPE`, and an SOA's data.
fn record_times<'a>(mut next: Option<Token<'a>>, mut tokens: Tokens<'a>) -> Vec<Time> {
    let mut times = Vec::new();
    let (mut ttl, mut class) = (false, false);
    while let Some(token) = next {
        if !ttl && token.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = true;
            times.extend(time(token));
        } else if !class && is_class(token.text) {
            class = true;
        } else {
            break;
        }
        next = tokens.next();
    }
    if !next.is_some_and(|token| is_soa(token.text)) {
        return times;
    }
    let primary = tokens.next();
    // The form for unknown types holds digits in base 16, some of which look like times.
    if primary.is_some_and(|primary| primary.text != b"\\#") {
        const MAILBOX_AND_SERIAL: usize = 2;
        times.extend(tokens.skip(MAILBOX_AND_SERIAL).take(4).filter_map(time));
    }
    times
}

/// The scanner, too, takes what is both for a type.
pub(super) fn is_class(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"IN")
        || Class::from_bytes(word).is_some() && Rtype::from_bytes(word).is_none()
}

fn is_soa(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"SOA")
        || word.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"TYPE"))
            && Rtype::from_bytes(word) == Some(Rtype::SOA)
}

/// Numbers each with a unit, in any order, summed up; a number alone needs no change.
fn time(token: Token<'_>) -> Option<Time> {
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for byte in token.text {
        let unit = match byte.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let before = number.unwrap_or(0).saturating_mul(10);
                number = Some(before.saturating_add(u64::from(digit - b'0')));
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        seconds = seconds.saturating_add(number.take()?.saturating_mul(unit));
    }
    let whole = number.is_none();
    whole.then_some(Time { start: token.start, len: token.text.len(), seconds })
}

fn line_and_column(text: &[u8], offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::rewrite;
    use super::*;

    fn told(text: &str) -> String {
        let written = rewrite(text.as_bytes(), b"\x01c\0").unwrap();
        String::from_utf8(written.text.into_owned()).unwrap()
    }

    #[test]
    fn times_are_known_by_their_place() {
        for (text, expected) in [
            ("$TTL 1h", "$TTL 3600"),
            ("$ttl (\n1D) ; 1h", "$ttl (\n86400) ; 1h"),
            ("a 1w2d3h4m5s A 192.0.2.1", "a 788645 A 192.0.2.1"),
            ("a 5S4m3H2D1W IN A 192.0.2.1", "a 788645 IN A 192.0.2.1"),
            ("a IN 0s A 192.0.2.1", "a IN 0 A 192.0.2.1"),
            ("a class1 1m A 192.0.2.1", "a class1 60 A 192.0.2.1"),
            (" 1h A 192.0.2.1", " 3600 A 192.0.2.1"),
            ("1d 1d 1d", "1d 86400 1d"),
            (
                "@ 1h IN SOA ns1 1h ( 1d ; serial 1h\n 2h 15m\n 2w 300 )",
                "@ 3600 IN SOA ns1 1h ( 1d ; serial 1h\n 7200 900\n 1209600 300 )",
            ),
            ("@ type6 1h 1h 1 1h 1h 1h 1h", "@ type6 1h 1h 1 3600 3600 3600 3600"),
        ] {
            assert_eq!(told(text), expected);
        }
    }

    #[test]
    fn what_is_no_time_stays() {
        for text in [
            "1d A 192.0.2.1",
            "$ORIGIN 1d",
            "$INCLUDE 1h 1d",
            "a 3600 A 192.0.2.1",
            "a 60 1h A 192.0.2.1",
            "a IN IN 1h A 192.0.2.1",
            "a A 1h",
            "a TXT 1h \"1h\" 1h",
            "a TXT SOA a b 1 1h 1h 1h 1h",
            "a MX 1h 1h",
            "1h NS 1h",
            "a \"1h\" A 192.0.2.1",
            "a \\049h A 192.0.2.1",
            "a 1\\h A 192.0.2.1",
            "a 1h30 A 192.0.2.1",
            "a h A 192.0.2.1",
            "a 1hh A 192.0.2.1",
            "a 1y A 192.0.2.1",
            "@ SOA \\# 7 1d 1d 1d 1d 1d 1d 1d",
            "@ SOA a b 1 \"1h\" \\1h 1h30 1x",
            "1h",
            "$TTL",
            "$TTL \"1h\"",
            "\"$TTL\" 1h",
            "; 1h",
        ] {
            assert_eq!(told(text), text);
        }
    }

    #[test]
    fn a_time_has_32_bits() {
        assert_eq!(told("a 4294967295s A"), "a 4294967295 A");
        let error = |text: &str| {
            let TooLong { line, column } = times(text.as_bytes()).err().expect(text);
            (line, column)
        };
        assert_eq!(error("a 4294967295s1s A"), (0, 3));
        assert_eq!(error("$TTL 99999999999999999999999999w"), (0, 6));
        assert_eq!(error("@ 1h SOA a b (\n 1 1h\n  9999w 1h 1h )"), (2, 3));
    }
}
