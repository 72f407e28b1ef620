//! What an operator said over the head of all measurement: drains.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, Name};

/// What an override is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One server.
    Server(Name),
    /// All servers of a cluster.
    Cluster(Name),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(name) => write!(f, "server {name}"),
            Self::Cluster(name) => write!(f, "cluster {name}"),
        }
    }
}

/// What the operator wants of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideState {
    /// Nothing: kept as a tombstone, so that a merge does not bring an old drain back.
    None,
    /// Takes no new clients.
    Drained,
}

/// So many of those who set a target before are told.
const PREDECESSORS_MAX: usize = 8;

/// One override with what decides between two of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What the operator wants.
    pub state: OverrideState,
    /// Rises with each change of this target anywhere; the higher wins, ties by `id`.
    pub revision: u64,
    /// The Controller that took the change.
    pub id: Name,
    /// When, Unix milliseconds, for people.
    pub set_unix_ms: u64,
    /// The operator who wanted it, for people; `None` for whoever has the node's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// Who set the revisions before this one, the one just before first; at most eight. Programs that do
    /// not know of this leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Name>,
}

impl Override {
    /// Whether whoever set this knew of `earlier`; `None` if that is not told.
    #[must_use]
    pub fn follows(&self, earlier: &Self) -> Option<bool> {
        let Some(between) = self.revision.checked_sub(earlier.revision) else { return Some(false) };
        let Some(place) = between.checked_sub(1) else { return Some(false) };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        self.after.get(place).map(|id| *id == earlier.id)
    }

    /// Of two that differ one is the greater, whoever looks: also of two that one Controller set before and after
    /// it lost what it had stored. No clock decides before revision and id.
    fn order(&self) -> (u64, &Name, OverrideState, u64) {
        (self.revision, &self.id, self.state, self.set_unix_ms)
    }
}

/// All overrides of a system: last writer wins by (revision, id), so that any two Controllers
/// that have exchanged theirs hold the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overrides {
    #[serde(with = "entries")]
    entries: BTreeMap<Target, Override>,
}

impl Overrides {
    /// Whether this target itself is drained (a server of a drained cluster is asked for by both).
    #[must_use]
    pub fn is_drained(&self, target: &Target) -> bool {
        self.entries.get(target).is_some_and(|entry| entry.state == OverrideState::Drained)
    }

    /// All entries, tombstones included, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Target, &Override)> {
        self.entries.iter()
    }

    /// What was said last about a target.
    #[must_use]
    pub fn get(&self, target: &Target) -> Option<&Override> {
        self.entries.get(target)
    }

    /// How many there are, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Two that hold the same have the same. Who wanted it, and what was before, takes no part: programs that do not
    /// know of these leave them out, and would be told of the difference for ever.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let unnamed = |(target, entry): (&Target, &Override)| {
            (target.clone(), Override { by: None, after: Vec::new(), ..entry.clone() })
        };
        let text = serde_json::to_vec(&self.iter().map(unnamed).collect::<Vec<_>>())
            .unwrap_or_else(|_| unreachable!("overrides are pairs of text and numbers"));
        Digest::of([&text[..]])
    }

    /// Sets a target's state as this Controller and returns the entry to tell others.
    pub fn set(
        &mut self,
        target: Target,
        state: OverrideState,
        (id, by): (Name, Option<Name>),
        unix_ms: u64,
    ) -> Override {
        let revision =
            self.entries.get(&target).map_or(1, |entry| entry.revision.saturating_add(1));
        let before = self.entries.get(&target);
        let after = before.into_iter().flat_map(|it| std::iter::once(&it.id).chain(&it.after));
        let after = after.take(PREDECESSORS_MAX).cloned().collect();
        let entry = Override { state, revision, id, set_unix_ms: unix_ms, by, after };
        self.entries.insert(target, entry.clone());
        entry
    }

    /// Takes over what another Controller says if it is newer; tells whether anything changed.
    pub fn merge(&mut self, target: Target, mut other: Override) -> bool {
        other.after.truncate(PREDECESSORS_MAX);
        let newer = self.entries.get(&target).is_none_or(|own| own.order() < other.order());
        if newer {
            self.entries.insert(target, other);
        }
        newer
    }
}

/// JSON has no keys but strings: entries travel as a list of pairs.
mod entries {
    use super::{BTreeMap, Deserialize, Override, Serialize, Target};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Target, Override>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Target, Override>, D::Error> {
        Ok(Vec::<(Target, Override)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wanted_it_travels_and_makes_no_difference() {
        let target = || Target::Server("fra1".parse().unwrap());
        let mut named = Overrides::default();
        let id: Name = "berlin".parse().unwrap();
        let anna = Some("anna".parse().unwrap());
        let entry = named.set(target(), OverrideState::Drained, (id.clone(), anna), 7);
        let text = serde_json::to_string(&entry).unwrap();
        assert!(text.ends_with(r#""by":"anna"}"#), "{text}");
        let old: Override = serde_json::from_str(&text.replace(r#","by":"anna""#, "")).unwrap();
        assert_eq!(old.by, None);
        let mut unnamed = Overrides::default();
        unnamed.set(target(), OverrideState::Drained, (id, None), 7);
        assert_eq!(named.digest(), unnamed.digest());
        assert!(!named.merge(target(), old), "nothing newer");
    }

    #[test]
    fn each_says_whose_word_it_follows_as_far_back_as_is_told() {
        let target = || Target::Server("fra1".parse().unwrap());
        let mut overrides = Overrides::default();
        let mut set = |id: &str| {
            overrides.set(target(), OverrideState::Drained, (id.parse().unwrap(), None), 7)
        };
        let all: Vec<Override> =
            "abcabcabcabc".split("").filter(|it| !it.is_empty()).map(&mut set).collect();
        let [first, second, third] = [0, 1, 2].map(|place| all[place].clone());
        assert_eq!((third.follows(&first), third.follows(&second)), (Some(true), Some(true)));
        assert_eq!((first.follows(&third), first.follows(&first)), (Some(false), Some(false)));
        let stranger = Override { id: "z".parse().unwrap(), ..second };
        assert_eq!((third.follows(&stranger), stranger.follows(&first)), (Some(false), Some(true)));
        assert_eq!(all[11].after.len(), PREDECESSORS_MAX);
        assert_eq!((all[11].follows(&all[3]), all[11].follows(&all[2])), (Some(true), None));
        let untold = Override { after: Vec::new(), ..third };
        assert_eq!(untold.follows(&first), None);
    }

    /// One Controller that lost what it had stored says the same revision again, of something else.
    #[test]
    fn whoever_merges_with_whom_all_hold_the_same() {
        let target = || Target::Server("fra1".parse().unwrap());
        let entry = |state, revision, id: &str, set_unix_ms| Override {
            state,
            revision,
            id: id.parse().unwrap(),
            set_unix_ms,
            by: None,
            after: Vec::new(),
        };
        let entries = [
            entry(OverrideState::Drained, 1, "berlin", 7),
            entry(OverrideState::None, 1, "berlin", 9),
            entry(OverrideState::Drained, 1, "berlin", 9),
            entry(OverrideState::None, 1, "zurich", 1),
            entry(OverrideState::Drained, 2, "berlin", 1),
        ];
        for (place, greater) in entries.iter().enumerate().skip(1) {
            for lesser in &entries[..place] {
                let merged = |first: &Override, second: &Override| {
                    let mut overrides = Overrides::default();
                    assert!(overrides.merge(target(), first.clone()));
                    overrides.merge(target(), second.clone());
                    overrides
                };
                let (one, other) = (merged(lesser, greater), merged(greater, lesser));
                assert_eq!(one, other, "{lesser:?} {greater:?}");
            }
        }
    }
}
