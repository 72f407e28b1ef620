//! What an updater knows of its name server, for people.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::PlanNumber;
use crate::world::Name;

/// How one name server stands.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdaterStatus {
    /// The name server.
    pub name: Name,
    /// Its area.
    pub area: Name,
    /// Where it is.
    pub address: String,
    /// The area's own zone.
    pub zone: String,
    /// The Plan that it is to have; `None` before the first.
    pub desired: Option<PlanNumber>,
    /// The newest Plan that it is known to have, but for names that are not ours.
    pub acknowledged: Option<PlanNumber>,
    /// Whether it has the Plan that it is to have: what was acknowledged may have been undone since, or the name
    /// server be away.
    pub is_current: bool,
    /// The highest number that marks in the zone name.
    pub seen: Option<PlanNumber>,
    /// Since it last answered, in milliseconds; `None`: never.
    pub last_success_ms: Option<u64>,
    /// What is wrong with it, in a sentence.
    pub problem: Option<String>,
    /// ... and since when, in milliseconds.
    pub problem_ms: u64,
    /// Of the zones of balanced names: the tags of the keys with which it signs its copy.
    pub keys: Vec<(String, BTreeSet<u16>)>,
    /// What clients or resolvers will trip over, though updates work.
    pub warnings: Vec<String>,
    /// Every name that is published there.
    pub names: Vec<NameStatus>,
    /// What happened since the start.
    pub counters: UpdaterCounters,
}

/// Warns of zones of balanced names that two of these name servers sign with other keys: their copies differ, so
/// each signs its own, and a resolver takes the keys of whichever it asked for those of the zone.
pub fn compare_keys(servers: &mut [UpdaterStatus]) {
    let mut first: BTreeMap<String, (String, BTreeSet<u16>)> = BTreeMap::new();
    for server in servers {
        for (zone, keys) in &server.keys {
            let known =
                first.entry(zone.clone()).or_insert((server.name.to_string(), keys.clone()));
            if known.1 != *keys {
                server.warnings.push(format!(
                    "{} signs {zone} with {}, `{}` with {}: resolvers that validate refuse what one of \
                     them says; sign all copies with the same keys",
                    server.address,
                    tags(keys),
                    known.0,
                    tags(&known.1)
                ));
            }
        }
    }
}

fn tags(keys: &BTreeSet<u16>) -> String {
    const SHOWN_MAX: usize = 4;
    let some: Vec<String> = keys.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    match keys.len().saturating_sub(SHOWN_MAX) {
        _ if some.is_empty() => "no keys".to_owned(),
        0 => format!("the keys {}", some.join(", ")),
        more => format!("the keys {} and {more} more", some.join(", ")),
    }
}

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameStatus {
    /// The balanced name.
    pub service: String,
    /// Where its addresses are.
    pub target: String,
    /// How it stands.
    pub state: NameState,
    /// What it has or lacks, in words.
    pub detail: String,
}

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameState {
    /// As the Plan wants it.
    Published,
    /// To be read or written.
    Waiting,
    /// Changed by somebody else and about to be repaired.
    Drifted,
    /// Another updater of the same owner publishes something else there, by the same Plans.
    Disputed,
    /// Not ours: left alone.
    Foreign,
    /// A newer Plan than ours is there.
    Newer,
    /// The Plan does not say: what is there stays.
    Unknown,
    /// No longer published from here: what is there stays.
    Left,
}

impl NameState {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Waiting => "waiting",
            Self::Drifted => "drifted",
            Self::Disputed => "disputed",
            Self::Foreign => "foreign",
            Self::Newer => "newer",
            Self::Unknown => "unknown",
            Self::Left => "left",
        }
    }
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdaterCounters {
    /// Exchanges begun.
    pub exchanges: u64,
    /// ... that failed.
    pub failures: u64,
    /// Names that were changed.
    pub updates: u64,
    /// ... because somebody else had changed them.
    pub repaired: u64,
    /// Changes that were not made because the name was no longer as it was read.
    pub overtaken: u64,
}
