//! A ring's records while it is compiled: where each server's begin, and how many servers fit a reply.

use super::record_data::RECORD_HEAD_LEN;
use super::ring::data_of;

/// The most bytes of records in a reply: what TCP holds beside header, question, OPT (some 320
/// bytes) and signatures (350 at most) by four keys. More would be cut to nothing, and by TCP too.
const RECORDS_LEN_MAX: usize = 65_535 - 1_800;

/// A ring's records on the way. No answer is longer than a reply.
pub(super) struct RecordsDraft {
    /// Servers in an answer.
    pub(super) take: u32,
    /// How many of `starts` an answer goes on for.
    pub(super) span: u32,
    pub(super) records: Vec<u8>,
    /// What stands before each server's (or answer's) first record; one more than of these.
    pub(super) starts: Vec<Start>,
}

impl RecordsDraft {
    /// Each server's records once, so that answers share them.
    pub(super) fn overlapping(
        count: u32,
        take: u32,
        write: impl Fn(usize, bool, &mut Vec<u8>) -> u32,
    ) -> Self {
        let mut draft = Self::empty();
        for place in 0..count as usize {
            draft.add_fitting(place, true, &write);
        }
        let lens: Vec<usize> =
            draft.starts.windows(2).map(|pair| (pair[1].byte - pair[0].byte) as usize).collect();
        draft.take = fitting(&lens, take);
        draft.span = draft.take;
        for place in 0..(draft.take - 1) as usize {
            draft.add_fitting(place, true, &write);
        }
        draft
    }

    /// Answer by answer, since a record depends on whether its server was chosen.
    pub(super) fn apart(
        count: u32,
        take: u32,
        write: impl Fn(usize, bool, &mut Vec<u8>) -> u32,
    ) -> Self {
        let mut lens = Vec::new();
        let mut one = Vec::new();
        for place in 0..count as usize {
            one.clear();
            write(place, true, &mut one);
            lens.push(one.len());
        }
        let mut draft = Self { take: fitting(&lens, take), ..Self::empty() };
        for first in 0..count as usize {
            let mut written = 0;
            for behind in 0..draft.take as usize {
                written += write(first + behind, behind == 0, &mut draft.records);
            }
            draft.end(written);
        }
        draft
    }

    fn empty() -> Self {
        Self { take: 1, span: 1, records: Vec::new(), starts: vec![Start::default()] }
    }

    /// One server's records, none of those that fit no reply.
    fn add_fitting(
        &mut self,
        place: usize,
        is_first: bool,
        write: impl Fn(usize, bool, &mut Vec<u8>) -> u32,
    ) {
        let from = self.records.len();
        let mut written = write(place, is_first, &mut self.records);
        if self.records.len() - from > RECORDS_LEN_MAX {
            // Thousands of addresses of one server: no configuration has them.
            let kept: Vec<usize> = data_of(&self.records[from..])
                .map(|data| RECORD_HEAD_LEN + data.len())
                .scan(0, |sum, len| {
                    *sum += len;
                    (*sum <= RECORDS_LEN_MAX).then_some(*sum)
                })
                .collect();
            self.records.truncate(from + kept.last().copied().unwrap_or(0));
            written = u32::try_from(kept.len()).unwrap_or(0);
        }
        self.end(written);
    }

    fn end(&mut self, written: u32) {
        let before = self.starts.last().copied().unwrap_or_default();
        let byte = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.starts.push(Start { byte, record: before.record + written });
    }
}

/// A place in a ring's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) byte: u32,
    pub(super) record: u32,
}

/// The most servers, at most `take`, whose records fit a reply wherever in the ring it begins.
fn fitting(lens: &[usize], take: u32) -> u32 {
    let mut fitting = (take as usize).min(lens.len());
    let at = |place: usize| lens[place % lens.len()];
    let (mut end, mut sum) = (0, 0);
    for first in 0..lens.len() {
        while end < first + fitting && (sum + at(end) <= RECORDS_LEN_MAX || end == first) {
            sum += at(end);
            end += 1;
        }
        fitting = fitting.min(end - first);
        sum -= at(first);
    }
    fitting.max(1) as u32
}
