//! A section whose keys and types were checked: typed access for those who build from it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use walrus_dns::DomainName;

use super::findings::Place;
use super::replace::Replacement;
use crate::world::{Coordinates, Name};

/// A value of a known kind.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of `Flag`.
    Flag(bool),
    /// Of all kinds that are checked texts.
    Text(String),
    /// Of `Name`.
    Name(Name),
    /// Of `Domain`.
    Domain(DomainName),
    /// Of `Address`.
    Address(IpAddr),
    /// Of `Endpoint`.
    Endpoint(SocketAddr),
    /// Of `Count`.
    Count(u64),
    /// Of `Number` and `Share`.
    Number(f64),
    /// Of `Duration` and `Seconds`.
    Duration(Duration),
    /// Of `Status`: inclusive ranges.
    Status(Vec<(u16, u16)>),
    /// Of `List` and `OneOrMany`.
    List(Vec<(Self, Place)>),
    /// Key, where it stands, the name, where that stands.
    Names(BTreeMap<String, (Place, Name, Place)>),
    /// Key, where it stands, the value, where that stands.
    Table(Vec<(String, Place, Self, Place)>),
    /// In the order of the file.
    Replacements(Vec<Replacement>),
    /// Of `Coordinates`.
    Coordinates(Coordinates),
    /// Of `Section`.
    Section(Section),
    /// Of `Sections`.
    Sections(Vec<Section>),
}

/// One setting of a section.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    value: Option<Value>,
    place: Place,
    key_place: Place,
    given: bool,
    /// Whether anybody asked for it: a setting that nobody reads must not be in the tables.
    read: Cell<bool>,
}

impl Entry {
    /// As written; without a value after a problem.
    pub(super) const fn given(value: Option<Value>, place: Place, key_place: Place) -> Self {
        Self { value, place, key_place, given: true, read: Cell::new(false) }
    }

    /// As its default says; problems with it are told at the section.
    pub(super) const fn absent(value: Option<Value>, place: Place) -> Self {
        Self { value, place, key_place: place, given: false, read: Cell::new(false) }
    }
}

/// A section with an entry for every setting of its group.
#[derive(Clone, Debug)]
pub struct Section {
    place: Place,
    entries: BTreeMap<&'static str, Entry>,
}

impl Section {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, entries: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, name: &'static str, entry: Entry) {
        self.entries.insert(name, entry);
    }

    /// Takes over another file's entry; tells where the first stands if there is one already.
    /// Lists of tables are joined.
    pub(super) fn merge(&mut self, name: &'static str, entry: Entry) -> Result<(), Place> {
        let Some(first) = self.entries.get_mut(name) else {
            self.entries.insert(name, entry);
            return Ok(());
        };
        match (&mut first.value, entry.value) {
            (Some(Value::Sections(sections)), Some(Value::Sections(more))) => {
                sections.extend(more);
                Ok(())
            }
            _ => Err(first.key_place),
        }
    }

    /// Puts a value in the place of what was written or holds by default.
    pub(super) fn put(&mut self, name: &'static str, value: Option<Value>, place: Place) {
        self.entries.insert(name, Entry::given(value, place, place));
    }

    /// The value, to be changed.
    pub(super) fn value_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.entries.get_mut(name)?.value.as_mut()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Where the section begins.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Where a setting's value stands; the section's own place if it was not written.
    #[must_use]
    pub fn place_of(&self, name: &str) -> Place {
        self.entries.get(name).map_or(self.place, |entry| entry.place)
    }

    /// Where a setting's key stands.
    #[must_use]
    pub fn key_place(&self, name: &str) -> Place {
        self.entries.get(name).map_or(self.place, |entry| entry.key_place)
    }

    /// Whether it was written (rightly or not).
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.given)
    }

    /// The value, written or default.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let entry = self.entries.get(name);
        debug_assert!(entry.is_some(), "`{name}` stands in no table of settings");
        let entry = entry?;
        entry.read.set(true);
        entry.value.as_ref()
    }

    /// Whether a flag is set.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }

    /// A flag, if it was written or has a default.
    #[must_use]
    pub fn flag_if_given(&self, name: &str) -> Option<bool> {
        match self.value(name) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A name.
    #[must_use]
    pub fn name(&self, name: &str) -> Option<Name> {
        match self.value(name) {
            Some(Value::Name(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// A domain name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<DomainName> {
        match self.value(name) {
            Some(Value::Domain(domain)) => Some(domain.clone()),
            _ => None,
        }
    }

    pub(super) fn endpoint(&self, name: &str) -> Option<SocketAddr> {
        match self.value(name) {
            Some(Value::Endpoint(endpoint)) => Some(*endpoint),
            _ => None,
        }
    }

    /// An address of a machine.
    pub(super) fn address(&self, name: &str) -> Option<IpAddr> {
        match self.value(name) {
            Some(Value::Address(address)) => Some(*address),
            _ => None,
        }
    }

    /// A whole number.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Count(count)) => Some(*count),
            _ => None,
        }
    }

    /// A whole number whose bounds are within this type; zero after a problem.
    #[must_use]
    pub fn whole<T: TryFrom<u64> + std::default::Default>(&self, name: &str) -> T {
        self.count(name).and_then(|count| T::try_from(count).ok()).unwrap_or_default()
    }

    /// A number or share.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A place on the earth.
    #[must_use]
    pub fn coordinates(&self, name: &str) -> Option<Coordinates> {
        match self.value(name) {
            Some(Value::Coordinates(coordinates)) => Some(*coordinates),
            _ => None,
        }
    }

    /// A time; zero after a problem.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Value::Duration(duration)) => *duration,
            _ => Duration::ZERO,
        }
    }

    /// The entries of a list with their places; empty after a problem.
    #[must_use]
    pub fn list(&self, name: &str) -> &[(Value, Place)] {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// Whether a list holds nothing, and that was no mistake told already.
    pub(super) fn is_empty_list(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::List(list)) => list.is_empty(),
            Some(_) => false,
            None => !self.is_given(name),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let text = |(value, _): &(Value, Place)| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.list(name).iter().filter_map(text).collect()
    }

    pub(super) fn names(&self, name: &str) -> Vec<Name> {
        let name_of = |(value, _): &(Value, Place)| match value {
            Value::Name(name) => Some(name.clone()),
            _ => None,
        };
        self.list(name).iter().filter_map(name_of).collect()
    }

    pub(super) fn domains(&self, name: &str) -> Vec<DomainName> {
        let domain = |(value, _): &(Value, Place)| match value {
            Value::Domain(domain) => Some(domain.clone()),
            _ => None,
        };
        self.list(name).iter().filter_map(domain).collect()
    }

    pub(super) fn endpoints(&self, name: &str) -> Vec<(SocketAddr, Place)> {
        let endpoint = |(value, place): &(Value, Place)| match value {
            Value::Endpoint(endpoint) => Some((*endpoint, *place)),
            _ => None,
        };
        self.list(name).iter().filter_map(endpoint).collect()
    }

    /// A section.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Self> {
        match self.value(name) {
            Some(Value::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// The tables of a list; empty after a problem.
    #[must_use]
    pub fn sections(&self, name: &str) -> &[Self] {
        match self.value(name) {
            Some(Value::Sections(sections)) => sections,
            _ => &[],
        }
    }

    /// Settings, here and below, that nobody asked for.
    #[cfg(test)]
    pub(super) fn unread(&self) -> Vec<String> {
        let mut unread = Vec::new();
        for (name, entry) in &self.entries {
            if !entry.read.get() {
                unread.push((*name).to_owned());
            }
            let below: &[Self] = match &entry.value {
                Some(Value::Section(section)) => std::slice::from_ref(section),
                Some(Value::Sections(sections)) => sections,
                _ => &[],
            };
            unread
                .extend(below.iter().flat_map(Self::unread).map(|below| format!("{name}.{below}")));
        }
        unread
    }
}
