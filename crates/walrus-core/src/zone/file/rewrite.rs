//! What `domain`'s scanner does not read as the file means it, in words that it does: times with units
//! and a free-standing `@` in a record's data. Problems keep their columns in the file.

use std::borrow::Cow;

use super::origins::origins;
use super::times::{TooLong, times};

/// An entry's text as the scanner gets it.
pub(super) struct Rewritten<'a> {
    /// What the scanner gets.
    pub text: Cow<'a, [u8]>,
    original: &'a [u8],
    changes: Vec<Change>,
}

/// A token, and what stands in its place.
pub(super) struct Change {
    pub start: usize,
    pub len: usize,
    pub text: Vec<u8>,
}

/// Rewrites one entry that leaves nothing open. `origin` is in wire format.
pub(super) fn rewrite<'a>(text: &'a [u8], origin: &[u8]) -> Result<Rewritten<'a>, TooLong> {
    let mut changes = times(text)?;
    if text.contains(&b'@') {
        changes.extend(origins(text, origin));
        changes.sort_by_key(|change| change.start);
    }
    if changes.is_empty() {
        return Ok(Rewritten { text: Cow::Borrowed(text), original: text, changes });
    }
    let added: usize = changes.iter().map(|change| change.text.len()).sum();
    let mut written = Vec::with_capacity(text.len() + added);
    let mut end = 0;
    for change in &changes {
        written.extend_from_slice(&text[end..change.start]);
        written.extend_from_slice(&change.text);
        end = change.start + change.len;
    }
    written.extend_from_slice(&text[end..]);
    Ok(Rewritten { text: Cow::Owned(written), original: text, changes })
}

impl Rewritten<'_> {
    /// The column in the file for a line (from 0) and column (from 1) of the text that the scanner
    /// got.
    pub(super) fn original_column(&self, line: u32, column: u32) -> u32 {
        if self.changes.is_empty() {
            return column;
        }
        let mut offset = line_start(&self.text, line) + column.saturating_sub(1) as usize;
        for Change { start, len, text } in &self.changes {
            // All changes before this one are already taken back.
            if offset <= *start {
                break;
            }
            offset = if offset < start + text.len() { *start } else { offset - text.len() + len };
        }
        let column = (offset + 1).saturating_sub(line_start(self.original, line));
        u32::try_from(column).unwrap_or(u32::MAX).max(1)
    }
}

fn line_start(text: &[u8], line: u32) -> usize {
    let mut feeds = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let before = (line as usize).checked_sub(1).and_then(|nth| feeds.nth(nth));
    before.map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &[u8] = b"\x01b\x01c\0";

    #[test]
    fn columns_are_those_of_the_file() {
        let text = b"a 1w ( A ;\n x ) 7";
        let read = rewrite(text, ORIGIN).unwrap();
        assert_eq!(&*read.text, b"a 604800 ( A ;\n x ) 7");
        for (line, column, expected) in
            [(0, 1, 1), (0, 3, 3), (0, 5, 3), (0, 9, 5), (0, 12, 8), (1, 2, 2), (1, 6, 6)]
        {
            assert_eq!(read.original_column(line, column), expected, "{line} {column}");
        }
        let read = rewrite(b"@ SOA a @ 1 60m 1w 00000000001s 1m x", ORIGIN).unwrap();
        let end = read.text.len() as u32;
        assert_eq!(read.original_column(0, end), 36);
    }
}
