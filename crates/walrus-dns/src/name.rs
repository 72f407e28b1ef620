//! An owned domain name in wire format, lower case (RFC 1035 section 3.1, RFC 4343).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest name in wire format, in bytes (RFC 1035 section 2.3.4).
const WIRE_LEN_MAX: usize = 255;
/// The longest label, in bytes (RFC 1035 section 2.3.4).
const LABEL_LEN_MAX: usize = 63;
/// The most labels, the root not counted: each takes at least two bytes.
const LABELS_MAX: usize = (WIRE_LEN_MAX - 1) / 2;

/// An absolute domain name: uncompressed wire format in lower case, the root label included.
///
/// Ordered canonically (RFC 4034 section 6.1): by labels from the right, so that a zone's names
/// follow their ancestors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DomainName(Box<[u8]>);

impl DomainName {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Takes an uncompressed name in wire format from the start of `wire`, folding its case.
    ///
    /// # Errors
    /// If it is cut short, too long, or compressed.
    pub fn from_wire(wire: &[u8]) -> Result<Self, DomainNameError> {
        let mut at = 0;
        loop {
            let len = usize::from(*wire.get(at).ok_or(DomainNameError::Short)?);
            if len > LABEL_LEN_MAX {
                return Err(DomainNameError::Compressed);
            }
            at += 1 + len;
            if at > WIRE_LEN_MAX {
                return Err(DomainNameError::Long);
            }
            if len == 0 {
                return Ok(Self(wire[..at].to_ascii_lowercase().into()));
            }
        }
    }

    /// The name in wire format, lower case. (Folding the case of length octets is harmless: they
    /// are below `A`.)
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Labels from the left, without the root.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        // Comparing a million names while a zone is sorted must not allocate.
        let mut starts = [0_u8; LABELS_MAX];
        let mut count = 0;
        let mut at = 0;
        while let Some(len @ 1..) = self.0.get(usize::from(at)) {
            starts[count] = at;
            count += 1;
            at = at.saturating_add(1 + *len);
        }
        starts.into_iter().take(count).map(|start| {
            let start = usize::from(start);
            let len = usize::from(self.0[start]);
            &self.0[start + 1..start + 1 + len]
        })
    }

    /// How many labels there are, the root not counted.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let len = usize::from(self.0[0]);
        (len > 0).then(|| Self(self.0[1 + len..].into()))
    }

    /// The last so many labels; all of them if there are no more.
    #[must_use]
    pub fn suffix(&self, labels: usize) -> Self {
        let mut rest = &self.0[..];
        for _ in labels..self.label_count() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        Self(rest.into())
    }

    /// Whether this is `ancestor` or stands below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        let mut rest = &self.0[..];
        while rest.len() > ancestor.0.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        *rest == *ancestor.0
    }

    /// The name `*.` above this one (RFC 4592); `None` if that is too long.
    #[must_use]
    pub fn wildcard(&self) -> Option<Self> {
        let mut wire = vec![1, b'*'];
        wire.extend_from_slice(&self.0);
        (wire.len() <= WIRE_LEN_MAX).then(|| Self(wire.into()))
    }

    /// Whether the first label is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(&[1, b'*'])
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    /// From text, with or without the last dot. Escapes (`\.`, `\032`) as in RFC 1035 section 5.1.
    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::new();
        let mut bytes = without_last_dot(text).bytes();
        if text == "." {
            return Ok(Self::root());
        }
        loop {
            let byte = bytes.next();
            match byte {
                Some(b'\\') => label.push(unescape(&mut bytes)?),
                Some(b'.') | None => {
                    if label.is_empty() {
                        return Err(DomainNameError::EmptyLabel);
                    }
                    let len = u8::try_from(label.len()).unwrap_or(u8::MAX);
                    if usize::from(len) > LABEL_LEN_MAX {
                        return Err(DomainNameError::LongLabel);
                    }
                    wire.push(len);
                    wire.append(&mut label);
                    if byte.is_none() {
                        break;
                    }
                }
                Some(byte) => label.push(byte.to_ascii_lowercase()),
            }
        }
        wire.push(0);
        if wire.len() > WIRE_LEN_MAX { Err(DomainNameError::Long) } else { Ok(Self(wire.into())) }
    }
}

/// Without the dot that says that the name is absolute. One that is escaped belongs to its label.
fn without_last_dot(text: &str) -> &str {
    let Some(rest) = text.strip_suffix('.') else { return text };
    let backslashes = rest.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes.is_multiple_of(2) { rest } else { text }
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, DomainNameError> {
    let first = bytes.next().ok_or(DomainNameError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first.to_ascii_lowercase());
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(DomainNameError::Escape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map(|byte| byte.to_ascii_lowercase()).map_err(|_| DomainNameError::Escape)
}

impl Ord for DomainName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.labels().rev().cmp(other.labels().rev())
    }
}

/// Compares two names in lower-case wire format in canonical order (RFC 4034 section 6.1), without
/// allocation: two absolute ones, or two relative ones below the same origin. Of what is no name
/// only the labels that can be read are compared.
#[must_use]
pub fn compare_canonically(one: &[u8], other: &[u8]) -> Ordering {
    // Most names of a zone are siblings.
    if let (Some((first, rest)), Some((other_first, other_rest))) =
        (split_label(one), split_label(other))
        && rest == other_rest
    {
        return first.cmp(other_first);
    }
    let (mut starts, mut other_starts) = ([0; LABELS_MAX], [0; LABELS_MAX]);
    let labels = label_starts(one, &mut starts).iter().rev();
    let other_labels = label_starts(other, &mut other_starts).iter().rev();
    // Of equal labels the rests were compared before, and are equal.
    let labels = labels.map(|start| split_label(&one[usize::from(*start)..]));
    labels.cmp(other_labels.map(|start| split_label(&other[usize::from(*start)..])))
}

/// The first label of a name in wire format, without its length, and the name above it; `None` for
/// the root, for nothing (where a relative name ends) and for what is cut short.
#[inline]
#[must_use]
pub fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len @ 1.., rest) = name.split_first()? else { return None };
    rest.split_at_checked(usize::from(*len))
}

/// Where each label's length stands.
fn label_starts<'a>(name: &[u8], starts: &'a mut [u8; LABELS_MAX]) -> &'a [u8] {
    let mut count = 0;
    let mut rest = name;
    while let Some((_, after)) = split_label(rest) {
        let Some(start) = starts.get_mut(count) else { break };
        let Ok(at) = u8::try_from(name.len() - rest.len()) else { break };
        *start = at;
        count += 1;
        rest = after;
    }
    &starts[..count]
}

impl PartialOrd for DomainName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for DomainName {
    /// Without the last dot, but `.` for the root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.pad(".");
        }
        let mut text = String::with_capacity(self.0.len());
        for label in self.labels() {
            if !text.is_empty() {
                text.push('.');
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
                    0x21..=0x7e => text.push(char::from(byte)),
                    _ => text.push_str(&format!("\\{byte:03}")),
                }
            }
        }
        f.pad(&text)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why bytes or text are no [`DomainName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainNameError {
    /// The bytes end inside the name.
    #[error("the name is cut short")]
    Short,
    /// More than 255 bytes.
    #[error("a domain name has at most 255 bytes")]
    Long,
    /// A label of more than 63 bytes.
    #[error("a label has at most 63 bytes")]
    LongLabel,
    /// Two dots in a row, or no text at all.
    #[error("a label is empty")]
    EmptyLabel,
    /// A compression pointer or an unknown label type.
    #[error("the name is compressed or of an unknown label type")]
    Compressed,
    /// A backslash without a character or three digits below 256.
    #[error("a backslash wants one character or three digits up to 255")]
    Escape,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_back() {
        for text in ["www.example.com", ".", "a\\.b.c", "a.b\\.", "a\\\\", "x\\032y.z", "*.example"]
        {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("WWW.Example.COM."), name("www.example.com"));
        assert_eq!(name("a\\."), name("a\\.."));
        assert_eq!(name("a\\\\."), name("a\\\\"));
        for bad in ["", "a..b", ".a", &"a".repeat(64), &"a.".repeat(128), "a\\", "a\\25"] {
            assert!(bad.parse::<DomainName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn canonical_order_of_rfc_4034_6_1() {
        let sorted = ["example", "a.example", "yljkjljk.a.example", "z.a.example", "z.example"];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn wire_format_compares_like_names_absolute_and_relative() {
        let names =
            [".", "b", "c", "a.b", "aa.b", "a.a.b", "c.a.b", "a.c", "b.c", "a.b.c", "\\000.c"];
        for one in names.map(name) {
            for other in names.map(name) {
                let expected = one.cmp(&other);
                assert_eq!(compare_canonically(one.as_wire(), other.as_wire()), expected);
                let relative =
                    |name: &DomainName| name.as_wire()[..name.as_wire().len() - 1].to_vec();
                let got = compare_canonically(&relative(&one), &relative(&other));
                assert_eq!(got, expected, "{one} {other}");
            }
        }
    }

    #[test]
    fn ancestry() {
        assert!(name("a.b.c").is_within(&name("b.c")));
        assert!(name("b.c").is_within(&name("b.c")));
        assert!(!name("ab.c").is_within(&name("b.c")));
        assert!(name("b").is_within(&DomainName::root()));
        assert_eq!(name("a.b").parent(), Some(name("b")));
        for (labels, expected) in [(0, "."), (1, "c"), (2, "b.c"), (3, "a.b.c"), (9, "a.b.c")] {
            assert_eq!(name("a.b.c").suffix(labels), name(expected));
        }
        assert_eq!(name("a").wildcard(), Some(name("*.a")));
    }
}
