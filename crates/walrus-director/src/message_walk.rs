//! Where a message's additional records stand, found without following a pointer: whatever strangers send costs no
//! more than its length.

use walrus_dns::query::HEADER_LEN;

/// Type, class, TTL and length of a record.
const RECORD_HEAD_LEN: usize = 10;

/// An additional record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Additional {
    /// Where it begins.
    pub(crate) start: usize,
    pub(crate) record_type: u16,
}

/// All of a message, in turn; `None` for one that is cut short.
pub(crate) struct AdditionalRecords<'m> {
    message: &'m [u8],
    at: usize,
    left: u16,
}

impl<'m> AdditionalRecords<'m> {
    /// `None` if what stands before them cannot be passed over.
    pub(crate) fn of(message: &'m [u8]) -> Option<Self> {
        let mut at = HEADER_LEN;
        for _ in 0..number(message, 4)? {
            at = behind_name(message, at)? + 4;
        }
        for section in [6, 8] {
            for _ in 0..number(message, section)? {
                at = behind_record(message, at)?.1;
            }
        }
        Some(Self { message, at, left: number(message, 10)? })
    }
}

impl Iterator for AdditionalRecords<'_> {
    type Item = Option<Additional>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let Some((record_type, behind)) = behind_record(self.message, self.at) else {
            self.left = 0;
            return Some(None);
        };
        let start = std::mem::replace(&mut self.at, behind);
        Some(Some(Additional { start, record_type }))
    }
}

/// A record's type, and where what follows it begins.
fn behind_record(message: &[u8], at: usize) -> Option<(u16, usize)> {
    let head = behind_name(message, at)?;
    let behind = head + RECORD_HEAD_LEN + usize::from(number(message, head + 8)?);
    (behind <= message.len()).then_some((number(message, head)?, behind))
}

/// Two bytes as a number.
pub(crate) fn number(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Where what follows a name begins.
pub(crate) fn behind_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            1..=63 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these counts, `x.` as each question, and records at a name of these bytes.
    fn message(counts: [u8; 4], name: &[u8], types: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 4];
        message.extend(counts.iter().flat_map(|count| [0, *count]));
        for _ in 0..counts[0] {
            message.extend_from_slice(b"\x01x\0\0\x06\0\x01");
        }
        for record_type in types {
            message.extend_from_slice(name);
            message.extend_from_slice(&[0, *record_type, 0, 1, 0, 0, 0, 0, 0, 2, 7, 7]);
        }
        message
    }

    fn types(message: &[u8]) -> Option<Option<Vec<u16>>> {
        let records = AdditionalRecords::of(message)?;
        Some(records.map(|it| it.map(|record| record.record_type)).collect())
    }

    #[test]
    fn they_are_found_behind_all_else() {
        for name in [&b"\0"[..], b"\x01a\x02bc\0", b"\x01a\xc0\x0c", b"\xc0\x0c"] {
            let all = message([1, 1, 2, 2], name, &[1, 2, 3, 41, 250]);
            assert_eq!(types(&all), Some(Some(vec![41, 250])), "{name:?}");
            assert_eq!(types(&all[..all.len() - 1]), Some(None), "{name:?}");
            let last = AdditionalRecords::of(&all).unwrap().last().unwrap().unwrap();
            assert_eq!(last.start, all.len() - 12 - name.len());
        }
        assert_eq!(types(&message([1, 0, 0, 0], b"\0", &[])), Some(Some(Vec::new())));
        assert_eq!(types(&message([1, 1, 0, 1], b"\0", &[])), None);
        assert_eq!(types(&[0; 11]), None);
        assert_eq!(types(&message([1, 1, 0, 0], b"\x80", &[1])), None);
    }

    #[test]
    fn pointers_that_lead_nowhere_are_passed_over_not_followed() {
        // To itself.
        let all = message([1, 0, 0, 2], b"\xc0\x13", &[1, 250]);
        assert_eq!(types(&all), Some(Some(vec![1, 250])));
    }
}
