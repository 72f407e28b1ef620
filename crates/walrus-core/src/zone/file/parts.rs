//! A zone file's text in parts that are scanned at the same time.
//!
//! A cut is a guess: a line end before what looks like an owner, and an origin and TTL as they stand
//! after the file's head. When the parts are put together each guess is checked against how the part
//! before really ended, and a part whose guess was wrong is scanned again. So it never matters for
//! the result where a text was cut, only for the time.

use std::ops::Range;

use walrus_dns::DomainName;

use super::Notes;
use super::include::{Includes, ReadIncluded};
use super::records::{Part, Records};
use super::scan::{Scanner, State, Used};

/// How much of a text is scanned to learn its origin and TTL.
const HEAD_LEN: usize = 4096;

/// A part of a text, to be scanned by [`super::ZoneReader::scan`] on any thread.
#[derive(Clone, Debug)]
pub struct TextPart {
    start: usize,
    end: usize,
    state: State,
}

/// A part's records.
#[derive(Debug)]
pub struct ScannedPart {
    start: usize,
    /// Where it really ended.
    end: usize,
    before: State,
    after: State,
    records: Records,
    lines: u32,
    used: Used,
    failed: bool,
}

/// Cuts a text into at most so many parts.
pub(super) fn split(text: &[u8], apex: &DomainName, parts: usize) -> Vec<TextPart> {
    split_after(text, apex, parts, HEAD_LEN)
}

fn split_after(text: &[u8], apex: &DomainName, parts: usize, head_len: usize) -> Vec<TextPart> {
    let mut scanner = Scanner::new(apex, State::new(apex), Includes::new(None));
    // What is wrong is told when the part itself is scanned.
    scanner.text(text, head_len, 0, 0, &mut Notes::new(""));
    let state = State { owner: None, ..scanner.state() };
    let mut cuts = vec![0];
    for part in 1..parts {
        let from = text.len() / parts * part;
        if let Some(cut) = cut_after(text, from.max(head_len))
            && cuts.last().is_some_and(|last| *last < cut)
        {
            cuts.push(cut);
        }
    }
    let ends = cuts[1..].iter().copied().chain([text.len()]);
    let mut parts: Vec<TextPart> = cuts
        .iter()
        .zip(ends)
        .map(|(&start, end)| TextPart { start, end, state: state.clone() })
        .collect();
    parts[0].state = State::new(apex);
    parts
}

/// Where a line begins that seems to begin with an owner.
fn cut_after(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'\n')? + 1;
        let first = text.get(at)?;
        if first.is_ascii_alphanumeric() || matches!(first, b'_' | b'*') {
            return Some(at);
        }
    }
}

/// Scans one part; included files are left to whoever puts the parts together.
pub(super) fn scan(
    text: &[u8],
    apex: &DomainName,
    part: &TextPart,
    records_max: usize,
) -> ScannedPart {
    scan_from(text, apex, part.start..part.end, part.state.clone(), records_max)
}

fn scan_from(
    text: &[u8],
    apex: &DomainName,
    Range { start, end }: Range<usize>,
    before: State,
    records_max: usize,
) -> ScannedPart {
    let mut notes = Notes::new("");
    let scanner = Scanner::new(apex, before.clone(), Includes::new(None));
    let mut scanner = scanner.with_records_max(records_max);
    let from = text.get(start..).unwrap_or_default();
    let (len, lines) = scanner.text(from, end.saturating_sub(start), 0, 0, &mut notes);
    ScannedPart {
        start,
        end: start + len,
        before,
        after: scanner.state(),
        used: scanner.used,
        lines,
        failed: notes.has_errors(),
        records: scanner.records,
    }
}

/// Puts parts together; `None` if a part has errors or includes files, which is left to
/// [`in_sequence`].
pub(super) fn join(
    text: &[u8],
    apex: &DomainName,
    parts: Vec<ScannedPart>,
    records_max: usize,
) -> Option<Vec<Part>> {
    let mut joined: Vec<Part> = Vec::new();
    let (mut state, mut at, mut lines) = (State::new(apex), 0, 0_u32);
    for part in parts {
        if at > part.end {
            // The part before went on over all of this one.
            continue;
        }
        let part = if part.start == at && part.holds_after(&state) {
            part
        } else {
            scan_from(text, apex, at..part.end, state, records_max)
        };
        if part.failed || part.used.include {
            return None;
        }
        (at, state) = (part.end, part.after);
        joined.push(Part { records: part.records, lines_before: lines });
        lines = lines.saturating_add(part.lines);
    }
    (at >= text.len()).then_some(joined)
}

impl ScannedPart {
    /// Whether it would have been read the same after a text that left this.
    fn holds_after(&self, state: &State) -> bool {
        let guess = &self.before;
        // Compared with their case, which the names in data keep.
        guess.origin.as_slice() == state.origin.as_slice()
            && guess.default_ttl == state.default_ttl
            && (!self.used.last_ttl
                || !guess.default_ttl.is_empty()
                || guess.last_ttl == state.last_ttl)
            && (!self.used.owner || self.start == 0)
    }
}

/// Scans a whole text, with every problem; `None` if it has more records than may be.
pub(super) fn in_sequence(
    text: &[u8],
    apex: &DomainName,
    include: Option<ReadIncluded<'_>>,
    records_max: usize,
    notes: &mut Notes,
) -> Option<Vec<Part>> {
    let scanner = Scanner::new(apex, State::new(apex), Includes::new(include));
    let mut scanner = scanner.with_records_max(records_max);
    scanner.text(text, usize::MAX, 0, 0, notes);
    let fits = scanner.records.memory() <= records_max;
    fits.then(|| vec![Part { records: scanner.records, lines_before: 0 }])
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::{ZoneReader, check, collect};
    use super::*;
    use crate::config::Problem;
    use crate::zone::file::{Selection, Sorted, ZoneFile};

    fn apex() -> DomainName {
        "example.com".parse().unwrap()
    }

    /// Without plain lines: everything by `domain`.
    fn by_domain(text: &[u8]) -> Result<ZoneFile, Vec<Problem>> {
        let mut notes = Notes::new("zone");
        let apex = apex();
        let mut scanner = Scanner::new(&apex, State::new(&apex), Includes::new(None));
        scanner.reads_plain_lines = false;
        scanner.text(text, usize::MAX, 0, 0, &mut notes);
        let sorted = Sorted::new(vec![Part { records: scanner.records, lines_before: 0 }]);
        let selection = Selection { memory_max: usize::MAX, ..Selection::default() };
        let collected = collect::collect(&sorted, &apex, selection, &mut notes);
        check::check(&collected, &mut notes);
        notes.finish(collected.zone)
    }

    fn in_parts(text: &[u8], parts: usize, head_len: usize) -> Result<ZoneFile, Vec<Problem>> {
        let apex = apex();
        let parts = split_after(text, &apex, parts, head_len);
        let scanned = parts.iter().map(|part| scan(text, &apex, part, usize::MAX)).collect();
        ZoneReader::new("zone", &apex).read_scanned(text.to_vec(), scanned, None)
    }

    fn lines() -> impl Strategy<Value = String> {
        let owner = select(vec![
            "a",
            "b",
            "B",
            "ns1",
            "x.y",
            "*.w",
            "@",
            "",
            " ",
            "q.example.com.",
            "out.example.org.",
            "a..b",
            "-_-",
            "12",
            "tail.",
        ]);
        let ttl = select(vec!["", " ", " 60 ", " 007 ", " 1h ", "\t99999999999 ", " 4000000000 "]);
        let class = select(vec![" ", " IN ", " in ", " CH "]);
        let data = select(vec![
            "A 192.0.2.1",
            "a 192.0.2.2",
            "A 192.0.2.256",
            "A 01.2.3.4",
            "A 1.2.3",
            "A 1.2.3.4 x",
            "A 192.0.2.3 ; c",
            "A 192.0.2.4;c",
            "A (192.0.2.5",
            "AAAA 2001:db8::1",
            "AAAA ::g",
            "CNAME a",
            "CNAME A.Example.com.",
            "CNAME @",
            "NS b",
            "NS ns1.c..d",
            "MX 10 a",
            "MX 70000 a",
            "PTR q\\.r",
            "TXT \"x ; y",
            "TXT \"a\" b",
            "TXT (a\n\tb\n  A 192.0.2.9 )",
            "TYPE65280 \\# 1 00",
            "IN A 1.2.3.4",
            "60 A 192.0.2.7",
        ]);
        let record = (owner, ttl, class, data)
            .prop_map(|(owner, ttl, class, data)| format!("{owner}{ttl}{class}{data}"));
        let other = select(vec![
            "$ORIGIN sub",
            "$ORIGIN Sub.Example.Com.",
            "$ORIGIN com.",
            "$ORIGIN .",
            "$TTL 77",
            "$TTL 1d",
            "$TTL 4000000000",
            "",
            "; comment",
            ")",
            "$INCLUDE x",
            "\r",
            " \t",
        ]);
        // Mostly sound lines, else nothing but errors would be compared.
        let sound = (0..40_u8, select(vec!["", " 60", " 61"]))
            .prop_map(|(host, ttl)| format!("h{host}{ttl} A 192.0.2.{host}"));
        prop_oneof![60 => sound, 2 => record, 1 => other.prop_map(str::to_owned)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn a_text_reads_the_same_by_domain_alone_and_in_parts(
            lines in vec(lines(), 0..30),
            ends in select(vec!["\n", "\r\n"]),
            parts in 1_usize..9,
            head_len in 1_usize..200,
        ) {
            let head = "@ SOA ns1 x 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";
            let text = format!("{head}{}", lines.join(ends));
            let expected = by_domain(text.as_bytes());
            let whole = ZoneReader::new("zone", &apex()).read(text.as_bytes(), None);
            prop_assert_eq!(&whole, &expected, "in sequence: {:?}", text);
            let in_parts = in_parts(text.as_bytes(), parts, head_len);
            prop_assert_eq!(&in_parts, &expected, "in parts: {:?}", text);
        }
    }

    #[test]
    fn wrong_guesses_are_seen() {
        let head = "@ SOA ns1 x 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";
        for body in [
            "$ORIGIN sub\na A 192.0.2.1\nb A 192.0.2.2\nc CNAME a\n",
            "$TTL 77\na A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3\n",
            "a 60 A 192.0.2.1\nb A 192.0.2.2\nc TXT x\n",
            "t TXT (\na\nb\nc\nd A\n) x\nz A 192.0.2.2\n",
        ] {
            let text = format!("{head}{body}");
            let expected = by_domain(text.as_bytes());
            assert!(expected.is_ok(), "{expected:?}");
            for parts in 2..20 {
                assert_eq!(in_parts(text.as_bytes(), parts, 1), expected, "{parts} {body:?}");
            }
        }
    }
}
