//! A set of records while updates change it: each record is found without a look at all others, since one message may
//! bring thousands of one set.

use std::collections::BTreeSet;
use std::mem;

use super::message::form;
use crate::zone::RecordSet;

/// One set; without data it is none.
pub(super) struct DraftSet {
    /// All but its data.
    head: RecordSet,
    /// In the order in which they came; those that were taken out leave gaps.
    data: Vec<Option<Box<[u8]>>>,
    len: usize,
    /// Each by what makes it the same as others, with its place; made with the first that is looked for.
    places: Option<BTreeSet<(Vec<u8>, usize)>>,
}

impl DraftSet {
    pub(super) fn of(mut set: RecordSet) -> Self {
        let data: Vec<_> = mem::take(&mut set.data).into_iter().map(Some).collect();
        Self { head: set, len: data.len(), data, places: None }
    }

    pub(super) const fn record_type(&self) -> u16 {
        self.head.record_type
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn first(&self) -> Option<&[u8]> {
        self.data.iter().flatten().map(|data| &**data).next()
    }

    /// All records of a set have one TTL (RFC 2181 section 5.2).
    pub(super) const fn set_ttl(&mut self, ttl: u32) {
        self.head.ttl = ttl;
    }

    pub(super) fn clear(&mut self) {
        (self.data, self.len, self.places) = (Vec::new(), 0, None);
    }

    /// Puts a record behind the others, unless it is there.
    pub(super) fn add(&mut self, data: &[u8]) {
        let (form, place) = (form(self.head.record_type, data), self.data.len());
        let places = self.places();
        if places.range(all(&form)).next().is_none() {
            places.insert((form, place));
            self.data.push(Some(data.into()));
            self.len += 1;
        }
    }

    /// Takes a record out, if it is there; all of them, if a file has it in several writings.
    pub(super) fn remove(&mut self, data: &[u8]) {
        let form = form(self.head.record_type, data);
        while let Some(found) = self.places().range(all(&form)).next().cloned() {
            self.places().remove(&found);
            self.data[found.1] = None;
            self.len -= 1;
        }
    }

    /// Whether it has a record that is not the same as this one.
    pub(super) fn has_others_than(&mut self, data: &[u8]) -> bool {
        let form = form(self.head.record_type, data);
        self.places().iter().any(|(held, _)| *held != form)
    }

    /// As it is in the end.
    pub(super) fn into_set(self) -> RecordSet {
        RecordSet { data: self.data.into_iter().flatten().collect(), ..self.head }
    }

    fn places(&mut self) -> &mut BTreeSet<(Vec<u8>, usize)> {
        let (data, record_type) = (&self.data, self.head.record_type);
        self.places.get_or_insert_with(|| {
            let data = data.iter().enumerate();
            let held = data.filter_map(|(place, data)| Some((data.as_ref()?, place)));
            held.map(|(data, place)| (form(record_type, data), place)).collect()
        })
    }
}

/// Where a record of this form may stand.
fn all(form: &[u8]) -> std::ops::RangeInclusive<(Vec<u8>, usize)> {
    (form.to_vec(), 0)..=(form.to_vec(), usize::MAX)
}
